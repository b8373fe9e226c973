"""Time as an argument.

Two kinds of time are kept apart. *Waiting* is the event loop's business: `asyncio.sleep`, `asyncio.timeout`
and `loop.time()`. *Telling the time* (timestamps, ages, expiry) is a `Clock`, passed in. On a `VirtualTimeLoop`
both run on virtual time, so that hours of a cluster's life pass in seconds and every run repeats exactly.
"""

import asyncio
import selectors
import time
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Protocol


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        ...


class SystemClock:
    def now(self) -> float:
        return time.time()


class VirtualClock:
    """Wall time that follows the running loop's time, from a fixed start (default 2026-01-01 UTC)."""

    def __init__(self, start: float = 1_767_225_600.0) -> None:
        self._start = start

    def now(self) -> float:
        return self._start + asyncio.get_running_loop().time()


class Deadlock(RuntimeError):
    """Every task of a virtual-time loop waits for something that can never happen."""


class Livelock(RuntimeError):
    """Tasks of a virtual-time loop wake each other for ever, without time passing."""


_MOST_TURNS = 1_000_000


class _TimeJump(selectors.BaseSelector):
    """Stands where the operating system's selector would: never waits, moves the loop's time instead."""

    def __init__(self, loop: "VirtualTimeLoop") -> None:
        self.time_s = 0.0
        self._loop = loop
        self._turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Deadlock("all tasks wait and no timer is pending")
        if timeout == 0:
            self._turns += 1
            if self._turns > _MOST_TURNS:
                raise Livelock(f"{_MOST_TURNS} turns of the loop, and time still stands at {self.time_s:g} s")
        else:
            self._turns = 0
            # To the timer's own time. Adding `timeout` may round to just before it, and a task that then finds its
            # time not yet come, and waits again, would wait for ever without time passing.
            self.time_s = max(self.time_s, self._loop.next_timer_at())
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        raise RuntimeError("no file descriptors on a virtual-time loop: pass an in-memory transport")

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        raise KeyError(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return {}


class VirtualTimeLoop(asyncio.BaseEventLoop):
    """An event loop whose time jumps to the next timer as soon as nothing else can run.

    No threads, no sockets, no subprocesses: what would need them must be passed in as an in-memory double.
    Raises `Deadlock` or `Livelock` instead of hanging.
    """

    def __init__(self) -> None:
        super().__init__()
        self._selector = _TimeJump(self)
        self._clock_resolution = 1e-9

    _scheduled: list[asyncio.TimerHandle]  # a heap; BaseEventLoop's
    _ready: deque[asyncio.Handle]

    def is_quiet(self) -> bool:
        """Nothing happens before the next timer, but for what the caller does."""
        return not self._ready

    def next_timer_at(self) -> float:
        return self._scheduled[0].when()

    def time(self) -> float:
        return self._selector.time_s

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


def rfc3339(unix_s: float) -> str:
    """`2026-01-01T00:00:00Z`, the form of metav1.Time."""
    return _rfc3339(int(unix_s))


@lru_cache(maxsize=64)
def _rfc3339(unix_s: int) -> str:
    # A server says the time many times a second.
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_milli(unix_s: float) -> str:
    """`2026-01-01T00:00:00.000Z`."""
    moment = datetime.fromtimestamp(unix_s, UTC).replace(tzinfo=None)
    return moment.isoformat(timespec="milliseconds") + "Z"


def rfc3339_micro(unix_s: float) -> str:
    """`2026-01-01T00:00:00.000000Z`, the form of metav1.MicroTime."""
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def spelled_rfc3339(moment: datetime, *, micro: bool) -> str:
    """As Go writes a time in UTC: four digits of the year, where strftime leaves zeros out."""
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds" if micro else "seconds") + "Z"


def parse_rfc3339(text: str) -> float:
    """Unix seconds. Raises ValueError when `text` is no RFC 3339 time."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        # It would be taken for the time of wherever this runs.
        raise ValueError(f"{text!r} is no RFC 3339 time: it has no time zone")
    return moment.timestamp()
