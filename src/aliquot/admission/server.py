"""The webhook's HTTPS server: uvicorn, whose certificate is exchanged while it runs."""

import asyncio
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import structlog
import uvicorn

from aliquot.admission.certificates import Held
from aliquot.admission.registration import PATH
from aliquot.admission.reviews import NotAReview, answer
from aliquot.kube import errors

_log = structlog.get_logger()

MOST_BYTES = 8 << 20
"""Of a review. An object has 1.5 MiB at most, and comes up to twice."""
_RETRY_S = 10.0


class Application:
    """ASGI. `POST /mutate` takes AdmissionReviews; `GET /healthz` answers `ok`."""

    def __init__(self, scheduler: str) -> None:
        self._scheduler = scheduler

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        asked = scope["method"], scope["path"]
        if asked == ("GET", "/healthz"):
            await _send(send, 200, b"ok", b"text/plain")
        elif asked != ("POST", PATH):
            await _send(send, 404, b"POST /mutate, or GET /healthz\n", b"text/plain")
        elif (body := await _body(receive)) is None:
            await _send(send, 413, b"too large for a review\n", b"text/plain")
        else:
            try:
                await _send(send, 200, answer(body, scheduler=self._scheduler), b"application/json")
            except NotAReview as error:
                await _send(send, 400, f"{error}\n".encode(), b"text/plain")


async def _body(receive: Any) -> bytes | None:
    """None: too large."""
    found = bytearray()
    while True:
        message = await receive()
        found += message.get("body", b"")
        if len(found) > MOST_BYTES:
            return None
        if not message.get("more_body"):
            return bytes(found)


async def _send(send: Any, status: int, body: bytes, kind: bytes) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class _Uvicorn(uvicorn.Server):
    """Signals are the command's business."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class CannotListen(Exception):
    """One line."""


def listen(host: str, port: int) -> socket.socket:
    """Port 0: a free one. Raises CannotListen."""
    try:
        return socket.create_server((host, port), backlog=1024)
    except OSError as error:
        raise CannotListen(
            f"cannot listen on {host}:{port}: {error.strerror}; give another --port"
        ) from error


class Certificates(Protocol):
    """Where the certificate is from: `registration` makes it, or `cert_manager` has."""

    async def certificate(self) -> Held:
        """What to serve with; the cluster trusts it. Raises ApiError."""
        ...

    def look_again_s(self, held: Held) -> float: ...


class WebhookServer:
    """`listening`: the socket, which it closes in the end."""

    def __init__(self, certificates: Certificates, listening: socket.socket, *, scheduler: str) -> None:
        self._certificates = certificates
        self._listening = listening
        self._scheduler = scheduler
        self._held: Held | None = None
        self._show: Callable[[Held], None] = lambda held: None

    async def run(self) -> None:
        """Until cancelled. Raises ApiError while it has no certificate yet; later ones are logged, and tried again."""
        with self._listening, tempfile.TemporaryDirectory(prefix="aliquot-admission-") as directory:
            self._held = await self._certificates.certificate()
            await self._serve(Path(directory), self._held)

    async def _serve(self, directory: Path, held: Held) -> None:
        certificate, key = _written(directory, held)
        config = uvicorn.Config(
            Application(self._scheduler),
            interface="asgi3",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            ssl_certfile=certificate,
            ssl_keyfile=key,
            timeout_graceful_shutdown=3,
        )
        config.load()
        context = config.ssl
        assert context is not None
        # For connections from then on.
        self._show = lambda held: context.load_cert_chain(*_written(directory, held))
        server = _Uvicorn(config)
        address, port = self._listening.getsockname()[:2]
        _log.info("webhook registered", address=address, port=port)
        serving = asyncio.create_task(server.serve(sockets=[self._listening]), name="webhook")
        renewing = asyncio.create_task(self._renew(), name="renewal")
        try:
            await asyncio.shield(serving)
        finally:
            renewing.cancel()
            server.should_exit = True
            await asyncio.wait([serving])

    async def look(self) -> float:
        """Renew what is due, or take over what another has renewed. Returns when to look again. Raises ApiError."""
        held = await self._certificates.certificate()
        if held != self._held:
            self._show(held)
            self._held = held
            _log.info("certificate renewed")
        return self._certificates.look_again_s(held)

    async def _renew(self) -> None:
        while True:
            try:
                wait_s = await self.look()
            except errors.ApiError as error:
                wait_s = _RETRY_S
                _log.warning("certificate not looked at", error=str(error), retry_in_s=wait_s)
            await asyncio.sleep(wait_s)


def _written(directory: Path, held: Held) -> tuple[Path, Path]:
    """OpenSSL reads files only. The directory is the owner's alone."""
    certificate, key = directory / "tls.crt", directory / "tls.key"
    certificate.write_bytes(held.certificate)
    key.write_bytes(held.key)
    return certificate, key
