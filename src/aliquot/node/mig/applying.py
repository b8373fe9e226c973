"""Changes of several GPUs, carried out side by side, each with its journal; and those that were cut short, taken up.

A GPU that fails stops no other. Its journal stays if anything was done to it: then the change is to be finished, or
rolled back to how the GPU was.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TypeAlias

from aliquot.clock import Clock
from aliquot.gpu.driver import Driver, ReturnCode
from aliquot.node.advertise import known_profiles
from aliquot.node.driver_access import DriverAccess, RunBlocking
from aliquot.node.inventory import ObservedGpu
from aliquot.node.mig.executor import Executor, StepFailed
from aliquot.node.mig.journal import (
    Journal,
    JournalError,
    Unfinished,
    forget,
    held,
    layout_after,
    layout_before,
    unfinished_of,
)
from aliquot.node.mig.reconfiguration import Change, Refused, reconfigure
from aliquot.node.mig.steps import Step, describe

PATIENCE_S = 30.0


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


Result: TypeAlias = Done | Failed


class Way(Enum):
    """What becomes of a change that was cut short."""

    FINISH = "finish"
    ROLL_BACK = "roll-back"


Progress: TypeAlias = Callable[[str, str], None]
"""(UUID of the GPU, what happens), for people."""


class Applying:
    """`directory` holds journals and locks. `progress` is told what happens to each GPU."""

    def __init__(
        self,
        driver: Driver,
        *,
        directory: Path,
        clock: Clock,
        run_blocking: RunBlocking,
        progress: Progress = lambda _uuid, _text: None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._progress = progress
        self._executor = Executor(driver, DriverAccess(run_blocking), clock, patience_s=patience_s)

    async def apply(self, works: Sequence[Work]) -> Mapping[str, Result]:
        """By UUID. A change that was cut short earlier has to be taken up first."""
        return await self._side_by_side({work.observed.gpu.uuid: work for work in works}, resuming=False)

    async def recover(
        self, cut_short: Sequence[Unfinished], gpus: Sequence[ObservedGpu], way: Way
    ) -> Mapping[str, Result]:
        """Each from what is there now to its goal, or to how it was before."""
        by_uuid = {observed.gpu.uuid: observed for observed in gpus}
        results: dict[str, Result] = {}
        works: dict[str, Work] = {}
        for one in cut_short:
            observed = by_uuid.get(one.gpu_uuid)
            if observed is None:
                results[one.gpu_uuid] = Failed("the machine has no GPU of this UUID", open=True)
                continue
            layout = one.goal if way is Way.FINISH else one.before
            planned = reconfigure(observed, layout.goal(), {})
            if isinstance(planned, Refused):
                results[one.gpu_uuid] = Failed(planned.message, open=True)
            else:
                works[one.gpu_uuid] = Work(observed, planned)
        return {**results, **await self._side_by_side(works, resuming=True)}

    async def _side_by_side(self, works: Mapping[str, Work], *, resuming: bool) -> Mapping[str, Result]:
        async with asyncio.TaskGroup() as tasks:
            begun = {uuid: tasks.create_task(self._one(uuid, work, resuming)) for uuid, work in works.items()}
        return {uuid: task.result() for uuid, task in begun.items()}

    async def _one(self, uuid: str, work: Work, resuming: bool) -> Result:
        try:
            with held(self._directory, uuid):
                return await self._alone(uuid, work, resuming)
        except JournalError as error:
            return Failed(str(error))

    async def _alone(self, uuid: str, work: Work, resuming: bool) -> Result:
        earlier = unfinished_of(self._directory, uuid)
        if earlier is not None and not resuming:
            when = f"at '{earlier.last}'" if earlier.last else "before its first step"
            return Failed(
                f"an earlier change was cut short {when}: `aliquot mig recover` finishes it, or rolls it back",
                open=True,
            )
        if not work.change.steps:
            if earlier is not None:
                forget(self._directory, uuid)
            return Done(0)
        # Cut short once more, it is still the first beginning that there is to go back to.
        before = earlier.before if earlier is not None else layout_before(work.observed)
        goal = earlier.goal if earlier is not None else layout_after(work.change)
        journal = Journal(self._directory, uuid, goal, before, self._clock.now())
        try:
            steps = work.change.steps
            names = {profile.profile_id: profile.name for profile in known_profiles(work.observed)}
            witness = _Told(journal, self._progress, uuid, len(steps), names)
            await self._executor.carry_out(uuid, steps, work.observed.instances, witness, names)
            journal.end()
            return Done(len(steps))
        except StepFailed as failure:
            if not journal.touched and earlier is None:
                journal.end()
                return Failed(str(failure), code=failure.code)
            return Failed(str(failure), open=True, code=failure.code)
        finally:
            journal.close()


class _Told:
    """The journal first, then whoever looks on."""

    def __init__(
        self, journal: Journal, progress: Progress, uuid: str, steps: int, names: Mapping[int, str]
    ) -> None:
        self._journal = journal
        self._progress = progress
        self._uuid = uuid
        self._steps = steps
        self._names = names
        self._number = 0

    def begun(self, step: Step) -> None:
        self._journal.begun(step)
        self._number += 1
        self._progress(self._uuid, f"{self._number}/{self._steps} {describe(step, self._names)}")

    def done(self, step: Step) -> None:
        self._journal.done(step)

    def retried(self, step: str, why: str) -> None:
        self._progress(self._uuid, f"{step}: {why}; trying again")
