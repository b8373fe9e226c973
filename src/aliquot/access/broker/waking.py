"""Wakes what waits for something to do, so that it need not wait for its next look at the database."""

import asyncio


class Waking:
    def __init__(self) -> None:
        self._event = asyncio.Event()

    def wake(self) -> None:
        self._event.set()

    async def wait(self, *, most_s: float) -> None:
        try:
            async with asyncio.timeout(most_s):
                await self._event.wait()
        except TimeoutError:
            pass
        self._event.clear()
