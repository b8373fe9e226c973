"""Requests from one process to the ASGI application of another, over one connection, in either direction.

For the parts of one cluster that run in two processes of one program: whoever holds the other end is trusted to say
who asks, as with `asgi_transport`. What HTTP over TLS costs for each request (handshakes, headers as text, a pool of
connections) is saved; a request and its answer are the same.

A frame is its length (4 bytes, big-endian) and a MessagePack array. Of an answer that comes in pieces the sender is
never more than a few pieces ahead of the reader.
"""

import asyncio
import socket
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import urlencode

import msgspec

from aliquot.kube.asgi_transport import (
    Application,
    Arriving,
    Message,
    headers_of,
    scope_of,
    text_headers,
)
from aliquot.kube.transport import Request, TransportError

_AHEAD = 16
"""Pieces that were sent and not read yet."""
_TOLD_EVERY = 4
"""Pieces that are read before the sender is told."""
_LENGTH_BYTES = 4
_LOST = "the process at the other end has gone"

_Headers: TypeAlias = list[tuple[bytes, bytes]]


class _Ask(msgspec.Struct, array_like=True, tag=0):
    call: int
    method: str
    path: str
    query: str
    headers: _Headers
    body: bytes
    identity: dict[str, Any]


class _Begun(msgspec.Struct, array_like=True, tag=1):
    """An answer, and the first piece of it."""

    call: int
    status: int
    headers: _Headers
    body: bytes
    complete: bool


class _More(msgspec.Struct, array_like=True, tag=2):
    call: int
    body: bytes
    complete: bool


class _Broken(msgspec.Struct, array_like=True, tag=3):
    """No answer, or no more of it."""

    call: int
    why: str


class _Taken(msgspec.Struct, array_like=True, tag=4):
    """So many pieces were read."""

    call: int
    pieces: int


class _Left(msgspec.Struct, array_like=True, tag=5):
    """Whoever asked has gone."""

    call: int


class _Word(msgspec.Struct, array_like=True, tag=6):
    """Of one process to the other, and no request."""

    what: str
    text: str


_Frame: TypeAlias = _Ask | _Begun | _More | _Broken | _Taken | _Left | _Word
_decoder = msgspec.msgpack.Decoder(_Frame)
_encoder = msgspec.msgpack.Encoder()


class Pipe(asyncio.Protocol):
    """One end of the connection. `app` answers what the other end asks, None: nothing is answered yet; `hear` is given
    its words."""

    def __init__(
        self,
        app: Application | None = None,
        hear: Callable[[str, str], None] = lambda _what, _text: None,
    ) -> None:
        self.app = app
        self._hear = hear
        self._transport: asyncio.Transport | None = None
        self._unread = bytearray()
        self._asked: dict[int, _Asked] = {}
        self._answering: dict[int, _Answering] = {}
        self._last_call = 0
        self.lost = asyncio.Event()
        """The other process has gone, or this end was closed."""

    @classmethod
    async def over(
        cls,
        end: socket.socket,
        app: Application | None = None,
        hear: Callable[[str, str], None] = lambda _what, _text: None,
    ) -> "Pipe":
        """Takes the socket over."""
        loop = asyncio.get_running_loop()
        _, pipe = await loop.create_unix_connection(lambda: cls(app, hear), sock=end)
        return pipe

    def transport(self, user: str, groups: Sequence[str] = ()) -> "PipeTransport":
        return PipeTransport(self, {"user": user, "groups": list(groups)})

    def tell(self, what: str, text: str) -> None:
        """A word to the other process; lost if it has gone."""
        self.say(_Word(what, text))

    def close(self) -> None:
        """What was said arrives."""
        if self._transport is not None:
            self._transport.close()

    # ---- the connection ----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.lost.set()
        for asked in tuple(self._asked.values()):
            asked.broken(_LOST)
        for answering in tuple(self._answering.values()):
            answering.left()

    def data_received(self, data: bytes) -> None:
        unread = self._unread
        unread += data
        begin, end = 0, len(unread)
        while end - begin >= _LENGTH_BYTES:
            body = begin + _LENGTH_BYTES
            length = int.from_bytes(unread[begin:body], "big")
            if end - body < length:
                break
            begin = body + length
            self._take(_decoder.decode(unread[body:begin]))
        del unread[:begin]

    def say(self, frame: _Frame) -> None:
        if self._transport is not None:
            data = _encoder.encode(frame)
            self._transport.write(len(data).to_bytes(_LENGTH_BYTES, "big") + data)

    def _take(self, frame: _Frame) -> None:
        match frame:
            case _Ask():
                self._answer(frame)
            case _Begun(call, status, headers, body, complete):
                if (asked := self._asked.get(call)) is not None:
                    asked.begun(status, headers, body, complete)
            case _More(call, body, complete):
                if (asked := self._asked.get(call)) is not None:
                    asked.more(body, complete)
            case _Broken(call, why):
                if (asked := self._asked.get(call)) is not None:
                    asked.broken(why)
            case _Taken(call, pieces):
                if (answering := self._answering.get(call)) is not None:
                    answering.read(pieces)
            case _Left(call):
                if (answering := self._answering.get(call)) is not None:
                    answering.left()
            case _Word(what, text):
                self._hear(what, text)

    # ---- both sides of a call ----------------------------------------------------------------------------

    def ask(self, request: Request, identity: Mapping[str, Any]) -> "_Asked":
        if self._transport is None:
            raise TransportError(_LOST, delivered=False)
        self._last_call += 1
        asked = _Asked(self, self._last_call)
        self._asked[self._last_call] = asked
        self.say(
            _Ask(
                self._last_call,
                request.method,
                request.path,
                urlencode(request.query),
                headers_of(request),
                request.body,
                dict(identity),
            )
        )
        return asked

    def forget(self, call: int) -> None:
        self._asked.pop(call, None)

    def _answer(self, ask: _Ask) -> None:
        if self.app is None:
            self.say(_Broken(ask.call, "nobody answers here"))
            return
        answering = self._answering[ask.call] = _Answering(self, ask.call, ask.body)
        scope = scope_of(ask.method, ask.path, ask.query, ask.headers, ask.identity)
        answering.task = asyncio.get_running_loop().create_task(
            answering.run(self.app, scope), name=f"asgi {ask.path}"
        )
        answering.task.add_done_callback(lambda _: self._answering.pop(ask.call, None))


