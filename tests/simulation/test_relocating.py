"""Who is moved for whom on budgeted nodes, with API server, controllers, scheduler, agent and kubelet on virtual time."""

import asyncio
from typing import Any

import pytest
import yaml

from aliquot.clock import VirtualTimeLoop
from aliquot.gpu.inventory import InventoryGpus, InventoryNode
from aliquot.kube.api.gpunode import Partitioning
from aliquot.kube.resources import PODDISRUPTIONBUDGETS, PODS, STATEFULSETS
from aliquot.partition.controller import relocating
from tests.simulation.arranged import MINIMUM_RUN_S, Arranged
from tests.simulation.world import EXAMPLES, World, run

pytestmark = pytest.mark.simulation

NODES = (InventoryNode("hopper-0", {}, (InventoryGpus("h100-80gb", 4, mig=True),)),)
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


class InAChain(Arranged):
    """`w` needs the GPU that `x` is on, which has room only where `y` is, and `y` on the third."""

    layouts = {"n": ("x:3g.40gb@4", "!f:4g.40gb@0 y:1g.10gb@4", "!g:4g.40gb@0 !h:2g.20gb@4")}

    async def then(self) -> None:
        await self.wait_for("w", "7g.80gb")
        await asyncio.sleep(120)
        assert await self.phases() == dict.fromkeys("fghwxy", "Running")
        assert len(await self.moved()) == 2
        first, second = await self.told("Relocating")
        assert first == (
            "7g.80gb at slot 0 of GPU 0 of n: moves default/x (3g.40gb at slot 4; its place: GPU 1 of n, slot 4), "
            "which frees 4 memory slots; then default/y for what is moved; 19 of 20 moves left in this hour; "
            "plan: 1 of 1 waiting pod admitted, 2 pods moved; 3 slices made, 2 destroyed; proven optimal"
        )
        assert second.startswith(
            "3g.40gb at slot 4 of GPU 1 of n: moves default/y (1g.10gb at slot 4; its place: GPU 2 of n, slot 6), "
            "which frees 1 memory slot; 18 of 20 moves left"
        )
        assert (
            "evicted, to make room for default/w (7g.80gb at slot 0 of GPU 0 of n); its place: GPU 1 of n, slot 4"
            in await self.told("Relocated")
        )


class TooLongAChain(InAChain):
    """For what is left of the budget: then nobody is moved at all."""

    moves_per_hour = 1

    async def then(self) -> None:
        await self.wait_for("w", "7g.80gb")
        await asyncio.sleep(120)
        assert await self.moved() == []
        (message, *_) = await self.told("NotRelocating")
        assert message == (
            "no room for 1 x 7g.80gb, not even by moving what may be moved; 3 pods may not be moved "
            "('aliquot partition plan' says why); 1 of 1 moves left in this hour"
        )


class SeveralSlices(Arranged):
    """Of one pod, on one node: `x` has to go to the other."""

    layouts = {"a": ("x:1g.10gb@0", "!f:4g.40gb@0"), "b": ("!g:4g.40gb@0",)}

    async def then(self) -> None:
        await self.wait_for("w", "3g.40gb", count=3)
        await asyncio.sleep(60)
        assert await self.phases() == dict.fromkeys("fgwx", "Running")
        assert await self.moved() == ["x"]


class Crowded(Arranged):
    """More waits than there is room for, pods may be moved as soon as they run, and nobody counts."""

    layouts = {
        "a": ("a:1g.10gb@0 b:2g.20gb@4", "c:3g.40gb@4", "d:1g.10gb@3 e:1g.10gb@6"),
        "b": ("f:2g.20gb@2", "g:4g.40gb@0 h:1g.10gb@5", "i:1g.20gb@2 j:2g.20gb@4"),
    }
    minimum_run_s = 0.0
    moves_per_hour = 1000

    async def then(self) -> None:
        asked = self.rng.choices(("1g.10gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb"), k=9)
        for number, profile in enumerate(asked):
            await self.wait_for(f"w{number}", profile)
            await asyncio.sleep(self.rng.uniform(0, 20))
        await asyncio.sleep(600)
        moves = len(await self.moved())
        phases = await self.phases()
        # No more than there are pods that could be.
        assert moves <= 10
        assert {phases[name] for name in "abcdefghij"} == {"Running"}
        await asyncio.sleep(1200)
        assert len(await self.moved()) == moves


class SearchedAlone(InAChain):
    """Without the planner: a search that looks one pod ahead finds nothing."""

    async def then(self) -> None:
        await self.wait_for("w", "7g.80gb")
        await asyncio.sleep(120)
        assert (await self.phases())["w"] == "Pending"
        assert await self.moved() == []


@pytest.mark.parametrize(
    "kind", [Fragmented, MadeFromACopy, DoNotDisrupt, UnderABudget, TooYoung, MoreImportant]
)
def test_a_pod_is_moved_only_where_it_may_be(kind: type[Fragmented]) -> None:
    simulated(kind)


@pytest.mark.parametrize("kind", [InAChain, TooLongAChain, SeveralSlices])
def test_what_is_moved_is_planned_for_all_at_once(kind: type[World]) -> None:
    simulated(kind)


@pytest.mark.parametrize("seed", [1, 2])
def test_moves_come_to_an_end(seed: int) -> None:
    simulated(Crowded, seed)


def test_without_its_solver_one_pod_is_moved_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relocating, "is_installed", lambda: False)
    simulated(Fragmented)
    simulated(SearchedAlone)


def simulated(kind: type[World], seed: int = 0) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run(seed, kind=kind))
