"""Whoever drives upgrades may die at any write, hear nothing of it, or see the past: it is carried on, and no limit is exceeded."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable

import pytest

from aliquot.emulator.faults import Cut, FaultyApplication, Rule, WatchFault
from aliquot.kube.api.core import Node
from aliquot.kube.resources import PODS
from aliquot.kube.transport import Request, Response, Transport, TransportError
from aliquot.operator.core.upgrade.states import STATE_LABEL, UNDER_WAY, state_of
from tests.operator.cluster import simulate
from tests.operator.machines import GPU
from tests.operator.upgrading.fleet import NEW, Fleet, fleet
from tests.operator.world import Gate

LIMITED = {"canary": {"nodes": 0}, "maxParallel": 2, "maxUnavailable": 2}


class Fuse:
    """Burns at a write, the first, second, ...; either it is not sent, or nobody hears what came of it. Events count for nothing."""

    def __init__(self, inner: Transport, burn: Callable[[], None], number: int, *, sent: bool) -> None:
        self._inner = inner
        self._burn = burn
        self._number = number
        self._sent = sent
        self._writes = 0

    async def send(self, request: Request) -> Response:
        if request.method == "GET" or "/events" in request.path:
            return await self._inner.send(request)
        self._writes += 1
        if self._writes >= self._number and not self._sent:
            self._burn()
            raise TransportError("its process is dead", delivered=False)
        answer = await self._inner.send(request)
        if self._writes >= self._number:
            self._burn()
            await asyncio.sleep(0)
        return answer

    async def close(self) -> None:
        await self._inner.close()


@pytest.mark.parametrize("sent", [True, False], ids=["after it", "before it"])
def test_killed_at_every_write(sent: bool) -> None:
    async def scenario() -> None:
        async with fleet("a b", upgrade=LIMITED) as here:
            await here.replicas("job", 2, annotations={"aliquot.dev/checkpoint-on-request": "true"})
            await here.until(lambda: here.where("job") == ["a", "b"])
            limits = Most(here)
            await here.policy(NEW, upgrade={**LIMITED, "maxParallel": 1, "checkpoint": {"timeout": "20s"}})
            deaths = 0
            while not here.are("upgrade-done"):
                died = asyncio.Event()
                # Who evicts a pod, and dies before it says so, does it again: now and then it is said.
                number = 1 if sent else 2 + deaths % 2
                client = here.cluster.operator(
                    dress=lambda inner, died=died, number=number: Fuse(inner, died.set, number, sent=sent)
                )
                task = asyncio.create_task(here.run(client))
                waits = asyncio.create_task(died.wait())
                # It may also be that there is nothing left to be written.
                await asyncio.wait((task, waits), timeout=90, return_when=asyncio.FIRST_COMPLETED)
                deaths += died.is_set()
                for one in (task, waits):
                    one.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await one
                assert deaths < 300
                await asyncio.sleep(1)
            assert deaths > 10
            assert limits.seen == 1
            assert here.drivers() == {"a": NEW, "b": NEW}
            assert here.cordoned() == here.paused() == []
            await here.until(lambda: len(here.where("job")) == 2)

    simulate(scenario)


class Most:
    """The most nodes that were under way at the same time."""

    def __init__(self, here: Fleet) -> None:
        self.seen = 0
        self._under_way: set[str] = set()
        here.cluster.nodes.subscribe(self._look)

    def _look(self, old: Node | None, new: Node | None) -> None:
        if new is None:
            return
        if state_of((new.metadata.labels or {}).get(STATE_LABEL, "")) in UNDER_WAY:
            self._under_way.add(new.metadata.name)
        else:
            self._under_way.discard(new.metadata.name)
        self.seen = max(self.seen, len(self._under_way))


@pytest.mark.parametrize(
    "rules",
    [
        (Rule(watch=WatchFault(lag_seconds=8.0)),),
        (Rule(verbs=("patch",), resources=("nodes",), cut=Cut.ANSWER, probability=0.7),),
        (Rule(verbs=("patch",), resources=("nodes",), cut=Cut.MIDDLE, probability=0.5), Rule(watch=WatchFault(lag_seconds=5.0))),
        (Rule(verbs=("patch",), resources=("nodes",), delay_seconds=25.0, jitter_seconds=15.0, probability=0.2),),
    ],
    ids=["it sees the past", "answers are lost", "both", "answers come too late"],
)  # fmt: skip
def test_no_limit_is_exceeded_whatever_is_not_heard(rules: tuple[Rule, ...]) -> None:
    async def scenario() -> None:
        async with fleet("a b c d e f", upgrade=LIMITED) as here:
            limits = Most(here)
            app = FaultyApplication(here.cluster.api.app, rng=random.Random(1))
            app.set_rules(*rules)
            async with here.upgrading(here.cluster.operator(app=app)):
                await here.policy(NEW, upgrade=LIMITED)
                await here.until(lambda: here.are("upgrade-done"), within_s=7200)
            assert limits.seen == 2
            assert here.cordoned() == here.paused() == []

    simulate(scenario)


async def hold(here: Fleet, node: str) -> None:
    """A pod that does not heed cordons: now the node is one of those that go last."""
    limits = {"resources": {"limits": {GPU: "1"}}}
    pod = {"nodeName": node, "containers": [{"name": "c", "image": "i", **limits}]}
    await here.cluster.admin.create(PODS, {"metadata": {"name": "p", "namespace": "default"}, "spec": pod})


def test_who_does_not_see_its_own_start_yet_lets_nobody_start_in_its_place() -> None:
    async def scenario() -> None:
        one_at_a_time = {**LIMITED, "maxParallel": 1, "eviction": {"force": True}}
        async with fleet("a b c", upgrade=one_at_a_time) as here:
            limits = Most(here)
            app = FaultyApplication(here.cluster.api.app, rng=random.Random(1))
            app.set_rules(Rule(resources=("nodes",), watch=WatchFault(lag_seconds=20.0)))
            async with here.upgrading(here.cluster.operator(app=app)):
                await here.policy(NEW, upgrade=one_at_a_time)
                await here.until(lambda: not here.are("") and not here.are("upgrade-required"))
                await hold(here, "a")
                await here.until(lambda: here.are("upgrade-done"))
            assert limits.seen == 1

    simulate(scenario)


def test_another_that_takes_over_knows_of_a_start_that_it_has_not_seen() -> None:
    async def scenario() -> None:
        at_one = [{"schedule": "0 1 * * *", "duration": "5h"}]
        upgrade = {**LIMITED, "maxParallel": 1, "eviction": {"force": True}, "windows": at_one}
        async with fleet("a b c", upgrade=upgrade) as here:
            limits = Most(here)
            app = FaultyApplication(here.cluster.api.app, rng=random.Random(1))
            app.set_rules(Rule(resources=("nodes",), watch=WatchFault(lag_seconds=20.0)))
            leads = asyncio.Event()
            # It follows, far behind.
            follower = asyncio.create_task(here.run(here.cluster.operator(app=app), leads=leads))
            async with here.upgrading():
                await here.policy(NEW, upgrade=upgrade)
                await here.until(lambda: here.states()["a"] == "pod-restart-required", within_s=2 * 3600)
            await hold(here, "a")
            leads.set()
            await here.until(lambda: here.are("upgrade-done"))
            assert limits.seen == 1
            follower.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await follower

    simulate(scenario)


class Meddling:
    """Somebody is a moment earlier than a write."""

    def __init__(self, inner: Transport, what: bytes, meddle: Callable[[], Awaitable[None]]) -> None:
        self._inner = inner
        self._what = what
        self._meddle: Callable[[], Awaitable[None]] | None = meddle

    async def send(self, request: Request) -> Response:
        if self._meddle is not None and request.method == "PATCH" and self._what in request.body:
            meddle, self._meddle = self._meddle, None
            await meddle()
        return await self._inner.send(request)

    async def close(self) -> None:
        await self._inner.close()


def test_a_cordon_of_a_user_in_the_very_moment_of_ours_stays_theirs() -> None:
    async def scenario() -> None:
        async with fleet("a b") as here:
            client = here.cluster.operator(
                dress=lambda inner: Meddling(inner, b'"unschedulable":true', lambda: here.cordon("a"))
            )
            async with here.upgrading(client):
                await here.policy(NEW, upgrade={**LIMITED, "maxParallel": 1})
                await here.until(lambda: here.are("upgrade-done"))
            assert here.cordoned() == ["a"]

    simulate(scenario)


@pytest.mark.parametrize("state", ["pod-restart-required", "validation-required"])
def test_an_api_server_that_is_gone_for_ten_minutes_in_the_midst_of_a_roll(state: str) -> None:
    async def scenario() -> None:
        async with fleet("a b c d", upgrade=LIMITED) as here:
            limits = Most(here)
            gates: list[Gate] = []

            def dress(inner: Transport) -> Transport:
                gates.append(Gate(inner))
                return gates[-1]

            async with here.upgrading(here.cluster.operator(dress=dress)):
                await here.policy(NEW, upgrade=LIMITED)
                await here.until(lambda: state in here.states().values())
                for gate in gates:
                    gate.is_shut = True
                before = here.states()
                await asyncio.sleep(600)
                assert here.states() == before
                for gate in gates:
                    gate.is_shut = False
                await here.until(lambda: here.are("upgrade-done"), within_s=1800)
            assert limits.seen == 2
            assert here.drivers() == dict.fromkeys("abcd", NEW)
            assert here.cordoned() == here.paused() == []

    simulate(scenario)
