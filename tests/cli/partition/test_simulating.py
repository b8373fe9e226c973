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

    shown = partition("bench", "--short", *TINY, "--load", "1.0")
    assert shown.exit_code == 0, shown.output
    for name in CONTENDERS:
        assert f"\n{name} " in shown.output
    assert "S6         16          15     yes" in shown.output
    for mix in ("uniform 1", "skew-small 1", "skew-big 1", "bimodal 1"):
        assert mix in shown.output


def test_bench_has_its_sections(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    arguments = [part for name in ("moves", "drift", "queueing", "failures") for part in ("--section", name)]
    shown = partition(
        "bench", "--short", *TINY, *arguments, "--policy", "hami", "--load", "0.85", "--plots", str(tmp_path)
    )
    assert shown.exit_code == 0, shown.output
    for part in ("BUDGET", "the mix changes", "who finds no room waits", "lost with their node"):
        assert part in shown.output
    assert [path.name for path in tmp_path.iterdir()] == ["moves.png"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("simulate", "--policy", "nope"), "no policy 'nope'; there are first-fit, hami"),
        (("simulate", "--board", "h100-8gb"), "did you mean 'h100-80gb'?"),
        (("simulate", "--board", "a30-24gb"), "the mixes are of the six profiles of an A100 or H100"),
        (("bench", "--board", "l4"), "board 'l4' has none"),
        (("simulate", "--warm-up", "60"), "nothing is counted"),
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
