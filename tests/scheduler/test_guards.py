"""What keeps pods from being evicted, with an API in memory, on virtual time."""

import asyncio
from typing import Any

import pytest

from tests.partition.test_reading import MARKS
from tests.scheduler.fake_api import KINDS, Json, World, simulate
from tests.scheduler.running import node, running, scheduler, until
from tests.scheduler.test_departing import evicted, pod


def budget(allowed: int) -> Json:
    return {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}},
        "status": {"disruptionsAllowed": allowed},
    }


def owned_by(kind: str) -> Json:
    owner = {"apiVersion": "apps/v1", "kind": kind, "name": "x", "uid": "u", "controller": True}
    return {"ownerReferences": [owner]}


@pytest.mark.parametrize(("name", "value", "stays"), MARKS)
def test_who_is_marked_is_not_evicted(name: str, value: str, stays: bool) -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=1))
        api.put("pods", pod("low", on="a", annotations={name: value}))
        async with running(scheduler(world)):
            api.put("pods", pod("high", priority=10))
            await asyncio.sleep(20)
            assert evicted(api) == ([] if stays else ["low"])

    simulate(scenario)


def test_who_may_not_be_disrupted_stays_and_another_goes() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        kept: dict[str, dict[str, Any]] = {
            "marked": {"annotations": {"aliquot.dev/do-not-disrupt": "true"}},
            "karpenter": {"annotations": {"karpenter.sh/do-not-disrupt": "true"}},
            "unsafe": {"annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}},
            "daemon": owned_by("DaemonSet"),
            "guarded": {"labels": {"app": "web"}},
            "free": {"annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "true"}},
        }
        api.put("poddisruptionbudgets", budget(0))
        for name, metadata in kept.items():
            api.put("nodes", node(f"on-{name}", gpus=1))
            api.put("pods", pod(name, on=f"on-{name}", priority=int(name == "free"), **metadata))
        async with running(scheduler(world)):
            api.put("pods", pod("high", priority=10))
            await until(lambda: evicted(api) == ["free"], 5)
            api.put("pods", pod("next", priority=10))
            await asyncio.sleep(20)
            assert evicted(api) == ["free"]
            # The budget of those who asked for it first is what counts, as it is now.
            api.put("poddisruptionbudgets", budget(1))
            await until(lambda: evicted(api) == ["free", "guarded"], 20)

    simulate(scenario, kinds=(*KINDS, "poddisruptionbudgets"))


def test_who_belongs_to_what_is_not_read_yet_stays_until_it_is() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        job = {"metadata": {"name": "j", "namespace": "default", "uid": "u"}, "spec": {}}
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "u", "controller": True}
        api.put("jobs", job)
        api.put("nodes", node("a", gpus=1))
        api.put("pods", pod("low", on="a", ownerReferences=[owner]))
        api.fault = lambda method, path: "before" if path.endswith("/jobs") else ""
        async with running(scheduler(world)):
            api.put("pods", pod("high", priority=10))
            await asyncio.sleep(20)
            assert evicted(api) == []
            api.fault = lambda method, path: ""
            await until(lambda: evicted(api) == ["low"], 60)

    simulate(scenario, kinds=(*KINDS, "jobs"))
