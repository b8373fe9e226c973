"""GPUNode.spec follows what pods are to get, whoever else writes it."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from aliquot.clock import VirtualClock
from aliquot.kube import crds
from aliquot.kube.api.gpunode import GPUNode
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.client import Client
from aliquot.kube.resources import CRDS, EVENTS, GPUNODES, NODES
from aliquot.partition.controller.partitioner import Partitioner
from tests.emulator.api import MERGE, Api, on_virtual_time
from tests.partition.controller.nodes import gpu_node, instance, sliced


class World:
    def __init__(self, api: Api) -> None:
        self.api = api

    async def put(self, found: GPUNode) -> None:
        await self.api.ok("POST", NODES.path(), {"metadata": {"name": "a"}})
        body = {"metadata": {"name": "a"}, "spec": msgspec.to_builtins(found.spec)}
        kind = {"apiVersion": GPUNODES.api_version, "kind": "GPUNode"}
        await self.api.ok("POST", GPUNODES.path(), {**kind, **body})
        status = {"status": msgspec.to_builtins(found.status)}
        await self.api.ok("PATCH", GPUNODES.path(None, "a", "status"), status, type=MERGE)

    async def write(self, **spec: Any) -> None:
        await self.api.ok("PATCH", GPUNODES.path(None, "a"), {"spec": spec}, type=MERGE)

    async def gpus(self) -> list[dict[str, Any]]:
        found = await self.api.ok("GET", GPUNODES.path(None, "a"))
        gpus: list[dict[str, Any]] = found["spec"].get("gpus", [])
        return gpus

    async def told(self, reason: str) -> list[str]:
        found = await self.api.ok("GET", EVENTS.path("default"))
        return [event["message"] for event in found["items"] if event["reason"] == reason]


def simulated(test: Callable[[World], Awaitable[None]]) -> None:
    async def main(api: Api) -> None:
        clock, transport = VirtualClock(), AsgiTransport(api.server.app, "admin", ("system:masters",))
        client = Client(transport, clock=clock, rng=random.Random(1))
        for one in crds.ALL:
            await client.apply(CRDS, one, field_manager="tests")
        partitioner = asyncio.create_task(Partitioner(client, clock=clock, rng=random.Random(2)).run())
        await test(World(api))
        partitioner.cancel()
        await asyncio.gather(partitioner, return_exceptions=True)

    on_virtual_time(main)


HELD = sliced(0, instance("1g.10gb", 0, "d/p"))
AS_IT_IS = [{"uuid": "GPU-0", "mig": True, "instances": [{"profile": "1g.10gb", "start": 0}]}]
BY_HAND = {
    "uuid": "GPU-0",
    "mig": True,
    "instances": [{"profile": "3g.40gb", "start": 1}],
    "sharing": {"strategy": "mps", "replicas": 4},
}


def test_what_others_write_besides_is_taken_back_and_told() -> None:
    async def test(world: World) -> None:
        await world.put(gpu_node(HELD))
        await asyncio.sleep(1)
        await world.write(gpus=[BY_HAND])
        await asyncio.sleep(1)
        assert await world.gpus() == AS_IT_IS
        (message,) = await world.told("Overruled")
        assert message.startswith("GPU 0: what else was written into the spec is gone")

    simulated(test)


def test_on_a_static_node_it_stays_until_that_is_cut_on_demand() -> None:
    async def test(world: World) -> None:
        await world.put(gpu_node(HELD, partitioning="static", gpus=[BY_HAND]))
        await asyncio.sleep(1)
        assert await world.gpus() == [BY_HAND]
        await world.write(partitioning="onDemand")
        await asyncio.sleep(1)
        assert await world.gpus() == AS_IT_IS

    simulated(test)
