"""A cluster in which jobs train: nodes of node groups, job kinds of other projects, and what their controllers and kubelets do, on virtual time."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from aliquot.clock import Clock, rfc3339
from aliquot.eks.estate.gangs import at
from aliquot.eks.estate.job_kinds import JOB_KINDS, WORKLOADS, Way
from aliquot.eks.estate.places import GROUP_LABEL
from aliquot.eks.upgrade.gpu_roll.marks import SUSPENDED_BY
from aliquot.kube.api.checkpoint import LAST, ON_REQUEST, REQUESTED, read
from aliquot.kube.client import Client, PatchKind
from aliquot.kube.errors import ApiError, NotFound
from aliquot.kube.resources import CRDS, NODES, PODS, Resource
from aliquot.kube.transport import Request, Response, Transport
from tests.eks.upgrade.lives import Killed

JOBSETS = JOB_KINDS["jobset.x-k8s.io", "JobSet"].resource
TORCH = JOB_KINDS["kubeflow.org", "PyTorchJob"].resource
LWS = JOB_KINDS["leaderworkerset.x-k8s.io", "LeaderWorkerSet"].resource
VOLCANO = JOB_KINDS["batch.volcano.sh", "Job"].resource
GPU = "nvidia.com/gpu"
SILENT = 0
"""Of a hook that takes the call and says nothing."""


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)

    async def read(self) -> bytes:
        return b"so be it"

    async def chunks(self) -> AsyncIterator[bytes]:
        yield await self.read()

    async def close(self) -> None:
        pass


class Recording:
    """A transport that counts what was written: how often an object was suspended, and how often resumed. Hooks of pods answer as a
    test says, the last for ever."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.dies_after_suspension = False
        """Once."""
        self.hooks: list[int] = [500]
        self.hooked: list[tuple[str, dict[str, Any]]] = []
        self.suspended: Counter[str] = Counter()
        self.resumed: Counter[str] = Counter()

    async def send(self, request: Request) -> Response:
        if "/proxy/" in request.path:
            self.hooked.append((request.path, msgspec.json.decode(request.body)))
            status = self.hooks.pop(0) if len(self.hooks) > 1 else self.hooks[0]
            if status == SILENT:
                await asyncio.sleep(1e6)
            return Answer(status)
        response = await self._inner.send(request)
        if request.method == "PATCH" and response.status == 200:
            marks = msgspec.json.decode(request.body).get("metadata", {}).get("annotations", {})
            if SUSPENDED_BY in marks:
                counter = self.suspended if marks[SUSPENDED_BY] else self.resumed
                counter[request.path.rpartition("/")[2]] += 1
                if self.dies_after_suspension:
                    self.dies_after_suspension = False
                    raise Killed
        return response

    async def close(self) -> None:
        await self._inner.close()


@dataclass
class Job:
    resource: Resource
    name: str
    pods: int
    saves: bool = False
    save_s: float = 40.0
    """From when it is asked."""
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    queue: bool = False
    """Kueue has it."""


