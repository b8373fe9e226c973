import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from aliquot.clock import VirtualTimeLoop
from aliquot.emulator.audit import collector
from aliquot.emulator.audit.collector import Collector
from aliquot.emulator.network import CallFailed, Endpoint, Reply

URL = "https://collector.example/events"


class Wire:
    """A Network to one collector."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.times: list[float] = []
        self.tokens: list[str] = []
        self.answers: list[int | CallFailed] = []
        """Those that come before all is well."""
        self.silent = False

    async def get(self, endpoint: Endpoint, *, timeout_s: float) -> Reply:
        raise AssertionError("a collector is sent to, never read from")

    async def post(self, endpoint: Endpoint, body: bytes, *, timeout_s: float) -> Reply:
        assert replace(endpoint, token="") == Endpoint(URL)
        self.tokens.append(endpoint.token)
        sent = json.loads(body)
        assert (sent["kind"], sent["apiVersion"]) == ("EventList", "audit.k8s.io/v1")
        self.times.append(asyncio.get_running_loop().time())
        if self.silent:
            await asyncio.Event().wait()
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, CallFailed):
            raise answer
        if answer == 200:
            self.batches.append(sent["items"])
        return Reply(answer, b"")

    async def close(self) -> None:
        pass


def on_virtual_time(main: Callable[[Collector, Wire], Awaitable[None]]) -> None:
    async def run() -> None:
        wire = Wire()
        await main(Collector(URL, wire, rng=Random(1)), wire)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())


def take(kept: Collector, *numbers: int) -> None:
    for number in numbers:
        kept.take(str(number).encode())


def test_a_batch_goes_out_when_it_is_full_or_has_waited() -> None:
    async def main(kept: Collector, wire: Wire) -> None:
        take(kept, *range(collector.BATCH + 1))
        await asyncio.sleep(0.5)
        assert wire.batches == [list(range(collector.BATCH))]
        await asyncio.sleep(0.6)
        assert wire.batches[1:] == [[collector.BATCH]]
        await asyncio.sleep(10)
        take(kept, 7)
        await asyncio.sleep(1.1)
        assert wire.batches[2:] == [[7]]
        await kept.close()

    on_virtual_time(main)


def test_what_is_not_taken_is_sent_again_ever_later() -> None:
    async def main(kept: Collector, wire: Wire) -> None:
        wire.answers = [503, CallFailed("connection refused"), 429]
        take(kept, 1)
        await asyncio.sleep(60)
        assert wire.batches == [[1]]
        waited = [later - earlier for earlier, later in zip(wire.times, wire.times[1:], strict=False)]
        assert len(waited) == 3
        assert 1 <= waited[0] < waited[1] < waited[2] < 3
        assert kept.dropped == 0
        await kept.close()

    on_virtual_time(main)


def test_who_never_takes_it_loses_a_batch_and_gets_the_next() -> None:
    async def main(kept: Collector, wire: Wire) -> None:
        wire.answers = [500] * collector.TRIES
        take(kept, 1, 2)
        await asyncio.sleep(60)
        assert (wire.batches, kept.dropped) == ([], 2)
        take(kept, 3)
        await asyncio.sleep(2)
        assert wire.batches == [[3]]
        await kept.close()

    on_virtual_time(main)


def test_no_more_wait_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "MOST_WAITING", 3)

    async def main(kept: Collector, wire: Wire) -> None:
        take(kept, 1, 2, 3, 4, 5)
        assert kept.dropped == 2
        await kept.close()
        assert wire.batches == [[1, 2, 3]]

    on_virtual_time(main)


def test_the_end_sends_what_waits_and_does_not_wait_for_ever() -> None:
    async def main(kept: Collector, wire: Wire) -> None:
        loop = asyncio.get_running_loop()
        take(kept, 1)
        await asyncio.sleep(0)
        await kept.close()
        assert (wire.batches, loop.time()) == ([[1]], 0)
        wire.silent = True
        take(kept, 2)
        began = loop.time()
        await kept.close()
        assert loop.time() - began == collector.LAST_WORDS_S

    on_virtual_time(main)


def test_without_events_there_is_nothing_to_end() -> None:
    async def main(kept: Collector, wire: Wire) -> None:
        await kept.close()
        assert wire.times == []

    on_virtual_time(main)


def test_the_token_that_is_there_now_is_shown_and_without_it_nothing_is_sent() -> None:
    async def run() -> None:
        wire = Wire()
        tokens: list[str | OSError] = ["first", OSError("no such file"), "second"]

        def token() -> str:
            found = tokens.pop(0)
            if isinstance(found, OSError):
                raise found
            return found

        kept = Collector(URL, wire, rng=Random(1), token=token)
        for number in (1, 2):
            take(kept, number)
            await asyncio.sleep(20)
        assert (wire.batches, wire.tokens) == ([[1], [2]], ["first", "second"])
        await kept.close()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())
