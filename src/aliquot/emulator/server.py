"""Serves the API over HTTPS on loopback: uvicorn, with the client's certificate handed to the application.

The socket is bound before anything else begins, so that a taken port is one clear line and nothing has happened.
Which event loop runs is the caller's choice (uvloop is the fastest).
"""

import asyncio
import socket
import ssl
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import uvicorn
import yaml
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

from aliquot.clock import Clock
from aliquot.emulator.authentication import TLS
from aliquot.emulator.certificates import Authority, KeyPair, write_private
from aliquot.emulator.faults.application import HANG_UP, Application
from aliquot.emulator.http.connection import BoundedProtocol
from aliquot.emulator.http.dates import dating
from aliquot.emulator.http.exchange import Receive, Scope, Send
from aliquot.emulator.http.in_flight import LimitedApplication, Limits

_BACKLOG = 1024
_GRACE_S = 3
_START_DEADLINE_S = 10.0


class ServerError(Exception):
    """One line: why the server cannot be started, and the way out."""


class Serving(Protocol):
    """An API server, or several of which one serves at a time."""

    @property
    def clock(self) -> Clock: ...

    @property
    def app(self) -> Application: ...

    async def is_administrator(self, scope: Scope) -> bool: ...

    def stop(self) -> None: ...

    async def close(self) -> None: ...


class _Protocol(BoundedProtocol):
    """Adds ASGI extensions: the client's certificate, whose chain TLS has verified, and the end of the connection."""

    _certificate: bytes | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._certificate = _client_certificate(transport)

    def on_headers_complete(self) -> None:
        extensions: dict[str, Any] = {HANG_UP: self.transport.close}
        if self._certificate is not None:
            extensions[TLS] = {"certificate": self._certificate}
        self.scope["extensions"] = extensions
        super().on_headers_complete()


class _WebSocketProtocol(WSProtocol):
    """Likewise, for a connection that becomes a WebSocket."""

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        # The application has been scheduled with this scope, and has not begun.
        if (certificate := _client_certificate(self.transport)) is not None:
            self.scope["extensions"][TLS] = {"certificate": certificate}


def _client_certificate(transport: asyncio.BaseTransport) -> bytes | None:
    tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    return tls.getpeercert(binary_form=True) if tls is not None else None


class _Uvicorn(uvicorn.Server):
    """Signals are the command's business."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class HttpsServer:
    """`async with HttpsServer(...)`: serves within; at the end watches are closed and requests finished."""

    def __init__(
        self,
        api: Serving,
        authority: Authority,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        app: Application | None = None,
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> None:
        """Binds the port; 0 takes a free one. `app` is `api`'s with something around it. `limits` are of requests from
        here, not of callers in this process. Raises ServerError."""
        self._api = api
        self._socket = _bind(host, port)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"https://{host}:{self.port}"
        certificate, key = authority.server_files
        config = uvicorn.Config(
            _dated(
                LimitedApplication(app or api.app, limits, is_administrator=api.is_administrator), api.clock
            ),
            http=_Protocol,
            ws=_WebSocketProtocol,
            # A reader that pauses (`kubectl exec ... | less`) is no dead one.
            ws_ping_interval=None,
            ws_per_message_deflate=False,
            interface="asgi3",
            proxy_headers=False,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            # The application tells the time by its own clock.
            date_header=False,
            ssl_certfile=certificate,
            ssl_keyfile=key,
            ssl_ca_certs=str(authority.certificate_file),
            ssl_cert_reqs=ssl.CERT_OPTIONAL,
            backlog=_BACKLOG,
            timeout_graceful_shutdown=_GRACE_S,
            # kubectl and client-go keep connections for reuse far longer than uvicorn's 5 s.
            timeout_keep_alive=120,
        )
        self._server = _Uvicorn(config)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "HttpsServer":
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]), name="https server")
        async with asyncio.timeout(_START_DEADLINE_S):
            while not self._server.started:
                if self._task.done():
                    self._task.result()
                    raise ServerError("the HTTPS server ended as it began")
                await asyncio.sleep(0.005)
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._api.stop()
        self._server.should_exit = True
        if self._task is not None:
            await asyncio.wait([self._task])
        await self._api.close()


def _dated(app: Application, clock: Clock) -> Application:
    """Refusals that the API's application never saw tell the time too."""

    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, dating(send, clock))

    return answered


def _bind(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        # Only one of two that bound the same port may listen on it.
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        raise ServerError(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another port, or 0 for a free one"
        ) from error
    return bound


def write_kubeconfig(path: Path, *, url: str, authority: bytes, user: str, client: KeyPair) -> None:
    """Whole or not at all, for the owner alone."""
    write_private(path, kubeconfig(url=url, authority=authority, user=user, client=client))


def kubeconfig(*, url: str, authority: bytes, user: str, client: KeyPair, name: str = "aliquot") -> bytes:
    def text(data: bytes) -> str:
        return b64encode(data).decode()

    cluster = {"server": url, "certificate-authority-data": text(authority)}
    credentials = {"client-certificate-data": text(client.certificate), "client-key-data": text(client.key)}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
        "current-context": name,
    }
    return yaml.safe_dump(document, sort_keys=False).encode()
