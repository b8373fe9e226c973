"""Gangs, queues and priorities, while whoever decides on them is killed again and again: nothing happens to nodes and agents, so
no pod may be refused by a kubelet, no queue may ever hold more than its limit, and nothing may be left of a gang of which a member
is lost for ever. Whether what was had, and how long one has waited, counts in turns, is drawn for each seed."""

import asyncio
import random
from collections import Counter
from typing import Any

from aliquot.gpu.inventory import InventoryGpus, InventoryNode
from aliquot.kube import quantity
from aliquot.kube.api.gpunode import Partitioning
from aliquot.kube.client import Propagation
from aliquot.kube.errors import NotFound
from aliquot.kube.resources import JOBS, PODGROUPS, PODS, PRIORITYCLASSES, QUEUES
from aliquot.scheduler.settings import Settings
from tests.simulation.world import World, summary

NODES = tuple(InventoryNode(f"hopper-{n}", {}, (InventoryGpus("h100-80gb", 4),)) for n in range(2))
QUEUES_OF = {"research": {"quota": 4, "limit": 6}, "products": {"quota": 3}, "default": {"quota": 0}}
PRIORITIES = {"low": 1, "high": 10}
USERS = ("ann", "bob", "")
_HALF_LIVES_S = (None, 30.0, 3600.0)
_AGEING_S = (None, 10.0, 300.0)
_GPUS = sum(gpus.count for node in NODES for gpus in node.gpus)
_SIZES = (1, 1, 2, 3, 4, 6)
_DEMANDS = ("nvidia.com/gpu", "nvidia.com/gpu", "nvidia.com/mig-3g.40gb")
_MOST_JOBS = 8
_NODE_SIDE = ("agent", "kubelets")
_API = {"apiVersion": "aliquot.dev/v1alpha1"}
_BAND = "aliquot.dev/pod-group"
"""The label of pods that nobody makes anew."""
_BAND_SIZE = 2
_MOST_BANDS = 2


