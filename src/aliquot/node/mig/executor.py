"""Takes the steps that were planned for a GPU, one after the other, on the driver. Never decides itself.

One task works on a GPU at a time, several GPUs are worked on side by side. What is in use only for a moment is tried
again until patience ends. A step that fails ends the work and says so; what was reached until then stands, and the
rest is planned anew from there.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from aliquot.clock import Clock
from aliquot.gpu import layout
from aliquot.gpu.driver import Driver, DriverError, GpuInstance, MigState, ReturnCode
from aliquot.node.driver_access import DriverAccess
from aliquot.node.mig.steps import ApplyPendingMode, SetMode, Step, describe

_FIRST_PAUSE_S = 0.1
_LAST_PAUSE_S = 2.0
_LOOKING = "looking once more"

_PENDING = frozenset({MigState.PENDING_ENABLE, MigState.PENDING_DISABLE})

_log = structlog.get_logger()


class StepFailed(Exception):
    """One line: what was tried, and what the driver said. `half_done`: a part of the step itself stands."""

    def __init__(self, step: str, error: DriverError, *, half_done: bool = False) -> None:
        super().__init__(f"{step}: {error}")
        self.code = error.code
        self.half_done = half_done

    @property
    def in_use(self) -> bool:
        return self.code is ReturnCode.IN_USE


class ModeWaits(Exception):
    """One line: a change of mode is set, and what has to happen before it takes effect. No later step was begun."""


class Witness(Protocol):
    """Is told of each step before the driver is, and after it."""

    async def begun(self, step: Step) -> None: ...

    async def done(self, step: Step) -> None: ...

    def retried(self, step: str, why: str) -> None: ...


class _Nobody:
    async def begun(self, step: Step) -> None:
        pass

    async def done(self, step: Step) -> None:
        pass

    def retried(self, step: str, why: str) -> None:
        pass


_NOBODY = _Nobody()


@dataclass(slots=True)
class _SoFar:
    """What the steps of one change have done."""

    made: dict[int, int] = field(default_factory=dict)
    """Start of a GPU instance -> its GI id."""
    mode_waits: bool = False
    """A change of mode is set, and its reset has not been."""


class Executor:
    """`was_reset` is called with the UUID of each GPU that was reset. `patience_s`: how long what is in use is tried
    again, for each step. `resets` False: what needs a reset of the GPU waits for somebody else's."""

    def __init__(
        self,
        driver: Driver,
        access: DriverAccess,
        clock: Clock,
        was_reset: Callable[[str], None] = lambda _: None,
        *,
        patience_s: float,
        resets: bool = True,
    ) -> None:
        self._driver = driver
        self._resets = resets
        self._access = access
        self._clock = clock
        self._was_reset = was_reset
        self._patience_s = patience_s

    async def carry_out(
        self,
        gpu_uuid: str,
        steps: Sequence[Step],
        expected: tuple[GpuInstance, ...],
        witness: Witness | None = None,
        names: Mapping[int, str] | None = None,
        released: Collection[int] = (),
    ) -> None:
        """`expected`: the instances that the plan saw. `names`: of profiles, for messages. `released`: GI ids of what may
        go though it is in use, if the driver lets it go.

        Raises StepFailed, also if the instances are others now, and ModeWaits.
        """
        told = witness or _NOBODY
        try:
            await self._patiently(lambda: self._check(gpu_uuid, steps, expected, released), told, _LOOKING)
        except DriverError as error:
            raise StepFailed(_LOOKING, error) from error
        so_far = _SoFar()
        for step in steps:
            name = describe(step, names or {})
            await told.begun(step)
            try:
                await self._patiently(functools.partial(self._take, gpu_uuid, step, so_far), told, name)
            except DriverError as error:
                _log.warning("MIG step failed", gpu=gpu_uuid, step=name, error=str(error))
                if isinstance(step, layout.CreateCompute) and step.start in so_far.made:
                    error = await self._without_half(gpu_uuid, so_far.made[step.start], error)
                elif error.code is ReturnCode.IN_USE:
                    error = await self._with_holders(gpu_uuid, step, error)
                raise StepFailed(name, error, half_done=so_far.mode_waits) from error
            _log.info("MIG step done", gpu=gpu_uuid, step=name)
            await told.done(step)

    async def _check(
        self,
        gpu_uuid: str,
        steps: Sequence[Step],
        expected: tuple[GpuInstance, ...],
        released: Collection[int],
    ) -> None:
        """The last look before something is destroyed: nothing has moved, and no process has come."""
        leaving = {
            step.gi_id for step in steps if isinstance(step, layout.DestroyCompute | layout.DestroyInstance)
        }
        resetting = any(isinstance(step, SetMode | ApplyPendingMode) for step in steps)
        if not leaving and not resetting:
            return
        found = await self._access.call_on(gpu_uuid, self._driver.instances, gpu_uuid)
        processes = await self._access.call_on(gpu_uuid, self._driver.processes, gpu_uuid)
        then = {instance.gi_id: instance for instance in expected}
        now = {instance.gi_id: instance for instance in found}
        if any(then.get(gi_id) != now.get(gi_id) for gi_id in leaving) or (resetting and then != now):
            raise DriverError(ReturnCode.UNKNOWN, "the instances have changed")
        parts = {(s.gi_id, s.ci_id) for s in steps if isinstance(s, layout.DestroyCompute)}
        whole = {s.gi_id for s in steps if isinstance(s, layout.DestroyInstance)}
        busy = [
            str(p.pid)
            for p in processes
            if p.gi_id not in released
            and (
                resetting
                or p.gi_id in whole
                or (p.gi_id, p.ci_id) in parts
                or (p.ci_id is None and p.gi_id in leaving)
            )
        ]
        if busy:
            raise DriverError(ReturnCode.IN_USE, f"process {', '.join(busy)} has begun to use it")

    async def _patiently(self, attempt: Callable[[], Awaitable[None]], told: Witness, name: str) -> None:
        """A monitor may hold what is to go for a moment, though nobody uses it."""
        ends_at = self._clock.now() + self._patience_s
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                await attempt()
            except DriverError as error:
                if error.code is not ReturnCode.IN_USE or self._clock.now() + pause_s > ends_at:
                    raise
                told.retried(name, str(error))
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LAST_PAUSE_S)
            else:
                return

    async def _take(self, gpu_uuid: str, step: Step, so_far: "_SoFar") -> None:
        access, driver = self._access, self._driver
        match step:
            case SetMode(enabled):
                state = await access.call_for_mode(gpu_uuid, driver.set_mig_mode, gpu_uuid, enabled)
                if state in _PENDING:
                    so_far.mode_waits = True
                    await self._reset(gpu_uuid)
                    so_far.mode_waits = False
            case ApplyPendingMode():
                await self._reset(gpu_uuid)
            case layout.DestroyCompute(gi_id, ci_id):
                await access.call_on(gpu_uuid, driver.destroy_compute_instance, gpu_uuid, gi_id, ci_id)
            case layout.DestroyInstance(gi_id):
                await access.call_on(gpu_uuid, driver.destroy_gpu_instance, gpu_uuid, gi_id)
            case layout.CreateInstance(slice_):
                instance = await access.call_on(
                    gpu_uuid, driver.create_gpu_instance, gpu_uuid, slice_.profile_id, slice_.start
                )
                so_far.made[slice_.start] = instance.gi_id
            case layout.CreateCompute(start, profile_id, slices):
                if start in so_far.made:
                    parent = so_far.made[start]
                else:
                    parent = _at(start, await access.call_on(gpu_uuid, driver.instances, gpu_uuid))
                if profile_id is None and slices is not None:
                    profile_id = await access.call_on(gpu_uuid, self._part, gpu_uuid, parent, slices)
                await access.call_on(gpu_uuid, driver.create_compute_instance, gpu_uuid, parent, profile_id)

    def _part(self, gpu_uuid: str, gi_id: int, slices: int) -> int:
        """The compute profile of so many slices; drivers tell of them once the GPU instance exists."""
        instance = next((i for i in self._driver.instances(gpu_uuid) if i.gi_id == gi_id), None)
        for profile in self._driver.instance_profiles(gpu_uuid):
            if instance is not None and profile.profile_id == instance.profile_id:
                for compute in profile.compute_profiles:
                    if compute.compute_slices == slices:
                        return compute.profile_id
        raise DriverError(ReturnCode.NOT_SUPPORTED, f"GPU instance {gi_id} has no part of {slices} slices")

    async def _without_half(self, gpu_uuid: str, gi_id: int, error: DriverError) -> DriverError:
        """A GPU instance without its compute instance is memory that nobody can use."""
        access, driver = self._access, self._driver
        try:
            for instance in await access.call_on(gpu_uuid, driver.instances, gpu_uuid):
                if instance.gi_id == gi_id:
                    for compute in instance.compute_instances:
                        await access.call_on(
                            gpu_uuid, driver.destroy_compute_instance, gpu_uuid, gi_id, compute.ci_id
                        )
            await access.call_on(gpu_uuid, driver.destroy_gpu_instance, gpu_uuid, gi_id)
        except DriverError as second:
            return DriverError(error.code, f"{error}; and its GPU instance {gi_id} stays behind: {second}")
        return error

    async def _with_holders(self, gpu_uuid: str, step: Step, error: DriverError) -> DriverError:
        """What to do about what the driver says is in use."""
        try:
            processes = await self._access.call_on(gpu_uuid, self._driver.processes, gpu_uuid)
        except DriverError:
            return error
        within = step.gi_id if isinstance(step, layout.DestroyCompute | layout.DestroyInstance) else None
        pids = [str(process.pid) for process in processes if within in (None, process.gi_id)]
        if pids:
            return DriverError(error.code, f"{error}: stop process {', '.join(pids)}, then try again")
        # A client without a process of its own in NVML's list.
        return DriverError(error.code, f"{error}: stop what monitors the GPU, such as DCGM, then try again")

    async def _reset(self, gpu_uuid: str) -> None:
        if not self._resets:
            raise ModeWaits("its MIG mode waits for a reset of the GPU, or a reboot")
        try:
            await self._access.call_alone(self._driver.reset_gpu, gpu_uuid)
        except DriverError as error:
            if error.code is not ReturnCode.NOT_SUPPORTED:
                raise
            # Such as a GPU that was passed through to a virtual machine.
            raise ModeWaits(f"its MIG mode waits for a reboot: no reset is possible: {error}") from error
        self._was_reset(gpu_uuid)
        gpus = await self._access.call(self._driver.gpus)
        if any(gpu.uuid == gpu_uuid and gpu.mig in _PENDING for gpu in gpus):
            raise ModeWaits("its MIG mode waits for a reboot: the GPU was reset, and did not take it")


def _at(start: int, instances: Sequence[GpuInstance]) -> int:
    for instance in instances:
        if instance.placement.start == start:
            return instance.gi_id
    raise DriverError(ReturnCode.NOT_FOUND, f"no GPU instance at slot {start}")
