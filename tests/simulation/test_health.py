"""A GPU falls ill in a whole cluster: who may tell it, and what becomes of it when its agent is killed."""

import asyncio
from typing import Any

import pytest

from aliquot.clock import VirtualTimeLoop
from aliquot.kube.resources import EVENTS, GPUNODES, PODS
from tests.simulation.world import World

pytestmark = pytest.mark.simulation

NODE = "ada-0"


async def told(world: World) -> list[tuple[str, str]]:
    """Type and reason of the Events on the Node that tell of health."""
    events = [
        e
        for e in (await world.user.list(EVENTS, "default")).items
        if e["source"]["component"] == "aliquot-node"
    ]
    assert {(e["involvedObject"]["kind"], e["involvedObject"]["name"]) for e in events} <= {("Node", NODE)}
    return sorted((e["type"], e["reason"]) for e in events)


async def gpu(world: World) -> Any:
    found = await world.user.get(GPUNODES, NODE)
    return found["status"]["gpus"][0]


async def life(world: World) -> None:
    assert world.supervisor is not None
    await world.until(lambda: not world.cluster.not_ready(), within_s=120, what="nodes ready")
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "train", "namespace": "default"},
        "spec": {
            "nodeSelector": {"accelerator": "l4"},
            "containers": [{"name": "main", "image": "i", "resources": {"limits": {"nvidia.com/gpu": "2"}}}],
        },
    }
    await world.apply(pod)
    await asyncio.sleep(30)
    driver = world.cluster.nodes[NODE].driver
    driver.inject_xid(driver.gpus()[0].uuid, 48)
    await asyncio.sleep(15)
    assert await told(world) == [("Warning", "XID48")]
    sick = await gpu(world)
    assert (sick["health"], sick["reason"], sick["ready"]) == ("Unhealthy", "XID48", False)
    assert sick["message"].endswith("still held by default/train")
    assert (await world.user.get(PODS, "train", "default"))["status"]["phase"] == "Running"

    world.supervisor.kill(f"agent {NODE}")
    await asyncio.sleep(300)
    assert await gpu(world) == sick
    assert await told(world) == [("Warning", "XID48")]

    await world.reboot(NODE, 20)
    await world.until(lambda: not world.down, within_s=60, what="the node back")
    await asyncio.sleep(60)
    well = await gpu(world)
    assert (well["health"], well["ready"], well["ailments"]) == ("Healthy", True, [])
    assert await told(world) == [("Normal", "Recovered"), ("Warning", "XID48")]


def test_a_sick_gpu_is_told_once_and_comes_back_with_the_reboot() -> None:
    async def main() -> None:
        world = World(1)
        await world.api.start()
        try:
            async with asyncio.TaskGroup() as group:
                world.supervisor = await world.cluster.run(group)
                await life(world)
                for name in world.supervisor.names():
                    await world.supervisor.stop(name)
        finally:
            await world.cluster.close()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())
