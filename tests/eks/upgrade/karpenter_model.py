"""A small Karpenter, and what would run on its nodes: on an emulated API server, whenever somebody looks.

As kubernetes-sigs/karpenter does it: pods that wait get NodeClaims, which become nodes of the AMIs that the class resolved to last. A
NodeClaim that is deleted has its node deleted, which is tainted and emptied by evictions before its finalizer goes, and then the claim's.
Drift deletes whatever has another AMI, as fast as budgets allow. Pods are remade by whoever owns them: a Deployment, or a Job.
"""

from dataclasses import dataclass, field
from typing import Any

from aliquot.clock import Clock
from aliquot.eks.estate.karpenter import DO_NOT_DISRUPT, NODECLAIMS, NODECLASSES, NODEPOOLS
from aliquot.eks.estate.places import POOL_LABEL
from aliquot.kube.client import Client, PatchKind
from aliquot.kube.errors import ApiError, NotFound
from aliquot.kube.resources import CRDS, JOBS, NODES, PODDISRUPTIONBUDGETS, PODS, Resource

FINALIZER = "karpenter.sh/termination"
DISRUPTED = {"key": "karpenter.sh/disrupted", "effect": "NoSchedule"}
GPUS = 8
_NAMESPACE = "default"


@dataclass
class Kind:
    """Pods that somebody keeps running on nodes of a pool."""

    pool: str
    pods: int
    job: bool = False
    """A Job, all or nothing, with the GPUs of a node each; otherwise a Deployment, one of whose pods may be away."""
    a_node: int = 1


