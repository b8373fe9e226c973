from pathlib import Path

import pytest

from aliquot.cli.plan import LocalClusterError, Plan, encode, plan
from aliquot.cli.pod_networks import MOST_NODES
from aliquot.cli.state import Running, StateDirectory
from aliquot.gpu import inventory


def planned(state: Path, **options: object) -> Plan:
    defaults: dict[str, object] = {
        "nodes": None,
        "gpus": None,
        "inventory": None,
        "runtime": None,
        "agents": True,
        "port": 0,
        "patience_s": 1.0,
    }
    return plan(StateDirectory(state), **{**defaults, **options})  # type: ignore[arg-type]


def last_start(state: Path, inventory_yaml: str, *, runtime: str = "process") -> None:
    directory = StateDirectory(state)
    directory.inventory.write_bytes(encode(inventory.parse(inventory_yaml, source="f")))
    directory.write_running(
        Running(pid=1, server="https://127.0.0.1:7", ready=True, nodes=1, joined_by="memory", runtime=runtime)
    )


def test_the_first_start_has_one_node_of_eight_gpus(tmp_path: Path) -> None:
    found = planned(tmp_path)
    assert [(node.name, [g.count for g in node.gpus]) for node in found.inventory.nodes] == [("node-0", [8])]
    assert (found.runtime, found.last_runtime, found.last_port, found.gone) == ("simulated", "", 0, ())


def test_what_is_not_said_is_as_last_time(tmp_path: Path) -> None:
    last_start(tmp_path, "nodes: [{name: a, labels: {k: v}, gpus: [{board: l4, count: 2}]}]")
    found = planned(tmp_path)
    assert found.inventory == inventory.load(tmp_path / "inventory.yaml")
    assert (found.runtime, found.last_runtime, found.last_port) == ("process", "process", 7)


def test_what_the_inventory_gave_up_is_named(tmp_path: Path) -> None:
    last_start(tmp_path, "nodes: [{name: a, labels: {old: x, kept: y}}, {name: b, labels: {k: v}}]")
    (tmp_path / "new.yaml").write_text("nodes: [{name: a, labels: {kept: other, new: z}}, {name: c}]")
    found = planned(tmp_path, inventory=tmp_path / "new.yaml")
    assert found.gone == ("b",)
    assert found.dropped_labels == {"a": {"old": "x"}}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"nodes": MOST_NODES + 1}, "pod networks for 32768"),
        ({"nodes": 51, "agents": False}, "--no-agents needs sockets, which 51 nodes do not get"),
        ({"gpus": "h10:1"}, "unknown board 'h10'"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path: Path, options: dict[str, object], said: str) -> None:
    with pytest.raises(LocalClusterError, match=said) as caught:
        planned(tmp_path, **options)
    assert "\n" not in str(caught.value)
