"""Carries out what `decision.decide` decided, on the driver, step by step. Never decides itself.

One task works on a GPU at a time. Each driver call takes the lock that everybody who asks the driver takes, so that
a reset, which no other call may overlap, has the driver to itself. A step that fails ends the work and says so; what
was reached until then stands, the next look at the machine finds it, and the rest is decided anew.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import structlog

from aliquot.gpu import layout
from aliquot.gpu.driver import Driver, DriverError, GpuInstance, MigState, ReturnCode
from aliquot.node.mig.decision import Act
from aliquot.node.mig.steps import ApplyPendingMode, SetMode, Step, describe

RunBlocking: TypeAlias = Callable[..., Awaitable[Any]]

_log = structlog.get_logger()


class StepFailed(Exception):
    """One line: what was tried, and what the driver said."""

    def __init__(self, step: str, error: DriverError) -> None:
        super().__init__(f"{step}: {error}")
        self.in_use = error.code is ReturnCode.IN_USE


class Executor:
    """`was_reset` is called with the UUID of each GPU that was reset."""

    def __init__(
        self,
        driver: Driver,
        lock: asyncio.Lock,
        run_blocking: RunBlocking,
        was_reset: Callable[[str], None],
    ) -> None:
        self._driver = driver
        self._lock = lock
        self._run_blocking = run_blocking
        self._was_reset = was_reset

    async def carry_out(self, gpu_uuid: str, act: Act, expected: tuple[GpuInstance, ...]) -> None:
        """`expected`: the instances that the decision saw. Raises StepFailed, and if they are others now."""
        await self._check(gpu_uuid, act, expected)
        made: dict[int, int] = {}
        for step in act.steps:
            name = describe(step)
            try:
                await self._take(gpu_uuid, step, made)
            except DriverError as error:
                _log.warning("MIG step failed", gpu=gpu_uuid, step=name, error=str(error))
                raise StepFailed(name, error) from error
            _log.info("MIG step done", gpu=gpu_uuid, step=name)

    async def _check(self, gpu_uuid: str, act: Act, expected: tuple[GpuInstance, ...]) -> None:
        """The last look before something is destroyed: nothing has moved, and no process has come."""
        leaving = {
            step.gi_id
            for step in act.steps
            if isinstance(step, layout.DestroyCompute | layout.DestroyInstance)
        }
        resetting = any(isinstance(step, SetMode | ApplyPendingMode) for step in act.steps)
        if not leaving and not resetting:
            return
        try:
            async with self._lock:
                found = await self._run_blocking(self._driver.instances, gpu_uuid)
                processes = await self._run_blocking(self._driver.processes, gpu_uuid)
        except DriverError as error:
            raise StepFailed("looking once more", error) from error
        then = {instance.gi_id: instance for instance in expected}
        now = {instance.gi_id: instance for instance in found}
        if any(then.get(gi_id) != now.get(gi_id) for gi_id in leaving) or (resetting and then != now):
            raise StepFailed(
                "looking once more", DriverError(ReturnCode.UNKNOWN, "the instances have changed")
            )
        busy = [str(p.pid) for p in processes if resetting or p.gi_id in leaving]
        if busy:
            raise StepFailed(
                "looking once more",
                DriverError(ReturnCode.IN_USE, f"process {', '.join(busy)} has begun to use it"),
            )

    async def _take(self, gpu_uuid: str, step: Step, made: dict[int, int]) -> None:
        driver = self._driver
        match step:
            case SetMode(enabled):
                async with self._lock:
                    state = await self._run_blocking(driver.set_mig_mode, gpu_uuid, enabled)
                if state in (MigState.PENDING_ENABLE, MigState.PENDING_DISABLE):
                    await self._reset(gpu_uuid)
            case ApplyPendingMode():
                await self._reset(gpu_uuid)
            case layout.DestroyCompute(gi_id, ci_id):
                async with self._lock:
                    await self._run_blocking(driver.destroy_compute_instance, gpu_uuid, gi_id, ci_id)
            case layout.DestroyInstance(gi_id):
                async with self._lock:
                    await self._run_blocking(driver.destroy_gpu_instance, gpu_uuid, gi_id)
            case layout.CreateInstance(slice_):
                async with self._lock:
                    instance = await self._run_blocking(
                        driver.create_gpu_instance, gpu_uuid, slice_.profile_id, slice_.start
                    )
                made[slice_.start] = instance.gi_id
            case layout.CreateCompute(start, profile_id, slices):
                async with self._lock:
                    if start not in made:
                        made[start] = _at(start, await self._run_blocking(driver.instances, gpu_uuid))
                    if profile_id is None and slices is not None:
                        profile_id = await self._run_blocking(self._part, gpu_uuid, made[start], slices)
                    await self._run_blocking(
                        driver.create_compute_instance, gpu_uuid, made[start], profile_id
                    )

    def _part(self, gpu_uuid: str, gi_id: int, slices: int) -> int:
        """The compute profile of so many slices; drivers tell of them once the GPU instance exists."""
        instance = next((i for i in self._driver.instances(gpu_uuid) if i.gi_id == gi_id), None)
        for profile in self._driver.instance_profiles(gpu_uuid):
            if instance is not None and profile.profile_id == instance.profile_id:
                for compute in profile.compute_profiles:
                    if compute.compute_slices == slices:
                        return compute.profile_id
        raise DriverError(ReturnCode.NOT_SUPPORTED, f"GPU instance {gi_id} has no part of {slices} slices")

    async def _reset(self, gpu_uuid: str) -> None:
        async with self._lock:
            await self._run_blocking(self._driver.reset_gpu, gpu_uuid)
        self._was_reset(gpu_uuid)


def _at(start: int, instances: tuple[GpuInstance, ...]) -> int:
    for instance in instances:
        if instance.placement.start == start:
            return instance.gi_id
    raise DriverError(ReturnCode.NOT_FOUND, f"no GPU instance at slot {start}")
