from pathlib import Path

import pytest

from aliquot.document import DocumentError
from aliquot.gpu import inventory
from aliquot.gpu.inventory import Inventory, InventoryGpus, InventoryNode


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("h100-80gb:8", (InventoryGpus("h100-80gb", 8),)),
        ("l4", (InventoryGpus("l4"),)),
        ("a100-40gb:4:mig", (InventoryGpus("a100-40gb", 4, mig=True),)),
        ("a30-24gb:mig", (InventoryGpus("a30-24gb", 1, mig=True),)),
        ("h100-80gb:2, l4:1", (InventoryGpus("h100-80gb", 2), InventoryGpus("l4", 1))),
    ],
)
def test_gpus_on_the_command_line(text: str, groups: tuple[InventoryGpus, ...]) -> None:
    assert inventory.parse_gpus(text) == groups


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' names no board at one place: give BOARD[:COUNT][:mig] there, or no comma"),
        ("l4:1,,t4:2", "'l4:1,,t4:2' names no board at one place"),
        ("l4:1,", "'l4:1,' names no board at one place"),
        (" , l4:1", "names no board at one place"),
        (":2", "unknown board ''"),
        ("h100:8", "unknown board 'h100'; did you mean 'h100-80gb' or 'h100-94gb'?"),
        ("l4:0", "'l4:0' is not BOARD[:COUNT][:mig], like h100-80gb:8 or a100-40gb:4:mig"),
        ("l4:-1", "'l4:-1' is not BOARD"),
        ("l4:x", "'l4:x' is not BOARD"),
        ("l4:1:2", "'l4:1:2' is not BOARD"),
        ("h100-80gb:mig:8", "'h100-80gb:mig:8' is not BOARD"),
        ("l4:33", "'l4:33' has more than 32 GPUs for one node"),
        ("l4:20,t4:20", "has more than 32 GPUs for one node"),
        ("l4:1:mig", "board 'l4' has no MIG"),
        (
            "thor-igpu:1:mig",
            "board 'thor-igpu' has MIG, but its placements are not published: it cannot be simulated",
        ),
    ],
)
def test_gpus_that_cannot_be_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        inventory.parse_gpus(text)
    assert message in str(caught.value)


def test_a_file_of_several_nodes(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yaml"
    path.write_text(
        "nodes:\n"
        "- name: big\n"
        "  labels: {zone: a}\n"
        "  gpus: [{board: h100-80gb, count: 8, mig: true}, {board: l4}]\n"
        "- name: cpu-only\n"
        "- {name: tray, clique: 7, gpus: [{board: gb200, count: 4}]}\n"
    )
    assert inventory.load(path) == Inventory(
        (
            InventoryNode(
                "big", {"zone": "a"}, (InventoryGpus("h100-80gb", 8, mig=True), InventoryGpus("l4"))
            ),
            InventoryNode("cpu-only", {}, ()),
            InventoryNode("tray", {}, (InventoryGpus("gb200", 4),), clique=7),
        )
    )


def test_a_file_of_one_node_fits_every_name() -> None:
    loaded = inventory.parse("gpus: [{board: l4, count: 2}]", source="f")
    assert loaded.nodes == (InventoryNode("", {}, (InventoryGpus("l4", 2),)),)
    assert loaded.node("worker-7") == InventoryNode("worker-7", {}, (InventoryGpus("l4", 2),))


def test_a_node_is_found_by_name() -> None:
    loaded = inventory.parse("nodes: [{name: a}, {name: b}]", source="f")
    assert loaded.node("b").name == "b"
    with pytest.raises(KeyError, match="the inventory has no node 'bb'; did you mean 'b'"):
        loaded.node("bb")


def test_labels_that_kubernetes_takes_are_taken() -> None:
    labels = {"zone": "a", "example.com/Rack_1.b": "R-7", "empty": "", "k" * 63: "v" * 63}
    text = "".join(f"    {key}: '{value}'\n" for key, value in labels.items())
    loaded = inventory.parse(f"nodes:\n- name: {'a' * 63}\n  labels:\n{text}", source="f")
    assert loaded.nodes == (InventoryNode("a" * 63, labels, ()),)


GRAMMAR = "use at most 63 letters, digits, '-', '_' and '.', and begin and end with a letter or digit"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "f:1: an inventory has either 'gpus' (one node) or 'nodes'"),
        ("gpus: []\nnodes: []", "f:1: an inventory has either 'gpus' (one node) or 'nodes'"),
        (
            "gpus:\n- board: l4\n- board: h10\n",
            "f:3: unknown board 'h10'; did you mean 'h100-80gb' or 'h100-94gb'?",
        ),
        ("gpus:\n- bord: l4\n", "f:2: unknown field 'bord' in gpus[0]; did you mean 'board'?"),
        ("gpus:\n- board: l4\n  count: 0\n", "f:3: gpus[0].count: a whole number >= 1 is expected, not 0"),
        ("gpus:\n- board: l4\n  mig: true\n", "f:2: board 'l4' has no MIG"),
        (
            "nodes:\n- name: a\n  clique: 1\n  gpus: [{board: l4}]\n",
            "f:3: node 'a' has no board with NVLink: it is in no clique",
        ),
        ("gpus:\n- {board: l4, count: 30}\n- {board: t4, count: 3}\n", "f:2: more than 32 GPUs on one node"),
        *(
            (
                f"nodes:\n- name: {name}\n",
                f"f:2: '{name}' is no node name: use lower case letters, digits, '-' and '.', and begin and end "
                "each part between dots with a letter or digit",
            )
            for name in ("A", "a_b", "-a", "a-", "a..b", "a.", "ä")
        ),
        (
            f"nodes:\n- name: {'a' * 64}\n",
            f"f:2: node name '{'a' * 64}' has 64 characters: use at most 63",
        ),
        *(
            (f"nodes:\n- name: a\n  labels:\n    ok: fine\n    {label}\n", f"f:5: {message}")
            for label, message in (
                ("bad key: x", f"label key 'bad key': {GRAMMAR}"),
                ("-x: x", f"label key '-x': {GRAMMAR}"),
                (f"{'k' * 64}: x", f"label key '{'k' * 64}': {GRAMMAR}"),
                ("example.com/: x", f"label key 'example.com/': {GRAMMAR}"),
                (
                    "Example_/x: x",
                    "label 'Example_/x': 'Example_' before the '/' is no domain: use one like example.com/x",
                ),
                ("/x: x", "label '/x': '' before the '/' is no domain: use one like example.com/x"),
                ("k: two words", f"value 'two words' of label 'k': {GRAMMAR}"),
                ("k: -x", f"value '-x' of label 'k': {GRAMMAR}"),
                (f"k: {'v' * 64}", f"value '{'v' * 64}' of label 'k': {GRAMMAR}"),
                (
                    "kubernetes.io/hostname: b",
                    "label 'kubernetes.io/hostname' is set by the node's own kubelet: leave it out",
                ),
            )
        ),
        ("nodes:\n- name: a\n- name: a\n", "f:3: node 'a' is given twice"),
        ("nodes:\n- gpus: []\n", "f:2: nodes[0]: field 'name' is missing"),
    ],
)
def test_a_bad_file_is_one_line(text: str, message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        inventory.parse(text, source="f")
    assert str(caught.value) == message
