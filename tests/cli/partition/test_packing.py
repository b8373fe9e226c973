import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from aliquot.cli.main import cli
from aliquot.cli.partition.packing import summary
from aliquot.partition.packing import Packing

DEMAND = "demand: {1g.10gb: 9, 3g.40gb: 3}\n"


def run(tmp_path: Path, demand: str, *arguments: str) -> tuple[int, str]:
    path = tmp_path / "demand.yaml"
    path.write_text(demand)
    result = CliRunner().invoke(cli, ["partition", "pack", "--demand", str(path), *arguments])
    return result.exit_code, result.output.replace(str(path), "demand.yaml")


def test_a_table_and_a_sentence(tmp_path: Path) -> None:
    code, text = run(tmp_path, DEMAND, "--board", "h100-80gb")
    assert code == 0
    assert text.splitlines()[0].split() == ["GPUS", "BOARD", "SLICES", "STARTS"]
    assert text.splitlines()[-2:] == ["3 GPUs, proven optimal", "first fit decreasing takes 3, too"]


def test_programs_get_every_slice_with_its_start(tmp_path: Path) -> None:
    code, text = run(tmp_path, "demand: {1g.10gb: 1, 3g.40gb: 3}", "--board", "h100-80gb:1", "-o", "json")
    found = json.loads(text)
    assert code == 0 and found["gpus"] == 1 and found["proven"] and found["firstFitDecreasing"] is None
    assert found["patterns"][0]["slices"] == [
        {"profile": "3g.40gb", "start": 0},
        {"profile": "3g.40gb", "start": 4},
    ]
    assert found["leftOut"] == {"1g.10gb": 1, "3g.40gb": 1}


def test_profiles_of_media_engines_are_looked_at_where_they_are_asked_for(tmp_path: Path) -> None:
    code, text = run(tmp_path, "demand: {1g.10gb+me: 2, 1g.10gb: 12}", "--board", "h100-80gb")
    assert code == 0 and "2 GPUs, proven optimal" in text


@pytest.mark.parametrize(
    ("demand", "arguments", "message"),
    [
        (
            "demand: {1g.5gb: 1}",
            ["--board", "h100-80gb"],
            "Error: demand.yaml:1: no board here has a profile '1g.5gb'",
        ),
        (DEMAND, ["--board", "h100"], "Error: unknown board 'h100'; did you mean"),
        (DEMAND, ["--board", "l4"], "Error: board 'l4' has no MIG; `aliquot gpu boards` lists them"),
        (DEMAND, ["--board", "h100-80gb:x"], "Error: 'h100-80gb:x' is not BOARD[:COUNT]"),
        (
            DEMAND,
            ["--board", "h100-80gb", "--board", "h100-80gb:2"],
            "Error: board 'h100-80gb' is given twice",
        ),
    ],
)
def test_refusals(tmp_path: Path, demand: str, arguments: list[str], message: str) -> None:
    code, text = run(tmp_path, demand, *arguments)
    assert code == 1 and text.startswith(message)


@pytest.mark.parametrize(
    ("packing", "heuristic", "lines"),
    [
        (Packing((), 0), 0, ["0 GPUs, proven optimal", "first fit decreasing takes 0, too"]),
        (Packing((), 0, {"1g.10gb": 1200}), None, ["0 GPUs, proven optimal", "no room for 1,200 x 1g.10gb"]),
        (
            Packing((), 0, {"1g.10gb": 1}, placed_is_proven=False),
            None,
            [
                "0 GPUs; at least 0 are needed (gap 0.00%)",
                "no room for 1 x 1g.10gb; time was up, others may place more",
            ],
        ),
    ],
)
def test_the_summary(packing: Packing, heuristic: int | None, lines: list[str]) -> None:
    assert summary(packing, heuristic) == lines
