"""Two processes' requests over one connection: as over a network, and in both directions."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.kube.pipe import Pipe
from aliquot.kube.transport import Request, TransportError

App = Callable[[Any, Any, Any], Awaitable[None]]


def request(path: str = "/x", body: bytes = b"", *, timeout_s: float = 10.0) -> Request:
    return Request("POST", path, {"q": "x y"}, {"Content-Type": "text/plain"}, body, timeout_s)


async def start(send: Any, status: int = 200, *, length: int | None = None) -> None:
    headers = [(b"X-Kind", b"test")] + ([(b"content-length", b"%d" % length)] if length is not None else [])
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def piece(send: Any, data: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": more})


@asynccontextmanager
async def joined(app: App | None, other: App | None = None) -> AsyncIterator[tuple[Pipe, Pipe]]:
    """(the end that `app` answers, the end that `other` answers)."""
    ours, theirs = socket.socketpair()
    ends = await Pipe.over(ours, app), await Pipe.over(theirs, other)
    try:
        yield ends
    finally:
        for end in ends:
            end.close()
            await end.lost.wait()


def run(main: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await main

    asyncio.run(bounded())


def test_a_request_and_its_answer() -> None:
    async def main() -> None:
        seen: dict[str, Any] = {}

        async def app(scope: Any, receive: Any, send: Any) -> None:
            seen.update(scope, message=await receive())
            await start(send, 201, length=5)
            await piece(send, b"hello", more=False)

        async with joined(app) as (_, client):
            response = await client.transport("me", ["g"]).send(request("/a%2Fb", b"data"))
            assert (response.status, response.headers["x-kind"]) == (201, "test")
            assert await response.read() == b"hello"
        assert (seen["method"], seen["path"], seen["raw_path"]) == ("POST", "/a/b", b"/a%2Fb")
        assert seen["query_string"] == b"q=x+y"
        assert (b"content-type", b"text/plain") in seen["headers"]
        assert seen["extensions"]["aliquot.identity"] == {"user": "me", "groups": ["g"]}
        assert seen["message"] == {"type": "http.request", "body": b"data", "more_body": False}

    run(main())


def test_a_stream_begins_before_its_first_piece_and_is_cut_off_by_its_reader() -> None:
    async def main() -> None:
        go, gone = asyncio.Event(), asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await start(send)
            await go.wait()
            await piece(send, b"one")
            await piece(send, b"two")
            assert (await receive())["type"] == "http.disconnect"
            gone.set()

        async with joined(app) as (_, client):
            response = await client.transport("me").send(request())
            assert response.status == 200
            go.set()
            pieces = response.chunks()
            assert [await anext(pieces), await anext(pieces)] == [b"one", b"two"]
            await response.close()
            await gone.wait()
            with pytest.raises(TransportError):
                await anext(pieces)

    run(main())


def test_the_sender_waits_for_a_slow_reader() -> None:
    async def main() -> None:
        sent = 0

        async def app(scope: Any, receive: Any, send: Any) -> None:
            nonlocal sent
            await start(send)
            for number in range(100):
                await piece(send, b"%d," % number)
                sent = number
            await piece(send, b"", more=False)

        async with joined(app) as (_, client):
            response = await client.transport("me").send(request())
            for _ in range(200):
                await asyncio.sleep(0)
            assert sent < 30
            assert await response.read() == b"".join(b"%d," % number for number in range(100))

    run(main())


@pytest.mark.parametrize("begun", [True, False])
def test_an_application_that_fails_is_a_broken_connection(begun: bool) -> None:
    async def main() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            if begun:
                await start(send)
                await piece(send, b"a")
            raise RuntimeError("boom")

        async with joined(app) as (_, client):
            with pytest.raises(TransportError, match="boom"):
                await (await client.transport("me").send(request())).read()

    run(main())


def test_no_answer_in_time() -> None:
    async def main() -> None:
        gone = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            gone.set()

        async with joined(app) as (_, client):
            with pytest.raises(TransportError, match=r"no answer within 0\.01 s"):
                await client.transport("me").send(request(timeout_s=0.01))
            await gone.wait()

    run(main())


def test_nobody_answers_at_an_end_without_an_application() -> None:
    async def main() -> None:
        async with joined(None) as (_, client):
            with pytest.raises(TransportError, match="nobody answers here"):
                await client.transport("me").send(request())

    run(main())


def test_an_end_that_goes_breaks_what_is_under_way_and_refuses_what_comes() -> None:
    async def main() -> None:
        gone = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await start(send)
            assert (await receive())["type"] == "http.disconnect"
            gone.set()

        async with joined(app, app) as (server, client):
            reading = await client.transport("me").send(request())
            await server.transport("me").send(request())
            server.close()
            with pytest.raises(TransportError, match="has gone"):
                await reading.read()
            with pytest.raises(TransportError) as refused:
                await client.transport("me").send(request())
            assert not refused.value.delivered
            await gone.wait()

    run(main())


def test_a_closed_transport_cuts_off_its_own_streams_alone() -> None:
    async def main() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await start(send)
            await piece(send, b"a")
            await receive()

        async with joined(app) as (_, client):
            mine, others = client.transport("me"), client.transport("other")
            cut_off, kept = await mine.send(request()), await others.send(request())
            assert await anext(cut_off.chunks()) == b"a"
            await mine.close()
            with pytest.raises(TransportError):
                await cut_off.read()
            with pytest.raises(TransportError, match="closed"):
                await mine.send(request())
            assert await anext(kept.chunks()) == b"a"

    run(main())


class Written:
    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data


@given(words=st.lists(st.tuples(st.text(), st.text())), sizes=st.lists(st.integers(1, 40), min_size=1))
def test_words_arrive_whole_however_they_are_cut(words: list[tuple[str, str]], sizes: list[int]) -> None:
    speaker, written = Pipe(), Written()
    speaker.connection_made(written)  # type: ignore[arg-type]
    for word in words:
        speaker.tell(*word)
    heard: list[tuple[str, str]] = []
    hearer = Pipe(hear=lambda what, text: heard.append((what, text)))
    left, turn = written.data, 0
    while left:
        size = sizes[turn % len(sizes)]
        hearer.data_received(left[:size])
        left, turn = left[size:], turn + 1
    assert heard == words
