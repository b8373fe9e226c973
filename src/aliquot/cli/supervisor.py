"""Keeps named components running: what ends or fails is started again, with back-off and one log line.

The same part in `aliquot up` and in the simulation, where `kill` is how a process dies at any await.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

_log = structlog.get_logger(__name__)

FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 30.0
STEADY_AFTER_S = 60.0
"""A component that ran this long before it failed starts over at the first delay."""
_LAST_AWAITS = 100
"""Of a component that is killed; one that still goes on then has no end of its own."""

Component = Callable[[], Coroutine[Any, Any, None]]


def _cut_off(task: asyncio.Task[None], awaits: int) -> None:
    """Cancel again and again: what a task waits for while it ends is cut off too."""
    if awaits and not task.done():
        task.cancel()
        asyncio.get_running_loop().call_soon(_cut_off, task, awaits - 1)


class Supervisor:
    """Run inside a TaskGroup: its tasks are the group's, and end with it."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._running: dict[str, asyncio.Task[None]] = {}
        self._tending: dict[str, asyncio.Task[None]] = {}
        self.restarts: dict[str, int] = {}

    def start(self, name: str, component: Component) -> None:
        """`component` is called anew for every start: what it returns runs until it ends, fails or is killed."""
        self.restarts[name] = 0
        self._tending[name] = self._group.create_task(self._tend(name, component), name=f"supervise {name}")

    def names(self) -> list[str]:
        return list(self._tending)

    def kill(self, name: str) -> None:
        """End the component at whatever await it stands, as kill -9 does: it gets no time to take its leave. It is
        started again."""
        if (task := self._running.get(name)) is not None:
            _cut_off(task, _LAST_AWAITS)

    async def stop(self, name: str) -> None:
        """End the component for good."""
        task = self._tending.pop(name)
        task.cancel()
        await asyncio.wait([task])

    async def _tend(self, name: str, component: Component) -> None:
        delay_s = FIRST_DELAY_S
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            task = asyncio.create_task(component(), name=name)
            self._running[name] = task
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:
                task.cancel()
                await asyncio.wait([task])
                raise
            if loop.time() - started > STEADY_AFTER_S:
                delay_s = FIRST_DELAY_S
            self.restarts[name] += 1
            if not task.cancelled() and (error := task.exception()) is not None:
                _log.error(
                    "component failed; starting it again", component=name, delay_s=delay_s, exc_info=error
                )
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, LONGEST_DELAY_S)
