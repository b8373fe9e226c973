"""A whole cluster for whole upgrades: a fake of EKS whose nodes are nodes of an emulated API server, on one virtual clock.

What a kubelet, a scheduler and the Job controller would do, is done here, at once, whenever somebody asks the API server: nodes come
and go with the fake's machines, and a Job of several pods has all of them on free GPU nodes, or none.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aliquot.clock import VirtualClock, rfc3339
from aliquot.eks.aws.api import Failure
from aliquot.eks.estate.places import GROUP_LABEL
from aliquot.eks.fake.direct import Direct
from aliquot.eks.fake.fleet import Machine
from aliquot.eks.upgrade.acts.gpu_restore import STARTUP_TAINT
from aliquot.emulator.app import ApiServer
from aliquot.emulator.storage.store import Store
from aliquot.kube.api.checkpoint import LAST, ON_REQUEST, REQUESTED
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.client import Client
from aliquot.kube.errors import NotFound
from aliquot.kube.resources import JOBS, NODES, PODS
from aliquot.kube.transport import Request, Response, Transport
from tests.eks.fake.worlds import START_S, Account
from tests.eks.upgrade import besides
from tests.eks.upgrade.besides import Besides, OnFargate, SmokeJobs
from tests.eks.upgrade.karpenter_model import Karpenter, Kind

GPUS = 8
JOB = "train"
WORKERS = 2


class Killed(BaseException):
    """The process is gone, here."""


@dataclass
class Chance:
    """By which whoever asks dies, before an answer or just after it."""

    rng: random.Random
    of_death: float = 0.0

    def die(self) -> None:
        if self.of_death and self.rng.random() < self.of_death:
            raise Killed


@dataclass
class Told:
    """An answer that was read already."""

    status: int
    headers: dict[str, str]
    body: bytes

    async def read(self) -> bytes:
        return self.body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self.body

    async def close(self) -> None:
        pass


class Door:
    """Through which the runner reaches the cluster. What stands behind it first does what is due."""

    def __init__(self, inner: Transport, cluster: "Cluster", chance: Chance) -> None:
        self._inner, self._cluster, self._chance = inner, cluster, chance

    async def send(self, request: Request) -> Response:
        self._chance.die()
        await self._cluster.settle()
        if request.path == "/version":
            version = {"gitVersion": f"v{self._cluster.minor}.4-eks-1a2b3c4"}
            return Told(200, {"content-type": "application/json"}, json.dumps(version).encode())
        response = await self._inner.send(request)
        self._chance.die()
        return response

    async def close(self) -> None:
        await self._inner.close()


@dataclass
class DyingApi:
    api: Direct
    chance: Chance

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        self.chance.die()
        answer = await self.api.call(service, operation, **parameters)
        self.chance.die()
        return answer

    async def pages(
        self, service: str, operation: str, result: str, **parameters: Any
    ) -> AsyncIterator[dict[str, Any] | str]:
        async for item in self.api.pages(service, operation, result, **parameters):
            yield item


@dataclass
class Cluster:
    """Its API server, and all that would run beside it."""

    account: Account
    admin: Client
    clock: VirtualClock
    saves: bool = True
    """The job saves what it has done when it is asked to."""
    nodes: dict[str, Machine] = field(default_factory=dict)
    workers: dict[str, str] = field(default_factory=dict)
    """Pods of the job: on which node each is."""
    cut: list[str] = field(default_factory=list)
    """Workers whose node was taken from under them."""
    starts: int = 0
    blind: set[str] = field(default_factory=set)
    """Node groups on whose nodes no device plugin comes up."""
    karpenter: Karpenter | None = None
    fargate: OnFargate | None = None
    smokes: SmokeJobs | None = None

    @property
    def minor(self) -> str:
        return self.account.world.clusters["prod"].minor

    async def settle(self) -> None:
        machines = self.account.fleet.machines
        for name in [name for name in self.nodes if name not in machines]:
            await self._gone(name)
        for name, machine in list(machines.items()):
            if name not in self.nodes:
                await self._come(machine)
        await self._run_job()
        if self.karpenter is not None:
            await self.karpenter.settle(self.minor)
        if self.fargate is not None:
            await self.fargate.settle(set(self.nodes))
        if self.smokes is not None:
            await self.smokes.settle()

    async def _come(self, machine: Machine) -> None:
        self.nodes[machine.name] = machine
        labels = {
            **({GROUP_LABEL: machine.nodegroup} if machine.nodegroup else {}),
            "topology.kubernetes.io/zone": machine.zone,
            "node.kubernetes.io/instance-type": machine.instance_type,
            **machine.labels,
        }
        taints = [{"key": key, "value": value, "effect": effect} for key, value, effect in machine.taints]
        await self.admin.create(
            NODES, {"metadata": {"name": machine.name, "labels": labels}, "spec": {"taints": taints}}
        )
        has_gpus = "NVIDIA" in machine.ami_type and machine.nodegroup not in self.blind
        gpus = {"nvidia.com/gpu": str(GPUS)} if has_gpus else {}
        status = {
            "conditions": [{"type": "Ready", "status": "True"}],
            "nodeInfo": {
                "kubeletVersion": f"v{machine.minor}.4-eks-1a2b3c4",
                "containerRuntimeVersion": "containerd://2.1.5",
            },
            "capacity": {"cpu": "96", "pods": "250", **gpus},
            "allocatable": {"cpu": "96", "pods": "250", **gpus},
        }
        await self.admin.patch(NODES, machine.name, {"status": status}, subresource="status")

    async def _gone(self, name: str) -> None:
        del self.nodes[name]
        for pod, node in list(self.workers.items()):
            if node == name:
                self.cut.append(pod)
                await self._end(pod)
        await self.admin.delete(NODES, name)

    async def _end(self, pod: str) -> None:
        self.workers.pop(pod)
        try:
            await self.admin.delete(PODS, pod, "default", grace_period_s=0)
        except NotFound:
            return

    async def _run_job(self) -> None:
        try:
            job = await self.admin.get(JOBS, JOB, "default")
        except NotFound:
            return
        if job["spec"].get("suspend"):
            for pod in list(self.workers):
                await self._end(pod)
            return
        if self.workers:
            if self.saves:
                await self._save()
            return
        free = await self._free()
        if len(free) < WORKERS:
            return
        self.starts += 1
        for number, node in enumerate(free[:WORKERS]):
            await self._start(job, f"{JOB}-{number}-{self.starts}", node)

    async def _free(self) -> list[str]:
        listed = (await self.admin.list(NODES)).items
        return sorted(
            one["metadata"]["name"]
            for one in listed
            if one["metadata"]["name"] in self.nodes
            and not one["spec"].get("unschedulable")
            and not any(taint["key"] == STARTUP_TAINT for taint in one["spec"].get("taints", ()))
            and "nvidia.com/gpu" in one["status"].get("allocatable", {})
        )

    async def _start(self, job: dict[str, Any], name: str, node: str) -> None:
        self.workers[name] = node
        owner = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "name": JOB,
            "uid": job["metadata"]["uid"],
            "controller": True,
        }
        metadata = {
            "name": name,
            "namespace": "default",
            "labels": {"job-name": JOB},
            "annotations": {ON_REQUEST: "true"} if self.saves else {},
            "ownerReferences": [owner],
        }
        limits = {"limits": {"nvidia.com/gpu": str(GPUS)}}
        env = [{"name": "CUDA_VERSION", "value": "12.4.1"}]
        container = {"name": "c", "image": "train:1", "resources": limits, "env": env}
        await self.admin.create(
            PODS, {"metadata": metadata, "spec": {"nodeName": node, "containers": [container]}}
        )
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        await self.admin.patch(PODS, name, {"status": status}, "default", subresource="status")

    async def _save(self) -> None:
        for name in self.workers:
            pod = await self.admin.get(PODS, name, "default")
            annotations = pod["metadata"].get("annotations", {})
            if annotations.get(REQUESTED, "") > annotations.get(LAST, ""):
                saved = {"metadata": {"annotations": {LAST: rfc3339(self.clock.now() + 1)}}}
                await self.admin.patch(PODS, name, saved, "default")


@dataclass
class Whole:
    account: Account
    server: ApiServer
    clock: VirtualClock
    api: Direct
    cluster: Cluster
    transport: Transport
    rng: random.Random
    ahead_s: float

    @property
    def now_s(self) -> float:
        return self.clock.now() + self.ahead_s

    def door(self, chance: Chance) -> tuple[DyingApi, Client]:
        """For one life of a runner."""
        kube = Client(Door(self.transport, self.cluster, chance), clock=self.clock, rng=self.rng)
        return DyingApi(self.api, chance), kube


@asynccontextmanager
async def whole(
    seed: int,
    *,
    gpus: int = WORKERS,
    cpus: int = 2,
    job: bool = True,
    pools: bool = False,
    has: Besides = besides.NOTHING,
    kind: type[Cluster] = Cluster,
) -> AsyncIterator[Whole]:
    """1.31 with a CPU and a GPU group, three add-ons, a job that has all GPUs, and what it has besides. `pools`: and Karpenter, with nodes for
    servers and for another job."""
    rng = random.Random(seed)
    account, clock = Account(), VirtualClock(START_S)
    account.world.quotas = {("ec2", "L-417A185B"): 9600.0, ("ec2", "L-1216C47A"): 640.0}
    account.cluster("1.31")
    minors = {name: {"version": "1.30"} if name == has.old_group else {} for name in ("cpu", "gpu")}
    account.nodegroup("cpu", cpus, **minors["cpu"])
    account.nodegroup(
        "gpu", gpus, amiType="AL2023_x86_64_NVIDIA", instanceTypes=["p4d.24xlarge"], **minors["gpu"]
    )
    besides.addons(account, has)
    if has.fargate:
        besides.profile(account)
    account.pass_(120)
    ahead_s = account.now_s - START_S
    api = Direct(
        account.service,
        now=lambda: clock.now() + ahead_s,
        failed=Failure,
        subnets=account.subnets,
        others={
            ("ec2", "DescribeSubnets"): lambda asked: {"Subnets": account.subnets()},
            ("ec2", "DescribeInstanceTypes"): _instance_types,
            ("ec2", "DescribeInstances"): lambda asked: {"Reservations": []},
            ("ec2", "DescribeVolumes"): lambda asked: {"Volumes": []},
        },
    )
    store = Store(None)
    server = ApiServer(store, clock=clock, rng=random.Random(1))
    await server.start()
    transport = AsgiTransport(server.app, "admin", ["system:masters"])
    admin = Client(transport, clock=clock, rng=rng)
    cluster = kind(account, admin, clock, saves=rng.random() < 0.5)
    if job:
        await admin.create(JOBS, _job())
    if has.smokes:
        cluster.smokes = SmokeJobs(admin, clock, fails=int(has.smoke_fails))
    if has.fargate:
        cluster.fargate = OnFargate(account, admin, lambda: clock.now() + ahead_s)
        await cluster.fargate.begin()
        await cluster.settle()
    await cluster.settle()
    if pools:
        cluster.karpenter = await _with_pools(admin, clock)
    try:
        yield Whole(account, server, clock, api, cluster, transport, rng, ahead_s)
    finally:
        server.stop()
        store.close()


async def _with_pools(admin: Client, clock: VirtualClock) -> Karpenter:
    karpenter = Karpenter(admin, clock)
    await karpenter.begin("1.31", default="al2023@latest")
    await karpenter.pool("web", "default", "50%")
    await karpenter.pool("burst", "default")
    await karpenter.run("web", Kind("web", pods=4, a_node=2))
    await karpenter.run("sweep", Kind("burst", pods=2, job=True))
    # As many as are on their way come up.
    for _ in range(5):
        await asyncio.sleep(60)
        await karpenter.settle("1.31")
    return karpenter


def _job() -> dict[str, Any]:
    container = {"name": "c", "image": "train:1"}
    template = {"spec": {"containers": [container], "restartPolicy": "Never"}}
    return {
        "metadata": {"name": JOB, "namespace": "default"},
        "spec": {"parallelism": WORKERS, "completions": WORKERS, "template": template},
    }


def _instance_types(asked: dict[str, Any]) -> dict[str, Any]:
    return {"InstanceTypes": [_TYPES[name] for name in asked["InstanceTypes"] if name in _TYPES]}


_TYPES: dict[str, dict[str, Any]] = {
    "t3.medium": {
        "InstanceType": "t3.medium",
        "VCpuInfo": {"DefaultVCpus": 2},
        "NetworkInfo": {"MaximumNetworkInterfaces": 3, "Ipv4AddressesPerInterface": 6},
    },
    "p4d.24xlarge": {
        "InstanceType": "p4d.24xlarge",
        "VCpuInfo": {"DefaultVCpus": 96},
        "GpuInfo": {"Gpus": [{"Name": "A100", "Manufacturer": "NVIDIA", "Count": 8}]},
        "NetworkInfo": {"MaximumNetworkInterfaces": 60, "Ipv4AddressesPerInterface": 50},
    },
}
