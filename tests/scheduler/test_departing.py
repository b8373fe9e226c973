"""Evictions for others, against an API in memory, on virtual time: the test is kubelet, which ends pods in its own time."""

import asyncio
from typing import Any

import pytest

from aliquot.kube.api.checkpoint import LAST
from aliquot.scheduler.departing import REFUSED_S, STUCK_S
from tests.scheduler.fake_api import KINDS, FakeApi, Json, World, simulate
from tests.scheduler.running import node, running, scheduler, until

GPU = "nvidia.com/gpu"


def pod(name: str, *, priority: int = 0, gpus: int = 1, on: str = "", **metadata: Any) -> Json:
    return {
        "metadata": {"name": name, "namespace": "default", **metadata},
        "spec": {
            "schedulerName": "aliquot",
            "priority": priority,
            "nodeName": on,
            "containers": [{"name": "main", "resources": {"limits": {GPU: str(gpus)}}}],
        },
        "status": {"phase": "Running" if on else "Pending"},
    }


def ends(api: FakeApi, *names: str) -> None:
    for name in names:
        api.delete("pods", f"default/{name}")


def evicted(api: FakeApi) -> list[str]:
    return sorted(key.removeprefix("default/") for key in api.evictions)


def test_nobody_is_bound_before_who_was_evicted_is_gone() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=1))
        api.put("pods", pod("low", on="a"))
        async with running(scheduler(world)) as one:
            api.put("pods", pod("high", priority=10))
            await until(lambda: evicted(api) == ["low"], 5)
            await until(lambda: one.counts.evictions["Preempted"] == 1, 1)
            await until(lambda: api.pod("high")["status"].get("nominatedNodeName") == "a", 1)
            await asyncio.sleep(30)
            assert api.binds == []
            ends(api, "low")
            await until(lambda: api.node_of("high") == "a", 1)
        assert evicted(api) == ["low"]
        (event,) = api.events("Preempted")
        assert event.startswith(
            "default/high gets its room on node a (priority 10, queue default); its job loses"
        )

    simulate(scenario)


@pytest.mark.parametrize(
    ("annotations", "loses"),
    [
        ({}, "its job loses 10.0 GPU-hours since it started at 2025-12-31T14:00:00Z"),
        (
            {LAST: "2025-12-31T23:45:00Z"},
            "its job loses 15.0 GPU-minutes since its last checkpoint at 2025-12-31T23:45:00Z",
        ),
        (
            {LAST: "2026-01-01T01:00:00+02:00"},
            "its job loses 1.0 GPU-hours since its last checkpoint at 2025-12-31T23:00:00Z",
        ),
        (
            {LAST: "yesterday"},
            "its job loses 10.0 GPU-hours since it started at 2025-12-31T14:00:00Z",
        ),
    ],
)
def test_who_goes_is_told_what_is_lost(annotations: dict[str, str], loses: str) -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=1))
        low = pod("low", on="a", annotations=annotations)
        low["status"]["startTime"] = "2025-12-31T14:00:00Z"
        api.put("pods", low)
        async with running(scheduler(world)):
            api.put("pods", pod("high", priority=10))
            await until(lambda: len(api.events("Preempted")) == 1, 5)
        assert api.events("Preempted")[0].endswith(f"; {loses}")

    simulate(scenario)


def test_who_comes_later_waits_too_where_somebody_is_leaving() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=4))
        api.put("pods", pod("low", gpus=4, on="a"))
        async with running(scheduler(world)):
            api.put("pods", pod("high", priority=10))
            await until(lambda: evicted(api) == ["low"], 5)
            # There will be room for it, and there is none yet.
            api.put("pods", pod("later"))
            await asyncio.sleep(10)
            assert api.binds == []
            ends(api, "low")
            await until(lambda: api.node_of("high") == api.node_of("later") == "a", 1)

    simulate(scenario)


def test_when_a_budget_says_no_nobody_is_evicted_and_another_is_looked_for() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=2))
        api.put("nodes", node("b", gpus=2))
        for name, where in (("x", "a"), ("y", "a"), ("u", "b"), ("v", "b")):
            api.put("pods", pod(name, on=where))
        api.guarded = {"default/x"}
        async with running(scheduler(world)):
            api.put("pods", pod("high", priority=10, gpus=2))
            await until(lambda: evicted(api) == ["u", "v"], 10)
            ends(api, "u", "v")
            await until(lambda: api.node_of("high") == "b", 1)

    simulate(scenario)


