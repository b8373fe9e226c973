"""HTTP for Prometheus and for kubelet's probes: `/metrics`, `/healthz` and `/readyz`, no more.

Where readiness has several conditions, `/readyz` names each as JSON, and a probe that is not to heed one says so, as of the API server:
`/readyz?exclude=database`. It excludes all whose names begin with that word.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from aiohttp import web

from aliquot.metrics.exposition import CONTENT_TYPE

_GRACE_S = 1.0
"""For scrapes under way at the end."""


WaitsFor = Callable[[], str | Mapping[str, str]]


def _conditions(reasons: Mapping[str, str], excluded: Sequence[str]) -> web.Response:
    heeded = {name for name in reasons if name.split()[0] not in excluded}
    is_ready = not any(reasons[name] for name in heeded)
    checks = {
        name: {"ok": not why}
        | ({"reason": why} if why else {})
        | ({} if name in heeded else {"excluded": True})
        for name, why in sorted(reasons.items())
    }
    return web.json_response({"ready": is_ready, "checks": checks}, status=200 if is_ready else 503)


@asynccontextmanager
async def serving(
    text: Callable[[], Awaitable[str]],
    address: str,
    port: int,
    *,
    waits_for: WaitsFor = lambda: "",
) -> AsyncIterator[int]:
    """Answers until left; yields the port, which may be asked for as 0. An empty address is every one of the machine.
    `waits_for`: what it is not ready for want of; empty: it is. Or each condition by its name, and why it does not hold.

    Raises OSError where it cannot listen.
    """

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=(await text()).encode(), headers={"Content-Type": CONTENT_TYPE})

    async def healthz(_request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def readyz(request: web.Request) -> web.Response:
        missing = waits_for()
        if not isinstance(missing, str):
            return _conditions(missing, request.query.getall("exclude", []))
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
