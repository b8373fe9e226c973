"""HTTP for Prometheus and for kubelet's probes: `/metrics`, `/healthz` and `/readyz`, no more."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from aliquot.metrics.exposition import CONTENT_TYPE

_GRACE_S = 1.0
"""For scrapes under way at the end."""


@asynccontextmanager
async def serving(
    text: Callable[[], Awaitable[str]],
    address: str,
    port: int,
    *,
    waits_for: Callable[[], str] = lambda: "",
) -> AsyncIterator[int]:
    """Answers until left; yields the port, which may be asked for as 0. An empty address is every one of the machine.
    `waits_for`: what it is not ready for want of; empty: it is.

    Raises OSError where it cannot listen.
    """

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=(await text()).encode(), headers={"Content-Type": CONTENT_TYPE})

    async def healthz(_request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def readyz(_request: web.Request) -> web.Response:
        missing = waits_for()
        return web.Response(status=503, text=f"not ready: {missing}") if missing else web.Response(text="ok")

    application = web.Application()
    application.add_routes(
        [web.get("/metrics", metrics), web.get("/healthz", healthz), web.get("/readyz", readyz)]
    )
    runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=_GRACE_S)
    await runner.setup()
    try:
        site = web.TCPSite(runner, address or None, port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
