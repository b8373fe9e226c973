"""Hours of a cluster on the command line."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from aliquot.cli.main import cli
from aliquot.cli.scheduling import recorded
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.recording.capturing import captured
from aliquot.scheduler.recording.case import Case
from aliquot.scheduler.recording.document import Recording, decoded, encoded
from tests.scheduler.simulation.timed.test_as_it_is import QUEUES, Seen


def seen() -> Recording:
    found = Seen({"x": 2}, QUEUES)
    found.runs("b1", "x", 1_500, queue="b", since_s=900)
    found.runs("b2", "x", queue="b", since_s=500)
    found.waits("a1", 200, gpu=2, queue="a")
    found.waits("b3", 600, queue="b")
    return found.recorded()


def simulate(tmp_path: Path, *arguments: str, recording: Recording | None = None) -> tuple[int, str]:
    file = tmp_path / "one.cycle"
    file.write_bytes(encoded(recording or seen()))
    result = CliRunner().invoke(cli, ["scheduler", "simulate", "--recording", str(file), *arguments])
    return result.exit_code, result.output.replace(f"{tmp_path}/", "")


def rows(text: str) -> list[list[str]]:
    return [[cell for cell in line.split("   ") if cell.strip()] for line in text.splitlines()]


def test_who_starts_when(tmp_path: Path) -> None:
    code, text = simulate(tmp_path, "--duration", "2h")
    assert code == 0
    assert "note: nobody says how long 1 of 4 jobs run" in text
    assert "OWED" in text
    last = [" ".join(cell.strip() for cell in row) for row in rows(text)[-3:]]
    assert last == [
        "JOB QUEUE GPUS STARTS, AS IT IS",
        "default/b3 b 1 in 24m",
        "default/a1 a 2 not within 2h",
    ]


def test_and_with_other_queues(tmp_path: Path) -> None:
    code, text = simulate(tmp_path, "--queue", "a.quota=2")
    assert code == 0
    by_job = {row[0].strip(): [cell.strip() for cell in row[3:]] for row in rows(text) if len(row) == 5}
    assert by_job["default/a1"] == ["not within 1d", "now"]
    assert by_job["default/b1"] == ["runs", "runs, evicted 1x"]


def test_for_programs(tmp_path: Path) -> None:
    code, text = simulate(tmp_path, "--queue", "a.quota=2", "--unknown-runtime", "1h", "-o", "json")
    found: dict[str, Any] = json.loads(text)
    assert code == 0
    assert list(found) == ["as it is", "changed"]
    assert (found["as it is"]["evictions"], found["changed"]["evictions"]) == (0, 2)
    jobs = {one["job"]: one for one in found["changed"]["jobs"]}
    assert jobs["default/a1"]["starts_s"] == 0 and jobs["default/a1"]["ends_s"] == 200
    assert jobs["default/b1"]["was_there"] is True


def test_a_page(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    page = tmp_path / "hours.html"
    assert simulate(tmp_path, "--queue", "a.quota=2", "--plot", str(page))[0] == 0
    text = page.read_text()
    assert "<svg" in text and "changed" in text and "SHARE ERROR" in text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--queue", "c.quota=2"], "'c.quota=2': there is no queue 'c'"),
        (["--queue", "a.size=2"], "'a.size=2' is not NAME."),
        (["--nodes", "3"], "--nodes is nothing to a cluster; leave it out"),
        (["--backfill", "easy"], "--backfill is nothing to a cluster; leave it out"),
        (["--cluster"], "--cluster is the cluster as it is, --recording as it was: give one of them"),
        (["--kubeconfig", "k"], "--kubeconfig is nothing to a recording; leave it out"),
        (["--duration", "soon"], "'soon' is not a duration"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(tmp_path: Path, arguments: list[str], told: str) -> None:
    code, text = simulate(tmp_path, *arguments)
    assert code == 2
    assert told in text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--format", "jsonl", "--nodes", "2", "--duration", "2h"], "--duration is nothing to a trace"),
        (["--context", "c", "--nodes", "2"], "--context is nothing to a trace"),
        ([], "give --nodes for a trace, or else --cluster or --recording FILE"),
    ],
)
def test_traces_take_nothing_of_it(arguments: list[str], told: str) -> None:
    result = CliRunner().invoke(cli, ["scheduler", "simulate", *arguments])
    assert result.exit_code == 2
    assert told in result.output


def test_what_cannot_be_played(tmp_path: Path) -> None:
    cluster = Seen({"x": 1}).cluster
    case = Case(cluster.snapshot, cluster.pending, Rankings(Policies(by_room=())))
    code, text = simulate(tmp_path, recording=captured(case))
    assert (code, text) == (
        1,
        "Error: it was decided by policies that are not among those of this aliquot\n",
    )


def test_the_cluster_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "run", lambda main: seen())
    file = tmp_path / "s.cycle"
    result = CliRunner().invoke(cli, ["scheduler", "snapshot", str(file)])
    assert result.output == f"{file}: 1 nodes, 2 pods placed, 2 jobs waiting, 2 queues\n"
    assert len(decoded(file.read_bytes()).jobs) == 4
    result = CliRunner().invoke(cli, ["scheduler", "simulate", "--cluster", "--duration", "2h"])
    assert result.exit_code == 0
    assert "default/b3" in result.output
    result = CliRunner().invoke(cli, ["scheduler", "replay", str(file)])
    assert result.exit_code == 0
    assert result.output.splitlines()[-1] == "it holds no decision to compare with: it is how a cluster was"


def test_a_place_where_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "run", lambda main: seen())
    result = CliRunner().invoke(cli, ["scheduler", "snapshot", str(tmp_path / "none" / "s.cycle")])
    assert result.exit_code == 1
    assert result.output.endswith("s.cycle: No such file or directory\n")