def test_a_pod_that_was_refused_is_asked_again_later() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=1))
        api.put("pods", pod("low", on="a"))
        api.guarded = {"default/low"}
        async with running(scheduler(world)):
            api.put("pods", pod("high", priority=10))
            await until(lambda: api.condition("high")[0] == "False", 10)
            api.guarded = set()
            await asyncio.sleep(10)
            assert evicted(api) == []
            await until(lambda: evicted(api) == ["low"], REFUSED_S * 3)

    simulate(scenario)


def test_a_scheduler_that_starts_anew_evicts_nobody_twice() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=1))
        api.put("nodes", node("b", gpus=1))
        api.put("pods", pod("low", on="a"))
        api.put("pods", pod("other", priority=1, on="b"))
        async with running(scheduler(world, 1)):
            api.put("pods", pod("high", priority=10))
            await until(lambda: evicted(api) == ["low"], 5)
        async with running(scheduler(world, 2)):
            await asyncio.sleep(30)
            assert evicted(api) == ["low"]
            assert api.binds == []
            ends(api, "low")
            await until(lambda: api.node_of("high") == "a", 2)

    simulate(scenario)


def test_when_the_pod_that_waited_goes_nobody_else_is_asked() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=1))
        api.put("pods", pod("low", on="a"))
        async with running(scheduler(world)):
            api.put("pods", pod("high", priority=10))
            await until(lambda: evicted(api) == ["low"], 5)
            ends(api, "high")
            api.put("pods", pod("next"))
            await asyncio.sleep(5)
            assert api.binds == []
            ends(api, "low")
            await until(lambda: api.node_of("next") == "a", 2)

    simulate(scenario)


def test_one_that_does_not_end_is_not_waited_for_for_ever() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=1))
        api.put("nodes", node("b", gpus=1))
        api.put("pods", pod("stuck", on="a"))
        api.put("pods", pod("other", priority=1, on="b"))
        async with running(scheduler(world)):
            api.put("pods", pod("high", priority=10))
            await until(lambda: evicted(api) == ["stuck"], 5)
            await until(lambda: evicted(api) == ["other", "stuck"], STUCK_S + 10)
            ends(api, "other")
            await until(lambda: api.node_of("high") == "b", 2)

    simulate(scenario)


def nominated(api: FakeApi, name: str) -> str:
    found: str = api.pod(name)["status"].get("nominatedNodeName", "")
    return found


def test_who_was_nominated_in_vain_is_nominated_no_more() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=1))
        api.put("pods", pod("stuck", on="a"))
        async with running(scheduler(world)):
            api.put("pods", pod("high", priority=10))
            await until(lambda: nominated(api, "high") == "a", 5)
            await until(lambda: nominated(api, "high") == "", STUCK_S + 10)
            assert api.condition("high")[1] == "Unschedulable"

    simulate(scenario)


def test_a_nomination_by_a_scheduler_that_is_gone_is_taken_back() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=1))
        api.put("pods", pod("equal", on="a"))
        left = pod("left")
        left["status"]["nominatedNodeName"] = "a"
        api.put("pods", left)
        async with running(scheduler(world)):
            await until(lambda: nominated(api, "left") == "", 5)
            assert api.condition("left")[1] == "Unschedulable"
            await asyncio.sleep(20)
        assert [method for method, _ in api.writes] == ["PATCH", "POST"]  # it, and its event

    simulate(scenario)


def test_who_waits_for_one_who_is_leaving_anyway_is_nominated() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=1))
        api.put("pods", pod("low", on="a"))
        async with running(scheduler(world, 1)):
            api.put("pods", pod("high", priority=10))
            await until(lambda: evicted(api) == ["low"], 5)
            ends(api, "high")
            api.put("pods", pod("next"))
            await until(lambda: nominated(api, "next") == "a", 5)

    simulate(scenario)


def test_a_gang_that_gets_its_room_meanwhile_is_nominated_no_more() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=3))
        api.put("pods", pod("low", gpus=3, on="a"))
        nominating: list[str] = []

        def room_comes(method: str, path: str) -> str:
            if path.endswith("/status") and "/pods/" in path:
                nominating.append(path.split("/")[-2])
                if len(nominating) == 1:
                    ends(api, "low")
                    return "before"
            return ""

        api.fault = room_comes
        async with running(scheduler(world)):
            for name in ("p0", "p1", "p2"):
                one = pod(name, priority=10)
                one["metadata"]["labels"] = {"aliquot.dev/pod-group": "train"}
                api.put("pods", one)
            api.put(
                "podgroups", {"metadata": {"name": "train", "namespace": "default"}, "spec": {"minMember": 3}}
            )
            await until(lambda: len(api.binds) == 3, 5)
            await asyncio.sleep(5)
        assert set(nominating) == {"p0"}

    simulate(scenario, kinds=(*KINDS, "podgroups"))
