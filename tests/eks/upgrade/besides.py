"""What clusters of whole lives have besides, by their seed: a group that is behind, builds that do not go on, pods on Fargate, smoke jobs."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from aliquot.clock import Clock, rfc3339
from aliquot.eks.fake.fleet import Pod
from aliquot.eks.fake.known import Build
from aliquot.eks.upgrade.acts.smoke_job import LABEL, SmokeJob
from aliquot.kube.client import Client
from aliquot.kube.errors import NotFound
from aliquot.kube.resources import DEPLOYMENTS, JOBS, NAMESPACES, PODS, REPLICASETS
from tests.eks.fake.worlds import Account

EBS, EBS_OLD, EBS_NEW = "aws-ebs-csi-driver", "v1.40.0-eksbuild.1", "v1.45.0-eksbuild.2"
PROXY_OLD = "v1.28.15-eksbuild.37"
"""A kubelet's minors behind 1.31, and too far behind 1.32."""
NAMESPACE, EDGE = "shop", "edge"
RESTARTED = "kubectl.kubernetes.io/restartedAt"


@dataclass(frozen=True, kw_only=True)
class Besides:
    old_group: str = ""
    """It is a minor behind the control plane."""
    old_builds: bool = False
    """Of add-ons: one that is for 1.31 alone, and a kube-proxy that is too far behind 1.32."""
    fargate: bool = False
    smokes: bool = False
    smoke_fails: bool = False
    """The first time."""


NOTHING = Besides()


def of_seed(seed: int) -> Besides:
    return Besides(
        old_group=("", "cpu", "", "gpu")[seed % 4],
        old_builds=seed % 3 == 0,
        fargate=seed % 5 in (2, 4),
        smokes=seed % 2 == 0,
        smoke_fails=seed % 8 == 0,
    )


def smokes(besides: Besides) -> tuple[SmokeJob, ...]:
    """One on the GPUs after each roll, one of the cluster before and after each hop."""
    if not besides.smokes:
        return ()
    spec = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "check:1"}]}
    manifest = {"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": {"spec": spec}}}
    return (
        SmokeJob(name="nccl", manifest=manifest, group="gpu"),
        SmokeJob(name="names", manifest=manifest),
    )


def addons(account: Account, besides: Besides) -> None:
    builds: dict[str, dict[str, str]] = {"coredns": {}, "kube-proxy": {}, "vpc-cni": {}}
    if besides.old_builds:
        old = Build(version=EBS_OLD, minors=("1.30", "1.31"))
        known = account.world.known
        account.world.known = replace(known, addons={**known.addons, EBS: [*known.addons[EBS], old]})
        builds |= {EBS: {"addonVersion": EBS_OLD}, "kube-proxy": {"addonVersion": PROXY_OLD}}
    for name, more in builds.items():
        account.call("CreateAddon", clusterName="prod", addonName=name, **more)


def profile(account: Account) -> None:
    account.call(
        "CreateFargateProfile",
        clusterName="prod",
        fargateProfileName=NAMESPACE,
        podExecutionRoleArn="arn:aws:iam::123456789012:role/pods",
        subnets=["subnet-a", "subnet-b"],
        selectors=[{"namespace": NAMESPACE}],
    )
    account.pass_(300)


