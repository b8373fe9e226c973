"""A witness over HTTP: `POST /add-checkpoint`. What comes in is signed and what goes out is, so nobody needs to prove who they are."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from aiohttp import web

from aliquot.access.log.witness.judging import Refused
from aliquot.access.log.witness.record import Damaged
from aliquot.access.log.witness.request import MOST_REQUEST_BYTES
from aliquot.access.log.witness.witness import Witness

_GRACE_S = 1.0
"""For requests under way at the end."""
_log = structlog.get_logger()


def application(witness: Witness) -> web.Application:
    async def add_checkpoint(request: web.Request) -> web.Response:
        body = await request.read()
        try:
            # It waits for the disk, and for other processes.
            return web.Response(text=await asyncio.to_thread(witness.add_checkpoint, body))
        except Refused as refused:
            _log.warning("refused", status=refused.status, why=str(refused))
            if refused.size is not None:
                return web.Response(
                    status=refused.status, body=b"%d\n" % refused.size, content_type="text/x.tlog.size"
                )
            return web.Response(status=refused.status, text=f"{refused}\n")
        except (Damaged, OSError) as error:
            _log.error("nothing is signed that cannot be remembered", why=str(error))
            return web.Response(status=500, text="the witness cannot remember what it signs\n")

    made = web.Application(client_max_size=MOST_REQUEST_BYTES)
    made.add_routes([web.post("/add-checkpoint", add_checkpoint)])
    return made


@asynccontextmanager
async def serving(witness: Witness, address: str, port: int) -> AsyncIterator[int]:
    """Answers until left; yields the port, which may be asked for as 0. Raises OSError where it cannot listen."""
    runner = web.AppRunner(
        application(witness), access_log=None, handle_signals=False, shutdown_timeout=_GRACE_S
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, address, port).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
