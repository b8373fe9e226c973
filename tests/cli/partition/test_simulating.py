"""`aliquot partition simulate` and `bench` as a user types them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aliquot.cli.main import cli

TINY = ("--gpus", "8", "--seeds", "2", "--processes", "1")


def partition(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["partition", *arguments])


def test_simulate_shows_each_policy_against_first_fit() -> None:
    shown = partition("simulate", *TINY, "--horizon", "12", "--warm-up", "2", "--policy", "best-fit")
    assert shown.exit_code == 0, shown.output
    head, first, best = shown.output.splitlines()
    assert head.split()[:2] == ["POLICY", "REQUESTS"]
    assert first.split()[0] == "first-fit" and best.split()[0] == "best-fit"
    assert "+0.00" in first


def test_simulate_tells_waits_and_losses_where_there_can_be_any() -> None:
    arguments = ("simulate", *TINY, "--horizon", "12", "--warm-up", "2", "--policy", "hami")
    assert "WAIT" not in partition(*arguments).output
    shown = partition(*arguments, "--queueing", "--node-failures", "5", "--drift-to", "bimodal", "-o", "json")
    found = json.loads(shown.output)["policies"]["hami"]
    assert found["waitP99"] > 0
    assert found["evictions"] > 0
    assert found["vsFirstFit"]["requestAcceptance"]["halfWidth"] >= 0


def test_the_same_command_says_the_same() -> None:
    arguments = ("simulate", *TINY, "--horizon", "6", "--warm-up", "1", "-o", "json")
    first, second = (json.loads(partition(*arguments).output)["policies"] for _ in range(2))
    for policies in (first, second):
        for figures in policies.values():
            del figures["decisionP50Us"], figures["decisionP99Us"]
    assert first == second


def test_bench_short_plays_every_policy_in_every_cell() -> None:
    from aliquot.partition.simulation.contenders import CONTENDERS

    sections = ("--section", "packing", "--section", "loss")
    shown = partition("bench", "--short", *TINY, *sections, "--load", "1.0", "--horizon", "6")
    assert shown.exit_code == 0, shown.output
    for name in CONTENDERS:
        assert f"\n{name} " in shown.output
    assert "S6         16          15     yes" in shown.output
    for mix in ("uniform 1", "skew-small 1", "skew-big 1", "bimodal 1"):
        assert mix in shown.output


def test_bench_short_plays_every_section() -> None:
    arguments = ("--policy", "hami", "--load", "1.0", "--horizon", "4", "--warm-up", "1")
    shown = partition("bench", "--short", *TINY, *arguments)
    assert shown.exit_code == 0, shown.output
    parts = (
        *(
            "ParvaGPU",
            "who finds no room is turned away",
            "BUDGET",
            "who finds no room waits",
            "P95 of the waits",
        ),
        *("the mix changes", "lost with their node", "between first-fit and optimum", "what a run costs"),
    )
    assert [part for part in parts if part not in shown.output] == []


def test_bench_plays_the_sections_that_are_asked_for(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    arguments = (
        "--section",
        "loss",
        "--section",
        "moves",
        "--policy",
        "hami",
        "--load",
        "0.85",
        "--horizon",
        "6",
    )
    shown = partition("bench", "--short", *TINY, *arguments, "--plots", str(tmp_path))
    assert shown.exit_code == 0, shown.output
    assert "BUDGET" in shown.output
    assert "the mix changes" not in shown.output
    assert {path.name for path in tmp_path.iterdir()} == {"loss.png", "moves.png"}


def test_bench_tells_what_a_run_costs_at_each_size() -> None:
    shown = partition("bench", "--short", "--section", "scale", "--policy", "best-fit", "-o", "json")
    assert shown.exit_code == 0, shown.output
    cells = json.loads(shown.output)["scale"]
    assert [cell["cell"] for cell in cells] == ["100 GPUs", "1,000 GPUs"]
    for cell in cells:
        assert set(cell["policies"]) == {"first-fit", "best-fit"}
        for figures in cell["policies"].values():
            assert 0 < figures["decisionP50Us"] <= figures["decisionP99Us"]
            assert figures["tookS"] > 0
            assert figures["peakMemoryMib"] > 5


def test_an_optimum_that_is_not_found_in_time_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from aliquot.partition.simulation import contenders

    monkeypatch.setattr(contenders, "_PROVEN_WITHIN_S", 0.0)
    shown = partition(
        "simulate", *TINY, "--horizon", "2", "--warm-up", "0", "--policy", "optimum", "--processes", "1"
    )
    assert shown.exit_code == 1
    assert "take fewer GPUs, or a shorter run" in shown.output


def test_a_packing_that_is_not_found_in_time_is_shown_as_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    from aliquot.partition.simulation import parvagpu

    solved = parvagpu.fewest_gpus
    monkeypatch.setattr(parvagpu, "fewest_gpus", lambda scenario: solved(scenario, within_s=0))
    shown = partition("bench", "--short", "--section", "packing")
    assert shown.exit_code == 0, shown.output
    assert "S6         16          -      no" in shown.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("simulate", "--policy", "nope"), "no policy 'nope'; there are first-fit, hami"),
        (("simulate", "--board", "h100-8gb"), "did you mean 'h100-80gb'?"),
        (("simulate", "--board", "a30-24gb"), "the mixes are of the six profiles of an A100 or H100"),
        (("bench", "--board", "l4"), "board 'l4' has none"),
        (("simulate", "--warm-up", "60"), "nothing is counted"),
        (("bench", "--horizon", "8"), "the warm-up of 10 takes the whole 8"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(arguments: tuple[str, ...], said: str) -> None:
    shown = partition(*arguments)
    assert shown.exit_code == 1
    assert said in shown.output


def test_help_imports_no_numbers_and_no_plots() -> None:
    program = (
        "import sys; from aliquot.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'numpy', 'matplotlib', 'highspy', 'aliquot.partition'} & set(sys.modules)), file=sys.stderr)"
    )
    for arguments in (["partition", "--help"], ["partition", "bench", "--help"]):
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments], check=True, capture_output=True, text=True
        )
        assert done.stderr.strip() == "[]"
