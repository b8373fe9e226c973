"""Looks at a world on virtual time when it stands still: between two timers nothing changes, however far apart."""

import asyncio

from aliquot.clock import VirtualTimeLoop

_MOST_TURNS = 100
"""Two who wait in this way keep each other from seeing quiet."""


async def next_change(least_s: float) -> None:
    """Until the next timer's time, but for so long at least, and until all that it sets off at once has run."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    await _quiet(loop)
    # At that very time: a sleep for the difference may end just before it.
    there = loop.create_future()
    timer = loop.call_at(max(loop.next_timer_at(), loop.time() + least_s), _arrive, there)
    try:
        await there
    finally:
        timer.cancel()
    await _quiet(loop)


async def _quiet(loop: VirtualTimeLoop) -> None:
    for _ in range(_MOST_TURNS):
        if loop.is_quiet():
            return
        await asyncio.sleep(0)


def _arrive(there: asyncio.Future[None]) -> None:
    if not there.done():
        there.set_result(None)
