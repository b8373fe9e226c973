import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from aliquot.cli.main import cli
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.stale import Staleness
from aliquot.scheduler.core.victims import Guards
from aliquot.scheduler.recording.capturing import captured
from aliquot.scheduler.recording.case import Case
from aliquot.scheduler.recording.document import Recording, encoded
from aliquot.scheduler.recording.verdict import verdict
from tests.scheduler.worlds import Cluster


def recorded(rankings: Rankings | None = None) -> Recording:
    """A gang of higher priority has what is free, and the others have no room."""
    cluster = Cluster({"x": 2, "y": 2})
    cluster.run("low gpu 2 on x")
    cluster.wait("small gpu 1")
    cluster.wait("gang*2 at 5")
    cluster.wait("large gpu 3")
    cluster.wait("larger gpu 4")
    case = Case(
        cluster.snapshot, cluster.pending, rankings or cluster.rankings, guards=Guards(), now_s=1_000.0
    )
    recording = captured(case)
    return replace(recording, verdict=verdict(case.run()))


def replay(tmp_path: Path, recording: Recording | bytes, *arguments: str) -> tuple[int, str]:
    file = tmp_path / "one.cycle"
    file.write_bytes(recording if isinstance(recording, bytes) else encoded(recording))
    result = CliRunner().invoke(cli, ["scheduler", "replay", str(file), *arguments])
    return result.exit_code, result.output.replace(f"{tmp_path}/", "")


def test_identical(tmp_path: Path) -> None:
    code, text = replay(tmp_path, recorded())
    assert code == 0
    assert text.splitlines()[0] == "2 nodes, 1 pods placed, 4 jobs waiting"
    assert text.splitlines()[-1] == "identical"
    assert "default/gang     placed" in text


def test_what_is_left_of_a_gang_goes(tmp_path: Path) -> None:
    cluster = Cluster({"x": 2})
    cluster.run("gang*1/2 on x")
    staleness = Staleness(lambda job: True, since={"default/gang": 0.0})
    cluster.wait("large gpu 3")
    case = Case(
        cluster.snapshot,
        cluster.pending,
        cluster.rankings,
        guards=Guards(),
        staleness=staleness,
        steady_s=90.0,
    )
    recording = captured(case)
    code, text = replay(tmp_path, replace(recording, verdict=verdict(case.run())))
    assert code == 0
    assert "default/gang    evicted   it stayed below its minimum: default/gang-0" in text


def test_the_first_difference_and_its_exit_code(tmp_path: Path) -> None:
    recording = recorded()
    assert recording.verdict is not None
    other = replace(recording, verdict=replace(recording.verdict, more=True))
    code, text = replay(tmp_path, other)
    assert (code, text.splitlines()[-1]) == (1, "differs: more: True recorded, False now")
    assert "note:" not in text
    code, text = replay(tmp_path, replace(other, aliquot="0.0.7"))
    assert code == 1
    assert "note: it was recorded by aliquot 0.0.7; this is " in text


def test_for_programs(tmp_path: Path) -> None:
    code, text = replay(tmp_path, recorded(), "-o", "json")
    document = json.loads(text)
    assert code == 0 and document["identical"] is True
    assert [one["job"] for one in document["verdict"]["decisions"]] == ["default/gang"]
    assert {one["job"] for one in document["verdict"]["blocked"]} == {
        f"default/{name}" for name in ("small", "large", "larger")
    }


@pytest.mark.parametrize(
    ("pod", "told"),
    [
        ("large", "default/large: no node has 3 nvidia.com/gpu"),
        ("default/gang-0", "default/gang-0: goes to "),
        ("low", "default/low: has its node already"),
    ],
)
def test_a_pod_is_explained(tmp_path: Path, pod: str, told: str) -> None:
    code, text = replay(tmp_path, recorded(), "--explain", pod)
    assert code == 0
    assert text.splitlines()[-1].startswith(told)


def test_a_pod_that_is_not_there(tmp_path: Path) -> None:
    code, text = replay(tmp_path, recorded(), "--explain", "nobody")
    assert code == 2
    assert "there is no pod default/nobody in one.cycle" in text


def test_what_cannot_be_read(tmp_path: Path) -> None:
    code, text = replay(tmp_path, b"nothing")
    assert (code, text) == (2, "Error: one.cycle: it is no recorded cycle: Not a gzipped file (b'no')\n")
    code, text = replay(tmp_path, replace(recorded(), version=2))
    assert code == 2 and "version 2 of the format" in text


def test_policies_of_somebody_else(tmp_path: Path) -> None:
    code, text = replay(tmp_path, recorded(Rankings(Policies(by_room=()))))
    assert code == 2
    assert text == "Error: one.cycle: it was decided by policies that are not among those of this aliquot\n"
