"""Changes of several GPUs, carried out side by side, each with its journal; and those that were cut short, taken up.

A GPU that fails stops no other. Its journal stays if anything was done to it: then the change is to be finished, or
rolled back to how the GPU was.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from aliquot.clock import Clock
from aliquot.gpu.driver import Driver, DriverError, Gpu, ReturnCode
from aliquot.node.advertise import known_profiles
from aliquot.node.driver_access import DriverAccess, RunBlocking, to_the_end
from aliquot.node.inventory import ObservedGpu, observe_gpu
from aliquot.node.mig.executor import Executor, ModeWaits, StepFailed
from aliquot.node.mig.journal import (
    Journal,
    JournalError,
    Unfinished,
    forget,
    layout_after,
    layout_before,
    unfinished_of,
)
from aliquot.node.mig.one_writer import GpuHeld, held
from aliquot.node.mig.reconfiguration import Change, Refused, reconfigure
from aliquot.node.mig.steps import Step, describe

PATIENCE_S = 30.0

_REFUSALS = frozenset(
    {
        ReturnCode.INVALID_ARGUMENT,
        ReturnCode.NOT_SUPPORTED,
        ReturnCode.NO_PERMISSION,
        ReturnCode.NOT_FOUND,
        ReturnCode.IN_USE,
        ReturnCode.INSUFFICIENT_RESOURCES,
    }
)
"""After these a call has done nothing. What a driver did that died in the middle, nobody knows."""


@dataclass(frozen=True, slots=True)
class Work:
    observed: ObservedGpu
    change: Change


@dataclass(frozen=True, slots=True)
class Done:
    steps: int


@dataclass(frozen=True, slots=True)
class Failed:
    """`message` one line. `open`: its journal stays, to be finished or rolled back. `code`: NVML's, where it was NVML."""

    message: str
    open: bool = False
    code: ReturnCode | None = None


@dataclass(frozen=True, slots=True)
class Waits:
    """A change of mode is set, and what it waits for is nothing that is done here. `left`: steps not taken after it."""

    message: str
    left: int


Result: TypeAlias = Done | Waits | Failed


class Way(Enum):
    """What becomes of a change that was cut short."""

    FINISH = "finish"
    ROLL_BACK = "roll-back"


Progress: TypeAlias = Callable[[str, str], None]
"""(UUID of the GPU, what happens), for people."""

_OnDisk: TypeAlias = Callable[..., Awaitable[None]]
_OneGpu: TypeAlias = Callable[[Unfinished | None], Awaitable[Result]]
"""What is to be done to a GPU that is ours, given what was cut short on it."""