@dataclass
class OnFargate:
    """A Deployment whose pod is on Fargate, and who makes it anew when it is restarted."""

    account: Account
    admin: Client
    now: Callable[[], float]
    """By AWS' clock."""
    pod: str = ""
    restarted: str = ""
    made: int = 0
    runs: bool = False

    async def begin(self) -> None:
        await self.admin.create(NAMESPACES, {"metadata": {"name": NAMESPACE}})
        labels = {"app": EDGE}
        spec = {"containers": [{"name": "c", "image": "edge:1"}]}
        made = await self.admin.create(
            DEPLOYMENTS,
            {
                "metadata": {"name": EDGE, "namespace": NAMESPACE},
                "spec": {
                    "replicas": 1,
                    "selector": {"matchLabels": labels},
                    "template": {"metadata": {"labels": labels}, "spec": spec},
                },
            },
        )
        await self.admin.create(
            REPLICASETS,
            {
                "metadata": {
                    "name": EDGE,
                    "namespace": NAMESPACE,
                    "ownerReferences": [_owner("Deployment", EDGE, made)],
                },
                "spec": {
                    "replicas": 0,
                    "selector": {"matchLabels": labels},
                    "template": {"metadata": {"labels": labels}, "spec": spec},
                },
            },
        )

    async def scale(self, replicas: int) -> None:
        """As a person does."""
        await self.admin.patch(DEPLOYMENTS, EDGE, {"spec": {"replicas": replicas}}, NAMESPACE)

    async def settle(self, nodes: set[str]) -> None:
        deployment = await self.admin.get(DEPLOYMENTS, EDGE, NAMESPACE)
        template = deployment["spec"]["template"]["metadata"]
        restarted = template.get("annotations", {}).get(RESTARTED, "")
        wanted = deployment["spec"]["replicas"]
        if self.pod and (not wanted or restarted != self.restarted):
            await self._end()
        if not self.pod and wanted:
            self.made += 1
            self.pod, self.restarted = f"{EDGE}-{self.made}", restarted
            self.account.fleet.waiting["prod"] = (Pod(namespace=NAMESPACE, name=self.pod),)
            self.account.service.advance(self.now())
        if self.pod and not self.runs:
            await self._start(nodes)

    async def _start(self, nodes: set[str]) -> None:
        machines = self.account.fleet.machines.values()
        node = next((one.name for one in machines if one.pod == (NAMESPACE, self.pod)), "")
        if node not in nodes:
            return
        owner = await self.admin.get(REPLICASETS, EDGE, NAMESPACE)
        metadata = {
            "name": self.pod,
            "namespace": NAMESPACE,
            "labels": {"app": EDGE},
            "ownerReferences": [_owner("ReplicaSet", EDGE, owner)],
        }
        spec = {"nodeName": node, "containers": [{"name": "c", "image": "edge:1"}]}
        await self.admin.create(PODS, {"metadata": metadata, "spec": spec})
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        await self.admin.patch(PODS, self.pod, {"status": status}, NAMESPACE, subresource="status")
        self.runs = True

    async def _end(self) -> None:
        if self.runs:
            await self.admin.delete(PODS, self.pod, NAMESPACE, grace_period_s=0)
        self.pod, self.runs = "", False
        self.account.fleet.waiting["prod"] = ()
        self.account.service.advance(self.now())


def _owner(kind: str, name: str, made: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "name": name,
        "uid": made["metadata"]["uid"],
        "controller": True,
    }


@dataclass
class SmokeJobs:
    """Who runs them: each ends a while after it was seen."""

    admin: Client
    clock: Clock
    fails: int
    """So many of the first."""
    seen: set[str] = field(default_factory=set)
    ended: int = 0

    async def settle(self) -> None:
        for job in (await self.admin.list(JOBS, label_selector=LABEL)).items:
            name, over = job["metadata"]["name"], job.get("status", {}).get("conditions")
            if over or name not in self.seen:
                self.seen.add(name)
                continue
            self.ended += 1
            status = self._status("Failed" if self.ended <= self.fails else "Complete")
            try:
                await self.admin.patch(
                    JOBS, name, {"status": status}, job["metadata"]["namespace"], subresource="status"
                )
            except NotFound:
                continue

    def _status(self, condition: str) -> dict[str, Any]:
        now = rfc3339(self.clock.now())
        told = [{"type": condition, "status": "True", "message": "as it was told to"}]
        if condition == "Failed":
            told.insert(0, {"type": "FailureTarget", "status": "True"})
            return {"conditions": told, "startTime": now}
        told.insert(0, {"type": "SuccessCriteriaMet", "status": "True"})
        return {"conditions": told, "startTime": now, "completionTime": now, "succeeded": 1}
