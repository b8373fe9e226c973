"""What the scheduler learns of the pods that come, and that it places by it."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from aliquot.kube.api.core import Pod
from aliquot.kube.cache import Cache
from aliquot.kube.resources import PODS
from aliquot.scheduler.controller import REVIEW_S, Scheduler
from aliquot.scheduler.core.mix import ENOUGH
from aliquot.scheduler.core.placement import Placement
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.settings import Settings
from aliquot.scheduler.testing import node as core_node
from aliquot.scheduler.usual_demand import UsualDemand
from tests.scheduler.fake_api import Json, World, simulate

GPU = "nvidia.com/gpu"


def node(name: str, cpu: int) -> Json:
    allocatable = {"cpu": str(cpu), "memory": "1Ti", "pods": "200", GPU: "8"}
    return {"metadata": {"name": name}, "spec": {}, "status": {"allocatable": allocatable}}


def pod(name: str, *, cpu: int = 8, gpus: int = 1, phase: str = "Pending", **spec: Any) -> Json:
    requests = {"cpu": str(cpu), **({GPU: gpus} if gpus else {})}
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "schedulerName": "aliquot",
            "containers": [{"name": "main", "resources": {"requests": requests}}],
            **spec,
        },
        "status": {"phase": phase},
    }


@contextlib.asynccontextmanager
async def running(world: World, **more: Any) -> AsyncIterator[None]:
    scheduler = Scheduler(world.client(), clock=world.clock, rng=random.Random(0), **more)
    task = asyncio.create_task(scheduler.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def place_of(world: World, name: str) -> str:
    world.api.put("pods", pod(name, cpu=1))
    await asyncio.sleep(1)
    return world.api.node_of(name)


def fill(world: World, count: int) -> None:
    """Pods on nodes that are none of ours to place on."""
    for number in range(count):
        world.api.put("pods", pod(f"r{number}", nodeName="elsewhere", phase="Running"))


@pytest.mark.parametrize(
    ("placement", "known", "where"),
    [
        # The pod takes little CPU, and b has little.
        (Placement.WORTH, ENOUGH, "b"),
        (Placement.WORTH, ENOUGH - 1, "a"),
        (Placement.PACK, ENOUGH, "a"),
        (Placement.SPREAD, ENOUGH, "c"),
    ],
)
def test_where_a_pod_goes(placement: Placement, known: int, where: str) -> None:
    async def scenario(world: World) -> None:
        for name, cpu in (("a", 256), ("b", 16), ("c", 256)):
            world.api.put("nodes", node(name, cpu))
        for name in ("a", "b"):
            world.api.put("pods", pod(f"on-{name}", nodeName=name, phase="Running"))
        fill(world, known - 2)
        async with running(world, settings=Settings(placement=placement)):
            await asyncio.sleep(1)
            assert await place_of(world, "p") == where

    simulate(scenario)


def test_a_scheduler_learns_while_it_runs() -> None:
    async def scenario(world: World) -> None:
        world.api.put("nodes", node("a", 256))
        world.api.put("nodes", node("b", 16))
        async with running(world):
            await asyncio.sleep(1)
            fill(world, ENOUGH)
            assert await place_of(world, "p") == "a"
            world.api.delete("pods", "default/p")
            await asyncio.sleep(REVIEW_S)
            assert await place_of(world, "q") == "b"

    simulate(scenario)


@contextlib.asynccontextmanager
async def following(world: World) -> AsyncIterator[UsualDemand]:
    pods = Cache(world.client(), PODS, Pod)
    task = asyncio.create_task(pods.run())
    snapshot = Snapshot()
    snapshot.set_facts(core_node("a", gpus=8))
    usual = UsualDemand(snapshot, Policies(), pods=pods)
    await pods.synced()
    stop = usual.follow()
    yield usual
    stop()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def test_a_pod_counts_once() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("pods", pod("p"))
        api.put("pods", pod("cpu", gpus=0))
        api.put("pods", pod("gated", schedulingGates=[{"name": "x"}]))
        api.put("pods", pod("over", phase="Succeeded", nodeName="a"))
        async with following(world) as usual:
            assert usual.known == 1
            api.put("pods", pod("p", nodeName="a", phase="Running"))
            await asyncio.sleep(1)
            assert usual.known == 1
            api.put("pods", pod("gated"))
            await asyncio.sleep(1)
            assert usual.known == 2
            # Another of the same name is another.
            api.delete("pods", "default/p")
            api.put("pods", pod("p"))
            await asyncio.sleep(1)
            assert usual.known == 3

    simulate(scenario)


def test_nothing_is_made_anew_while_little_has_changed() -> None:
    async def scenario(world: World) -> None:
        for number in range(100):
            world.api.put("pods", pod(f"p{number}"))
        async with following(world) as usual:
            assert usual.look() is not None
            assert usual.look() is None
            world.api.put("pods", pod("q"))
            await asyncio.sleep(1)
            assert usual.look() is None
            for number in range(100, 110):
                world.api.put("pods", pod(f"p{number}"))
            await asyncio.sleep(1)
            assert usual.look() is not None

    simulate(scenario)
