"""Who may ask the driver when: everybody at once, but for a call after which all handles are others.

Calls share the driver; work on several GPUs goes on side by side. A change of MIG mode and a reset have it to
themselves: NVML's handles, and its session, do not survive them.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class DriverAccess:
    def __init__(self) -> None:
        # Passed in the order of asking, so that who waits to be alone is not overtaken for ever.
        self._gate = asyncio.Lock()
        self._sharing = 0
        self._nobody = asyncio.Event()
        self._nobody.set()

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        async with self._gate:
            self._sharing += 1
            self._nobody.clear()
        try:
            yield
        finally:
            self._sharing -= 1
            if not self._sharing:
                self._nobody.set()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        async with self._gate:
            await self._nobody.wait()
            yield
