"""A GPU falls ill in a whole cluster: who may tell it, and what becomes of it when its agent is killed."""

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from aliquot.clock import VirtualTimeLoop, parse_rfc3339
from aliquot.gpu.simulated import SimulatedDriver
from aliquot.kube.resources import EVENTS, GPUNODES, PODS
from tests.simulation.world import World, demo

pytestmark = pytest.mark.simulation

NODE = "ada-0"
KNOWN_S = 4.0


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
    in_world(1, life)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_falls_ill_nobody_gets_it_and_all_of_it_comes_back(seed: int) -> None:
    in_world(seed, Ward(random.Random(f"{seed} illness")).life)


class Ward:
    """GPUs and slices fall ill at random, agents and kubelets are restarted meanwhile, and at last nodes reboot."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._holders: dict[tuple[str, str], set[str]] = {}
        """Of devices that are known to be ill, and why and since when, who holds them."""

    async def life(self, world: World) -> None:
        await world.until(lambda: not world.cluster.not_ready(), within_s=120, what="nodes ready")
        await world.apply_examples()
        await asyncio.sleep(60)
        for _ in range(30):
            await asyncio.sleep(self._rng.expovariate(1 / 15))
            await self._misfortune(world)
            await asyncio.sleep(5)
            await world.check_always()
            await self._check_nobody_gets_what_is_ill(world)
        world.note("calm")
        await world.until(lambda: not world.down, within_s=120, what="nodes back")
        for node in sorted(world.cluster.nodes):
            await self._reboot(world, node)
        await world.until(lambda: not world.down, within_s=120, what="nodes back")
        promises: dict[str, bool] = {}
        judge = demo()
        for _ in range(40):
            await world.replace_failed()
            await asyncio.sleep(15)
            nodes = (await world.user.list(GPUNODES)).items
            pods = (await world.user.list(PODS, "default")).items
            promises = judge.expectations(pods, judge.devices(nodes))
            promises["nothing is ill"] = not self._ill(nodes, world.clock.now())
            if all(promises.values()):
                return
        raise AssertionError(f"{[what for what, so in promises.items() if not so]}; {world.diary}")

    async def _misfortune(self, world: World) -> None:
        assert world.supervisor is not None
        node = self._rng.choice(sorted(set(world.cluster.nodes) - world.down) or [""])
        if not node:
            return
        driver = world.cluster.nodes[node].driver
        devices = [device for gpu in driver.gpus() for device in (gpu.uuid, *self._slices(driver, gpu.uuid))]
        match self._rng.choice(("xid", "xid", "lose", "figure", "kill", "kubelet", "reboot", "pods", "pods")):
            case "xid" if devices:
                device, xid = self._rng.choice(devices), self._rng.choice((94, 63, 48, 119))
                world.note(f"XID {xid} of {device} on {node}")
                driver.inject_xid(device, xid)
            case "lose" if len(driver.gpus()) > 1:
                gpu = self._rng.choice(driver.gpus())
                world.note(f"lose {gpu.uuid} on {node}")
                driver.lose_gpu(gpu.uuid)
            case "figure" if driver.gpus():
                gpu, pending = self._rng.choice(driver.gpus()), self._rng.random() < 0.5
                world.note(f"rows pending {pending} of {gpu.uuid} on {node}")
                driver.measure(gpu.uuid, row_remap_pending=pending)
            case "pods":
                names = [pod["metadata"]["name"] for pod in (await world.user.list(PODS, "default")).items]
                for name in self._rng.sample(sorted(names), min(3, len(names))):
                    world.note(f"delete pod {name}")
                    await world.delete_pod(name)
                await world.apply_examples()
            case "kill":
                world.note(f"kill agent {node}")
                world.supervisor.kill(f"agent {node}")
            case "kubelet":
                world.note(f"restart kubelet of {node}")
                world.cluster.fleet[node].restart(self._rng.uniform(0, 10))
            case "reboot":
                await self._reboot(world, node)

    async def _reboot(self, world: World, node: str) -> None:
        await world.reboot(node, self._rng.uniform(5, 60))
        for gpu in world.cluster.nodes[node].driver.gpus():
            world.cluster.nodes[node].driver.measure(gpu.uuid, row_remap_pending=False)

    async def _check_nobody_gets_what_is_ill(self, world: World) -> None:
        held = {device: set(pods) for device, pods in (await world.held()).items()}
        ill = self._ill(
            [
                node
                for node in (await world.user.list(GPUNODES)).items
                if node["metadata"]["name"] not in world.down
            ],
            world.clock.now(),
        )
        self._holders = {
            (device, why): self._holders.get((device, why), held.get(device, set()))
            for device, why in ill.items()
        }
        for (device, why), before in self._holders.items():
            news = held.get(device, set()) - before
            assert not news, f"{news} got {device}, which is ill: {why}"

    @staticmethod
    def _ill(gpu_nodes: Sequence[Any], now: float) -> dict[str, str]:
        """Devices that have been ill for so long that kubelet knows, with the reason and its time."""
        found = {}
        for node in gpu_nodes:
            for gpu in node["status"]["gpus"]:
                why = {
                    ailment["device"]: f"{ailment['reason']} since {ailment['since']}"
                    for ailment in reversed(gpu["ailments"])
                    if now - parse_rfc3339(ailment["since"]) >= KNOWN_S
                }
                for device in (gpu["uuid"], *(instance["uuid"] for instance in gpu["instances"])):
                    if reason := why.get(gpu["uuid"]) or why.get(device):
                        found[device] = reason
        return found

    @staticmethod
    def _slices(driver: SimulatedDriver, gpu_uuid: str) -> list[str]:
        return [c.uuid for instance in driver.instances(gpu_uuid) for c in instance.compute_instances]


def in_world(seed: int, story: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        world = World(seed)
        await world.api.start()
        try:
            async with asyncio.TaskGroup() as group:
                world.supervisor = await world.cluster.run(group)
                await story(world)
                for name in world.supervisor.names():
                    await world.supervisor.stop(name)
        finally:
            await world.cluster.close()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())
