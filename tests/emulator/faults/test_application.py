"""Faults as clients meet them: in memory on virtual time, and over real sockets."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from aliquot.clock import SystemClock, VirtualClock, VirtualTimeLoop
from aliquot.emulator.app import ApiServer
from aliquot.emulator.certificates import Authority
from aliquot.emulator.faults import (
    Conditions,
    Cut,
    Error,
    FaultyApplication,
    Rule,
    SteppedClock,
    WatchFault,
)
from aliquot.emulator.server import HttpsServer
from aliquot.emulator.storage.store import Store
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.transport import Request, TransportError
from tests.emulator.api import CONFIGS, Lines, config
from tests.emulator.http.test_https import session_of


class World:
    def __init__(self) -> None:
        self.clock = SteppedClock(VirtualClock())
        self.store = Store()
        self.api = ApiServer(self.store, clock=self.clock, rng=random.Random(1))
        self.faults = FaultyApplication(self.api.app, rng=random.Random(1), who=self.api.user_of)
        self.conditions = Conditions(self.store, self.clock)
        self.transports: dict[str, AsgiTransport] = {}

    async def send(
        self, method: str, path: str, body: bytes = b"", *, user: str = "ada", **query: str
    ) -> tuple[int, dict[str, str], bytes]:
        response = await self._transport(user).send(Request(method, path, query, {}, body, 600.0))
        return response.status, dict(response.headers), await response.read()

    async def watch(self, **query: str) -> Lines:
        request = Request("GET", CONFIGS, {"watch": "1", **query}, {}, b"", 600.0)
        return Lines(await self._transport("ada").send(request))

    def _transport(self, user: str) -> AsgiTransport:
        if user not in self.transports:
            self.transports[user] = AsgiTransport(self.faults, user, ["system:masters"])
        return self.transports[user]

    async def create(self, name: str) -> int:
        import msgspec

        return (await self.send("POST", CONFIGS, msgspec.json.encode(config(name))))[0]

    def now_s(self) -> float:
        return asyncio.get_running_loop().time()


def in_world(main: Callable[[World], Awaitable[None]]) -> None:
    async def run() -> None:
        world = World()
        await world.api.start()
        await main(world)
        world.api.stop()
        for transport in world.transports.values():
            await transport.close()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())


def test_no_rules_no_faults() -> None:
    async def main(world: World) -> None:
        assert await world.create("a") == 201
        assert world.now_s() == 0

    in_world(main)


def test_latency_and_errors_for_some() -> None:
    async def main(world: World) -> None:
        world.faults.set_rules(
            Rule(verbs=("list",), delay_seconds=5),
            Rule(users=("eve",), times=1, error=Error(status=429, retry_after_seconds=7, message="not now")),
        )
        assert (await world.send("GET", CONFIGS))[0] == 200
        assert world.now_s() == 5
        status, headers, body = await world.send("GET", "/api/v1/nodes/n", user="eve")
        assert (status, headers["retry-after"]) == (429, "7")
        assert b'"reason":"TooManyRequests"' in body
        assert b'"retryAfterSeconds":7' in body
        assert (await world.send("GET", "/api/v1/nodes/n", user="eve"))[0] == 404

    in_world(main)


@pytest.mark.parametrize(
    ("cut", "written"), [(Cut.REQUEST, False), (Cut.ANSWER, True), (Cut.MIDDLE, True)], ids=str
)
def test_connections_are_cut(cut: Cut, written: bool) -> None:
    async def main(world: World) -> None:
        world.faults.set_rules(Rule(cut=cut, times=1))
        with pytest.raises(TransportError):
            await world.create("a")
        assert (await world.send("GET", f"{CONFIGS}/a"))[0] == (200 if written else 404)

    in_world(main)


def test_a_watch_is_dropped_after_some_events() -> None:
    async def main(world: World) -> None:
        world.faults.set_rules(Rule(watch=WatchFault(cut_after=3), times=1))
        for name in "abcd":
            await world.create(name)
        watch = await world.watch()
        assert await watch.take(3) == [("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c")]
        with pytest.raises(TransportError):
            await watch.next()
        assert len(await (await world.watch()).take(4)) == 4

    in_world(main)


def test_a_watch_that_stalls_stays_open() -> None:
    async def main(world: World) -> None:
        world.faults.set_rules(Rule(watch=WatchFault(stall_after=1)))
        watch = await world.watch(timeoutSeconds="30")
        await world.create("a")
        assert await watch.take(1) == [("ADDED", "a")]
        await world.create("b")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                await watch.next()
        await watch.close()
        await asyncio.sleep(1)
        assert not world.store._resource("configmaps").log.watchers

    in_world(main)


def test_a_watch_that_lags_loses_nothing() -> None:
    async def main(world: World) -> None:
        world.faults.set_rules(Rule(watch=WatchFault(lag_seconds=10)))
        watch = await world.watch()
        for name in "abc":
            await world.create(name)
            await asyncio.sleep(1)
        assert await watch.take(1) == [("ADDED", "a")]
        assert world.now_s() == 10
        assert await watch.take(2) == [("ADDED", "b"), ("ADDED", "c")]
        assert world.now_s() == 20

    in_world(main)


def test_a_full_disk_refuses_writes_alone() -> None:
    async def main(world: World) -> None:
        await world.create("a")
        revision = world.store.revision
        world.conditions.fill_disk()
        assert await world.create("b") >= 500
        assert (await world.send("GET", f"{CONFIGS}/a"))[0] == 200
        world.conditions.free_disk()
        assert await world.create("b") == 201
        assert world.store.revision == revision + 1

    in_world(main)


def test_history_is_forgotten_on_demand() -> None:
    async def main(world: World) -> None:
        await world.create("a")
        before = world.store.revision
        open_watch = await world.watch(resourceVersion=str(before))
        await world.create("b")
        assert await open_watch.take(1) == [("ADDED", "b")]
        world.conditions.forget_history()
        await world.create("c")
        assert await open_watch.take(1) == [("ADDED", "c")]
        (event,) = await (await world.watch(resourceVersion=str(before))).rest()
        assert (event["type"], event["object"]["code"]) == ("ERROR", 410)
        page = await world.send("GET", CONFIGS, resourceVersion=str(before), resourceVersionMatch="Exact")
        assert page[0] == 410

    in_world(main)


def test_the_clock_is_stepped() -> None:
    async def main(world: World) -> None:
        true = world.clock.now()
        world.conditions.set_clock(-3600)
        assert world.clock.now() == true - 3600
        world.conditions.set_clock(0)
        assert world.clock.now() == true

    in_world(main)


@pytest.mark.parametrize("cut", list(Cut), ids=str)
async def test_real_connections_are_cut(tmp_path: Path, cut: Cut) -> None:
    authority = Authority(tmp_path / "pki", clock=SystemClock())
    api = ApiServer(
        Store(), clock=SystemClock(), rng=random.Random(1), client_authority=authority.for_clients
    )
    await api.start()
    faults = FaultyApplication(api.app, rng=random.Random(1), who=api.user_of)
    pair = authority.client("ada", ["system:masters"])
    async with (
        HttpsServer(api, authority, app=faults) as server,
        session_of(server.url, authority.certificate, tmp_path, pair) as session,
    ):
        faults.set_rules(Rule(users=("ada",), verbs=("create",), cut=cut))
        with pytest.raises(aiohttp.ClientError):
            async with session.post(CONFIGS, json=config("a")) as response:
                await response.read()
        async with session.get(f"{CONFIGS}/a") as response:
            assert response.status == (404 if cut is Cut.REQUEST else 200)
        faults.set_rules(Rule(verbs=("watch",), watch=WatchFault(cut_after=1)))
        with pytest.raises(aiohttp.ClientError):
            async with session.get("/api/v1/namespaces?watch=1") as response:
                await response.read()
