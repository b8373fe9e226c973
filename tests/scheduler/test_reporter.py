"""Telling why a pod waits: the last word is what stands, each is written once."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable

from aliquot.kube.api.core import Pod
from aliquot.kube.cache import Cache
from aliquot.kube.events import Recorder
from aliquot.kube.resources import PODS
from aliquot.scheduler.reporter import HOLD_S, Notice, Reporter
from tests.scheduler.fake_api import World, simulate
from tests.scheduler.running import pod


class Teller:
    """Says things of the pod `p`."""

    def __init__(self, world: World, may_write: Callable[[], bool]) -> None:
        client = world.client()
        self._uid = world.api.put("pods", pod("p"))["metadata"]["uid"]
        self.pods = Cache(client, PODS, Pod)
        self.recorder = Recorder(client, "aliquot-scheduler")
        self.reporter = Reporter(
            client,
            clock=world.clock,
            rng=random.Random(0),
            pods=self.pods,
            recorder=self.recorder,
            may_write=may_write,
        )

    def tell(self, message: str) -> None:
        self.reporter.tell("default/p", Notice(self._uid, "Unschedulable", message))


@contextlib.asynccontextmanager
async def telling(world: World, may_write: Callable[[], bool] = lambda: True) -> AsyncIterator[Teller]:
    one = Teller(world, may_write)
    tasks = [asyncio.create_task(part.run()) for part in (one.pods, one.recorder)]
    await one.pods.synced()
    try:
        async with leading(one):
            yield one
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def leading(one: Teller) -> AsyncIterator[None]:
    """The reporter runs, until left."""
    task = asyncio.create_task(one.reporter.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def test_the_last_word_stands_though_the_cache_lags() -> None:
    async def scenario(world: World) -> None:
        async with telling(world) as one:
            one.tell("full")
            await asyncio.sleep(1)
            world.api.watching.clear()
            for message in ("cordoned", "full"):
                one.tell(message)
                await asyncio.sleep(1)
                assert world.api.condition("p") == ("False", "Unschedulable", message)

    simulate(scenario)


def test_the_time_of_transition_is_kept_while_the_status_is() -> None:
    async def scenario(world: World) -> None:
        times = []
        async with telling(world) as one:
            for message in ("full", "cordoned"):
                one.tell(message)
                await asyncio.sleep(10)
                times.append(world.api.pod("p")["status"]["conditions"][0]["lastTransitionTime"])
        assert times[0] == times[1]

    simulate(scenario)


def test_a_pod_that_is_placed_soon_was_told_nothing() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        async with telling(world) as one:
            for present in (1, 2, 3):
                one.tell(f"{present} of the 4 pods exist")
                await asyncio.sleep(HOLD_S / 4)
            one.reporter.forget("default/p")
            await asyncio.sleep(10)
            assert api.writes == []
            # One that waits on is told the last of it, and from then on at once.
            for present in (1, 2, 3):
                one.tell(f"{present} of the 4 pods exist")
            await asyncio.sleep(2 * HOLD_S)
            assert api.condition("p")[2] == "3 of the 4 pods exist"
            one.tell("full")
            await asyncio.sleep(0.01)
            assert api.condition("p")[2] == "full"
            assert api.events("FailedScheduling") == ["3 of the 4 pods exist", "full"]

    simulate(scenario)


def test_who_does_not_lead_any_more_says_nothing_until_it_leads_again() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        leads = False
        async with telling(world, lambda: leads) as one:
            one.tell("full")
            await asyncio.sleep(10)
            assert not [path for method, path in api.writes if method == "PATCH"]
        leads = True
        async with leading(one):
            await asyncio.sleep(10)
            assert api.condition("p") == ("False", "Unschedulable", "full")

    simulate(scenario)
