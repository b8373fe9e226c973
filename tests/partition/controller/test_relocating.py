"""What is carried out of a plan: against the emulator's API, with nobody on the nodes, so that each pod stays as it is put."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from aliquot.clock import VirtualClock, rfc3339
from aliquot.gpu.profiles import resource_name
from aliquot.kube import crds
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.client import Client
from aliquot.kube.resources import (
    CRDS,
    EVENTS,
    GPUCLASSES,
    GPUNODES,
    NODES,
    PODDISRUPTIONBUDGETS,
    PODS,
    REPLICASETS,
)
from aliquot.partition.controller import relocating, replanned
from aliquot.partition.controller.partitioner import Partitioner
from aliquot.partition.replanning.solving import Reached
from tests.emulator.api import MERGE, Api, on_virtual_time
from tests.partition.objects import reported, status
from tests.partition.test_reading import MARKS

OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "controller": True}
START = "2026-01-01T00:00:00Z"


class World:
    """Nodes and pods in a line each. `between`: what happens while a plan is made."""

    def __init__(self, api: Api, clock: VirtualClock) -> None:
        self.api = api
        self.clock = clock
        self.planned = asyncio.Event()
        self.between: Callable[[], Awaitable[None]] | None = None

    async def run_aside(self, function: Callable[..., Any], *arguments: Any) -> Any:
        found = function(*arguments)
        self.planned.set()
        if self.between is not None:
            between, self.between = self.between, None
            await between()
            # Until it is in the caches.
            await asyncio.sleep(0.5)
        return found

    async def node(self, name: str, *layouts: str, **pods: dict[str, Any]) -> None:
        """With the pods that hold its slices, each of a ReplicaSet of its own; `pods` says more of some."""
        await self.api.ok("POST", NODES.path(), {"metadata": {"name": name}})
        # The taint of a node that is not ready, which nobody would take away here.
        await self.api.ok("PATCH", NODES.path(None, name), {"spec": {"taints": None}}, type=MERGE)
        kind = {"apiVersion": GPUNODES.api_version, "kind": "GPUNode", "metadata": {"name": name}}
        await self.api.ok("POST", GPUNODES.path(), {**kind, "spec": {"partitioning": "budgeted"}})
        gpus = [status(layout, f"{name}-{index}", index=index) for index, layout in enumerate(layouts)]
        told = {
            "migStrategy": "mixed",
            "migProfiles": msgspec.to_builtins(reported()),
            "gpus": msgspec.to_builtins(gpus),
        }
        await self.api.ok("PATCH", GPUNODES.path(None, name, "status"), {"status": told}, type=MERGE)
        for gpu in gpus:
            for instance in gpu.instances:
                for held in instance.pods:
                    pod = held.removeprefix("default/")
                    await self._runs(pod, name, instance.resource, pods.get(pod, {}))

    async def _runs(self, name: str, node: str, resource: str, more: dict[str, Any]) -> None:
        labels = {"app": name}
        template = {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "main", "image": "none"}]},
        }
        spec = {"selector": {"matchLabels": labels}, "template": template}
        body = {"metadata": {"name": name}, "spec": spec}
        owner = await self.api.ok("POST", REPLICASETS.path("default"), body)
        reference = {**OWNER, "name": name, "uid": owner["metadata"]["uid"]}
        pod = asking(name, resource)
        pod["metadata"] |= {"labels": labels, "ownerReferences": [reference], **more.get("metadata", {})}
        pod["spec"] |= {"nodeName": node, **more.get("spec", {})}
        await self._start(pod)

    async def _start(self, pod: dict[str, Any]) -> None:
        await self.api.ok("POST", PODS.path("default"), pod)
        state = {"status": {"phase": "Running", "startTime": START}}
        path = PODS.path("default", pod["metadata"]["name"], "status")
        await self.api.ok("PATCH", path, state, type=MERGE)

    async def again(self, *names: str) -> None:
        """Evicted pods are gone, and the next of their name is where they were."""
        for name in names:
            pod = await self.api.ok("GET", PODS.path("default", name))
            await self.api.ok("DELETE", PODS.path("default", name), {"gracePeriodSeconds": 0})
            metadata = {key: pod["metadata"][key] for key in ("name", "labels", "ownerReferences")}
            await self._start({"metadata": metadata, "spec": pod["spec"]})

    async def waits(self, name: str, what: str, count: int = 1, **spec: Any) -> None:
        """`what`: a profile or a resource."""
        body = asking(name, what if "/" in what else resource_name(what), count)
        body["spec"] |= {"schedulerName": "aliquot", **spec}
        await self.api.ok("POST", PODS.path("default"), body)
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "lastTransitionTime": rfc3339(self.clock.now()),
        }
        told = {"status": {"conditions": [condition]}}
        await self.api.ok("PATCH", PODS.path("default", name, "status"), told, type=MERGE)

    async def budget(self, allowed: int) -> None:
        body = {"metadata": {"name": "all"}, "spec": {"minAvailable": 1, "selector": {}}}
        await self.api.ok("POST", PODDISRUPTIONBUDGETS.path("default"), body)
        path = PODDISRUPTIONBUDGETS.path("default", "all", "status")
        counted = {"disruptionsAllowed": allowed, "observedGeneration": 1}
        counted |= {"currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1}
        await self.api.ok("PATCH", path, {"status": counted}, type=MERGE)

    async def moved(self) -> list[str]:
        pods = (await self.api.ok("GET", PODS.path("default")))["items"]
        return [pod["metadata"]["name"] for pod in pods if "deletionTimestamp" in pod["metadata"]]

    async def reserved(self) -> list[str]:
        pods = (await self.api.ok("GET", PODS.path("default")))["items"]
        return [
            pod["metadata"]["name"]
            for pod in pods
            if "aliquot.dev/assignment" in pod["metadata"].get("annotations", {})
        ]

    async def told(self, reason: str) -> list[str]:
        found = await self.api.ok("GET", EVENTS.path("default"))
        return [event["message"] for event in found["items"] if event["reason"] == reason]


def asking(name: str, resource: str, count: int = 1) -> dict[str, Any]:
    container = {"name": "main", "image": "none", "resources": {"limits": {resource: str(count)}}}
    # Evicted pods stay in sight: nobody on a node ends them.
    return {
        "metadata": {"name": name},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 600},
    }


def simulated(test: Callable[[World], Awaitable[None]], **more: Any) -> None:
    async def main(api: Api) -> None:
        clock = VirtualClock()
        client = Client(
            AsgiTransport(api.server.app, "admin", ("system:masters",)), clock=clock, rng=random.Random(1)
        )
        for one in crds.ALL:
            await client.apply(CRDS, one, field_manager="tests")
        world = World(api, clock)
        limits: dict[str, Any] = {"minimum_run_s": 0.0, **more}
        partitioner = Partitioner(
            client, clock=clock, rng=random.Random(2), run_aside=world.run_aside, **limits
        )
        running = asyncio.create_task(partitioner.run())
        await test(world)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    on_virtual_time(main)


HALVES = ("3g.40gb@4=x", "3g.40gb@4=y")
"""Of two GPUs: who is moved from one has room on the other."""


def test_the_plan_is_carried_out_and_told() -> None:
    async def test(world: World) -> None:
        await world.node("a", "1g.10gb@6=x", "4g.40gb@0=y")
        await world.waits("w", "7g.80gb")
        await asyncio.sleep(10)
        assert (await world.moved(), await world.reserved()) == (["x"], ["w"])
        assert await world.told("Relocating") == [
            "7g.80gb at slot 0 of GPU 0 of a: moves default/x (1g.10gb at slot 6; its place: GPU 1 of a, slot 6), "
            "which frees 1 memory slot; 19 of 20 moves left in this hour; "
            "plan: 1 of 1 waiting pod admitted, 1 pod moved; 2 slices made, 1 destroyed; proven optimal"
        ]
        assert await world.told("Relocated") == [
            "evicted, to make room for default/w (7g.80gb at slot 0 of GPU 0 of a); its place: GPU 1 of a, slot 6"
        ]

    simulated(test)


async def _recut(world: World) -> None:
    """The pod on the second GPU has another slice by now."""
    gpus = [status("3g.40gb@4=x", "a-0"), status("4g.40gb@0=y", "a-1", index=1)]
    told = {"status": {"gpus": msgspec.to_builtins(gpus)}}
    await world.api.ok("PATCH", GPUNODES.path(None, "a", "status"), told, type=MERGE)


async def _vanish(world: World) -> None:
    await world.api.ok("DELETE", NODES.path(None, "b"))


async def _cordon(world: World) -> None:
    await world.api.ok("PATCH", NODES.path(None, "b"), {"spec": {"unschedulable": True}}, type=MERGE)


@pytest.mark.parametrize(
    ("between", "expected"),
    [
        # It is planned anew for what is there then.
        (_recut, ["x"]),
        # Without the other node there is no room for both.
        (_vanish, []),
        (_cordon, []),
    ],
)
def test_a_plan_that_is_stale_is_not_carried_out(
    between: Callable[[World], Awaitable[None]], expected: list[str]
) -> None:
    async def test(world: World) -> None:
        if between is _recut:
            await world.node("a", *HALVES, y=STAYS)
        else:
            await world.node("a", "3g.40gb@4=x", "4g.40gb@0=f 3g.40gb@4=g", f=STAYS, g=STAYS)
            await world.node("b", "4g.40gb@0=y", y=STAYS)
        world.between = lambda: between(world)
        await world.waits("w", "7g.80gb")
        await world.planned.wait()
        await asyncio.sleep(1)
        assert (await world.moved(), await world.reserved()) == ([], [])
        await asyncio.sleep(60)
        assert await world.moved() == expected

    simulated(test)


STAYS = {"metadata": {"annotations": {"aliquot.dev/do-not-disrupt": "true"}}}
CRITICAL = {"spec": {"priorityClassName": "system-cluster-critical"}}


@pytest.mark.parametrize(
    ("pods", "allowed", "more", "spec", "expected"),
    [
        ({}, None, {}, {}, ["x"]),
        ({"x": STAYS}, None, {}, {}, ["y"]),
        ({"x": STAYS, "y": STAYS}, None, {}, {}, []),
        ({}, 1, {}, {}, ["x"]),
        ({}, 0, {}, {}, []),
        ({"x": CRITICAL}, None, {}, {}, ["y"]),
        ({"x": CRITICAL, "y": CRITICAL}, None, {}, {}, []),
        ({}, None, {"moves_per_hour": 0}, {}, []),
        # Not by the clock of a test that began when they were started.
        ({}, None, {"minimum_run_s": 1e12}, {}, []),
        ({}, None, {}, {"nodeSelector": {"zone": "b"}}, []),
    ],
)
def test_within_limits(
    pods: dict[str, Any],
    allowed: int | None,
    more: dict[str, Any],
    spec: dict[str, Any],
    expected: list[str],
) -> None:
    async def test(world: World) -> None:
        await world.node("a", *HALVES, **pods)
        if allowed is not None:
            await world.budget(allowed)
        await world.waits("w", "7g.80gb", **spec)
        await asyncio.sleep(60)
        assert await world.moved() == expected

    simulated(test, **more)


@pytest.mark.parametrize(("name", "value", "stays"), MARKS)
def test_who_is_marked_is_not_moved(name: str, value: str, stays: bool) -> None:
    async def test(world: World) -> None:
        marked = {"metadata": {"annotations": {name: value}}}
        await world.node("a", *HALVES, x=marked, y=marked)
        await world.waits("w", "7g.80gb")
        await asyncio.sleep(60)
        assert await world.moved() == ([] if stays else ["x"])

    simulated(test)


def test_the_most_urgent_is_served_first() -> None:
    async def test(world: World) -> None:
        await world.node("a", *HALVES)
        await world.waits("old", "7g.80gb")
        await asyncio.sleep(1)
        await world.waits("urgent", "7g.80gb", priorityClassName="system-cluster-critical")
        await asyncio.sleep(20)
        assert await world.reserved() == ["urgent"]

    simulated(test)


def test_what_its_scheduler_has_room_for_is_left_to_it() -> None:
    async def test(world: World) -> None:
        await world.node("a", "3g.40gb@4=x", "empty")
        await world.waits("w", "7g.80gb")
        await asyncio.sleep(60)
        assert (await world.moved(), await world.reserved()) == ([], [])

    simulated(test)


def test_a_pod_of_several_slices_gets_them_by_container() -> None:
    async def test(world: World) -> None:
        await world.node("a", "1g.10gb@0=x", "4g.40gb@0=f", f=STAYS)
        await world.node("b", "4g.40gb@0=g", g=STAYS)
        await world.waits("w", "3g.40gb", 3)
        await asyncio.sleep(10)
        assert (await world.moved(), await world.reserved()) == (["x"], ["w"])

    simulated(test)


def test_who_does_not_come_to_the_place_that_was_made_waits_longer_each_time() -> None:
    async def test(world: World) -> None:
        await world.node("a", *(f"3g.40gb@4=x{number}" for number in range(4)))
        await world.waits("w", "7g.80gb")
        reserved_at = []
        for second in range(300):
            await asyncio.sleep(1)
            if await world.reserved():
                reserved_at.append(second)
                # As its scheduler does that cannot use it; and the victim is back where it was.
                none = {"metadata": {"annotations": {"aliquot.dev/assignment": None}}}
                await world.api.ok("PATCH", PODS.path("default", "w"), none, type=MERGE)
                await world.again(*await world.moved())
        first, second, third = reserved_at
        assert 60 <= second - first < 70 and 120 <= third - second < 130

    simulated(test)


def test_what_took_the_place_of_a_moved_pod_is_not_moved_soon() -> None:
    async def test(world: World) -> None:
        await world.node("a", "3g.40gb@4=x", "4g.40gb@0=f", f=STAYS)
        await world.waits("w", "7g.80gb")
        await asyncio.sleep(10)
        assert await world.moved() == ["x"]
        await world.api.ok("DELETE", PODS.path("default", "w"), {"gracePeriodSeconds": 0})
        await world.again("x")
        await world.waits("v", "7g.80gb")
        await asyncio.sleep(280)
        assert await world.moved() == []
        await asyncio.sleep(60)
        assert await world.moved() == ["x"]

    simulated(test)


def test_a_plan_that_ran_out_of_time_is_used_and_says_its_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = replanned.planned

    def in_no_time(*arguments: Any) -> Any:
        found = planned(*arguments)
        gap = (Reached("admitted 0", 64, 128), *found.plan.reached[1:])
        return replace(found, plan=replace(found.plan, reached=gap))

    monkeypatch.setattr(relocating, "planned", in_no_time)

    async def test(world: World) -> None:
        await world.node("a", *HALVES)
        await world.waits("w", "7g.80gb")
        await asyncio.sleep(10)
        assert await world.moved() == ["x"]
        (message,) = await world.told("Relocating")
        assert message.endswith("memory admitted of priority 0: 1 GPUs, at most 2 could be (gap 50.00%)")

    simulated(test)


def test_out_of_time_without_a_plan_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relocating, "PLAN_WITHIN_S", 0.0)

    async def test(world: World) -> None:
        await world.node("a", *HALVES)
        await world.waits("w", "7g.80gb")
        await asyncio.sleep(60)
        assert (await world.moved(), await world.reserved()) == ([], [])
        (message,) = await world.told("NotRelocating")
        assert message.startswith("no room for 1 x 7g.80gb was found in time; 0 pods may not be moved")
        assert "memory admitted of priority 0: 0 GPUs, at most 1 could be (gap 100.00%)" in message

    simulated(test)


def test_pods_that_the_planner_knows_nothing_of_are_searched_for() -> None:
    """As those that ask for a GPUClass."""

    async def test(world: World) -> None:
        spec = {"ways": [{"mig": {"profile": "7g.80gb"}}]}
        kind = {"apiVersion": GPUCLASSES.api_version, "kind": "GPUClass", "metadata": {"name": "large"}}
        await world.api.ok("POST", GPUCLASSES.path(), {**kind, "spec": spec})
        await world.node("a", "1g.10gb@6=x", "4g.40gb@0=y")
        await world.waits("w", "class.aliquot.dev/large")
        await asyncio.sleep(10)
        assert (await world.moved(), await world.reserved()) == (["x"], ["w"])
        assert await world.told("Relocating") == [
            "7g.80gb at slot 0 of GPU 0 of a: moves default/x (1g.10gb at slot 6; its place: GPU 1 of a, slot 6), "
            "which frees 1 memory slot; 19 of 20 moves left in this hour"
        ]

    simulated(test)