@dataclass
class Karpenter:
    admin: Client
    clock: Clock
    kinds: dict[str, Kind] = field(default_factory=dict)
    boot_s: float = 90.0
    look_s: float = 300.0
    """Between two looks for AMIs."""
    leave_s: float = 20.0
    images: dict[str, str] = field(default_factory=dict)
    """Of classes that do not go by an alias: the AMI that they select, `ami-...-MINOR`."""
    drifted: int = 0
    """NodeClaims that it deleted by itself."""
    cut: list[str] = field(default_factory=list)
    """Pods of Jobs that were evicted."""
    away: int = 0
    """The most pods of a Deployment that were away together, once nodes went."""
    starts: int = 0
    deleted: list[str] = field(default_factory=list)
    """Names of nodes, in the order in which they went."""
    _made: int = 0
    _looked: dict[str, tuple[float, dict[str, str]]] = field(default_factory=dict)
    _settled_s: float = -1.0
    _leaving: dict[str, float] = field(default_factory=dict)

    async def begin(self, minor: str, **aliases: str) -> None:
        """`aliases`: of classes, by name; without an alias they select what `images` says."""
        for one in (NODEPOOLS, NODECLAIMS, NODECLASSES):
            await _serve(self.admin, one)
        for name, alias in aliases.items():
            term = {"alias": alias} if alias else {"id": f"ami-{name}"}
            await self.admin.create(
                NODECLASSES, {"metadata": {"name": name}, "spec": {"amiSelectorTerms": [term]}}
            )
        await self.settle(minor)

    async def pool(self, name: str, of_class: str, nodes: str = "10%") -> None:
        reference = {"group": NODECLASSES.group, "kind": NODECLASSES.kind, "name": of_class}
        spec = {
            "template": {"spec": {"nodeClassRef": reference}},
            "disruption": {"budgets": [{"nodes": nodes}]},
        }
        await self.admin.create(NODEPOOLS, {"metadata": {"name": name}, "spec": spec})

    async def run(self, name: str, kind: Kind) -> None:
        self.kinds[name] = kind
        if kind.job:
            container = {"name": "c", "image": "train:1"}
            template = {"spec": {"containers": [container], "restartPolicy": "Never"}}
            spec = {"parallelism": kind.pods, "completions": kind.pods, "template": template}
            await self.admin.create(JOBS, {"metadata": {"name": name, "namespace": _NAMESPACE}, "spec": spec})
        else:
            budget = {"maxUnavailable": 1, "selector": {"matchLabels": {"app": name}}}
            await self.admin.create(
                PODDISRUPTIONBUDGETS, {"metadata": {"name": name, "namespace": _NAMESPACE}, "spec": budget}
            )

    async def settle(self, minor: str) -> None:
        """All that is due by now. Somebody else may write at the same time: what that spoils is done at the next look."""
        if self.clock.now() - self._settled_s < 1.0:
            return
        self._settled_s = self.clock.now()
        try:
            await self._resolve(minor)
            await self._owners()
            await self._schedule()
            await self._provision()
            await self._boot()
            await self._drift()
            await self._terminate()
        except ApiError:
            return

    async def _resolve(self, minor: str) -> None:
        for one in (await self.admin.list(NODECLASSES)).items:
            name, term = one["metadata"]["name"], one["spec"]["amiSelectorTerms"][0]
            looked_s, looked_for = self._looked.get(name, (-1e9, {}))
            if self.clock.now() - looked_s < self.look_s and looked_for == term:
                continue
            self._looked[name] = (self.clock.now(), term)
            if "alias" in term:
                image = {
                    "id": f"ami-{minor}",
                    "name": f"amazon-eks-node-al2023-x86_64-standard-{minor}-v20260920",
                }
            else:
                image = {"id": self.images[name], "name": f"golden-{name}"}
            await self._patch(NODECLASSES, name, {"status": {"amis": [image]}})

    def _minor_of(self, image: str) -> str:
        return image.rpartition("-")[2]

    async def _owners(self) -> None:
        pods = await self._pods()
        for name, kind in self.kinds.items():
            there = [one for one in pods if one["metadata"]["labels"]["app"] == name]
            if kind.job and (await self.admin.get(JOBS, name, _NAMESPACE))["spec"].get("suspend"):
                for one in there:
                    await self._end(one)
                continue
            staying = [one for one in there if "deletionTimestamp" not in one["metadata"]]
            if kind.job and not staying:
                self.starts += 1
            for _ in range(kind.pods - len(staying)):
                await self._new_pod(name, kind)
            if not kind.job:
                running = sum(1 for one in staying if one["spec"].get("nodeName"))
                self.away = max(self.away, kind.pods - running) if self.deleted else 0
                allowed = max(0, running - (kind.pods - 1))
                status = {
                    "disruptionsAllowed": allowed,
                    "currentHealthy": running,
                    "desiredHealthy": kind.pods - 1,
                    "expectedPods": kind.pods,
                    "observedGeneration": 1,
                }
                await self.admin.patch(
                    PODDISRUPTIONBUDGETS, name, {"status": status}, _NAMESPACE, subresource="status"
                )

    async def _new_pod(self, name: str, kind: Kind) -> None:
        self._made += 1
        metadata: dict[str, Any] = {
            "name": f"{name}-{self._made}",
            "namespace": _NAMESPACE,
            "labels": {"app": name},
        }
        owner: dict[str, Any] = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name, "uid": name}
        container: dict[str, Any] = {"name": "c", "image": "web:1"}
        if kind.job:
            job = await self.admin.get(JOBS, name, _NAMESPACE)
            owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": job["metadata"]["uid"]}
            container["resources"] = {"limits": {"nvidia.com/gpu": str(GPUS)}}
        metadata["ownerReferences"] = [{**owner, "controller": True}]
        spec = {"nodeSelector": {POOL_LABEL: kind.pool}, "containers": [container]}
        await self.admin.create(PODS, {"metadata": metadata, "spec": spec})

    async def _schedule(self) -> None:
        pods, nodes = await self._pods(), await self._nodes()
        for pod in pods:
            if pod["spec"].get("nodeName") or "deletionTimestamp" in pod["metadata"]:
                continue
            kind = self.kinds[pod["metadata"]["labels"]["app"]]
            for node in nodes:
                name, spec = node["metadata"]["name"], node["spec"]
                taken = sum(1 for one in pods if one["spec"].get("nodeName") == name)
                if (
                    node["metadata"]["labels"][POOL_LABEL] == kind.pool
                    and not spec.get("unschedulable")
                    and not any(taint["key"] == DISRUPTED["key"] for taint in spec.get("taints", ()))
                    and taken < kind.a_node
                ):
                    await self.admin.bind(_NAMESPACE, pod["metadata"]["name"], name)
                    pod["spec"]["nodeName"] = name
                    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
                    await self.admin.patch(
                        PODS, pod["metadata"]["name"], {"status": status}, _NAMESPACE, subresource="status"
                    )
                    break

    async def _provision(self) -> None:
        """A claim for each node's worth of pods that wait and have none on its way."""
        pods, claims = await self._pods(), (await self.admin.list(NODECLAIMS)).items
        for pool in (await self.admin.list(NODEPOOLS)).items:
            name = pool["metadata"]["name"]
            kinds = [kind for kind in self.kinds.values() if kind.pool == name]
            waiting = sum(
                1
                for one in pods
                if not one["spec"].get("nodeName")
                and "deletionTimestamp" not in one["metadata"]
                and one["spec"]["nodeSelector"][POOL_LABEL] == name
            )
            coming = sum(
                1
                for one in claims
                if one["metadata"]["labels"][POOL_LABEL] == name
                and "nodeName" not in one.get("status", {})
                and "deletionTimestamp" not in one["metadata"]
            )
            wanted = -(-waiting // max((kind.a_node for kind in kinds), default=1))
            for _ in range(wanted - coming):
                await self._new_claim(pool, any(kind.job for kind in kinds))

    async def _new_claim(self, pool: dict[str, Any], with_gpus: bool) -> None:
        self._made += 1
        of_class = pool["spec"]["template"]["spec"]["nodeClassRef"]["name"]
        (image,) = (await self.admin.get(NODECLASSES, of_class))["status"]["amis"]
        name = pool["metadata"]["name"]
        metadata = {
            "name": f"{name}-{self._made:04}",
            "labels": {POOL_LABEL: name},
            "finalizers": [FINALIZER],
        }
        capacity = {"nvidia.com/gpu": str(GPUS)} if with_gpus else {}
        await self.admin.create(
            NODECLAIMS,
            {
                "metadata": metadata,
                "spec": pool["spec"]["template"]["spec"],
                "status": {"imageID": image["id"], "capacity": capacity},
            },
        )

    async def _boot(self) -> None:
        there = {one["metadata"]["name"] for one in await self._nodes()}
        for claim in (await self.admin.list(NODECLAIMS)).items:
            name, status = claim["metadata"]["name"], claim["status"]
            since_s = self._leaving.setdefault(f"boot/{name}", self.clock.now())
            if "nodeName" in status or self.clock.now() - since_s < self.boot_s:
                continue
            node = f"node-{name}"
            if node not in there:
                await self._new_node(node, claim)
            await self._patch(NODECLAIMS, name, {"status": {"nodeName": node}})

    async def _new_node(self, name: str, claim: dict[str, Any]) -> None:
        labels = claim["metadata"]["labels"]
        await self.admin.create(
            NODES, {"metadata": {"name": name, "labels": labels, "finalizers": [FINALIZER]}, "spec": {}}
        )
        given = {"cpu": "96", "pods": "110", **claim["status"]["capacity"]}
        status = {
            "conditions": [{"type": "Ready", "status": "True"}],
            "nodeInfo": {
                "kubeletVersion": f"v{self._minor_of(claim['status']['imageID'])}.4-eks-1a2b3c4",
                "containerRuntimeVersion": "containerd://2.1.5",
            },
            "capacity": given,
            "allocatable": given,
        }
        await self.admin.patch(NODES, name, {"status": status}, subresource="status")

    async def _drift(self) -> None:
        claims = (await self.admin.list(NODECLAIMS)).items
        if any("deletionTimestamp" in one["metadata"] for one in claims):
            return
        for pool in (await self.admin.list(NODEPOOLS)).items:
            if pool["spec"]["disruption"]["budgets"] == [{"nodes": "0"}]:
                continue
            of_class = pool["spec"]["template"]["spec"]["nodeClassRef"]["name"]
            (image,) = (await self.admin.get(NODECLASSES, of_class))["status"]["amis"]
            for one in claims:
                of_pool = one["metadata"]["labels"][POOL_LABEL] == pool["metadata"]["name"]
                if of_pool and one["status"]["imageID"] != image["id"]:
                    self.drifted += 1
                    await self.admin.delete(NODECLAIMS, one["metadata"]["name"])
                    return

    async def _terminate(self) -> None:
        for claim in (await self.admin.list(NODECLAIMS)).items:
            if "deletionTimestamp" not in claim["metadata"]:
                continue
            node = claim["status"].get("nodeName", "")
            if node and not await self._emptied(node):
                continue
            await self._patch(NODECLAIMS, claim["metadata"]["name"], {"metadata": {"finalizers": None}})

    async def _emptied(self, name: str) -> bool:
        try:
            node = await self.admin.get(NODES, name)
        except NotFound:
            return True
        if "deletionTimestamp" not in node["metadata"]:
            await self.admin.delete(NODES, name)
            await self._patch(NODES, name, {"spec": {"taints": [DISRUPTED]}})
        left = 0
        for pod in await self._pods():
            if pod["spec"].get("nodeName") != name:
                continue
            left += 1
            if "deletionTimestamp" in pod["metadata"]:
                await self._end(pod)
            elif DO_NOT_DISRUPT not in pod["metadata"].get("annotations", {}):
                await self._evict(pod)
        if left:
            return False
        await self._patch(NODES, name, {"metadata": {"finalizers": None}})
        self.deleted.append(name)
        return True

    async def _evict(self, pod: dict[str, Any]) -> None:
        name = pod["metadata"]["name"]
        try:
            await self.admin.evict(_NAMESPACE, name)
        except ApiError:
            # Its budget lets none go now.
            return
        if self.kinds[pod["metadata"]["labels"]["app"]].job:
            self.cut.append(name)

    async def _end(self, pod: dict[str, Any]) -> None:
        """As its kubelet does, a while after it was told to."""
        name = pod["metadata"]["name"]
        since_s = self._leaving.setdefault(name, self.clock.now())
        if self.clock.now() - since_s >= self.leave_s or not pod["spec"].get("nodeName"):
            await self.admin.delete(PODS, name, _NAMESPACE, grace_period_s=0)

    async def _pods(self) -> list[dict[str, Any]]:
        listed = (await self.admin.list(PODS, _NAMESPACE)).items
        return [one for one in listed if one["metadata"].get("labels", {}).get("app") in self.kinds]

    async def _nodes(self) -> list[dict[str, Any]]:
        listed = (await self.admin.list(NODES)).items
        return [one for one in listed if POOL_LABEL in one["metadata"].get("labels", {})]

    async def _patch(self, resource: Resource, name: str, body: dict[str, Any]) -> None:
        await self.admin.patch(resource, name, body, kind=PatchKind.MERGE)

    async def minors(self) -> dict[str, list[str]]:
        """Of the kubelets of each pool's nodes."""
        found: dict[str, list[str]] = {}
        for one in await self._nodes():
            kubelet = one["status"]["nodeInfo"]["kubeletVersion"]
            found.setdefault(one["metadata"]["labels"][POOL_LABEL], []).append(kubelet[1:5])
        return {pool: sorted(minors) for pool, minors in found.items()}


async def _serve(admin: Client, resource: Resource) -> None:
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": resource.version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": free},
    }
    names = {"plural": resource.plural, "kind": resource.kind, "singular": resource.kind.lower()}
    spec = {"group": resource.group, "scope": "Cluster", "names": names, "versions": [version]}
    await admin.create(CRDS, {"metadata": {"name": resource.name}, "spec": spec})
