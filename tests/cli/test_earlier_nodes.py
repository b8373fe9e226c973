"""On a bare API server in memory."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from aliquot.cli import earlier_nodes
from aliquot.clock import VirtualClock, VirtualTimeLoop
from aliquot.emulator.app import ApiServer
from aliquot.emulator.storage.store import Store
from aliquot.kube import crds
from aliquot.kube.api.gpunode import GPUNode
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.client import Client
from aliquot.kube.resources import GPUNODES, NODES


def with_client(main: Callable[[Client], Awaitable[None]]) -> None:
    async def run() -> None:
        clock = VirtualClock()
        server = ApiServer(Store(), clock=clock, rng=random.Random(1))
        await server.start()
        transport = AsgiTransport(server.app, "up", ["system:masters"])
        await main(Client(transport, clock=clock, rng=random.Random(2)))
        server.stop()
        await transport.close()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())


def node(name: str, labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels or {}}, "spec": spec}


def test_dropped_labels_go_and_what_others_set_stays() -> None:
    async def main(client: Client) -> None:
        await client.create(NODES, node("a", {"old": "x", "changed": "theirs", "own": "y"}))
        await earlier_nodes.drop_labels(
            client, {"a": {"old": "x", "changed": "ours", "absent": "z"}, "gone": {"old": "x"}}
        )
        assert (await client.get(NODES, "a"))["metadata"]["labels"] == {"changed": "theirs", "own": "y"}

    with_client(main)


def test_networks_are_those_of_the_nodes() -> None:
    async def main(client: Client) -> None:
        await client.create(NODES, node("a", podCIDR="10.128.7.0/24", podCIDRs=["10.128.7.0/24"]))
        await client.create(NODES, node("b"))
        assert await earlier_nodes.networks(client) == {"a": "10.128.7.0/24"}

    with_client(main)


def test_a_machine_that_is_gone_is_forgotten_with_its_gpus() -> None:
    async def main(client: Client) -> None:
        await crds.install(client)
        for name in ("a", "b"):
            await client.create(NODES, node(name))
        await client.create(GPUNODES, {"metadata": {"name": "a"}})
        await earlier_nodes.forget(client, ["a", "never-was"])
        assert [n["metadata"]["name"] for n in (await client.list(NODES)).items] == ["b"]
        assert (await client.list(GPUNODES)).items == []

    with_client(main)


def test_what_killed_agents_served_is_served_no_more() -> None:
    async def main(client: Client) -> None:
        await earlier_nodes.take_leave(client, 1.0)  # before there are GPUNodes at all
        await crds.install(client)
        await client.create(GPUNODES, {"metadata": {"name": "a"}})
        gpu = {"uuid": "GPU-1", "index": 0, "product": "NVIDIA L4", "board": "l4", "memoryMib": 23034}
        gpu |= {"migMode": "Unsupported", "ready": True, "pods": ["default/p"]}
        ready = {"type": "Ready", "status": "True", "reason": "Serving", "message": ""}
        ready["lastTransitionTime"] = "2026-11-01T08:00:00Z"
        status = {"gpus": [gpu], "conditions": [ready]}
        await client.patch(GPUNODES, "a", {"status": status}, subresource="status")

        await earlier_nodes.take_leave(client, 1_800_000_000.0)
        left = await client.get(GPUNODES, "a", into=GPUNode)
        (gpu_left,), (ready_left,) = left.status.gpus, left.status.conditions
        assert (gpu_left.ready, gpu_left.pods) == (False, ["default/p"])
        assert (ready_left.status, ready_left.reason) == ("False", "AgentStopped")

        await earlier_nodes.take_leave(client, 1_900_000_000.0)  # said already
        again = await client.get(GPUNODES, "a", into=GPUNode)
        assert again.metadata.resource_version == left.metadata.resource_version

    with_client(main)