class Training:
    """`admin` is not the client that is tested."""

    def __init__(self, admin: Client, clock: Clock, rng: random.Random) -> None:
        self._admin = admin
        self._clock = clock
        self._rng = rng
        self.jobs: dict[str, Job] = {}
        self.leave_s = 5.0
        self.every_s = 1.0
        """Between two looks of controllers and kubelets."""
        self.never_leaves: set[str] = set()
        """Names of jobs."""
        self._leaving: dict[str, float] = {}
        self._made = 0
        self._task: asyncio.Task[None] | None = None

    async def serve(self, *resources: Resource) -> None:
        free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        for one in resources:
            version = {
                "name": one.version,
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": free},
            }
            names = {"plural": one.plural, "kind": one.kind, "singular": one.kind.lower()}
            spec = {"group": one.group, "scope": "Namespaced", "names": names, "versions": [version]}
            await self._admin.create(CRDS, {"metadata": {"name": one.name}, "spec": spec})

    async def node(self, name: str, group: str, **more: Any) -> None:
        labels = {GROUP_LABEL: group, **more.pop("labels", {})}
        await self._admin.create(NODES, {"metadata": {"name": name, "labels": labels}, "spec": more})
        status = {
            "conditions": [{"type": "Ready", "status": "True"}],
            "capacity": {GPU: "8"},
            "allocatable": {GPU: "8", "cpu": "96", "pods": "110"},
        }
        await self._admin.patch(NODES, name, {"status": status}, subresource="status")

    async def submit(self, job: Job, *, suspended: bool = False) -> None:
        """Pods come at the controllers' next look."""
        self.jobs[job.name] = job
        kind = JOB_KINDS[job.resource.group, job.resource.kind]
        body: dict[str, Any] = {
            "metadata": {"name": job.name, "namespace": "default", "annotations": job.annotations},
            "spec": {},
        }
        value: Any = job.pods if kind.way is Way.SCALE else suspended
        inner = body
        for key in kind.path[:-1]:
            inner = inner.setdefault(key, {})
        inner[kind.path[-1]] = value
        made = await self._admin.create(job.resource, body)
        if job.queue:
            owner = self._owner(made, job.resource)
            meta = {"name": f"kueue-{job.name}", "namespace": "default", "ownerReferences": [owner]}
            await self._admin.create(WORKLOADS, {"metadata": meta, "spec": {"active": True}})

    def start(self) -> None:
        self._task = asyncio.create_task(self._live())

    async def stop(self) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def wants(self, job: Job) -> int:
        """Pods, by what its object says now."""
        kind = JOB_KINDS[job.resource.group, job.resource.kind]
        told = await self._admin.get(job.resource, job.name, "default")
        if job.queue:
            active = (await self._admin.get(WORKLOADS, f"kueue-{job.name}", "default"))["spec"]["active"]
            return job.pods if active else 0
        value = at(told, kind.path)
        if kind.way is Way.SCALE:
            return int(value)
        return 0 if value else job.pods

    async def pods(self, job: str = "") -> list[dict[str, Any]]:
        listed = (await self._admin.list(PODS, "default")).items
        return [one for one in listed if not job or one["metadata"]["labels"].get("job") == job]

    async def _live(self) -> None:
        while True:
            # Somebody else wrote at the same moment, or took away what was seen: it is looked at again.
            with contextlib.suppress(ApiError):
                await self.step()
            await asyncio.sleep(self.every_s)

    async def step(self) -> None:
        for job in list(self.jobs.values()):
            try:
                wanted = await self.wants(job)
            except NotFound:
                wanted = 0
            there = await self.pods(job.name)
            for number in range(wanted - len(there)):
                await self._new(job, number)
            if wanted < len(there) and job.name not in self.never_leaves:
                since = self._leaving.setdefault(job.name, self._clock.now())
                if self._clock.now() - since >= self.leave_s:
                    for pod in there[wanted:]:
                        await self._admin.delete(PODS, pod["metadata"]["name"], "default", grace_period_s=0)
            else:
                self._leaving.pop(job.name, None)
            if job.saves:
                await self._save(job, there)
        await self._schedule()

    async def _new(self, job: Job, number: int) -> None:
        self._made += 1
        owner = self._owner(await self._admin.get(job.resource, job.name, "default"), job.resource)
        annotations = {ON_REQUEST: "true"} if job.saves else {}
        meta = {
            "name": f"{job.name}-{self._made}",
            "namespace": "default",
            "labels": {"job": job.name, **job.labels},
            "annotations": {**annotations, **job.annotations},
            "ownerReferences": [owner],
        }
        resources = {"limits": {GPU: "8"}, "requests": {GPU: "8"}}
        spec = {"containers": [{"name": "c", "image": "train", "resources": resources}]}
        await self._admin.create(PODS, {"metadata": meta, "spec": spec})

    @staticmethod
    def _owner(made: Mapping[str, Any], resource: Resource) -> dict[str, Any]:
        return {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "name": made["metadata"]["name"],
            "uid": made["metadata"]["uid"],
            "controller": True,
        }

    async def _schedule(self) -> None:
        """One pod takes a node whole."""
        pods = await self.pods()
        taken = {one["spec"].get("nodeName") for one in pods}
        nodes = [
            one["metadata"]["name"]
            for one in (await self._admin.list(NODES)).items
            if not one.get("spec", {}).get("unschedulable") and one["metadata"]["name"] not in taken
        ]
        self._rng.shuffle(nodes)
        for pod in pods:
            if not pod["spec"].get("nodeName") and nodes:
                await self._admin.bind("default", pod["metadata"]["name"], nodes.pop())
            elif pod["spec"].get("nodeName") and pod["status"].get("phase") != "Running":
                await self._admin.patch(
                    PODS,
                    pod["metadata"]["name"],
                    {"status": {"phase": "Running"}},
                    "default",
                    kind=PatchKind.MERGE,
                    subresource="status",
                )

    async def _save(self, job: Job, pods: list[dict[str, Any]]) -> None:
        now_s = self._clock.now()
        for pod in pods[:1]:
            marks = pod["metadata"].get("annotations", {})
            asked_s, last_s = read(marks.get(REQUESTED, "")), read(marks.get(LAST, ""))
            if asked_s > last_s and now_s - asked_s >= job.save_s:
                body = {"metadata": {"annotations": {LAST: rfc3339(now_s)}}}
                await self._admin.patch(PODS, pod["metadata"]["name"], body, "default")
