import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from aliquot.emulator.app import ApiServer
from aliquot.emulator.http.in_flight import LimitedApplication, Limits
from aliquot.emulator.storage.store import Store
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.transport import Request
from tests.emulator.api import CONFIGS, FixedClock

LIMITS = Limits(reads=3, writes=2, watches=2)


class Server:
    """Requests of those who are not administrators hang until `released`."""

    def __init__(self) -> None:
        self.api = ApiServer(Store(), clock=FixedClock(), rng=random.Random(1))
        self.released = asyncio.Event()
        self.entered = asyncio.Semaphore(0)
        limited = LimitedApplication(self._app, LIMITS, is_administrator=self.api.is_administrator)
        self.transports = {
            "eve": AsgiTransport(limited, "eve"),
            "admin": AsgiTransport(limited, "admin", ["system:masters"]),
        }

    async def _app(self, scope: object, receive: object, send: object) -> None:
        self.entered.release()
        await self.released.wait()
        await self.api.app(scope, receive, send)  # type: ignore[arg-type]

    async def have_entered(self, count: int) -> None:
        """So many more."""
        for _ in range(count):
            await self.entered.acquire()

    def begin(self, method: str, user: str = "eve", **query: str) -> "asyncio.Task[tuple[int, str]]":
        async def send() -> tuple[int, str]:
            request = Request(method, CONFIGS, query, {}, b"{}", 20.0)
            response = await self.transports[user].send(request)
            if query and response.status == 200:
                await response.close()
                return 200, ""
            body = await response.read()
            return response.status, response.headers.get("retry-after", "") + " " + body.decode()

        return asyncio.create_task(send())


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    await made.api.start()
    yield made
    made.released.set()
    made.api.stop()
    for transport in made.transports.values():
        await transport.close()


@pytest.mark.parametrize(
    ("method", "query", "most"), [("GET", {}, 3), ("POST", {}, 2), ("GET", {"watch": "1"}, 2)]
)
async def test_what_is_too_many_is_asked_to_come_again(
    server: Server, method: str, query: dict[str, str], most: int
) -> None:
    waiting = [server.begin(method, **query) for _ in range(most)]
    await server.have_entered(most)
    assert await server.begin(method, **query) == (429, "1 Too many requests, please try again later.\n")
    other = server.begin("POST" if method == "GET" else "GET")
    await server.have_entered(1)
    server.released.set()
    assert {(await task)[0] for task in [*waiting, other]} == {403}
    assert (await server.begin(method, **query))[0] == 403


async def test_administrators_get_in_but_not_for_ever(server: Server) -> None:
    held = [server.begin("GET") for _ in range(LIMITS.reads)]
    held += [server.begin("GET", watch="1") for _ in range(LIMITS.watches)]
    await server.have_entered(LIMITS.reads + LIMITS.watches)
    listed = server.begin("GET", user="admin")
    await server.have_entered(1)
    assert (await server.begin("GET", user="admin", watch="1"))[0] == 429
    server.released.set()
    assert (await listed)[0] == 200
    assert {(await task)[0] for task in held} == {403}
