"""Who leads decides; who takes over neither loses nor doubles a bind."""

import asyncio

import pytest

from aliquot.kube.election import LeaderElection
from tests.scheduler.fake_api import KINDS, FakeApi, World, simulate
from tests.scheduler.running import (
    bind_requests,
    node,
    pod,
    running,
    scheduler,
    until,
)
from tests.scheduler.test_queue_status import queue, queued


def election(world: World, identity: str) -> LeaderElection:
    return LeaderElection(
        world.client(), namespace="kube-system", name="aliquot-scheduler", identity=identity
    )


def test_of_two_schedulers_one_decides_and_the_other_takes_over() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=8))
        first = asyncio.create_task(scheduler(world, 1, election=election(world, "first")).run())
        second = asyncio.create_task(scheduler(world, 2, election=election(world, "second")).run())
        try:
            api.put("pods", pod("p", gpus=1))
            await until(lambda: api.node_of("p") == "a")
            leads = first if holder(api) == "first" else second
            leads.cancel()
            await asyncio.wait([leads])
            api.put("pods", pod("q", gpus=1))
            await until(lambda: api.node_of("q") == "a")
            assert holder(api) == ("second" if leads is first else "first")
            assert bind_requests(api, "p") == bind_requests(api, "q") == 1
        finally:
            for task in (first, second):
                task.cancel()
            await asyncio.gather(first, second, return_exceptions=True)

    simulate(scenario)


def test_what_was_decided_before_leadership_was_lost_is_decided_anew() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=1))
        cut_off = True

        def lose(method: str, path: str) -> str:
            asked = bind_requests(api, "p") > 0
            return "before" if cut_off and asked and ("/leases" in path or path.endswith("/binding")) else ""

        api.fault = lose
        api.put("pods", pod("p", gpus=1))
        async with running(scheduler(world, election=election(world, "me"))) as one:
            await until(lambda: bind_requests(api, "p") > 0)
            # Its lease cannot be renewed; somebody else decides that q gets the GPU.
            await asyncio.sleep(20)
            api.put("pods", pod("q", gpus=1, nodeName="a"))
            await asyncio.sleep(5)
            cut_off = False
            await until(lambda: "full" in api.condition("p")[2])
            assert "default/p" in one.pending.pods
        assert api.binds == []

    simulate(scenario)


def test_a_bind_that_took_unseen_before_leadership_was_lost_keeps_its_device() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=1))
        lost = True

        def lose(method: str, path: str) -> str:
            if path.endswith("/p/binding") and not api.binds:
                return "after"
            return "before" if lost and api.binds and ("/leases" in path or path.endswith("/binding")) else ""

        api.fault = lose
        api.put("pods", pod("p", gpus=1))
        async with running(scheduler(world, election=election(world, "me"))) as one:
            await until(lambda: bind_requests(api, "p") > 0, after_s=0)
            # The last that is seen for long, before the bind takes, is a pod that would go first.
            api.put("pods", pod("q", gpus=1, priority=1))
            await asyncio.sleep(0.0005)
            assert api.binds == []
            api.watching.clear()
            await asyncio.sleep(20)
            assert api.binds == [("default/p", "a")]
            assert "default/q" in one.pending.pods
            lost = False
            await asyncio.sleep(20)
            assert api.binds == [("default/p", "a")]

    simulate(scenario)


def holder(api: FakeApi) -> str:
    spec = api.objects["leases"]["kube-system/aliquot-scheduler"]["spec"]
    identity: str = spec["holderIdentity"]
    return identity


class Suspended(LeaderElection):
    """Of a process that may be stopped: when it goes on, its lease has run out, and it does not know yet."""

    ran_out = False

    def is_leader(self) -> bool:
        return super().is_leader() and not self.ran_out


def test_who_was_stopped_amid_evictions_asks_nobody_else() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=2))
        for name in ("low", "lower"):
            api.put("pods", pod(name, gpus=1, nodeName="a"))
        elected = Suspended(world.client(), namespace="kube-system", name="aliquot-scheduler", identity="me")
        asked: list[str] = []

        def stop_at_the_first(_method: str, path: str) -> str:
            if path.endswith("/eviction"):
                asked.append(path)
                # Both were tried dry.
                elected.ran_out = len(asked) >= 3
            return ""

        api.fault = stop_at_the_first
        async with running(scheduler(world, election=elected)):
            api.put("pods", pod("high", gpus=2, priority=10))
            await until(lambda: len(api.evictions) == 1)
            await asyncio.sleep(1)
            assert len(api.evictions) == 1
            assert not api.pod("high")["status"].get("nominatedNodeName")

    simulate(scenario)


@pytest.mark.parametrize("is_there", [True, False])
def test_what_runs_counts_in_its_queue_before_its_owner_is_read_and_after_that_is_gone(
    is_there: bool,
) -> None:
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "u", "controller": True}

    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=8))
        api.put("queues", queue("q", limit=2))
        if is_there:
            api.put("jobs", {"metadata": {"name": "j", "namespace": "default", "uid": "u"}, "spec": {}})
        runs = queued("runs", "q", gpus=2)
        runs["metadata"]["ownerReferences"] = [owner]
        runs["spec"]["nodeName"], runs["status"]["phase"] = "a", "Running"
        api.put("pods", runs)
        api.put("pods", queued("waits", "q"))
        async with running(scheduler(world)) as one:
            await until(lambda: api.condition("waits")[1] == "OverLimit", 5)
            await asyncio.sleep(60)
            assert api.binds == []
            assert one.pending.accounts.ledger.allocated("q") == {"gpu": 2000}
            api.delete("pods", "default/runs")
            await until(lambda: api.node_of("waits") == "a", 1)

    simulate(scenario, kinds=(*KINDS, "queues", "jobs"))
