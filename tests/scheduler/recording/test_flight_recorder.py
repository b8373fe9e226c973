"""Which cycles are kept in files, and what becomes of those that fail."""

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from aliquot.scheduler.core import cycle
from aliquot.scheduler.core.cycle import Outcome
from aliquot.scheduler.core.jobs import Group
from aliquot.scheduler.core.pod import PodShape
from aliquot.scheduler.recording.case import Case
from aliquot.scheduler.recording.document import decoded
from aliquot.scheduler.recording.flight_recorder import FlightRecorder
from aliquot.scheduler.recording.restoring import restored
from aliquot.scheduler.recording.verdict import decided_again
from tests.scheduler.fake_api import World, simulate
from tests.scheduler.running import node, pod, scheduler
from tests.scheduler.worlds import Cluster


class Broken(Exception):
    pass


def case_of(cluster: Cluster, now_s: float = 0.0) -> Case:
    return Case(cluster.snapshot, cluster.pending, cluster.rankings, now_s=now_s)


def cluster_with(*waiting: str) -> Cluster:
    cluster = Cluster({"x": 2})
    for text in waiting:
        cluster.wait(text)
    return cluster


async def written(recorder: FlightRecorder) -> None:
    """All that it has, as at the end of the scheduler."""
    task = asyncio.create_task(recorder.write())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir()) if directory.exists() else []


async def test_the_last_cycles_are_kept(tmp_path: Path) -> None:
    recorder = FlightRecorder(tmp_path, last=2)
    for second in range(4):
        recorder.run(case_of(cluster_with("p"), float(second)))
        await written(recorder)
    assert names(tmp_path) == [
        "decided-19700101T000002-000003.cycle",
        "decided-19700101T000003-000004.cycle",
    ]


async def test_what_is_faster_than_the_disk_leaves_the_last_ones(tmp_path: Path) -> None:
    recorder = FlightRecorder(tmp_path, last=2)
    for second in range(4):
        recorder.run(case_of(cluster_with("p"), float(second)))
    await written(recorder)
    moments = [decoded((tmp_path / name).read_bytes()).now_s for name in names(tmp_path)]
    assert moments == [2.0, 3.0]


async def test_it_is_recorded_as_it_was_before_the_cycle(tmp_path: Path) -> None:
    recorder = FlightRecorder(tmp_path, last=1)
    cluster = cluster_with("p gpu 2", "q gpu 1")
    outcome = recorder.run(case_of(cluster))
    await written(recorder)
    recording = decoded((tmp_path / names(tmp_path)[0]).read_bytes())
    assert len(recording.jobs) == 2 and not recording.pods
    assert recording.verdict is not None
    assert [one.job for one in recording.verdict.decisions] == [one.job.key for one in outcome.decisions]


@pytest.mark.parametrize(
    ("last", "waiting"),
    [
        (0, ("p",)),  # not asked for
        (5, ()),  # nobody waits
    ],
)
async def test_what_is_not_kept(tmp_path: Path, last: int, waiting: tuple[str, ...]) -> None:
    recorder = FlightRecorder(tmp_path / "none", last=last)
    recorder.run(case_of(cluster_with(*waiting)))
    await written(recorder)
    assert names(tmp_path / "none") == []


@pytest.mark.parametrize("last", [0, 5])
async def test_a_cycle_that_fails_is_kept_and_fails_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: int
) -> None:
    def broken(root: Group) -> int:
        raise Broken("of that")

    monkeypatch.setattr(cycle, "least_pods", broken)
    recorder = FlightRecorder(tmp_path, last=last)
    # A gang of which a member is missing.
    cluster = cluster_with("fine")
    cluster.wait("gang*1/2")
    with capture_logs() as logs, pytest.raises(Broken):
        recorder.run(case_of(cluster))
    await written(recorder)
    (name,) = names(tmp_path)
    assert name.startswith("failed-")
    assert [log["recording"] for log in logs] == [str(tmp_path / name)]
    recording = decoded((tmp_path / name).read_bytes())
    assert recording.verdict is not None and recording.verdict.raised == "Broken: of that"
    assert decided_again(restored(recording)) == (None, recording.verdict)
    monkeypatch.undo()
    outcome, _ = decided_again(restored(recording))
    assert outcome is not None and [bind.pod.key for bind in outcome.binds] == ["default/fine"]


def test_ten_of_those_that_fail_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(case: Case) -> Outcome:
        raise Broken("again")

    monkeypatch.setattr(Case, "run", broken)
    recorder = FlightRecorder(tmp_path)
    for _ in range(12):
        with pytest.raises(Broken):
            recorder.run(case_of(cluster_with("p")))
    assert len(names(tmp_path)) == 10


async def test_a_full_disk_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    recorder = FlightRecorder(tmp_path / "file", last=2)
    with capture_logs() as logs:
        for _ in range(3):
            outcome = recorder.run(case_of(cluster_with("p")))
            await written(recorder)
    assert len(outcome.binds) == 1
    assert [log["event"] for log in logs] == ["cycles are not recorded"]


def test_a_failure_that_cannot_be_kept_is_the_one_that_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(shape: PodShape) -> dict[str, int]:
        raise Broken("counting")

    cluster = Cluster({"x": 2}, [])
    cluster.wait("p")
    cluster.accounts.counted = broken
    with capture_logs() as logs, pytest.raises(Broken):
        FlightRecorder(tmp_path).run(case_of(cluster))
    assert [log["event"] for log in logs] == ["the cycle failed, and could not be recorded"]


def test_the_scheduler_leaves_the_cycle_that_it_failed_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(case: Case) -> Outcome:
        raise Broken("in a cycle")

    async def scenario(world: World) -> None:
        world.api.put("nodes", node("a", gpus=2))
        world.api.put("pods", pod("p", gpus=1))
        monkeypatch.setattr(Case, "run", broken)
        with pytest.raises(ExceptionGroup) as caught:
            await scheduler(world, flight_recorder=FlightRecorder(tmp_path)).run()
        assert caught.group_contains(Broken)

    simulate(scenario)
    monkeypatch.undo()
    (name,) = names(tmp_path)
    outcome, _ = decided_again(restored(decoded((tmp_path / name).read_bytes())))
    assert outcome is not None and [bind.placed.node for bind in outcome.binds] == ["a"]