class Gangs(World):
    def __init__(self, seed: int) -> None:
        drawn = random.Random(f"{seed} scheduling")
        self._scheduling = Settings(
            usage_half_life_s=drawn.choice(_HALF_LIVES_S), ageing_s=drawn.choice(_AGEING_S)
        )
        super().__init__(seed, NODES, Partitioning.ON_DEMAND, scheduling=self._scheduling)
        self.note(str(self._scheduling))
        self._count = 0
        self._fallen: set[str] = set()
        """Bands of which a member is lost."""

    async def misfortune(self) -> None:
        assert self.supervisor is not None
        jobs = sorted(job["metadata"]["name"] for job in (await self.user.list(JOBS, "default")).items)
        match self.rng.choice(("start", "start", "end", "pod", "kill", "band", "lose")):
            case "start" if len(jobs) < _MOST_JOBS:
                await self.start(
                    self.rng.choice(_SIZES),
                    self.rng.choice(_DEMANDS),
                    self.rng.choice(sorted(QUEUES_OF)),
                    self.rng.choice(sorted(PRIORITIES)),
                    self.rng.choice(USERS),
                )
            case "start" | "end" if jobs:
                await self._end(self.rng.choice(jobs))
            case "pod" if pods := [
                pod["metadata"]["name"]
                for pod in (await self.user.list(PODS, "default")).items
                if _BAND not in pod["metadata"]["labels"]
            ]:
                name = self.rng.choice(sorted(pods))
                self.note(f"delete pod {name}")
                await self.delete_pod(name)
            case "band" if len((await self.user.list(PODGROUPS, "default")).items) < _MOST_BANDS:
                await self.form()
            case "lose" if whole := await self._whole_bands():
                await self._lose(self.rng.choice(whole))
            case _:
                names = [name for name in self.supervisor.names() if not name.startswith(_NODE_SIDE)]
                name = self.rng.choice(names)
                self.note(f"kill {name}")
                self.supervisor.kill(name)

    async def start(self, size: int, resource: str, queue: str, priority: str, user: str = "") -> None:
        self._count += 1
        name = f"job-{self._count}"
        self.note(f"{name}: {size} x {resource} in {queue}, {priority}, of {user or 'nobody'}")
        spec = _pod_spec(resource, priority)
        labels = {"aliquot.dev/queue": queue} | ({"aliquot.dev/user": user} if user else {})
        # Whoever is evicted begins again, however often.
        job = {
            "parallelism": size,
            "completions": size,
            "backoffLimit": 10_000,
            "template": {"metadata": {"labels": labels}, "spec": spec},
        }
        metadata = {
            "name": name,
            "namespace": "default",
            "annotations": {"aliquot.dev/min-member": str(size)},
        }
        await self.user.create(
            JOBS, {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": job}
        )

    async def form(self) -> None:
        """A band: pods of one gang, each of which there is but once."""
        self._count += 1
        name = f"band-{self._count}"
        self.note(name)
        spec: dict[str, Any] = {"minMember": _BAND_SIZE, "queue": "products", "stalenessGracePeriod": "20s"}
        metadata = {"name": name, "namespace": "default"}
        await self.user.create(PODGROUPS, {**_API, "kind": "PodGroup", "metadata": metadata, "spec": spec})
        for number in range(_BAND_SIZE):
            labels = {_BAND: name, "aliquot.dev/queue": "products"}
            pod = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": f"{name}-{number}", "namespace": "default", "labels": labels},
                "spec": _pod_spec("nvidia.com/gpu", "low"),
            }
            await self.user.create(PODS, pod)

    async def _whole_bands(self) -> list[str]:
        groups = (await self.user.list(PODGROUPS, "default")).items
        return sorted(
            group["metadata"]["name"]
            for group in groups
            if group["metadata"]["name"] not in self._fallen
            and any(
                one["type"] == "Scheduled" and one["status"] == "True"
                for one in group.get("status", {}).get("conditions", ())
            )
        )

    async def _lose(self, band: str) -> None:
        name = f"{band}-{self.rng.randrange(_BAND_SIZE)}"
        self.note(f"lose {name} for ever")
        self._fallen.add(band)
        await self.delete_pod(name)

    async def _left_of_fallen(self) -> list[str]:
        pods = (await self.user.list(PODS, "default")).items
        return [
            pod["metadata"]["name"] for pod in pods if pod["metadata"]["labels"].get(_BAND) in self._fallen
        ]

    async def _no_bands(self) -> None:
        """Those that lost a member are gone by themselves; then the others are taken away."""
        for band in await self._whole_bands():
            await self._lose(band)
        for _ in range(40):
            await asyncio.sleep(15)
            if not (left := await self._left_of_fallen()):
                break
        else:
            raise AssertionError(f"of gangs that lost a member there are still {left}")
        for group in (await self.user.list(PODGROUPS, "default")).items:
            await self.user.delete(PODGROUPS, group["metadata"]["name"], "default")
        for pod in (await self.user.list(PODS, "default")).items:
            if _BAND in pod["metadata"]["labels"]:
                await self.delete_pod(pod["metadata"]["name"])

    async def _end(self, name: str) -> None:
        self.note(f"delete {name}")
        try:
            await self.user.delete(JOBS, name, "default", propagation=Propagation.BACKGROUND)
        except NotFound:
            return

    async def check_always(self) -> None:
        held = await self.held()
        for given, holders in sorted(held.items()):
            assert len(holders) == 1, f"{given} is handed out {len(holders)} times: {holders}"
        pods = (await self.user.list(PODS, "default")).items
        # Whoever is evicted fails too, without a reason: it is a pod of a Job, and was killed.
        refused = [pod["metadata"]["name"] for pod in pods if pod["status"].get("reason")]
        assert not refused, f"refused by a kubelet: {refused}: {summary(pods)}"
        holds: Counter[str] = Counter()
        for pod in pods:
            if pod["spec"].get("nodeName") and pod["status"].get("phase") not in ("Failed", "Succeeded"):
                (resource,) = pod["spec"]["containers"][0]["resources"]["limits"]
                queue = pod["metadata"]["labels"]["aliquot.dev/queue"]
                holds[queue] += 1000 if resource == "nvidia.com/gpu" else 500
        assert holds["research"] <= 6000, f"beyond the queue's limit: {holds}"
        await self._check_had()

    async def _check_had(self) -> None:
        """Nobody had more than there is, and what users had is no more than their queue."""
        if self._scheduling.usage_half_life_s is None:
            return
        for queue in (await self.user.list(QUEUES)).items:
            usage = queue.get("status", {}).get("usage") or {}
            had = _gpus(usage.get("average", {}))
            of_users = sum(_gpus(one.get("average", {})) for one in usage.get("users", ()))
            name = queue["metadata"]["name"]
            assert had <= _GPUS, f"queue {name} had {had} of {_GPUS} GPUs on average"
            # Each is rounded to a thousandth.
            assert of_users <= had + 0.01, (
                f"of {had} GPUs on average that queue {name} had, users had {of_users}"
            )

    async def live(self, storm_s: float) -> None:
        await self.until(lambda: not self.cluster.not_ready(), within_s=120, what="nodes ready")
        for name, gpu in QUEUES_OF.items():
            spec: dict[str, Any] = {"resources": {"gpu": gpu}}
            await self.user.create(
                QUEUES, {**_API, "kind": "Queue", "metadata": {"name": name}, "spec": spec}
            )
        for name, value in PRIORITIES.items():
            kind = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass"}
            await self.user.create(PRIORITYCLASSES, {**kind, "metadata": {"name": name}, "value": value})
        self.weather.storm()
        loop = asyncio.get_running_loop()
        end = loop.time() + storm_s
        while loop.time() < end:
            await asyncio.sleep(self.rng.expovariate(1 / 4))
            await self.misfortune()
            await self.check_always()
        self.note("calm")
        self.weather.calm()
        for job in (await self.user.list(JOBS, "default")).items:
            await self._end(job["metadata"]["name"])
        await self._no_bands()
        await asyncio.sleep(90)
        # Six of eight GPUs in one gang, and what is left for those who would go before it if they could.
        await self.start(6, "nvidia.com/gpu", "research", "high")
        await self.start(2, "nvidia.com/gpu", "products", "low")
        for _ in range(40):
            await asyncio.sleep(15)
            await self.check_always()
            pods = (await self.user.list(PODS, "default")).items
            if len(pods) == 8 and all(pod["status"].get("phase") == "Running" for pod in pods):
                return
        raise AssertionError(f"not all run ten virtual minutes after the storm: {summary(pods)}")


def _gpus(amounts: dict[str, str]) -> float:
    return float(quantity.parse(amounts.get("gpu", "0")))


def _pod_spec(resource: str, priority: str) -> dict[str, Any]:
    container = {"name": "main", "image": "none", "resources": {"limits": {resource: "1"}}}
    return {
        "schedulerName": "default-scheduler",
        "priorityClassName": priority,
        "restartPolicy": "Never",
        "containers": [container],
    }
