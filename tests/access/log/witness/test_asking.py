from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from aliquot.access.log.checkpoints import with_cosignatures
from aliquot.access.log.storage import MemoryLogStore
from aliquot.access.log.witness.asking import Unwitnessed, ask
from aliquot.access.log.witness.request import asking
from aliquot.access.log.witness.server import serving
from tests.access.log.logs import WITNESS
from tests.access.log.witness.test_witness import note, store, witness


def prepared(found: MemoryLogStore, size: int) -> Callable[[int], Awaitable[bytes]]:
    async def prepare(old: int) -> bytes:
        return asking(found, note(found, size), old)

    return prepare


async def test_a_witness_is_asked_from_what_it_has_seen(tmp_path: Path) -> None:
    async with serving(witness(tmp_path), "127.0.0.1", 0) as port, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{port}/"
        for old, size in ((0, 2), (2, 5), (0, 7), (1, 7)):  # twice we remember otherwise than it does
            line = await ask(session, url, prepared(store(signed=[2, 5, 7]), size), old=old)
            assert with_cosignatures(note(store(), size), line, [WITNESS.public]).endswith(line)


async def test_a_log_that_was_cut_short_is_told(tmp_path: Path) -> None:
    async with serving(witness(tmp_path), "127.0.0.1", 0) as port, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{port}"
        await ask(session, url, prepared(store(), 7))
        with pytest.raises(Unwitnessed, match=r"has seen 7 entries: .* was the log cut short\?"):
            await ask(session, url, prepared(store(), 5))
        with pytest.raises(Unwitnessed, match="409: '7'"):
            await ask(session, url, prepared(store(forged=True), 7), old=7)


@asynccontextmanager
async def answering(status: int, body: bytes, kind: str = "text/plain") -> AsyncIterator[str]:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status, body=body, content_type=kind)

    application = web.Application()
    application.add_routes([web.post("/add-checkpoint", answer)])
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (500, b"broken\n", "text/plain", "500: 'broken'"),
        (302, b"", "text/plain", "302"),
        (409, b"0\n", "text/x.tlog.size", "409: '0'"),
        (409, b"-1\n", "text/x.tlog.size", "409: '-1'"),
        (409, b"9" * 30, "text/x.tlog.size", "409: '9999"),
        (200, b"\xff", "text/plain", "utf-8"),
        (200, b"x" * 70_000, "text/plain", "more than 65536"),
    ],
)
async def test_what_is_no_signature(status: int, body: bytes, kind: str, said: str) -> None:
    async with answering(status, body, kind) as url, aiohttp.ClientSession() as session:
        with pytest.raises(Unwitnessed, match=said):
            await ask(session, url, prepared(store(), 7))


async def test_a_witness_that_is_not_there() -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(Unwitnessed, match=r"http://127\.0\.0\.1:9: "):
            await ask(session, "http://127.0.0.1:9", prepared(store(), 7))
