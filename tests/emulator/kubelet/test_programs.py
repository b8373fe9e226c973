"""Programs in simulated containers: as the runtime has them, and as a pod on a node shows them."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from aliquot.clock import VirtualClock
from aliquot.emulator.kubelet.checkpoint import MemoryCheckpoints
from aliquot.emulator.kubelet.runtimes.base import (
    ContainerConfig,
    ExecCheck,
    LogOptions,
    ProbeRequest,
    ProbeResult,
    RunOptions,
    StartRefused,
)
from aliquot.emulator.kubelet.runtimes.programs import End, Say
from aliquot.emulator.kubelet.runtimes.simulated import SimulatedRuntime
from aliquot.kube.resources import PODS, RUNTIMECLASSES
from tests.emulator.kubelet.conftest import virtual
from tests.emulator.kubelet.site import Site, on_a_node
from tests.emulator.kubelet.test_simulated_runtime import at_work, config, text

READINESS = ProbeRequest("Readiness", ExecCheck(("true",)), timeout_s=5)


@dataclass(eq=False)
class Told:
    """A program as the test tells it to be."""

    behave: Callable[[Say], Awaitable[End]]
    is_well: asyncio.Event = field(default_factory=asyncio.Event)
    is_gone: bool = False

    async def run(self, say: Say) -> End:
        say("begun")
        return await self.behave(say)

    async def probe(self, request: ProbeRequest) -> ProbeResult:
        await self.is_well.wait()
        return ProbeResult(True)

    def gone(self) -> None:
        self.is_gone = True


async def forever(say: Say) -> End:
    await asyncio.Event().wait()
    return End(0)


async def cleans_up(say: Say) -> End:
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(3)
        say("clean")
    return End(0)


async def never_goes(say: Say) -> End:
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(600)


async def fails(say: Say) -> End:
    await asyncio.sleep(5)
    return End(3, "nothing to work with")


async def breaks(say: Say) -> End:
    raise RuntimeError("no such thing")


@dataclass
class OfImages:
    """The programs of a node, by image."""

    behaviours: dict[str, Callable[[Say], Awaitable[End]]]
    made: list[tuple[str, bool]] = field(default_factory=list)
    programs: list[Told] = field(default_factory=list)
    reboots: int = 0

    def rebooted(self) -> None:
        self.reboots += 1

    def of(self, config: ContainerConfig, *, resumed: bool) -> Told | None:
        if config.image == "refused":
            raise StartRefused("ImagePullBackOff", "there is no such image")
        if config.runtime_handler == "gpu":
            raise StartRefused("ContainerCreating", 'no runtime for "gpu"', of_sandbox=True)
        behave = self.behaviours.get(config.image)
        if behave is None:
            return None
        self.made.append((config.name, resumed))
        self.programs.append(Told(behave))
        return self.programs[-1]


def make(programs: OfImages | None, checkpoints: MemoryCheckpoints | None = None) -> SimulatedRuntime:
    return SimulatedRuntime(
        checkpoints or MemoryCheckpoints(), clock=VirtualClock(), rng=random.Random(1), programs=programs
    )


@pytest.mark.parametrize(
    ("behave", "after_s", "code", "message"),
    [
        pytest.param(fails, 5, 3, "nothing to work with", id="its own end, with what it leaves"),
        pytest.param(breaks, 0, 1, "no such thing", id="a mistake in it is an exit like any other"),
    ],
)
def test_a_program_ends_its_container(
    behave: Callable[[Say], Awaitable[End]], after_s: float, code: int, message: str
) -> None:
    async def scenario() -> None:
        runtime = make(OfImages({"image:1": behave}))
        async with at_work(runtime) as told:
            made = await runtime.start(config(annotations={"aliquot.dev/run-for": "1s"}))
            assert made.running
            await asyncio.sleep(10)
            assert told == [(after_s, "uid-p")]
            (ended,) = runtime.containers("uid-p")
            assert (ended.exit_code, ended.message, ended.reason) == (code, message, "Error")

    virtual(scenario())


@pytest.mark.parametrize(
    ("behave", "after_s", "code"),
    [
        pytest.param(forever, 0, 143, id="at once"),
        pytest.param(cleans_up, 3, 143, id="having cleaned up"),
        pytest.param(never_goes, 30, 137, id="cut off after its grace"),
    ],
)
def test_a_container_that_is_stopped(
    behave: Callable[[Say], Awaitable[End]], after_s: float, code: int
) -> None:
    async def scenario() -> None:
        runtime = make(OfImages({"image:1": behave}))
        async with at_work(runtime) as told:
            made = await runtime.start(config())
            await asyncio.sleep(1)
            runtime.stop(made.id, 30)
            await asyncio.sleep(0.5)
            runtime.stop(made.id, 60)
            await asyncio.sleep(60)
            assert [(at - 1, uid) for at, uid in told] == [(after_s, "uid-p")]
            assert runtime.containers("uid-p")[0].exit_code == code

    virtual(scenario())


def test_a_container_that_is_stopped_before_its_program_has_begun() -> None:
    """As that of a pod which was deleted while it was being started."""

    async def scenario() -> None:
        programs = OfImages({"image:1": forever})
        runtime = make(programs)
        async with at_work(runtime) as told:
            made = await runtime.start(config())
            runtime.stop(made.id, 30)
            await asyncio.sleep(60)
            assert told == [(0, "uid-p")]
            (ended,) = runtime.containers("uid-p")
            assert (ended.running, ended.exit_code) == (False, 143)
            assert programs.programs[0].is_gone

    virtual(scenario())


def test_probes_wait_for_a_program_to_be_well_and_no_longer_than_they_may() -> None:
    async def scenario() -> None:
        programs = OfImages({"image:1": forever})
        runtime = make(programs)
        made = await runtime.start(config())
        result = await runtime.probe(made.id, READINESS)
        assert (result.success, result.text) == (False, "not well within 5 s")
        programs.programs[0].is_well.set()
        assert (await runtime.probe(made.id, READINESS)).success
        await runtime.close()

    virtual(scenario())


def test_what_a_program_prints_is_its_log_and_is_followed() -> None:
    async def talks(say: Say) -> End:
        await asyncio.sleep(1)
        say("one")
        await asyncio.sleep(1)
        say("two")
        return End(0)

    async def scenario() -> None:
        runtime = make(OfImages({"image:1": talks}))
        made = await runtime.start(config())
        await asyncio.sleep(1.5)
        followed = [chunk async for chunk in runtime.logs(made.id, LogOptions(follow=True, tail_lines=1))]
        assert b"".join(followed).decode().splitlines() == ["one", "two", "ended with exit code 0"]
        assert (await text(runtime, made.id)).splitlines()[1:] == [
            "begun",
            "one",
            "two",
            "ended with exit code 0",
        ]

    virtual(scenario())


def test_a_new_process_gives_containers_to_their_programs_again() -> None:
    async def scenario() -> None:
        checkpoints = MemoryCheckpoints()
        before = OfImages({"image:1": forever})
        runtime = make(before, checkpoints)
        async with at_work(runtime):
            for name, options in (
                ("a", {}),
                ("b", {"image": "other"}),
                ("c", {"env": {"NODE_NAME": "n"}, "options": RunOptions(device_ids={"gpu": ("0",)})}),
            ):
                await runtime.start(_renamed(name, options))
        await runtime.close()
        assert not any(program.is_gone for program in before.programs)

        programs = OfImages({"image:1": forever})
        runtime = make(programs, checkpoints)
        async with at_work(runtime) as told:
            await asyncio.sleep(1)
            assert programs.made == [("a", True), ("c", True)]
            assert told == []
            assert all(record.running for record in runtime.containers("uid-p"))
            assert runtime.device_holders() == ["ns/p"]
        async with at_work(runtime):  # the same runtime, of a new kubelet
            await asyncio.sleep(1)
        assert len(programs.made) == 2

        runtime.reboot()
        await asyncio.sleep(0)
        assert programs.reboots == 1
        assert all(program.is_gone for program in programs.programs)
        assert [record.exit_code for record in runtime.containers("uid-p")] == [255] * 3
        assert runtime.device_holders() == []

    virtual(scenario())


def test_a_program_that_the_node_cannot_have_any_more_ends_where_it_would_be_resumed() -> None:
    async def scenario() -> None:
        checkpoints = MemoryCheckpoints()
        runtime = make(OfImages({"refuses-later": forever}), checkpoints)
        await runtime.start(_renamed("a", {"image": "refuses-later"}))
        await runtime.close()

        class Refusing(OfImages):
            def of(self, config: ContainerConfig, *, resumed: bool) -> Told | None:
                raise StartRefused("CreateContainerError", "its device is gone")

        runtime = make(Refusing({}), checkpoints)
        async with at_work(runtime) as told:
            await asyncio.sleep(1)
            assert told == [(0, "uid-p")]
            (record,) = runtime.containers("uid-p")
            assert (record.exit_code, record.message) == (255, "its device is gone")

    virtual(scenario())


def _renamed(name: str, options: dict[str, Any]) -> ContainerConfig:
    return replace(config(name), **options)


# --- on a node ---


def with_programs(**behaviours: Callable[[Say], Awaitable[End]]) -> dict[str, Any]:
    return {
        "runtime": lambda clock: SimulatedRuntime(
            MemoryCheckpoints(), clock=clock, rng=random.Random(1), programs=OfImages(behaviours)
        )
    }


def test_a_pod_shows_what_became_of_its_program_and_starts_it_again() -> None:
    async def scenario(site: Site) -> None:
        await site.create("containers: [{name: main, image: fails}]")
        await site.until("Running")
        await asyncio.sleep(12)  # the first restart is at once
        shown = await site.container()
        assert shown["state"]["waiting"]["reason"] == "CrashLoopBackOff"
        assert shown["lastState"]["terminated"]["message"] == "nothing to work with"
        assert shown["restartCount"] == 1
        await asyncio.sleep(10)
        assert (await site.container())["restartCount"] == 2

    on_a_node(scenario, **with_programs(fails=fails))


def test_a_program_goes_on_over_a_new_kubelet() -> None:
    async def scenario(site: Site) -> None:
        await site.create("containers: [{name: main, image: forever}]")
        await site.until("Running")
        before = await site.container()
        site.kubelet.restart()
        await asyncio.sleep(5)
        assert (await site.container())["containerID"] == before["containerID"]
        await site.client.delete(PODS, "p", "default")
        await site.until("")

    on_a_node(scenario, **with_programs(forever=cleans_up))


@pytest.mark.parametrize(
    ("spec", "reason", "message", "event"),
    [
        pytest.param(
            "containers: [{name: main, image: refused}]",
            "ImagePullBackOff",
            "there is no such image",
            ("Failed", "Error: there is no such image"),
            id="of a container",
        ),
        pytest.param(
            "runtimeClassName: gpu, containers: [{name: main, image: x}]",
            "ContainerCreating",
            'no runtime for "gpu"',
            ("FailedCreatePodSandBox", 'no runtime for "gpu"'),
            id="of a pod",
        ),
    ],
)
def test_a_refusal_is_shown_and_told(spec: str, reason: str, message: str, event: tuple[str, str]) -> None:
    async def prepare(client: Any) -> None:
        await client.create(RUNTIMECLASSES, {"metadata": {"name": "gpu"}, "handler": "gpu"})

    async def scenario(site: Site) -> None:
        await site.create(spec)
        await asyncio.sleep(2)
        shown = (await site.container())["state"]["waiting"]
        assert (shown["reason"], shown["message"]) == (reason, message)
        assert event in await site.events()

    on_a_node(scenario, prepare=prepare, **with_programs())
