"""The in-process transport does to both sides what a network would."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.transport import Request, TransportError
from tests.kube.fake_api import virtual


def request(path: str = "/x", *, timeout_s: float = 10.0) -> Request:
    return Request("GET", path, {}, {}, b"", timeout_s)


async def start(send: Callable[[Any], Awaitable[None]], status: int = 200) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"X-Kind", b"test")]})


async def body(send: Callable[[Any], Awaitable[None]], data: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": more})


def test_status_headers_and_body_arrive() -> None:
    async def main() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await start(send, 201)
            await body(send, b"hello ")
            await body(send, b"world", more=False)

        response = await AsgiTransport(app, "me").send(request())
        assert (response.status, response.headers) == (201, {"x-kind": "test"})
        assert await response.read() == b"hello world"

    virtual(main())


def test_the_application_sees_the_request() -> None:
    async def main() -> None:
        seen: dict[str, Any] = {}

        async def app(scope: Any, receive: Any, send: Any) -> None:
            seen.update(scope)
            seen["message"] = await receive()
            await start(send)
            await body(send, b"", more=False)

        ask = Request(
            "POST", "/a%2Fb", {"q": "x y", "empty": ""}, {"Content-Type": "text/plain"}, b"data", 1.0
        )
        await AsgiTransport(app, "me", ["g"]).send(ask)
        assert (seen["method"], seen["path"], seen["raw_path"]) == ("POST", "/a/b", b"/a%2Fb")
        assert seen["query_string"] == b"q=x+y&empty="
        assert (b"content-type", b"text/plain") in seen["headers"]
        assert (b"content-length", b"4") in seen["headers"]
        assert seen["extensions"]["aliquot.identity"] == {"user": "me", "groups": ["g"]}
        assert seen["message"] == {"type": "http.request", "body": b"data", "more_body": False}

    virtual(main())


def test_a_reader_that_goes_away_is_a_disconnect() -> None:
    async def main() -> None:
        ended = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await start(send)
            await body(send, b"1")
            assert await receive() == {"type": "http.disconnect"}
            await body(send, b"to nobody")
            ended.set()

        response = await AsgiTransport(app, "me").send(request())
        assert await anext(aiter(response.chunks())) == b"1"
        await response.close()
        await ended.wait()

    virtual(main())


def test_a_reader_that_stops_reading_slows_the_sender() -> None:
    async def main() -> None:
        sent = 0

        async def app(scope: Any, receive: Any, send: Any) -> None:
            nonlocal sent
            await start(send)
            for _ in range(1000):
                await body(send, b"x")
                sent += 1
            await body(send, b"", more=False)

        response = await AsgiTransport(app, "me").send(request())
        await asyncio.sleep(100)
        assert sent < 50
        assert len(await response.read()) == 1000

    virtual(main())


def test_a_sender_held_back_is_let_go_when_the_reader_leaves() -> None:
    async def main() -> None:
        ended = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await start(send)
            for _ in range(1000):
                await body(send, b"x")
            ended.set()

        response = await AsgiTransport(app, "me").send(request())
        await asyncio.sleep(1)
        assert not ended.is_set()
        await response.close()
        await ended.wait()

    virtual(main())


@pytest.mark.parametrize("said", ["nothing", "start", "half"])
def test_an_application_that_fails_is_a_broken_connection(said: str) -> None:
    async def main() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            if said != "nothing":
                await start(send)
            if said == "half":
                await body(send, b"half")
            raise RuntimeError("bug in the server")

        with pytest.raises(TransportError, match="bug in the server") as caught:
            response = await AsgiTransport(app, "me").send(request())
            await response.read()
        assert isinstance(caught.value.__cause__, RuntimeError)
        assert caught.value.delivered

    virtual(main())


def test_an_application_that_stops_half_way_is_a_broken_connection() -> None:
    async def main() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await start(send)
            await body(send, b"half")

        response = await AsgiTransport(app, "me").send(request())
        with pytest.raises(TransportError, match="cut off"):
            await response.read()

    virtual(main())


def test_no_answer_in_time_is_an_error_and_a_disconnect() -> None:
    async def main() -> None:
        messages = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            messages.append(await receive())
            messages.append(await receive())

        with pytest.raises(TransportError, match="no answer within 10 s"):
            await AsgiTransport(app, "me").send(request())
        await asyncio.sleep(0)
        assert [message["type"] for message in messages] == ["http.request", "http.disconnect"]

    virtual(main())


def test_a_client_that_is_cancelled_does_not_stop_what_it_asked_for() -> None:
    async def main() -> None:
        done = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await asyncio.sleep(5)
            done.set()
            await start(send)
            await body(send, b"", more=False)

        task = asyncio.create_task(AsgiTransport(app, "me").send(request()))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await done.wait()

    virtual(main())


def test_closing_ends_open_exchanges_and_refuses_new_ones() -> None:
    async def main() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await start(send)
            if scope["path"] == "/deaf":
                await asyncio.sleep(1e6)
            await receive()
            await receive()

        transport = AsgiTransport(app, "me")
        polite, deaf = await transport.send(request("/polite")), await transport.send(request("/deaf"))
        await transport.close()
        assert asyncio.get_running_loop().time() < 10
        for response in (polite, deaf):
            with pytest.raises(TransportError):
                await response.read()
        with pytest.raises(TransportError, match="closed") as caught:
            await transport.send(request())
        assert not caught.value.delivered
        assert len(asyncio.all_tasks()) == 1

    virtual(main())
