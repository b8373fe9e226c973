"""Reading a whole cluster, or a whole directory, in a process that then judges it and ends."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(reading: Coroutine[Any, Any, T]) -> T:
    """What it gives. Memory only grows in such a process: looking for garbage again and again costs as much as the reading itself."""
    from aliquot.kube.cache import settle_gc

    settle_gc()
    found: list[T] = []

    async def kept() -> None:
        # Not as the result of what runs: Python 3.11 writes that out as text, a whole cluster of it, when it takes its signal
        # handler down.
        found.append(await reading)

    asyncio.run(kept())
    return found[0]
