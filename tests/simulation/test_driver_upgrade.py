"""A whole cluster, with its own kubelets and agents: what a driver's upgrade leaves as it was."""

import asyncio
import random
from dataclasses import replace
from typing import Any

import pytest

from aliquot.cli.cluster import EmulatedNode
from aliquot.cli.programs.software import NodeSoftware
from aliquot.clock import VirtualTimeLoop
from aliquot.emulator.kubelet.checkpoint import MemoryCheckpoints
from aliquot.emulator.kubelet.machine import Machine
from aliquot.emulator.kubelet.runtimes.simulated import SimulatedRuntime
from aliquot.gpu import inventory
from aliquot.gpu.simulated import SimulatedDriver
from aliquot.kube.kubeletapi.sockets import MemorySockets
from aliquot.kube.resources import DEPLOYMENTS, GPUNODES, GPUPOLICIES, NODES
from tests.simulation.world import World

OLD, NEW = "580.105.08", "595.91.07"
LAYOUT = [("1g.10gb", 0), ("3g.40gb", 4)]

TOLD = ("nvidia.com/gpu-driver-upgrade-state", "nvidia.com/cuda.", "nvidia.com/gfd.timestamp")
"""Labels that tell of another driver, begin so."""

pytestmark = pytest.mark.simulation


class BareNodes(World):
    def _node(self, node: inventory.InventoryNode) -> EmulatedNode:
        checkpoints = MemoryCheckpoints()
        self.sockets[node.name] = MemorySockets()
        machine = replace(
            Machine(node.name, labels=node.labels),
            os_image="Ubuntu 24.04.1 LTS",
            kernel_version="6.8.0-45-generic",
        )
        driver = SimulatedDriver(node.gpus, node=node.name)
        software = NodeSoftware(machine, driver)
        runtime = SimulatedRuntime(
            checkpoints,
            clock=self.clock,
            rng=random.Random(f"{self._seed} {node.name}"),
            programs=software,
        )
        software.device_holders = runtime.device_holders
        return EmulatedNode(
            machine=machine,
            driver=driver,
            runtime=runtime,
            plugin_sockets=self.sockets[node.name],
            pod_resources_sockets=MemorySockets(),
            checkpoints=checkpoints,
            software=software,
        )

    async def policy(self, version: str) -> None:
        upgrade = {"canary": {"nodes": 0}, "maxParallel": 0, "maxUnavailable": "100%"}
        spec = {"driver": {"version": version}, "upgrade": upgrade}
        body = {"metadata": {"name": "gpus"}, "spec": spec}
        await self.user.apply(GPUPOLICIES, body, field_manager="user", force=True)

    def gpu_node(self, name: str) -> Any:
        return self.cluster.gpu_nodes.get(name)

    def is_validated(self, name: str, version: str) -> bool:
        found = self.gpu_node(name)
        if found is None or found.status.driver_version != version:
            return False
        return any(one.type == "Validated" and one.status == "True" for one in found.status.conditions)

    def layout(self, name: str) -> list[list[tuple[str, int]]]:
        return [
            sorted((one.profile, one.start) for one in gpu.instances)
            for gpu in self.gpu_node(name).status.gpus
        ]


async def upgraded() -> None:
    nodes = (inventory.InventoryNode("a", {}, inventory.parse_gpus("h100-80gb:2")),)
    world = BareNodes(1, nodes, operator=True, kubelets_tell_at_once=True)
    try:
        await world.api.start()
        async with asyncio.TaskGroup() as group:
            world.supervisor = await world.cluster.run(group)
            await world.policy(OLD)
            await world.until(lambda: world.is_validated("a", OLD), within_s=300, what="the first driver")
            wanted = [{"start": start, "profile": profile} for profile, start in LAYOUT]
            uuid = world.gpu_node("a").status.gpus[0].uuid
            body = {
                "metadata": {"name": "a"},
                "spec": {"gpus": [{"uuid": uuid, "mig": True, "instances": wanted}]},
            }
            await world.user.apply(GPUNODES, body, field_manager="user", force=True)
            await world.until(
                lambda: world.layout("a") == [sorted(LAYOUT), []], within_s=300, what="the layout"
            )
            labels = {"team": "ml", "nvidia.com/gpu.deploy.dcgm-exporter": "false"}
            await world.user.patch(NODES, "a", {"metadata": {"labels": labels}})
            await world.user.apply(DEPLOYMENTS, deployment(), field_manager="user")
            await world.until(lambda: running(world), within_s=120, what="a pod on a slice")
            before = dict((await world.user.get(NODES, "a"))["metadata"]["labels"])

            await world.policy(NEW)
            await world.until(lambda: world.is_validated("a", NEW), within_s=900, what="the second driver")
            await world.until(lambda: state(world) == "upgrade-done", within_s=120, what="the end")
            await world.until(lambda: running(world), within_s=120, what="the pod on its slice again")
            assert world.layout("a") == [sorted(LAYOUT), []]
            after = dict((await world.user.get(NODES, "a"))["metadata"]["labels"])
            # What was there is there, and says the same; but for the driver, and when it was looked at.
            changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
            assert not {key for key in changed if not key.startswith(TOLD)}
            for name in world.supervisor.names():
                await world.supervisor.stop(name)
    finally:
        await world.cluster.close()


def deployment() -> dict[str, Any]:
    container = {"name": "c", "image": "i", "resources": {"limits": {"nvidia.com/mig-3g.40gb": "1"}}}
    return {
        "metadata": {"name": "d", "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": {"app": "d"}},
            "template": {
                "metadata": {"labels": {"app": "d"}},
                "spec": {"schedulerName": "aliquot", "containers": [container]},
            },
        },
    }


def running(world: BareNodes) -> bool:
    return any(
        (pod.metadata.labels or {}).get("app") == "d"
        and pod.status.phase == "Running"
        and pod.metadata.deletion_timestamp is None
        for pod in world.cluster.pods.values()
    )


def state(world: BareNodes) -> str:
    node = world.cluster.node_objects.get("a")
    return (
        (node.metadata.labels or {}).get("nvidia.com/gpu-driver-upgrade-state", "")
        if node is not None
        else ""
    )


def test_how_gpus_are_cut_and_what_users_said_is_there_again() -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(upgraded())
