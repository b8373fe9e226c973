"""Who is moved for whom on budgeted nodes, with API server, controllers, scheduler, agent and kubelet on virtual time."""

import asyncio
from typing import Any

import pytest
import yaml

from aliquot.clock import VirtualTimeLoop
from aliquot.gpu.inventory import InventoryGpus, InventoryNode
from aliquot.kube.api.gpunode import Partitioning
from aliquot.kube.resources import PODDISRUPTIONBUDGETS, PODS, STATEFULSETS
from tests.simulation.world import EXAMPLES, World, run

pytestmark = pytest.mark.simulation

NODES = (InventoryNode("hopper-0", {}, (InventoryGpus("h100-80gb", 4, mig=True),)),)
MINIMUM_RUN_S = 300.0
DO_NOT_DISRUPT = {"aliquot.dev/do-not-disrupt": "true"}


class Fragmented(World):
    """Half of each of four GPUs is held by a service, and a pod comes that needs a whole one."""

    old_enough = True
    annotations: dict[str, str] = {}

    def __init__(self, seed: int) -> None:
        super().__init__(seed, NODES, Partitioning.BUDGETED, idle_s=3600.0)
        self.services: dict[str, str] = {}
        """Name -> uid before the pod came."""

    async def live(self, storm_s: float) -> None:
        await self.until(lambda: not self.cluster.not_ready(), within_s=120, what="nodes ready")
        for one in self._manifests():
            await self.user.create(STATEFULSETS, one, "default")
        await asyncio.sleep(60)
        await self.user.delete(STATEFULSETS, "filler", "default")
        await asyncio.sleep(MINIMUM_RUN_S if self.old_enough else 60)
        self.services = {name: uid for name, (uid, _) in (await self.pods()).items()}
        assert sorted(self.services) == [f"service-{number}" for number in range(4)]
        await self.user.create(PODS, await self.training(), "default")
        await self.then()

    async def training(self) -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load((EXAMPLES / "healing/training.yaml").read_text())
        return found

    def _manifests(self) -> list[dict[str, Any]]:
        found = list(yaml.safe_load_all((EXAMPLES / "healing/fragments.yaml").read_text()))
        found[1]["spec"]["template"]["metadata"]["annotations"] = self.annotations
        return found

    async def pods(self) -> dict[str, tuple[str, str]]:
        """Name -> uid and phase."""
        pods = (await self.user.list(PODS, "default")).items
        return {pod["metadata"]["name"]: (pod["metadata"]["uid"], pod["status"]["phase"]) for pod in pods}

    async def moved(self) -> list[str]:
        now = await self.pods()
        return [name for name, uid in self.services.items() if now.get(name, ("", ""))[0] != uid]

    async def then(self) -> None:
        await asyncio.sleep(90)
        assert {phase for _, phase in (await self.pods()).values()} == {"Running"}
        assert len(await self.moved()) == 1


class MadeFromACopy(Fragmented):
    """What another has been assigned is on the pod that waits as well."""

    async def training(self) -> dict[str, Any]:
        found = await super().training()
        service = await self.user.get(PODS, "service-0", "default")
        found["metadata"]["annotations"] = service["metadata"]["annotations"]
        assert "aliquot.dev/assignment" in found["metadata"]["annotations"]
        return found


class NobodyMoves(Fragmented):
    async def then(self) -> None:
        await asyncio.sleep(600)
        assert (await self.pods())["training"][1] == "Pending"
        assert await self.moved() == []


class DoNotDisrupt(NobodyMoves):
    annotations = DO_NOT_DISRUPT


class UnderABudget(NobodyMoves):
    async def live(self, storm_s: float) -> None:
        spec = {"minAvailable": 4, "selector": {"matchLabels": {"app": "service"}}}
        budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "spec": spec}
        await self.user.create(PODDISRUPTIONBUDGETS, {**budget, "metadata": {"name": "all"}}, "default")
        await super().live(storm_s)


class TooYoung(Fragmented):
    """For now: later it is old enough."""

    old_enough = False

    async def then(self) -> None:
        await asyncio.sleep(100)
        assert await self.moved() == []
        await asyncio.sleep(MINIMUM_RUN_S)
        await super().then()


class MoreImportant(NobodyMoves):
    """Than the one that waits."""

    def _manifests(self) -> list[dict[str, Any]]:
        found = super()._manifests()
        found[1]["spec"]["template"]["spec"]["priorityClassName"] = "system-cluster-critical"
        return found


@pytest.mark.parametrize(
    "kind",
    [Fragmented, MadeFromACopy, DoNotDisrupt, UnderABudget, TooYoung, MoreImportant],
)
def test_a_pod_is_moved_only_where_it_may_be(kind: type[Fragmented]) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run(0, kind=kind))
