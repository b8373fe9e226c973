import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from aliquot.cli.main import cli
from aliquot.cli.partition.planning import summary
from aliquot.partition.replanning.plan import Evict, Plan, Spot
from aliquot.partition.replanning.solving import Reached

INVENTORY = """
gpus:
- {node: a, board: h100-80gb, slices: [{profile: 1g.10gb, start: 0, pod: ml/small}]}
- {node: b, board: h100-80gb, slices: [{profile: 3g.40gb, start: 0, pod: ml/big}]}
pods: {ml/big: {stays: nothing would start it again}, ml/small: {ranFor: 30}}
pending: [{pod: ml/whole, needs: {7g.80gb: 1}, priority: 20}]
"""


def run(tmp_path: Path, *arguments: str, inventory: str = INVENTORY) -> tuple[int, str]:
    path = tmp_path / "inventory.yaml"
    path.write_text(inventory)
    result = CliRunner().invoke(cli, ["partition", "plan", "--inventory", str(path), *arguments])
    return result.exit_code, result.output.replace(str(path), "inventory.yaml")


def test_a_plan_that_a_person_can_read(tmp_path: Path) -> None:
    code, text = run(tmp_path)
    assert code == 0
    assert text.splitlines()[:9] == [
        "STEP   WHAT             SLICE     WHERE              WHY",
        "1      make             1g.10gb   b/GPU-b-0 slot 6   for ml/small",
        "2      evict ml/small   1g.10gb   a/GPU-a-0 slot 0   for ml/whole",
        "3      destroy          1g.10gb   a/GPU-a-0 slot 0   ml/small has left it",
        "4      again ml/small   1g.10gb   b/GPU-b-0 slot 6   it made room",
        "5      make             7g.80gb   a/GPU-a-0 slot 0   for ml/whole",
        "6      admit ml/whole   7g.80gb   a/GPU-a-0 slot 0   it waits for them",
        "",
        "1 of 1 waiting pod admitted, 1 pod moved; 2 slices made, 1 destroyed",
    ]
    assert "proven optimal" in text and "1g.10gb           9        2" in text


def test_what_stays_says_why(tmp_path: Path) -> None:
    code, text = run(tmp_path, "--minimum-run", "60")
    assert code == 0 and "0 of 1 waiting pod admitted, 0 pods moved; 0 slices made, 0 destroyed" in text
    assert "ml/whole          no room for 1 x 7g.80gb, not even by moving what may be moved" in text
    assert "ml/small   it has 30 s to run until it may be moved" in text


def test_programs_get_the_operations(tmp_path: Path) -> None:
    code, text = run(tmp_path, "-o", "json")
    found = json.loads(text)
    assert code == 0 and found["evicted"] == ["ml/small"] and set(found["basis"]) == {"a", "b"}
    assert [op["what"] for op in found["operations"]] == [
        "create",
        "evict",
        "destroy",
        "place",
        "create",
        "place",
    ]
    assert found["operations"][1] == {
        "what": "evict",
        "pod": "ml/small",
        "gap": False,
        "slices": [{"node": "a", "gpu": "GPU-a-0", "profile": "1g.10gb", "start": 0}],
        "why": "for ml/whole",
    }
    assert found["aims"][0] == {"aim": "admitted 20", "value": 64.0, "bound": 64.0, "proven": True}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--require", "ml/whole", "--moves", "0"],
            "Error: ml/whole: the budget of moves forbids it; lift one of them",
        ),
        (["--require", "ml/hole"], "Error: no pod 'ml/hole' waits for slices; did you mean 'ml/whole'?"),
        (["--require", "ml/whole", "--within", "0"], "Error: time was up before it was known"),
    ],
)
def test_refusals(tmp_path: Path, arguments: list[str], message: str) -> None:
    code, text = run(tmp_path, *arguments)
    assert code == 1 and text.startswith(message)


def test_a_bad_file(tmp_path: Path) -> None:
    code, text = run(tmp_path, inventory="gpus: [{node: a, board: l4}]")
    assert (code, text) == (1, "Error: inventory.yaml:1: board 'l4' has no MIG that is published\n")


def plan(*reached: Reached, gap: bool = False, note: str = "") -> Plan:
    spot = Spot("n", "GPU-0", "1g.10gb", 0, 1)
    operations = (Evict("ml/x", (spot,), True, "for ml/w"),) if gap else ()
    return Plan(operations, reached, {"ml/w": "why"}, {}, {}, note=note)


BEGIN = "0 of 1 waiting pod admitted, 0 pods moved; 0 slices made, 0 destroyed"


@pytest.mark.parametrize(
    ("found", "lines"),
    [
        (plan(Reached("admitted 0", 64, 64)), [BEGIN, "proven optimal"]),
        (
            plan(Reached("admitted 5", 640, 704), Reached("evictions", 3, 2)),
            [
                BEGIN,
                "memory admitted of priority 5: 10 GPUs, at most 11 could be (gap 9.09%)",
                "evictions: 3, at least 2 could be (gap 33.33%)",
            ],
        ),
        (
            plan(Reached("operations", 3, None), Reached("loss", 9, 4)),
            [
                BEGIN,
                "slices made and destroyed: time was up before it was known how good it is",
                "worth of what is free: may be better, by at most 5",
            ],
        ),
        (plan(note="not all was looked at"), [BEGIN, "proven optimal", "not all was looked at"]),
        (
            plan(gap=True),
            [
                BEGIN.replace("0 pods moved", "1 pod moved"),
                "proven optimal",
                "evicted before there is a place: ml/x",
            ],
        ),
        (Plan((), (), {}, {}, {}), ["no pod waits for slices: nothing to do"]),
    ],
)
def test_the_summary(found: Plan, lines: list[str]) -> None:
    assert summary(found) == lines
