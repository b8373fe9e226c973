"""Asks the driver what is there, look by look. A GPU that hangs keeps nobody waiting but once.

NVML may not return from a call about a GPU whose firmware has died. The call goes on in its thread; until it has ended the
GPU is told of as it was last seen, with that as its failure, and asked nothing more.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from aliquot.gpu.driver import Driver, DriverError, DriverVersion, Gpu, LostGpu, ReturnCode
from aliquot.node.driver_access import DriverAccess
from aliquot.node.inventory import ObservedGpu, Snapshot, observe_gpu, roll_call, still_known

T = TypeVar("T")

LIMIT_S = 10.0
"""For one GPU, or for the list of them. Longer than any healthy call by a good deal."""
_ALL = ""


class Observer:
    def __init__(self, driver: Driver, access: DriverAccess) -> None:
        self._driver = driver
        self._access = access
        self._hanging: dict[str, asyncio.Future[Any]] = {}
        """Calls without an answer, by GPU; the roll call under ``."""

    async def look(self, before: Snapshot, *, patient: bool) -> Snapshot:
        """`patient`: somebody changes a GPU, and may have the driver to himself for a while.

        What is seen of a GPU that is being worked on meanwhile is worth nothing; the caller knows which.
        """
        limit_s = None if patient else LIMIT_S
        try:
            version, gpus, lost = await self._roll_call(before, limit_s)
        except DriverError as error:
            return Snapshot(failure=error)
        known = still_known(gpus, before)
        seen = [await self._observe(gpu, known.get(gpu.uuid), limit_s) for gpu in gpus]
        return Snapshot(version, tuple(seen), lost=lost)

    async def _roll_call(
        self, before: Snapshot, limit_s: float | None
    ) -> tuple[DriverVersion, tuple[Gpu, ...], tuple[LostGpu, ...]]:
        try:
            return await self._ask(_ALL, limit_s, self._access.call, roll_call, self._driver)
        except TimeoutError:
            if before.version is None:
                raise DriverError(ReturnCode.TIMEOUT, "the driver does not answer") from None
            # One of the GPUs hangs; which one, each of them tells by itself.
            return before.version, tuple(observed.gpu for observed in before.gpus), before.lost

    async def _observe(self, gpu: Gpu, before: ObservedGpu | None, limit_s: float | None) -> ObservedGpu:
        call = self._access.call_on
        try:
            return await self._ask(gpu.uuid, limit_s, call, gpu.uuid, observe_gpu, self._driver, gpu, before)
        except TimeoutError:
            failure = DriverError(ReturnCode.TIMEOUT, f"{gpu.uuid}: the driver does not answer for it")
            return ObservedGpu(gpu, failure=failure)

    async def _ask(
        self, key: str, limit_s: float | None, call: Callable[..., Awaitable[T]], *arguments: Any
    ) -> T:
        """Raises TimeoutError where the call, or one before it, has not ended in time."""
        if key in self._hanging:
            if not self._hanging[key].done():
                raise TimeoutError
            # What it says is old.
            self._hanging.pop(key).exception()
        task: asyncio.Future[T] = asyncio.ensure_future(call(*arguments))
        try:
            # Most answer at once, and a limit costs more than that.
            await asyncio.sleep(0)
            if not task.done():
                await asyncio.wait((task,), timeout=limit_s)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not task.done():
            self._hanging[key] = task
            raise TimeoutError
        return task.result()
