"""A cluster that cuts and shares its GPUs as pods need them, under the same misfortunes: pods come and go all the while."""

import asyncio
from collections import Counter
from typing import Any

from aliquot.gpu.inventory import InventoryGpus, InventoryNode
from aliquot.kube.api.gpunode import Partitioning
from aliquot.kube.resources import GPUCLASSES, GPUNODES, PODS
from aliquot.node.advertise import device_of
from tests.simulation import plain_scheduler
from tests.simulation.world import World, summary

NODES = (
    InventoryNode("hopper-0", {}, (InventoryGpus("h100-80gb", 2),)),
    InventoryNode("mixed-0", {}, (InventoryGpus("h100-80gb", 1), InventoryGpus("a100-80gb", 1, mig=True))),
)
CLASSES: dict[str, dict[str, Any]] = {
    "small": {"memory": "9Gi", "isolation": "Hardware"},
    "slow": {"ways": [{"timeSlicing": {"replicas": 3}}]},
    "any": {"ways": [{"mig": {"profile": "2g.20gb"}}, {"timeSlicing": {"replicas": 2}}]},
}
DEMANDS = (
    "nvidia.com/gpu",
    "nvidia.com/mig-1g.10gb",
    "nvidia.com/mig-2g.20gb",
    "nvidia.com/mig-3g.40gb",
    "class.aliquot.dev/small",
    "class.aliquot.dev/slow",
    "class.aliquot.dev/any",
)
LAST = Counter(
    {
        "class.aliquot.dev/slow": 2,
        "nvidia.com/gpu": 1,
        "class.aliquot.dev/small": 3,
        "nvidia.com/mig-3g.40gb": 1,
        "nvidia.com/mig-2g.20gb": 1,
        "nvidia.com/mig-1g.10gb": 2,
    }
)
"""Has room on the four GPUs; what needs one without MIG comes first."""
_WITHOUT_MIG = ("class.aliquot.dev/slow", "nvidia.com/gpu")
_MOST_PODS = 16


_NODE_SIDE = ("agent", "kubelets")


