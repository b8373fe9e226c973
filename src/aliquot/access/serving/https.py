"""uvicorn for the API. A certificate that is exchanged on disk is taken for new connections."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import structlog
import uvicorn
from starlette.applications import Starlette

_log = structlog.get_logger(__name__)

_GRACE_S = 5
_LOOK_EVERY_S = 30.0


class CannotServe(Exception):
    """One line."""


class _Uvicorn(uvicorn.Server):
    """Signals are the command's business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listening(host: str, port: int) -> socket.socket:
    """Port 0: a free one. Raises CannotServe."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise CannotServe(
            f"cannot listen on {host}, port {port}: {error.strerror}; change 'listen'"
        ) from error


async def serve(app: Starlette, bound: socket.socket, pair: tuple[Path, Path] | None) -> None:
    """Until cancelled; requests under way are finished. `pair`: certificate and key. Raises CannotServe."""
    config = uvicorn.Config(
        app,
        interface="asgi3",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        ssl_certfile=pair[0] if pair else None,
        ssl_keyfile=pair[1] if pair else None,
        timeout_graceful_shutdown=_GRACE_S,
        timeout_keep_alive=30,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        where = f"{pair[0]} and {pair[1]}" if pair else "TLS"
        raise CannotServe(f"{where} cannot be used: {error}") from error
    server = _Uvicorn(config)
    serving = asyncio.create_task(server.serve(sockets=[bound]), name="https")
    renewing = asyncio.create_task(_renew(config.ssl, pair), name="certificate")
    try:
        await asyncio.shield(serving)
    finally:
        renewing.cancel()
        server.should_exit = True
        await asyncio.wait([serving])


async def _renew(context: ssl.SSLContext | None, pair: tuple[Path, Path] | None) -> None:
    if context is None or pair is None:
        return
    seen = _stamps(pair)
    while True:
        await asyncio.sleep(_LOOK_EVERY_S)
        if (now := _stamps(pair)) == seen:
            continue
        try:
            context.load_cert_chain(*pair)
        except (OSError, ssl.SSLError) as error:
            # One of the two may have been written and the other not yet.
            _log.warning("certificate not taken", error=str(error))
            continue
        seen = now
        _log.info("certificate renewed")


def _stamps(pair: tuple[Path, Path]) -> list[int]:
    return [path.stat().st_mtime_ns if path.exists() else 0 for path in pair]
