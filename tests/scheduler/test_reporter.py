"""Telling why a pod waits: the last word is what stands, each is written once."""

import asyncio
import random

from aliquot.kube.api.core import Pod
from aliquot.kube.cache import Cache
from aliquot.kube.events import Recorder
from aliquot.kube.resources import PODS
from aliquot.scheduler.reporter import HOLD_S, Notice, Reporter
from tests.scheduler.fake_api import World, simulate
from tests.scheduler.running import pod


def test_the_last_word_stands_though_the_cache_lags() -> None:
    async def scenario(world: World) -> None:
        api, client = world.api, world.client()
        uid = api.put("pods", pod("p"))["metadata"]["uid"]
        pods = Cache(client, PODS, Pod)
        reporter = Reporter(
            client,
            clock=world.clock,
            rng=random.Random(0),
            pods=pods,
            recorder=Recorder(client, "aliquot-scheduler"),
            may_write=lambda: True,
        )
        tasks = [asyncio.create_task(pods.run()), asyncio.create_task(reporter.run())]
        await pods.synced()
        full, cordoned = (Notice(uid, "Unschedulable", message) for message in ("full", "cordoned"))
        reporter.tell("default/p", full)
        await asyncio.sleep(1)
        api.watching.clear()
        for notice in (cordoned, full):
            reporter.tell("default/p", notice)
            await asyncio.sleep(1)
            assert api.condition("p") == ("False", "Unschedulable", notice.message)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    simulate(scenario)


def test_the_time_of_transition_is_kept_while_the_status_is() -> None:
    async def scenario(world: World) -> None:
        api, client = world.api, world.client()
        uid = api.put("pods", pod("p"))["metadata"]["uid"]
        pods = Cache(client, PODS, Pod)
        recorder = Recorder(client, "aliquot-scheduler")
        reporter = Reporter(
            client,
            clock=world.clock,
            rng=random.Random(0),
            pods=pods,
            recorder=recorder,
            may_write=lambda: True,
        )
        tasks = [asyncio.create_task(pods.run()), asyncio.create_task(reporter.run())]
        await pods.synced()
        times = []
        for message in ("full", "cordoned"):
            reporter.tell("default/p", Notice(uid, "Unschedulable", message))
            await asyncio.sleep(10)
            times.append(api.pod("p")["status"]["conditions"][0]["lastTransitionTime"])
        assert times[0] == times[1]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    simulate(scenario)


def test_a_pod_that_is_placed_soon_was_told_nothing() -> None:
    async def scenario(world: World) -> None:
        api, client = world.api, world.client()
        uid = api.put("pods", pod("p"))["metadata"]["uid"]
        pods = Cache(client, PODS, Pod)
        recorder = Recorder(client, "aliquot-scheduler")
        reporter = Reporter(
            client,
            clock=world.clock,
            rng=random.Random(0),
            pods=pods,
            recorder=recorder,
            may_write=lambda: True,
        )
        tasks = [asyncio.create_task(one.run()) for one in (pods, reporter, recorder)]
        await pods.synced()
        for present in (1, 2, 3):
            reporter.tell("default/p", Notice(uid, "Unschedulable", f"{present} of the 4 pods exist"))
            await asyncio.sleep(HOLD_S / 4)
        reporter.forget("default/p")
        await asyncio.sleep(10)
        assert api.writes == []
        # One that waits on is told the last of it, and from then on at once.
        for present in (1, 2, 3):
            reporter.tell("default/p", Notice(uid, "Unschedulable", f"{present} of the 4 pods exist"))
        await asyncio.sleep(2 * HOLD_S)
        assert api.condition("p")[2] == "3 of the 4 pods exist"
        reporter.tell("default/p", Notice(uid, "Unschedulable", "full"))
        await asyncio.sleep(0.01)
        assert api.condition("p")[2] == "full"
        assert api.events("FailedScheduling") == ["3 of the 4 pods exist", "full"]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    simulate(scenario)


def test_who_does_not_lead_any_more_says_nothing_until_it_leads_again() -> None:
    async def scenario(world: World) -> None:
        api, client = world.api, world.client()
        uid = api.put("pods", pod("p"))["metadata"]["uid"]
        pods = Cache(client, PODS, Pod)
        recorder = Recorder(client, "aliquot-scheduler")
        leads = False
        reporter = Reporter(
            client,
            clock=world.clock,
            rng=random.Random(0),
            pods=pods,
            recorder=recorder,
            may_write=lambda: leads,
        )
        following, leading = asyncio.create_task(pods.run()), asyncio.create_task(reporter.run())
        await pods.synced()
        reporter.tell("default/p", Notice(uid, "Unschedulable", "full"))
        await asyncio.sleep(10)
        assert not [path for method, path in api.writes if method == "PATCH"]
        leading.cancel()
        await asyncio.wait([leading])
        leads = True
        leading = asyncio.create_task(reporter.run())
        await asyncio.sleep(10)
        assert api.condition("p") == ("False", "Unschedulable", "full")
        for task in (following, leading):
            task.cancel()
        await asyncio.gather(following, leading, return_exceptions=True)

    simulate(scenario)
