"""The fake on a port of its own, with moto behind it, on a clock that a test moves."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

import pytest
import uvicorn

from aliquot.eks.fake.moto import Moto
from aliquot.eks.fake.server import FakeEks
from aliquot.eks.fake.service import Service
from tests.eks.fake.worlds import START_S

REGION = "eu-west-1"


class Clocked:
    now_s = START_S

    def __call__(self) -> float:
        return self.now_s


@cache
def _started() -> Moto:
    """It takes seconds to start: one serves all tests of a process, in a thread of its own."""
    moto = Moto(REGION)
    begun, over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with moto:
            begun.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))

    def end() -> None:
        over.set()
        thread.join(30)

    thread.start()
    # Before the interpreter waits for its threads.
    threading._register_atexit(end)  # type: ignore[attr-defined]
    assert begun.wait(60), "moto does not start"
    return moto


@asynccontextmanager
async def emptied_moto() -> AsyncIterator[Moto]:
    """A moto that has nothing of those who used it before. One at a time."""
    moto = await asyncio.to_thread(_started)
    status, _, _ = await moto.forward("POST", "/moto-api/reset", [], b"")
    assert status == 200
    yield moto


@asynccontextmanager
async def served(service: Service, clock: Clocked) -> AsyncIterator[str]:
    async with emptied_moto() as moto:
        config = uvicorn.Config(FakeEks(service, moto, clock), port=0, log_level="error", lifespan="off")
        server = uvicorn.Server(config)
        sockets = [config.bind_socket()]
        task = asyncio.create_task(server.serve(sockets))
        try:
            yield f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
