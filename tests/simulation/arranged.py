"""A budgeted cluster that begins with pods where a test wants them, told in a line for each GPU."""

import asyncio
from collections.abc import Mapping
from typing import Any

from aliquot.gpu.inventory import InventoryGpus, InventoryNode
from aliquot.gpu.profiles import resource_name
from aliquot.kube.api.assignment import ASSIGNMENT_ANNOTATION, AssignedDevice, Assignment, encode
from aliquot.kube.api.gpunode import Partitioning
from aliquot.kube.client import PatchKind
from aliquot.kube.resources import EVENTS, PODS, REPLICASETS
from tests.simulation.world import World

MINIMUM_RUN_S = 300.0


class Arranged(World):
    """`layouts`: node -> its H100s, as `x:3g.40gb@4 !f:4g.40gb@0`. Each pod is that of a ReplicaSet of its name; with `!` it is
    nobody's, and stays where it is."""

    layouts: Mapping[str, tuple[str, ...]] = {}
    annotations: Mapping[str, str] = {}
    minimum_run_s = MINIMUM_RUN_S
    moves_per_hour = 20

    def __init__(self, seed: int) -> None:
        nodes = [
            InventoryNode(name, {}, (InventoryGpus("h100-80gb", len(gpus), mig=True),))
            for name, gpus in self.layouts.items()
        ]
        super().__init__(
            seed,
            nodes,
            Partitioning.BUDGETED,
            idle_s=3600.0,
            minimum_run_s=self.minimum_run_s,
            moves_per_hour=self.moves_per_hour,
        )

    async def live(self, storm_s: float) -> None:
        await self.until(lambda: not self.cluster.not_ready(), within_s=120, what="nodes ready")
        for node, layouts in self.layouts.items():
            gpus = self.cluster.nodes[node].driver.gpus()
            for gpu, layout in zip(gpus, layouts, strict=True):
                for text in layout.split():
                    await self._arrange(node, gpu.uuid, text)
        await asyncio.sleep(60)
        assert {phase for _, phase in (await self.pods()).values()} <= {"Running"}
        await asyncio.sleep(MINIMUM_RUN_S)
        await self.then()

    async def then(self) -> None:
        raise NotImplementedError

    async def _arrange(self, node: str, gpu: str, text: str) -> None:
        name, _, place = text.partition(":")
        profile, _, start = place.partition("@")
        stays, name = name.startswith("!"), name.removeprefix("!")
        device = AssignedDevice(
            container="main", resource=resource_name(profile), gpu=gpu, profile=profile, start=int(start)
        )
        pod = asking(name, profile)
        pod["metadata"] |= {"name": name, "annotations": dict(self.annotations)}
        # Its scheduler leaves it alone until it has been told where.
        pod["spec"]["schedulingGates"] = [{"name": "tests/arranged"}]
        made = await self.user.create(PODS, {"apiVersion": "v1", "kind": "Pod", **pod}, "default")
        assignment = Assignment(devices=(device,), pod_uid=made["metadata"]["uid"], node=node)
        told = {
            "metadata": {"annotations": {ASSIGNMENT_ANNOTATION: encode(assignment)}},
            "spec": {"schedulingGates": None},
        }
        await self.user.patch(PODS, name, told, "default", kind=PatchKind.MERGE)
        if not stays:
            template = asking(name, profile)
            template["metadata"]["annotations"] = dict(self.annotations)
            await self._keep(name, template)

    async def _keep(self, name: str, template: dict[str, Any]) -> None:
        spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
        kind = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": name}}
        await self.user.create(REPLICASETS, {**kind, "spec": spec}, "default")

    async def wait_for(self, name: str, profile: str, count: int = 1) -> None:
        """A pod comes that asks for slices."""
        pod = asking(name, profile, count)
        pod["metadata"]["name"] = name
        await self.user.create(PODS, {"apiVersion": "v1", "kind": "Pod", **pod}, "default")

    async def pods(self) -> dict[str, tuple[str, str]]:
        """Name -> app and phase."""
        pods = (await self.user.list(PODS, "default")).items
        return {
            pod["metadata"]["name"]: (pod["metadata"]["labels"]["app"], pod["status"]["phase"])
            for pod in pods
        }

    async def phases(self) -> dict[str, str]:
        """App -> phase of its pod."""
        return dict((await self.pods()).values())

    async def moved(self) -> list[str]:
        """Names of the pods that were moved."""
        events = (await self.user.list(EVENTS, "default")).items
        return sorted(one["involvedObject"]["name"] for one in events if one["reason"] == "Relocated")

    async def told(self, reason: str) -> list[str]:
        events = (await self.user.list(EVENTS, "default")).items
        return [one["message"] for one in events if one["reason"] == reason]


def asking(app: str, profile: str, count: int = 1) -> dict[str, Any]:
    limits = {resource_name(profile): str(count)}
    container = {"name": "main", "image": "none", "resources": {"limits": limits}}
    return {"metadata": {"labels": {"app": app}}, "spec": {"containers": [container]}}