class Applying:
    """`directory` holds journals and locks. `progress` is told what happens to each GPU.

    `run_blocking` needs a thread for each GPU, or they wait for each other. `resets` as in `Executor`.
    """

    def __init__(
        self,
        driver: Driver,
        *,
        directory: Path,
        clock: Clock,
        run_blocking: RunBlocking,
        progress: Progress = lambda _uuid, _text: None,
        patience_s: float = PATIENCE_S,
        resets: bool = True,
    ) -> None:
        self._driver = driver
        self._directory = directory
        self._clock = clock
        self._run_blocking = run_blocking
        self._progress = progress
        self._access = DriverAccess(run_blocking)
        self._executor = Executor(driver, self._access, clock, patience_s=patience_s, resets=resets)

    async def apply(self, works: Sequence[Work]) -> Mapping[str, Result]:
        """By UUID. A change that was cut short earlier has to be taken up first."""
        return await self._side_by_side(
            {work.observed.gpu.uuid: partial(self._begin, work) for work in works}
        )

    async def recover(
        self, gpu_uuids: Sequence[str], way: Way, users: Mapping[str, str]
    ) -> Mapping[str, Result]:
        """Each from what is there now to its goal, or to how it was before. `users` as in `reconfigure`."""
        return await self._side_by_side(
            {uuid: partial(self._take_up, uuid, way, users) for uuid in gpu_uuids}
        )

    async def _side_by_side(self, works: Mapping[str, _OneGpu]) -> Mapping[str, Result]:
        async with asyncio.TaskGroup() as tasks:
            begun = {uuid: tasks.create_task(self._holding(uuid, work)) for uuid, work in works.items()}
        return {uuid: task.result() for uuid, task in begun.items()}

    async def _holding(self, uuid: str, work: _OneGpu) -> Result:
        try:
            with held(self._directory, uuid):
                return await work(unfinished_of(self._directory, uuid))
        except (GpuHeld, JournalError) as error:
            return Failed(str(error))

    async def _begin(self, work: Work, earlier: Unfinished | None) -> Result:
        if earlier is not None:
            return Failed(str(earlier), open=True)
        planned_on = work.observed
        now = await self._access.call_on(planned_on.gpu.uuid, _look, self._driver, planned_on.gpu)
        if now.failure is None and now.instances != planned_on.instances:
            # Since it was planned, and before it was ours: what a hook or another command did is not to be undone.
            return Failed("its slices were changed meanwhile: plan it anew")
        return await self._carry_out(work, None)

    async def _take_up(
        self, uuid: str, way: Way, users: Mapping[str, str], earlier: Unfinished | None
    ) -> Result:
        if earlier is None:
            return Done(0)
        try:
            gpus = await self._access.call(self._driver.gpus)
            lost = await self._access.call(self._driver.lost_gpus)
        except DriverError as error:
            return Failed(f"the driver does not list its GPUs: {error}", open=True, code=error.code)
        gpu = next((gpu for gpu in gpus if gpu.uuid == uuid), None)
        if gpu is None:
            # One that this process never saw alive has no UUID.
            gone = next((one for one in lost if one.uuid in (uuid, "")), None)
            if gone is not None:
                return Failed(str(gone.error), open=True, code=gone.error.code)
            return Failed("the machine has no GPU of this UUID", open=True)
        # Not before it is ours: what was seen earlier, another may have changed.
        observed = await self._access.call_on(uuid, _look, self._driver, gpu)
        layout = earlier.goal if way is Way.FINISH else earlier.before
        planned = reconfigure(observed, layout.goal(), users)
        if isinstance(planned, Refused):
            code = observed.failure.code if observed.failure is not None else None
            return Failed(planned.message, open=True, code=code)
        return await self._carry_out(Work(observed, planned), earlier)

    async def _carry_out(self, work: Work, earlier: Unfinished | None) -> Result:
        uuid, steps = work.observed.gpu.uuid, work.change.steps
        if not steps:
            if earlier is not None:
                await self._on_disk(forget, self._directory, uuid)
            return Done(0)
        names = {profile.profile_id: profile.name for profile in known_profiles(work.observed)}
        if earlier is None:
            goal, before = layout_after(work.change), layout_before(work.observed)
            began_at = self._clock.now()
        else:
            # Cut short once more, it is still the first beginning that there is to go back to.
            goal, before, began_at = earlier.goal, earlier.before, earlier.began_at
        journal = Journal(self._directory, uuid, goal, before, began_at, names)
        told = _Told(journal, self._on_disk, self._progress, uuid, len(steps), names)
        try:
            await self._executor.carry_out(
                uuid, steps, work.observed.instances, told, names, work.change.released
            )
            await self._on_disk(journal.end)
            return Done(len(steps))
        except ModeWaits as waits:
            if earlier is not None:
                return Failed(str(waits), open=True)
            # What was set is what was wanted, and the rest is planned anew when it has taken effect.
            await self._on_disk(journal.end)
            return Waits(str(waits), told.left)
        except (StepFailed, JournalError) as failure:
            code = failure.code if isinstance(failure, StepFailed) else None
            if earlier is not None or told.touched or (told.began and _may_have_changed(failure)):
                return Failed(str(failure), open=True, code=code)
            if told.began:
                await self._on_disk(journal.end)
            return Failed(str(failure), code=code)

    async def _on_disk(self, write: Callable[..., None], *arguments: Any) -> None:
        """Off the loop: disks take their time, and other GPUs are worked on meanwhile."""
        await to_the_end(self._run_blocking, write, *arguments)


def _may_have_changed(failure: StepFailed | JournalError) -> bool:
    """Whether the GPU may be another by the step that failed."""
    return isinstance(failure, StepFailed) and (failure.half_done or failure.code not in _REFUSALS)


def _look(driver: Driver, gpu: Gpu) -> ObservedGpu:
    return observe_gpu(driver, gpu, with_links=False)


class _Told:
    """The journal first, then whoever looks on. The journal begins with the first step."""

    def __init__(
        self,
        journal: Journal,
        on_disk: _OnDisk,
        progress: Progress,
        uuid: str,
        steps: int,
        names: Mapping[int, str],
    ) -> None:
        self._journal = journal
        self._on_disk = on_disk
        self._progress = progress
        self._uuid = uuid
        self._steps = steps
        self._names = names
        self._number = 0
        self.touched = False
        """Whether a step has been taken."""

    @property
    def began(self) -> bool:
        return self._number > 0

    @property
    def left(self) -> int:
        """Steps that were not begun."""
        return self._steps - self._number

    async def begun(self, step: Step) -> None:
        if not self.began:
            await self._on_disk(self._journal.begin)
        self._number += 1
        await self._on_disk(self._journal.begun, step)
        self._progress(self._uuid, f"{self._number}/{self._steps} {describe(step, self._names)}")

    async def done(self, step: Step) -> None:
        self.touched = True
        await self._on_disk(self._journal.done, step)

    def retried(self, step: str, why: str) -> None:
        self._progress(self._uuid, f"{step}: {why}; trying again")
