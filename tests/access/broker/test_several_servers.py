"""Several servers on one database: each effect is carried out once, whoever is asked, and what a server was doing that died is done by
another. Virtual time, on both databases."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec.structs import replace

from aliquot.access.broker.around import Outside
from aliquot.access.broker.broker import Broker, No
from aliquot.access.broker.carrying_out import CLAIM_S, LANES, CarryingOut
from aliquot.access.broker.leases import Lease
from aliquot.access.broker.timing import keep_time
from aliquot.access.broker.waking import Waking
from aliquot.access.core.life.effects import Notify
from aliquot.access.core.life.events import Activate, Return
from aliquot.access.core.life.grant import GrantSpec
from aliquot.access.core.life.life import Life
from aliquot.access.core.life.stages import Stage
from aliquot.access.core.requests import RANDOM_BYTES, new_id
from aliquot.access.store.database import Database
from aliquot.access.store.store import Store
from aliquot.clock import VirtualClock, VirtualTimeLoop
from tests.access.broker.world import CLUSTER, PEEK, Clusters, Others, caller
from tests.access.life.scenery import PEEK as PEEK_TEMPLATE
from tests.access.life.scenery import person, policy_of

GENEROUS = replace(PEEK_TEMPLATE, most_per_person=50, most_at_once=50, cool_down_s=0)


class Died(Exception):
    """A process, at an await."""


@dataclass
class Death:
    """After so many awaits of what others see; None: never."""

    at: int | None = None
    awaits: int = 0
    dead: asyncio.Event = field(default_factory=asyncio.Event)

    async def may_come(self) -> None:
        if not self.dead.is_set():
            self.awaits += 1
            if self.awaits == self.at:
                self.dead.set()
        if self.dead.is_set():
            # Of a dead process nothing is heard any more, not even that it let go.
            raise Died


class MortalStore(Store):
    def __init__(self, database: Database, death: Death, rng: random.Random) -> None:
        super().__init__(database, clock=VirtualClock(), salt=rng.randbytes, threads=False)
        self._death = death

    async def read(self, work: Callable[..., Any]) -> Any:
        await self._death.may_come()
        found = await super().read(work)
        await asyncio.sleep(0.001)
        return found

    async def write(self, work: Callable[..., Any]) -> Any:
        await self._death.may_come()
        found = await super().write(work)
        await asyncio.sleep(0.001)
        await self._death.may_come()
        return found


Done = Counter[tuple[str, ...]]
"""What was carried out, and by which server."""


class CountedClusters(Clusters):
    def __init__(
        self, name: str, done: Done, death: Death, made: dict[str, GrantSpec], slowness: Callable[[], float]
    ) -> None:
        super().__init__(made=made)
        self._name, self._done, self._death, self._slowness = name, done, death, slowness

    async def make(self, spec: GrantSpec, fence: int) -> None:
        await self._do("make", spec.id, str(fence))
        self.made[spec.id] = spec

    async def remove(self, grant: str, namespace: str, fence: int) -> None:
        await self._do("remove", grant, str(fence))
        self.made.pop(grant, None)

    async def _do(self, *what: str) -> None:
        self._done[self._name, *what] += 1
        await asyncio.sleep(self._slowness())
        await self._death.may_come()


class CountedOthers(Others):
    def __init__(self, name: str, done: Done, death: Death) -> None:
        super().__init__(policy=policy_of([GENEROUS]))
        self._name, self._done, self._death = name, done, death

    async def notify(self, news: Notify, life: Life) -> None:
        self._done[self._name, "tell", life.id, news.news.value, *news.to] += 1
        await asyncio.sleep(0.1)
        await self._death.may_come()


class Server:
    """A process. It may die."""

    def __init__(
        self,
        database: Database,
        name: str,
        done: Done,
        made: dict[str, GrantSpec],
        *,
        rng: random.Random,
        dies_at: int | None = None,
        slowness: Callable[[], float] = lambda: 0.5,
        alone: bool = False,
    ) -> None:
        self.death = Death(dies_at)
        self.store = MortalStore(database, self.death, rng)
        others = CountedOthers(name, done, self.death)
        clusters = CountedClusters(name, done, self.death, made, slowness)
        outside = Outside(
            policies=others, people=others, tickets=others, notifier=others, agents={CLUSTER: clusters}
        )
        waking = Waking()
        self.broker = Broker(self.store, outside, waking=waking, random_bytes=rng.randbytes)
        self._carrying_out = CarryingOut(
            self.store, self.broker, outside, owner=name, waking=waking, rng=rng, alone=alone
        )
        self._owner = name
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._carrying_out.run())
                tasks.create_task(keep_time(self.broker, self.store, self._owner))
        except* Died:
            pass

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    database.prepare()
    yield database
    database.close()


def on_virtual_time(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())


class Installation:
    """Servers on one database, and people who ask whichever of them answers."""

    def __init__(self, database: Database, seed: int) -> None:
        self._database = database
        self.rng = random.Random(seed)
        self.done: Done = Counter()
        self.made: dict[str, GrantSpec] = {}
        self.servers: dict[str, Server] = {}
        self.seen = Store(database, clock=VirtualClock(), threads=False)

    def start(self, name: str, **more: Any) -> Server:
        server = Server(self._database, name, self.done, self.made, rng=self.rng, **more)
        self.servers[name] = server
        server.start()
        return server

    async def stop(self) -> None:
        for server in self.servers.values():
            await server.stop()

    async def a_grant(self, number: int) -> None:
        new = new_id(VirtualClock().now(), number.to_bytes(RANDOM_BYTES))
        await asyncio.sleep(self.rng.random() * 20)
        await self._try(lambda broker: broker.ask(PEEK, caller("dev"), request_id=new))
        await self._try(lambda broker: broker.put(new, Activate(by=person("dev")), caller("dev")))
        await self._until(new, Stage.ACTIVE)
        assert new in self.made
        await asyncio.sleep(self.rng.random() * 20)
        await self._try(lambda broker: broker.put(new, Return(by=person("dev")), caller("dev")))
        await self._until(new, Stage.ENDED)

    async def _try(self, what: Callable[[Broker], Awaitable[Life]]) -> None:
        for server in self.rng.sample(list(self.servers.values()), len(self.servers)):
            try:
                await what(server.broker)
            except Died:
                continue
            except No:
                # It was done before the server died that was asked first.
                pass
            return
        raise AssertionError("all are dead")

    async def _until(self, life_id: str, stage: Stage) -> None:
        async with asyncio.timeout(900):
            while True:
                life = await self.seen.read(lambda tx: tx.life(life_id))
                if life is not None and life.stage is stage:
                    return
                await asyncio.sleep(0.5)

    def by(self) -> dict[tuple[str, ...], Counter[str]]:
        found: dict[tuple[str, ...], Counter[str]] = {}
        for (server, *what), times in self.done.items():
            found.setdefault(tuple(what), Counter())[server] += times
        return found


def test_each_effect_is_carried_out_once_however_long_it_takes(database: Database) -> None:
    async def main() -> None:
        here = Installation(database, 1)
        slow = lambda: here.rng.choice((0.1, 3.0, CLAIM_S * 1.5))  # noqa: E731
        for name in "ab":
            here.start(name, slowness=slow)
        await asyncio.gather(*(here.a_grant(number) for number in range(6)))
        await asyncio.sleep(60)
        await here.stop()
        assert not here.made
        found = here.by()
        assert sum(what[0] == "make" for what in found) == 6
        assert sum(what[0] == "remove" for what in found) == 6
        assert any(what[0] == "tell" for what in found)
        assert {what: by for what, by in found.items() if by.total() != 1} == {}
        assert {server for by in found.values() for server in by} == {"a", "b"}

    on_virtual_time(main)


@pytest.mark.parametrize("seed", range(4))
def test_what_a_server_was_doing_that_died_is_done_by_another(database: Database, seed: int) -> None:
    async def main() -> None:
        here = Installation(database, seed)
        dies_at = here.rng.randrange(5, 250)
        mortal = here.start("mortal", dies_at=dies_at)
        here.start("other")
        await asyncio.gather(*(here.a_grant(number) for number in range(4)))
        await asyncio.sleep(60)
        await here.stop()
        assert mortal.death.dead.is_set()
        assert not here.made
        left = await here.seen.read(lambda tx: tx.queued([kind for lane in LANES for kind in lane], most=10))
        assert left == ()
        for what, by in here.by().items():
            # Once, or once more what the dead one had not told of.
            assert by["mortal"] <= 1, what
            assert by["other"] <= 1, what

    on_virtual_time(main)


def test_a_server_that_is_stopped_leaves_nothing_for_others_to_wait_for(database: Database) -> None:
    async def main() -> None:
        here = Installation(database, 3)
        first = here.start("first", slowness=lambda: 3600.0)
        new = new_id(VirtualClock().now(), bytes(RANDOM_BYTES))
        await first.broker.ask(PEEK, caller("dev"), request_id=new)
        await first.broker.put(new, Activate(by=person("dev")), caller("dev"))
        await asyncio.sleep(5)
        assert not here.made
        await first.stop()
        here.start("second", slowness=lambda: 0.0)
        await asyncio.sleep(2)
        assert new in here.made
        await here.stop()

    on_virtual_time(main)


@pytest.mark.parametrize(("alone", "made"), [(True, True), (False, False)])
def test_what_the_only_server_was_doing_that_died_is_taken_over_at_once(
    database: Database, alone: bool, made: bool
) -> None:
    async def main() -> None:
        here = Installation(database, 3)
        first = here.start("first", slowness=lambda: 3600.0)
        new = new_id(VirtualClock().now(), bytes(RANDOM_BYTES))
        await first.broker.ask(PEEK, caller("dev"), request_id=new)
        await first.broker.put(new, Activate(by=person("dev")), caller("dev"))
        await asyncio.sleep(5)
        first.death.dead.set()
        await first.stop()
        here.start("second", slowness=lambda: 0.0, alone=alone)
        await asyncio.sleep(2)
        assert (new in here.made) is made
        await asyncio.sleep(CLAIM_S)
        assert new in here.made
        await here.stop()

    on_virtual_time(main)


def test_one_server_at_a_time_looks_at_all_that_is_open(database: Database) -> None:
    async def main() -> None:
        stores = [Store(database, clock=VirtualClock(), threads=False) for _ in range(2)]
        first, second = (
            Lease(store, "looking", name, for_s=90.0) for store, name in zip(stores, "ab", strict=True)
        )
        assert await first.is_mine()
        assert not await second.is_mine()
        await asyncio.sleep(60)
        assert await first.is_mine()
        await asyncio.sleep(60)
        assert not await second.is_mine()
        await asyncio.sleep(31)
        assert await second.is_mine()
        assert not await first.is_mine()

    on_virtual_time(main)