class PartitionedWorld(World):
    scheduler = "default-scheduler"
    idle_s = 15.0
    last = LAST

    def __init__(self, seed: int) -> None:
        super().__init__(seed, NODES, Partitioning.ON_DEMAND, self.idle_s)
        self._count = 0
        self._rebooted: set[str] = set()

    async def reboot(self, node: str, down_s: float) -> None:
        self._rebooted.add(node)
        await super().reboot(node, down_s)

    async def misfortune(self) -> None:
        # Somebody always wants something.
        if self.rng.random() < 0.5:
            pods = (await self.user.list(PODS, "default")).items
            if len(pods) < _MOST_PODS:
                await self.start_pod(self.rng.choice(DEMANDS))
            else:
                await self.delete_pod(self.rng.choice(sorted(pod["metadata"]["name"] for pod in pods)))
            return
        if (await self.user.list(PODS, "default")).items:
            await super().misfortune()

    async def configure(self, text: str) -> None:
        """Sharing by configuration is the other world's matter."""

    async def start_pod(self, resource: str) -> None:
        self._count += 1
        name = f"pod-{self._count}"
        self.note(f"pod {name} wants {resource}")
        limits = {resource: "1"}
        container = {"name": "main", "image": "none", "resources": {"limits": limits}}
        metadata = {"name": name, "namespace": "default"}
        spec = {"schedulerName": self.scheduler, "containers": [container]}
        pod = {"metadata": metadata, "spec": spec}
        await self.user.create(PODS, {"apiVersion": "v1", "kind": "Pod", **pod})

    async def live(self, storm_s: float) -> None:
        await self.until(lambda: not self.cluster.not_ready(), within_s=120, what="nodes ready")
        for name, spec in CLASSES.items():
            kind = {"apiVersion": "aliquot.dev/v1alpha1", "kind": "GPUClass"}
            await self.user.create(GPUCLASSES, {**kind, "metadata": {"name": name}, "spec": spec})
        for resource in DEMANDS:
            await self.start_pod(resource)
        self.weather.storm()
        loop = asyncio.get_running_loop()
        end = loop.time() + storm_s
        while loop.time() < end:
            await asyncio.sleep(self.rng.expovariate(1 / 4))
            await self.misfortune()
            await self.check_always()
            await self._bury()
        self.note("calm")
        self.weather.calm()
        await self.until(lambda: not self.down, within_s=120, what="nodes back")
        for pod in (await self.user.list(PODS, "default")).items:
            await self.delete_pod(pod["metadata"]["name"])
        # Until nobody holds anything and what was shared and named is given back: else what is left decides who has room.
        await asyncio.sleep(60 + self.idle_s)
        last = sorted(self.last.elements())
        self.rng.shuffle(last)
        last.sort(key=lambda resource: resource not in _WITHOUT_MIG)
        for resource in last:
            if resource not in _WITHOUT_MIG:
                # Slices that are still there are taken at once, wherever they are: those who need a whole GPU go first.
                await asyncio.sleep(15)
            await self.start_pod(resource)
        for _ in range(40):
            await asyncio.sleep(15)
            await self.check_always()
            pods = (await self.user.list(PODS, "default")).items
            if len(pods) == len(last) and all(pod["status"].get("phase") == "Running" for pod in pods):
                break
            for resource in await self._bury():
                await self.start_pod(resource)
        else:
            nodes = (await self.user.list(GPUNODES)).items
            told = [(node["metadata"]["name"], node["spec"]) for node in nodes]
            raise AssertionError(f"not all run ten virtual minutes after the storm: {summary(pods)}; {told}")

    async def _bury(self) -> list[str]:
        """Delete the pods that failed for good; what they had asked for."""
        wanted = []
        for pod in (await self.user.list(PODS, "default")).items:
            if pod["status"].get("phase") in ("Failed", "Succeeded"):
                self.note(f"{pod['metadata']['name']} failed: {pod['status'].get('message', '')}")
                wanted += pod["spec"]["containers"][0]["resources"]["limits"]
                await self.delete_pod(pod["metadata"]["name"])
        return wanted

    async def check_always(self) -> None:
        held = await self.held()
        for given, holders in sorted(held.items()):
            assert len(holders) == 1, f"{given} is handed out {len(holders)} times: {holders}"
            whole = device_of(given)
            assert whole == given or whole not in held, f"{whole} is handed out whole and in shares"
        there = {
            device
            for name, node in self.cluster.nodes.items()
            for gpu in node.driver.gpus()
            for device in (
                gpu.uuid,
                *(c.uuid for i in node.driver.instances(gpu.uuid) for c in i.compute_instances),
            )
        }
        if not self._rebooted:
            gone = {device for device in map(device_of, held) if device not in there}
            assert not gone, f"destroyed while somebody had it: {gone}"


class UndisturbedNodes(PartitionedWorld):
    """Nothing happens to nodes, kubelets and agents: so no pod may ever be refused by a kubelet, which is for good."""

    async def misfortune(self) -> None:
        assert self.supervisor is not None
        if self.rng.random() < 0.8:
            pods = (await self.user.list(PODS, "default")).items
            if len(pods) < _MOST_PODS:
                await self.start_pod(self.rng.choice(DEMANDS))
            else:
                await self.delete_pod(self.rng.choice(sorted(pod["metadata"]["name"] for pod in pods)))
            return
        name = self.rng.choice([name for name in self.supervisor.names() if not name.startswith(_NODE_SIDE)])
        self.note(f"kill {name}")
        self.supervisor.kill(name)

    async def _bury(self) -> list[str]:
        refused = await super()._bury()
        assert not refused, f"refused by a kubelet: {refused}"
        return refused


class PlainlyScheduled(PartitionedWorld):
    """All pods are those of a scheduler that knows node.status alone. That trails by ten seconds, so what was made into
    something else meanwhile is given in vain; in the end all run all the same."""

    scheduler = plain_scheduler.NAME
    last = LAST - Counter(dict.fromkeys(_WITHOUT_MIG, 2))
    """It binds to what is left of the storm, and so may keep every GPU that could be without MIG."""

    async def live(self, storm_s: float) -> None:
        plain = asyncio.create_task(plain_scheduler.schedule(self.user, self.clock))
        try:
            await super().live(storm_s)
        finally:
            plain.cancel()
