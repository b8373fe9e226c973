"""Who may ask the driver when, and that a question once asked is waited for.

Calls share the driver, one at a time on each GPU: work on several GPUs goes on side by side, and nobody reads a GPU
whose instances are being taken away at that moment. The modes of several GPUs change side by side, and nobody counts
the GPUs meanwhile: one that changes may not answer, and is not lost. A reset has the driver to itself: NVML's session
does not survive it.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from enum import Enum
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")

RunBlocking: TypeAlias = Callable[..., Awaitable[Any]]
"""`run_blocking(function, *arguments)` runs it off the loop, or in it, where it does not block."""


class _Kind(Enum):
    OF_ALL = "of all GPUs"
    OF_ONE = "of one GPU"
    MODE = "a change of mode"


_NOT_BESIDE = {_Kind.OF_ALL: _Kind.MODE, _Kind.MODE: _Kind.OF_ALL}


class _UnderWay:
    """Calls of one kind."""

    def __init__(self) -> None:
        self._count = 0
        self.none = asyncio.Event()
        self.none.set()

    def begin(self) -> None:
        self._count += 1
        self.none.clear()

    def end(self) -> None:
        self._count -= 1
        if not self._count:
            self.none.set()


class DriverAccess:
    def __init__(self, run_blocking: RunBlocking) -> None:
        self._run_blocking = run_blocking
        # Passed in the order of asking, so that who has to wait for others is not overtaken for ever.
        self._gate = asyncio.Lock()
        self._under_way = {kind: _UnderWay() for kind in _Kind}
        self._gpus: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """What concerns no GPU, or all, and changes none."""
        async with self._shared(_Kind.OF_ALL):
            return await to_the_end(self._run_blocking, function, *arguments)

    async def call_on(self, gpu_uuid: str, function: Callable[..., T], *arguments: Any) -> T:
        """What concerns one GPU: nobody else asks about it meanwhile."""
        async with self._gpus[gpu_uuid], self._shared(_Kind.OF_ONE):
            return await to_the_end(self._run_blocking, function, *arguments)

    async def call_for_mode(self, gpu_uuid: str, function: Callable[..., T], *arguments: Any) -> T:
        """What changes the mode of one GPU."""
        async with self._gpus[gpu_uuid], self._shared(_Kind.MODE):
            return await to_the_end(self._run_blocking, function, *arguments)

    async def call_beside(self, gpu_uuid: str, function: Callable[..., T], *arguments: Any) -> T:
        """What only reads and matters less than others: it begins when nobody asks about the GPU, and whoever asks
        then does not wait for it. So it may meet a change that began meanwhile, and fail."""
        async with self._gpus[gpu_uuid]:
            pass
        async with self._shared(_Kind.OF_ONE):
            return await to_the_end(self._run_blocking, function, *arguments)

    async def call_alone(self, function: Callable[..., T], *arguments: Any) -> T:
        """After which all handles are others: begins when the calls under way have ended, before those that wait."""
        async with self._gate:
            for calls in self._under_way.values():
                await calls.none.wait()
            return await to_the_end(self._run_blocking, function, *arguments)

    @asynccontextmanager
    async def _shared(self, kind: _Kind) -> AsyncIterator[None]:
        async with self._gate:
            if kind in _NOT_BESIDE:
                await self._under_way[_NOT_BESIDE[kind]].none.wait()
            self._under_way[kind].begin()
        try:
            yield
        finally:
            self._under_way[kind].end()


async def to_the_end(run_blocking: RunBlocking, function: Callable[..., T], *arguments: Any) -> T:
    """Who is cancelled meanwhile goes when the call has ended, not before.

    A thread cannot be called back: to go at once would let the next one in while it still works.
    """
    task: asyncio.Future[T] = asyncio.ensure_future(run_blocking(function, *arguments))
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # looked at, so that nobody complains that it was not
        raise cancelled
    return task.result()
