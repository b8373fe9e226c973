"""HTTP without sockets: an ASGI application called in the same event loop.

For tests, simulation on virtual time, and controllers that live beside the emulated API. Deterministic: one queue,
no threads, no timers. What a network does to a server, this does too: a reader that stops reading slows the sender
(back-pressure), a reader that goes away is an `http.disconnect`.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import unquote, urlencode

from aliquot.kube.transport import Request, TransportError

Message: TypeAlias = MutableMapping[str, Any]
Application: TypeAlias = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]

IDENTITY = "aliquot.identity"
"""The ASGI extension that tells the application who asks: `{"user": str, "groups": [str]}`."""

_CHUNKS_AHEAD = 16
_GRACE_S = 5.0


class AsgiTransport:
    """Calls `app` as `user`, who is in `groups`. The application's lifespan is its owner's business.

    A client that goes away does not stop the work it asked for, as on a network: the application's call runs on to
    its end, owned by the transport, until `close`.
    """

    def __init__(self, app: Application, user: str, groups: Sequence[str] = ()) -> None:
        self._app = app
        self._identity = {"user": user, "groups": list(groups)}
        # A dict, for its order: closing must not depend on hashes.
        self._exchanges: dict[_Exchange, None] = {}
        self._closed = False

    async def send(self, request: Request) -> "_Exchange":
        if self._closed:
            raise TransportError("transport is closed", delivered=False)
        exchange = _Exchange(request.body)
        scope = scope_of(
            request.method, request.path, urlencode(request.query), headers_of(request), self._identity
        )
        task = asyncio.get_running_loop().create_task(
            exchange.run(self._app, scope), name=f"asgi {request.path}"
        )
        exchange.task = task
        self._exchanges[exchange] = None
        task.add_done_callback(lambda _: self._exchanges.pop(exchange, None))
        try:
            async with asyncio.timeout(request.timeout_s):
                await exchange.started()
        except TimeoutError:
            await exchange.close()
            raise TransportError(f"no answer within {request.timeout_s:g} s") from None
        except BaseException:
            await exchange.close()
            raise
        return exchange

    async def close(self) -> None:
        """Disconnect every open exchange; an application that has not ended 5 s later is cancelled."""
        self._closed = True
        exchanges = list(self._exchanges)
        for exchange in exchanges:
            await exchange.close()
        tasks = [exchange.task for exchange in exchanges if exchange.task is not None]
        if tasks:
            _, running = await asyncio.wait(tasks, timeout=_GRACE_S)
            for task in tasks:
                if task in running:
                    task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def headers_of(request: Request) -> list[tuple[bytes, bytes]]:
    """As an application takes them."""
    headers = [(name.lower().encode(), value.encode()) for name, value in request.headers.items()]
    headers.append((b"host", b"in-process"))
    headers.append((b"content-length", str(len(request.body)).encode()))
    return headers


def scope_of(
    method: str, path: str, query: str, headers: Sequence[tuple[bytes, bytes]], identity: Mapping[str, Any]
) -> MutableMapping[str, Any]:
    """Of a request that came over no network, from one whose word is taken for who asks."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": headers,
        "client": ("in-process", 0),
        "server": ("in-process", 0),
        "extensions": {IDENTITY: identity},
    }


def text_headers(pairs: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in pairs}


class Arriving:
    """An answer as its client sees it, of which more comes: a Response. `_taken` is told of each piece that was read."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self._chunks: deque[bytes] = deque()
        self._changed = asyncio.Event()
        self._closed = False
        self._complete = False
        self._failure: str | None = None
        self._cause: Exception | None = None

    def _taken(self) -> None:
        """A piece was read."""

    async def started(self) -> None:
        while not self.status:
            if self._failure is not None:
                raise TransportError(self._failure) from self._cause
            await self._wait()

    async def chunks(self) -> AsyncIterator[bytes]:
        while True:
            while self._chunks:
                chunk = self._chunks.popleft()
                self._taken()
                yield chunk
            if self._complete:
                return
            if self._failure is not None:
                raise TransportError(self._failure) from self._cause
            if self._closed:
                raise TransportError("exchange is closed")
            await self._wait()

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    async def close(self) -> None:
        self._closed = True
        self._changed.set()

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()


class _Exchange(Arriving):
    """Both ends of one call: `receive` and `send` for the application, a Response for the client."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self.task: asyncio.Task[None] | None = None
        self._body: bytes | None = body
        self._read = asyncio.Event()
        self._disconnected = asyncio.Event()

    async def run(self, app: Application, scope: MutableMapping[str, Any]) -> None:
        try:
            await app(scope, self._receive, self._send)
        except asyncio.CancelledError:
            self._failure = "server stopped"
            raise
        except Exception as error:
            # To the client it is a connection that broke, with the reason that a network would not tell.
            self._failure, self._cause = f"server failed: {error!r}", error
        finally:
            if not self._complete and self._failure is None:
                self._failure = "answer cut off"
            self._changed.set()

    async def _receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._disconnected.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self._disconnected.is_set():
            return
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = text_headers(message.get("headers", ()))
            self._changed.set()
            return
        if chunk := message.get("body", b""):
            self._chunks.append(bytes(chunk))
        if not message.get("more_body", False):
            self._complete = True
            # Whoever waits in `receive` after its last word learns that the exchange is over.
            self._disconnected.set()
        self._changed.set()
        while len(self._chunks) > _CHUNKS_AHEAD and not self._disconnected.is_set():
            self._read.clear()
            await self._read.wait()

    def _taken(self) -> None:
        self._read.set()

    async def close(self) -> None:
        self._disconnected.set()
        self._read.set()
        await super().close()