class PipeTransport:
    """Asks the application at the other end as one user."""

    def __init__(self, pipe: Pipe, identity: Mapping[str, Any]) -> None:
        self._pipe = pipe
        self._identity = identity
        self._exchanges: dict[_Asked, None] = {}
        self._closed = False

    async def send(self, request: Request) -> "_Asked":
        if self._closed:
            raise TransportError("transport is closed", delivered=False)
        asked = self._pipe.ask(request, self._identity)
        try:
            async with asyncio.timeout(request.timeout_s):
                await asked.started()
        except TimeoutError:
            await asked.close()
            raise TransportError(f"no answer within {request.timeout_s:g} s") from None
        except BaseException:
            await asked.close()
            raise
        if not asked.has_ended:
            self._exchanges[asked] = None
            asked.on_end = lambda: self._exchanges.pop(asked, None)
        return asked

    async def close(self) -> None:
        """Whoever still reads an answer is cut off."""
        self._closed = True
        for asked in tuple(self._exchanges):
            await asked.close()


class _Asked(Arriving):
    """A call of ours: its answer, as it comes."""

    def __init__(self, pipe: Pipe, call: int) -> None:
        super().__init__()
        self._pipe = pipe
        self._call = call
        self._unread_told = 0
        self.on_end: Callable[[], object] | None = None

    @property
    def has_ended(self) -> bool:
        return self._complete or self._failure is not None

    def begun(self, status: int, headers: _Headers, body: bytes, complete: bool) -> None:
        self.status, self.headers = status, text_headers(headers)
        self.more(body, complete)

    def more(self, body: bytes, complete: bool) -> None:
        if body:
            self._chunks.append(body)
        if complete:
            self._complete = True
            self._end()
        self._changed.set()

    def broken(self, why: str) -> None:
        self._failure = why
        self._end()
        self._changed.set()

    def _end(self) -> None:
        self._pipe.forget(self._call)
        if self.on_end is not None:
            self.on_end()

    def _taken(self) -> None:
        if self._complete:
            return
        self._unread_told += 1
        if self._unread_told == _TOLD_EVERY:
            self._pipe.say(_Taken(self._call, self._unread_told))
            self._unread_told = 0

    async def close(self) -> None:
        if not self.has_ended and not self._closed:
            self._pipe.say(_Left(self._call))
            self._end()
        await super().close()


class _Answering:
    """A call of the other end: `receive` and `send` for the application."""

    def __init__(self, pipe: Pipe, call: int, body: bytes) -> None:
        self.task: asyncio.Task[None] | None = None
        self._pipe = pipe
        self._call = call
        self._body: bytes | None = body
        self._begun: tuple[int, _Headers] | None = None
        self._gone = asyncio.Event()
        self._ahead = 0
        self._read = asyncio.Event()
        self._complete = False

    async def run(self, app: Application, scope: MutableMapping[str, Any]) -> None:
        why = "answer cut off"
        try:
            await app(scope, self._receive, self._send)
        except asyncio.CancelledError:
            why = "server stopped"
            raise
        except Exception as error:
            why = f"server failed: {error!r}"
        finally:
            if not self._complete and not self._gone.is_set():
                self._pipe.say(_Broken(self._call, why))

    def read(self, pieces: int) -> None:
        self._ahead -= pieces
        self._read.set()

    def left(self) -> None:
        self._gone.set()
        self._read.set()

    async def _receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self._gone.is_set():
            return
        if message["type"] == "http.response.start":
            self._begun = message["status"], list(message.get("headers", ()))
            if message["status"] == 200 and _is_streamed(self._begun[1]):
                # Its first piece may be long in coming.
                self._say(b"", complete=False)
            return
        body, complete = message.get("body", b""), not message.get("more_body", False)
        self._say(body, complete=complete)
        if complete:
            self._complete = True
            # Whoever waits in `receive` after its last word learns that the exchange is over.
            self._gone.set()
            return
        self._ahead += bool(body)
        while self._ahead > _AHEAD and not self._gone.is_set():
            self._read.clear()
            await self._read.wait()

    def _say(self, body: bytes, *, complete: bool) -> None:
        if self._begun is not None:
            (status, headers), self._begun = self._begun, None
            self._pipe.say(_Begun(self._call, status, headers, bytes(body), complete))
        elif body or complete:
            self._pipe.say(_More(self._call, bytes(body), complete))


def _is_streamed(headers: _Headers) -> bool:
    """Whether nobody has said how long it will be."""
    return not any(name.lower() == b"content-length" for name, _ in headers)
