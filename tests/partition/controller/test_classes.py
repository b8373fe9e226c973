"""GPUClass.status follows the nodes."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from aliquot.clock import VirtualClock
from aliquot.kube import crds
from aliquot.kube.api.core import Node, Pod
from aliquot.kube.api.gpuclass import GPUClass
from aliquot.kube.api.gpunode import GPUNode
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.resources import CRDS, GPUCLASSES, GPUNODES, NODES, PODS
from aliquot.partition.controller.claims import Claims
from aliquot.partition.controller.classes import ClassStatuses
from tests.emulator.api import MERGE, Api, on_virtual_time
from tests.partition.controller.nodes import gpu, gpu_node, instance, sliced

SMALL = "class.aliquot.dev/small"


class World:
    def __init__(self, api: Api, client: Client) -> None:
        self.api = api
        self.client = client
        self.may_write = True
        self.statuses: ClassStatuses
        self._leading: asyncio.Task[None] | None = None

    def lead(self) -> None:
        self._leading = asyncio.create_task(self.statuses.run())

    async def lead_no_more(self) -> None:
        assert self._leading is not None
        self._leading.cancel()
        await asyncio.gather(self._leading, return_exceptions=True)

    async def classes(self, *specs: tuple[str, dict[str, Any]]) -> None:
        for name, spec in specs:
            body = {"apiVersion": GPUCLASSES.api_version, "kind": "GPUClass", "metadata": {"name": name}}
            await self.api.ok("POST", GPUCLASSES.path(), {**body, "spec": spec})

    async def node(self, name: str = "a", *, ready: str = "True") -> None:
        conditions = [{"type": "Ready", "status": ready}]
        status, _ = await self.api.send("POST", NODES.path(), {"metadata": {"name": name}})
        assert status in (201, 409)
        body = {"status": {"conditions": conditions}}
        await self.api.ok("PATCH", NODES.path(None, name, "status"), body, type=MERGE)

    async def gpus(self, found: GPUNode) -> None:
        status, _ = await self.api.send(
            "POST", GPUNODES.path(), {**msgspec.to_builtins(found), "metadata": {"name": "a"}}
        )
        assert status in (201, 409)
        body = {"status": msgspec.to_builtins(found.status)}
        await self.api.ok("PATCH", GPUNODES.path(None, "a", "status"), body, type=MERGE)

    async def status(self, name: str = "small") -> dict[str, Any]:
        found = await self.api.ok("GET", GPUCLASSES.path(None, name))
        status: dict[str, Any] = found.get("status", {})
        return status

    async def counts(self, name: str = "small") -> tuple[int, int]:
        status = await self.status(name)
        return status["available"], status["inUse"]

    async def generation(self, name: str = "small") -> str:
        found = await self.api.ok("GET", GPUCLASSES.path(None, name))
        return str(found["metadata"]["resourceVersion"])


@asynccontextmanager
async def followed(api: Api) -> AsyncIterator[World]:
    client = Client(
        AsgiTransport(api.server.app, "admin", ("system:masters",)),
        clock=VirtualClock(),
        rng=random.Random(1),
    )
    for one in crds.ALL:
        await client.apply(CRDS, one, field_manager="tests")
    world = World(api, client)
    await world.node()
    caches = Cache(client, PODS, Pod), Cache(client, NODES, Node), Cache(client, GPUNODES, GPUNode)
    classes = Cache(client, GPUCLASSES, GPUClass)
    claims = Claims(caches[0])
    world.statuses = ClassStatuses(
        client,
        clock=VirtualClock(),
        rng=random.Random(2),
        nodes=caches[1],
        gpu_nodes=caches[2],
        gpu_classes=classes,
        claims=claims,
        may_write=lambda: world.may_write,
    )
    tasks = [asyncio.create_task(cache.run()) for cache in (*caches, classes)]
    for cache in (*caches, classes):
        await cache.synced()
    claims.follow()
    world.lead()
    yield world
    await world.lead_no_more()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def simulated(test: Callable[[World], Awaitable[None]]) -> None:
    async def main(api: Api) -> None:
        async with followed(api) as world:
            await test(world)

    on_virtual_time(main)


def test_counts_follow_the_nodes() -> None:
    async def test(world: World) -> None:
        await world.classes(("small", {"ways": [{"mig": {"profile": "1g.10gb"}}]}))
        await asyncio.sleep(2)
        (condition,) = (await world.status())["conditions"]
        assert (condition["status"], condition["reason"]) == ("False", "NoBoard")
        await world.gpus(gpu_node(gpu(0), gpu(1)))
        await asyncio.sleep(2)
        assert await world.counts() == (14, 0)
        status = await world.status()
        assert status["observedGeneration"] == 1
        (condition,) = status["conditions"]
        assert (condition["status"], condition["reason"]) == ("True", "Served")
        since = condition["lastTransitionTime"]
        await world.gpus(gpu_node(gpu(0), sliced(1, instance("1g.10gb", 0, "d/p", resource=SMALL))))
        await asyncio.sleep(2)
        assert await world.counts() == (13, 1)
        assert (await world.status())["conditions"][0]["lastTransitionTime"] == since
        await world.node(ready="False")
        await asyncio.sleep(2)
        assert await world.counts() == (0, 1)

    simulated(test)


def test_a_class_that_changes_is_counted_anew() -> None:
    async def test(world: World) -> None:
        await world.classes(("small", {"ways": [{"mig": {"profile": "1g.10gb"}}]}))
        await world.gpus(gpu_node(gpu(0)))
        await asyncio.sleep(2)
        assert await world.counts() == (7, 0)
        spec: dict[str, Any] = {"spec": {"ways": [{"whole": {}}]}}
        await world.api.ok("PATCH", GPUCLASSES.path(None, "small"), spec, type=MERGE)
        await asyncio.sleep(1)
        assert await world.counts() == (1, 0)
        assert (await world.status())["observedGeneration"] == 2

    simulated(test)


def test_it_is_written_when_it_changes_and_once_a_second_at_most() -> None:
    async def test(world: World) -> None:
        await world.classes(("small", {"ways": [{"whole": {}}]}))
        await world.gpus(gpu_node(gpu(0)))
        await asyncio.sleep(2)
        before = await world.generation()
        written = set()
        for number in range(50):
            # Twenty times a second, something that matters and something that does not.
            await world.gpus(gpu_node(gpu(0, pods=["d/p"] if number % 2 else [])))
            await world.node()
            await asyncio.sleep(0.05)
            written.add(await world.generation())
        assert len(written - {before}) <= 3
        await asyncio.sleep(2)
        still = await world.generation()
        await world.node()
        await asyncio.sleep(5)
        assert await world.generation() == still

    simulated(test)


def test_who_may_not_write_does_not() -> None:
    async def test(world: World) -> None:
        world.may_write = False
        await world.classes(("small", {"memory": "1Gi"}))
        await asyncio.sleep(2)
        assert await world.status() == {}

    simulated(test)


def test_a_class_that_goes_is_forgotten() -> None:
    async def test(world: World) -> None:
        await world.classes(("small", {"ways": [{"whole": {}}]}), ("other", {"ways": [{"whole": {}}]}))
        await world.gpus(gpu_node(gpu(0)))
        await asyncio.sleep(2)
        await world.api.ok("DELETE", GPUCLASSES.path(None, "small"))
        await world.gpus(gpu_node(gpu(0), gpu(1)))
        await asyncio.sleep(2)
        assert await world.counts("other") == (2, 0)

    simulated(test)


def test_a_node_that_went_while_it_did_not_lead_counts_no_more() -> None:
    async def test(world: World) -> None:
        await world.classes(("small", {"ways": [{"whole": {}}]}))
        await world.gpus(gpu_node(gpu(0)))
        await asyncio.sleep(2)
        assert await world.counts() == (1, 0)
        await world.lead_no_more()
        for resource in (GPUNODES, NODES):
            await world.api.ok("DELETE", resource.path(None, "a"))
        await asyncio.sleep(2)
        world.lead()
        await asyncio.sleep(2)
        assert await world.counts() == (0, 0)

    simulated(test)
