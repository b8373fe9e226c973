"""Containers that exist only as times."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from aliquot.clock import VirtualClock
from aliquot.emulator.kubelet.checkpoint import CONTAINERS, CheckpointError, MemoryCheckpoints
from aliquot.emulator.kubelet.runtimes.base import (
    ContainerConfig,
    LogOptions,
    LogsUnavailable,
    RunOptions,
    StartRefused,
)
from aliquot.emulator.kubelet.runtimes.simulated import SimulatedRuntime, duration_s
from tests.emulator.kubelet.conftest import virtual

FIVE = {"aliquot.dev/run-for": "5s"}


def config(name: str = "main", *, uid: str = "uid-p", **options: Any) -> ContainerConfig:
    return ContainerConfig(
        pod_uid=uid, pod_namespace="ns", pod_name="p", name=name, attempt=0, image="image:1", **options
    )


def make(checkpoints: MemoryCheckpoints | None = None, seed: int = 1) -> SimulatedRuntime:
    return SimulatedRuntime(checkpoints or MemoryCheckpoints(), clock=VirtualClock(), rng=random.Random(seed))


@asynccontextmanager
async def at_work(runtime: SimulatedRuntime) -> AsyncIterator[list[tuple[float, str]]]:
    """Yields the exits told so far, as (loop time, pod uid)."""
    told: list[tuple[float, str]] = []
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(runtime.run(lambda uid: told.append((round(loop.time(), 3), uid))))
    try:
        yield told
    finally:
        task.cancel()
        await asyncio.wait((task,))


async def text(runtime: SimulatedRuntime, container_id: str, **options: Any) -> str:
    return b"".join([chunk async for chunk in runtime.logs(container_id, LogOptions(**options))]).decode()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("1m30s", 90), ("1h", 3600), ("500ms", 0.5), ("1.5s", 1.5), ("20", 20), ("0s", 0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration_s(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "soon", "5 s", "-5s", "5d", "s", "1s and more", "nan", "inf"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration: write 30s, 5m or 1h30m"):
        duration_s(text)


@pytest.mark.parametrize(
    ("options", "ends_after_s", "code"),
    [
        ({}, None, None),
        ({"annotations": FIVE}, 5, 0),
        ({"annotations": FIVE | {"aliquot.dev/exit-code": "7"}}, 5, 7),
        ({"annotations": {"aliquot.dev/exit-code": "7"}}, 0, 7),
        ({"must_end": True}, 0, 0),
        ({"must_end": True, "annotations": FIVE | {"aliquot.dev/exit-code": "7"}}, 0, 0),
    ],
    ids=[
        "until deleted",
        "for a time",
        "and badly",
        "at once",
        "init container",
        "annotations are not for those",
    ],
)
def test_how_long_and_how(options: dict[str, Any], ends_after_s: float | None, code: int | None) -> None:
    async def scenario() -> None:
        runtime = make()
        async with at_work(runtime) as told:
            record = await runtime.start(config(**options))
            await asyncio.sleep(100)
            (found,) = runtime.containers("uid-p")
            if ends_after_s is None:
                assert (found.running, told) == (True, [])
            else:
                assert found.finished_at == record.started_at + ends_after_s
                assert (found.exit_code, told) == (code, [(ends_after_s, "uid-p")])

    virtual(scenario())


@pytest.mark.parametrize(
    ("annotations", "complaint"),
    [
        (
            {"aliquot.dev/run-for": "soon"},
            "annotation aliquot.dev/run-for: \"soon\": 'soon' is not a duration: write 30s, 5m or 1h30m",
        ),
        ({"aliquot.dev/exit-code": "256"}, 'annotation aliquot.dev/exit-code: "256": not within 0 to 255'),
    ],
)
def test_annotations_that_make_no_sense(annotations: dict[str, str], complaint: str) -> None:
    async def scenario() -> None:
        with pytest.raises(StartRefused) as caught:
            await make().start(config(annotations=annotations))
        assert (caught.value.reason, caught.value.message) == ("CreateContainerConfigError", complaint)

    virtual(scenario())


def test_ends_are_told_in_their_order() -> None:
    async def scenario() -> None:
        runtime = make()
        async with at_work(runtime) as told:
            for uid, run_for in (("late", "9s"), ("early", "3s"), ("stopped", "6s")):
                await runtime.start(config(uid=uid, annotations={"aliquot.dev/run-for": run_for}))
            await asyncio.sleep(1)
            (record,) = runtime.containers("stopped")
            runtime.stop(record.id, 30.0)
            await asyncio.sleep(20)
            assert {uid: when for when, uid in reversed(told)} == {"stopped": 1, "early": 3, "late": 9}
            assert runtime.containers("stopped")[0].exit_code == 143

    virtual(scenario())


def test_a_container_that_has_ended_cannot_be_stopped() -> None:
    async def scenario() -> None:
        runtime = make()
        record = await runtime.start(config(must_end=True))
        runtime.stop(record.id, 0.0)
        assert runtime.containers("uid-p")[0].exit_code == 0

    virtual(scenario())


def test_a_new_runtime_knows_what_the_old_one_ran() -> None:
    async def scenario() -> None:
        checkpoints = MemoryCheckpoints()
        old = make(checkpoints)
        await old.start(config("short", annotations=FIVE))
        await old.start(config("long"))
        await asyncio.sleep(60)
        new = make(checkpoints, seed=2)
        assert new.boot_id == old.boot_id
        assert {r.name: (r.running, r.exit_code) for r in new.containers("uid-p")} == {
            "short": (False, 0),
            "long": (True, 0),
        }
        assert new.containers("uid-p") == old.containers("uid-p")

    virtual(scenario())


def test_a_reboot_ends_what_runs() -> None:
    async def scenario() -> None:
        runtime = make()
        await runtime.start(config("done", must_end=True))
        await runtime.start(config("runs"))
        before = runtime.boot_id
        runtime.reboot()
        assert runtime.boot_id != before
        assert {r.name: (r.exit_code, r.reason) for r in runtime.containers("uid-p")} == {
            "done": (0, "Completed"),
            "runs": (255, "Unknown"),
        }
        assert {r.boot_id for r in runtime.containers("uid-p")} == {before}

    virtual(scenario())


def test_removed_containers_are_forgotten() -> None:
    async def scenario() -> None:
        checkpoints = MemoryCheckpoints()
        runtime = make(checkpoints)
        record = await runtime.start(config())
        runtime.remove(record.id)
        assert (runtime.pods(), make(checkpoints).pods()) == ((), ())

    virtual(scenario())


def test_a_start_that_cannot_be_recorded_is_refused() -> None:
    class Full(MemoryCheckpoints):
        def save(self, name: str, data: dict[str, Any]) -> None:
            raise CheckpointError("containers.json: No space left on device")

    async def scenario() -> None:
        runtime = make(Full())
        with pytest.raises(StartRefused, match="No space left on device"):
            await runtime.start(config())
        assert runtime.pods() == ()

    virtual(scenario())


def test_an_unreadable_record_is_forgotten() -> None:
    async def scenario() -> None:
        checkpoints = MemoryCheckpoints()
        checkpoints.save(CONTAINERS, {"runs": "none"})
        assert make(checkpoints).pods() == ()

    virtual(scenario())


def test_the_log_says_what_the_container_was_given() -> None:
    async def scenario() -> None:
        runtime = make()
        options = RunOptions(env={"NVIDIA_VISIBLE_DEVICES": "GPU-1"})
        record = await runtime.start(config(annotations=FIVE, options=options))
        first = "simulated container main, image image:1, attempt 0\n"
        device = "NVIDIA_VISIBLE_DEVICES=GPU-1\n"
        end = "ended with exit code 0\n"
        assert await text(runtime, record.id) == first + device
        assert await text(runtime, record.id, tail_lines=1) == device
        assert await text(runtime, record.id, tail_lines=0) == ""
        assert await text(runtime, record.id, limit_bytes=9) == first[:9]
        await asyncio.sleep(6)
        assert await text(runtime, record.id) == first + device + end
        assert await text(runtime, record.id, since=record.started_at + 1) == end
        assert await text(runtime, record.id, since=record.started_at + 1, timestamps=True) == (
            f"2026-01-01T00:00:05.000000000Z {end}"
        )

    virtual(scenario())


@pytest.mark.parametrize("how", ["ends", "stopped"])
def test_a_log_is_followed_to_the_end(how: str) -> None:
    async def scenario() -> None:
        runtime = make()
        record = await runtime.start(config(annotations=FIVE))
        reading = asyncio.create_task(text(runtime, record.id, follow=True))
        await asyncio.sleep(1)
        assert not reading.done()
        if how == "stopped":
            runtime.stop(record.id, 0.0)
        assert (await reading).splitlines()[1] == f"ended with exit code {143 if how == 'stopped' else 0}"
        assert asyncio.get_running_loop().time() == (1 if how == "stopped" else 5)

    virtual(scenario())


def test_an_unknown_container_has_no_log() -> None:
    async def scenario() -> None:
        with pytest.raises(LogsUnavailable):
            await text(make(), "nobody")

    virtual(scenario())
