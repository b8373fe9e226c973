"""The programs that run in a node's simulated containers: their tasks, their logs, their ends.

They are the runtime's and not kubelet's: a kubelet that dies leaves them running.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from aliquot.clock import Clock
from aliquot.emulator.kubelet.runtimes.base import (
    EXIT_SIGKILL,
    EXIT_SIGTERM,
    ProbeRequest,
    ProbeResult,
)
from aliquot.emulator.kubelet.runtimes.logs import LogLine
from aliquot.emulator.kubelet.runtimes.programs import End, Program

_MOST_LINES = 1000
"""Of a log; what came before is forgotten, as a log that is rotated away."""
_LAST_AWAITS = 100
"""Of a program that is killed; one that still goes on then has no end of its own."""

_log = structlog.get_logger()


@dataclass(eq=False, slots=True)
class _Running:
    program: Program
    lines: deque[LogLine] = field(default_factory=lambda: deque(maxlen=_MOST_LINES))
    said: int = 0
    """Lines ever."""
    more: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    killed: bool = False
    kill_timer: asyncio.TimerHandle | None = None


class ProgramRuns:
    """`ended(container id, how)` is called once for each program that ends, and for none after `close`."""

    def __init__(self, clock: Clock, ended: Callable[[str, End], None]) -> None:
        self._clock = clock
        self._ended = ended
        self._runs: dict[str, _Running] = {}
        self._closed = False

    def start(self, container_id: str, program: Program) -> None:
        run = self._runs[container_id] = _Running(program)
        run.task = asyncio.create_task(self._run(container_id, run), name=f"container {container_id[:12]}")
        # One that is stopped before its first step never comes to its own end.
        run.task.add_done_callback(lambda _: self._over(container_id, run, None))

    def __contains__(self, container_id: str) -> bool:
        """Whether it is a program's whose end has not been told."""
        run = self._runs.get(container_id)
        return run is not None and run.task is not None

    def stop(self, container_id: str, grace_s: float) -> None:
        """Asked again, the earlier kill counts."""
        run = self._runs[container_id]
        loop = asyncio.get_running_loop()
        if run.kill_timer is None:
            assert run.task is not None
            run.task.cancel()
        elif run.kill_timer.when() <= loop.time() + grace_s:
            return
        else:
            run.kill_timer.cancel()
        run.kill_timer = loop.call_later(grace_s, self.kill, container_id)

    def kill(self, container_id: str) -> None:
        """It gets no time to clean up."""
        run = self._runs.get(container_id)
        if run is not None and run.task is not None:
            run.killed = True
            _cut_off(run.task, _LAST_AWAITS)

    def forget(self, container_id: str) -> None:
        """The end of one that still runs is not told."""
        run = self._runs.pop(container_id, None)
        if run is not None and run.task is not None:
            run.killed = True
            _cut_off(run.task, _LAST_AWAITS)

    async def probe(self, container_id: str, request: ProbeRequest) -> ProbeResult:
        try:
            async with asyncio.timeout(request.timeout_s):
                return await self._runs[container_id].program.probe(request)
        except TimeoutError:
            return ProbeResult(False, f"not well within {request.timeout_s:.0f} s")

    def lines(self, container_id: str) -> Sequence[LogLine]:
        run = self._runs.get(container_id)
        return tuple(run.lines) if run is not None else ()

    def said(self, container_id: str) -> int:
        """How many lines it has printed so far, those that are forgotten too."""
        run = self._runs.get(container_id)
        return run.said if run is not None else 0

    async def more(self, container_id: str) -> None:
        """Until it has printed another line, or has ended."""
        run = self._runs.get(container_id)
        if run is not None and run.task is not None:
            run.more.clear()
            await run.more.wait()

    async def close(self) -> None:
        """The process that emulates the node ends. The containers do not: nobody hears of it."""
        self._closed = True
        tasks = [run.task for run in self._runs.values() if run.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _run(self, container_id: str, run: _Running) -> None:
        def say(line: str) -> None:
            run.lines.append(LogLine(self._clock.now(), line.encode()))
            run.said += 1
            run.more.set()

        end = None
        try:
            end = await run.program.run(say)
        except asyncio.CancelledError:
            pass
        except Exception as error:
            _log.exception("program of a simulated container failed", container=container_id[:12])
            say(f"{type(error).__name__}: {error}")
            end = End(1, str(error))
        finally:
            self._over(container_id, run, end)

    def _over(self, container_id: str, run: _Running, end: End | None) -> None:
        """`end` None: it was stopped."""
        if run.task is None:
            return
        run.task = None
        if run.kill_timer is not None:
            run.kill_timer.cancel()
        run.more.set()
        if self._closed:
            return
        run.program.gone()
        if self._runs.get(container_id) is run:
            self._ended(container_id, end or End(EXIT_SIGKILL if run.killed else EXIT_SIGTERM))


def _cut_off(task: asyncio.Task[None], awaits: int) -> None:
    """Cancel again and again: what a task waits for while it ends is cut off too."""
    if awaits and not task.done():
        task.cancel()
        with contextlib.suppress(RuntimeError):
            asyncio.get_running_loop().call_soon(_cut_off, task, awaits - 1)
