"""Who may ask the driver when, and that a question once asked is waited for.

Calls share the driver, one at a time on each GPU: work on several GPUs goes on side by side, and nobody reads a GPU
whose instances are being taken away at that moment. A reset has the driver to itself: NVML's session does not survive
it.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")

RunBlocking: TypeAlias = Callable[..., Awaitable[Any]]
"""`run_blocking(function, *arguments)` runs it off the loop, or in it, where it does not block."""


class DriverAccess:
    def __init__(self, run_blocking: RunBlocking) -> None:
        self._run_blocking = run_blocking
        # Passed in the order of asking, so that who waits to be alone is not overtaken for ever.
        self._gate = asyncio.Lock()
        self._sharing = 0
        self._nobody = asyncio.Event()
        self._nobody.set()
        self._gpus: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """What concerns no GPU, or all, and changes none."""
        async with self._shared():
            return await to_the_end(self._run_blocking, function, *arguments)

    async def call_on(self, gpu_uuid: str, function: Callable[..., T], *arguments: Any) -> T:
        """What concerns one GPU: nobody else asks about it meanwhile."""
        async with self._gpus[gpu_uuid], self._shared():
            return await to_the_end(self._run_blocking, function, *arguments)

    async def call_beside(self, gpu_uuid: str, function: Callable[..., T], *arguments: Any) -> T:
        """What only reads and matters less than others: it begins when nobody asks about the GPU, and whoever asks
        then does not wait for it. So it may meet a change that began meanwhile, and fail."""
        async with self._gpus[gpu_uuid]:
            pass
        async with self._shared():
            return await to_the_end(self._run_blocking, function, *arguments)

    async def call_alone(self, function: Callable[..., T], *arguments: Any) -> T:
        """After which all handles are others: begins when the calls under way have ended, before those that wait."""
        async with self._gate:
            await self._nobody.wait()
            return await to_the_end(self._run_blocking, function, *arguments)

    @asynccontextmanager
    async def _shared(self) -> AsyncIterator[None]:
        async with self._gate:
            self._sharing += 1
            self._nobody.clear()
        try:
            yield
        finally:
            self._sharing -= 1
            if not self._sharing:
                self._nobody.set()


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
