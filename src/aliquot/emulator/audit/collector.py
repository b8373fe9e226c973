"""Audit events sent to a webhook (EventList), in batches, again and again when it does not take them."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

import structlog

from aliquot.emulator.audit.events import event_list
from aliquot.emulator.network import CallFailed, Endpoint, Network

_log = structlog.get_logger(__name__)

MOST_WAITING = 10_000
"""Events that wait to be sent; later ones are dropped, and counted."""
BATCH = 400
BATCH_WAIT_S = 1.0
"""A batch that is not full goes out after this."""
TRIES = 5
FIRST_BACKOFF_S = 1.0
_BACKOFF_FACTOR = 1.5
_JITTER = 0.2
_TIMEOUT_S = 30.0
LAST_WORDS_S = 5.0
"""So long may it take at the end to send what waits."""


class Collector:
    """A Backend. One batch is on its way at a time, so that events arrive in order."""

    def __init__(
        self,
        url: str,
        network: Network,
        *,
        rng: Random,
        authority: bytes = b"",
        token: Callable[[], str] | None = None,
    ) -> None:
        """`token`: what is shown there now; it raises OSError. None: nothing is."""
        self._endpoint = Endpoint(url, authority)
        self._token = token
        self._network = network
        self._rng = rng
        self._waiting: deque[bytes] = deque()
        self._task: asyncio.Task[None] | None = None
        self._full = asyncio.Event()
        self._closing = False
        self._under_way = 0
        self.dropped = 0

    def take(self, event: bytes) -> None:
        if len(self._waiting) >= MOST_WAITING:
            if not self.dropped:
                _log.error(
                    "audit events are dropped", url=self._endpoint.url, reason="too many wait to be sent"
                )
            self.dropped += 1
            return
        self._waiting.append(event)
        if len(self._waiting) >= BATCH:
            self._full.set()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._send_all(), name="audit collector")

    async def close(self) -> None:
        self._closing = True
        self._full.set()
        if self._task is not None:
            _, late = await asyncio.wait([self._task], timeout=LAST_WORDS_S)
            if late:
                self._task.cancel()
                await asyncio.wait([self._task])
        if lost := self.dropped + self._under_way + len(self._waiting):
            _log.error("audit events were lost", url=self._endpoint.url, events=lost)

    async def _send_all(self) -> None:
        while self._waiting:
            if not self._closing:
                await self._fill()
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            self._under_way = len(batch)
            if why := await self._send(batch):
                self._drop(len(batch), why)
            self._under_way = 0

    async def _fill(self) -> None:
        """Until a batch is full, or has waited long enough."""
        if len(self._waiting) >= BATCH:
            return
        self._full.clear()
        try:
            async with asyncio.timeout(BATCH_WAIT_S):
                await self._full.wait()
        except TimeoutError:
            return

    async def _send(self, batch: Sequence[bytes]) -> str:
        """Why nobody took it; empty when it was taken."""
        body, why, backoff_s = event_list(batch), "", FIRST_BACKOFF_S
        for attempt in range(TRIES):
            if attempt:
                await asyncio.sleep(backoff_s * (1 + _JITTER * self._rng.random()))
                backoff_s *= _BACKOFF_FACTOR
            try:
                token = self._token() if self._token is not None else ""
                reply = await self._network.post(
                    replace(self._endpoint, token=token), body, timeout_s=_TIMEOUT_S
                )
            except (CallFailed, OSError) as failure:
                why = str(failure)
                continue
            if 200 <= reply.status < 300:
                return ""
            why = f"HTTP status {reply.status}"
        return why

    def _drop(self, count: int, why: str) -> None:
        _log.error("audit events are dropped", url=self._endpoint.url, events=count, reason=why)
        self.dropped += count
