"""A queue of keys to work on: each key at most once in it, and never in two hands at once.

A key added while it is being worked on comes back when that work is done, once, however often it was added. So work
always sees the state that the last `add` spoke of, and two workers never fight over one object.
"""

import asyncio
import random
from collections import deque

from aliquot.kube.retry import RetryPolicy


class WorkQueue:
    """Keys in the order of their arrival. `retry` waits longer with each failure of the key, until `forget`."""

    def __init__(self, rng: random.Random, *, first_delay_s: float = 0.02, max_delay_s: float = 60.0) -> None:
        self._rng = rng
        self._policy = RetryPolicy(first_delay_s=first_delay_s, max_delay_s=max_delay_s)
        self._ready: deque[str] = deque()
        self._arrived = asyncio.Event()
        # Waiting for a worker: in `_ready`, or in hand and added again meanwhile.
        self._wanted: set[str] = set()
        self._in_hand: set[str] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._failures: dict[str, int] = {}

    def __len__(self) -> int:
        """Keys that wait for a worker now; those in hand or delayed are not counted."""
        return len(self._ready)

    def add(self, key: str) -> None:
        if key in self._wanted:
            return
        self._wanted.add(key)
        if key not in self._in_hand:
            self._ready.append(key)
            self._arrived.set()

    def add_after(self, key: str, delay_s: float) -> None:
        """`add` when `delay_s` has passed. Of several delays for one key the earliest counts."""
        if delay_s <= 0:
            self.add(key)
            return
        loop = asyncio.get_running_loop()
        when = loop.time() + delay_s
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= when:
                return
            timer.cancel()
        self._timers[key] = loop.call_at(when, self._due, key)

    def retry(self, key: str) -> float:
        """`add` after a delay that doubles with each failure since `forget`. Returns the delay in seconds."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay_s = self._policy.delay_s(failures, self._rng)
        self.add_after(key, delay_s)
        return delay_s

    def forget(self, key: str) -> None:
        """The key's work has succeeded: its next failure is a first one."""
        self._failures.pop(key, None)

    async def get(self) -> str:
        """The next key, now in the caller's hand until `done`."""
        while not self._ready:
            self._arrived.clear()
            await self._arrived.wait()
        key = self._ready.popleft()
        self._wanted.discard(key)
        self._in_hand.add(key)
        return key

    def done(self, key: str) -> None:
        self._in_hand.discard(key)
        if key in self._wanted:
            self._ready.append(key)
            self._arrived.set()

    def hurry(self) -> None:
        """Make all delayed keys ready now, and leave no timer behind."""
        for key, timer in self._timers.items():
            timer.cancel()
            self.add(key)
        self._timers.clear()

    def _due(self, key: str) -> None:
        del self._timers[key]
        self.add(key)
