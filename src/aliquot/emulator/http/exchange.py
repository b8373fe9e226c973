"""The bytes of requests and answers, as ASGI messages: a body that is read, an answer that is sent."""

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Mapping,
    MutableMapping,
    Sequence,
)
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import structlog

from aliquot.emulator import statuses
from aliquot.emulator.audit.recording import Record
from aliquot.emulator.http import answers
from aliquot.emulator.http.answers import Answer
from aliquot.emulator.statuses import MAX_BODY_BYTES

_log = structlog.get_logger(__name__)

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

_PIECE_BYTES = 1 << 18
BODY_DEADLINE_S = 60.0
"""A client that sends its body slower than this is let go."""


class ClientGone(Exception):
    """There is nobody left to answer."""


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer without an end of its own. `wake` makes `chunks` look whether the client is gone; without it, they
    are waited for together."""

    chunks: Callable[[Callable[[], bool]], AsyncGenerator[bytes, None]]
    content_type: str
    wake: Callable[[], None] | None = None
    warnings: Sequence[str] = field(default=())


async def send_answer(answer: Answer, send: Send, record: Record | None, *, in_yaml: bool = False) -> None:
    """What is recorded is JSON, `in_yaml` or not."""
    if record is not None:
        record.completed(answer.status, answer.body, answer.content_type)
    if in_yaml:
        answer = answers.in_yaml(answer)
    headers = answer.headers()
    if record is not None:
        headers.append(record.header)
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    rest: bytes | memoryview = answer.body
    while len(rest) > _PIECE_BYTES:
        # As the client takes it: for a slow reader of a long list the server does not hold it twice.
        rest = memoryview(rest)
        await send({"type": "http.response.body", "body": rest[:_PIECE_BYTES], "more_body": True})
        rest = rest[_PIECE_BYTES:]
    await send({"type": "http.response.body", "body": rest})


async def send_stream(
    stream: Stream, receive: Receive, send: Send, *, stopping: asyncio.Event, record: Record | None
) -> None:
    """Until it ends, the client goes, or `stopping` is set."""
    gone = asyncio.ensure_future(_disconnected(receive))
    if stream.wake is not None:
        wake = stream.wake
        gone.add_done_callback(lambda _: wake())
    headers = [(b"content-type", stream.content_type.encode()), (b"cache-control", b"no-cache, private")]
    headers += answers.warning_headers(stream.warnings)
    if record is not None:
        record.started(200)
        headers.append(record.header)
    try:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async with aclosing(stream.chunks(gone.done)) as chunks:
            async for chunk in _until(chunks, gone, stopping) if stream.wake is None else chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        if record is not None:
            record.completed(200)
        if not gone.done():
            await send({"type": "http.response.body", "body": b""})
    except Exception as error:
        # The status line is out: all that is left is to cut the connection.
        _log.exception("stream failed")
        if record is not None:
            record.panicked(error)
        raise
    finally:
        gone.cancel()
        await asyncio.wait([gone])


async def receive_body(headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
    """The whole body. Raises StatusError 400, 408 and 413, and ClientGone."""
    try:
        if int(headers.get(b"content-length", b"0")) > MAX_BODY_BYTES:
            raise statuses.too_large()
    except ValueError:
        raise statuses.bad_request("content-length is no number") from None
    pieces: list[bytes] = []
    size = 0
    try:
        # From the first message on: it too may never come.
        async with asyncio.timeout(BODY_DEADLINE_S):
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                pieces.append(message.get("body", b""))
                size += len(pieces[-1])
                if size > MAX_BODY_BYTES:
                    raise statuses.too_large()
                more = message.get("more_body", False)
    except TimeoutError:
        raise statuses.failure(
            408, "Timeout", f"the request's body did not arrive within {BODY_DEADLINE_S:.0f} s"
        ) from None
    return b"".join(pieces)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _until(
    chunks: AsyncIterator[bytes], gone: "asyncio.Future[None]", stopping: asyncio.Event
) -> AsyncGenerator[bytes, None]:
    """`chunks` until they end, the client goes or the server stops, whichever is first."""
    stopped = asyncio.ensure_future(stopping.wait())
    try:
        while True:
            piece: asyncio.Future[bytes | None] = asyncio.ensure_future(_next(chunks))
            waited: list[asyncio.Future[Any]] = [piece, gone, stopped]
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if not piece.done():
                piece.cancel()
                await asyncio.wait([piece])
                return
            found = piece.result()
            if found is None:
                return
            yield found
    finally:
        stopped.cancel()
        await asyncio.wait([stopped])


async def _next(chunks: AsyncIterator[bytes]) -> bytes | None:
    return await anext(chunks, None)
