"""How a cluster is, in numbers: what there was before an upgrade has to be there after it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from msgspec import Struct

from aliquot.counting import counted
from aliquot.eks.estate.objects import Meta, Node
from aliquot.eks.estate.places import GROUP_LABEL, POOL_LABEL
from aliquot.eks.upgrade.alarms import Alarm
from aliquot.eks.upgrade.troubles import Trouble
from aliquot.kube.quantity import whole


class ContainerStatus(Struct, frozen=True, rename="camel", kw_only=True):
    restart_count: int = 0


class RunningStatus(Struct, frozen=True, rename="camel", kw_only=True):
    phase: str = ""
    container_statuses: list[ContainerStatus] = []


class RunningPod(Struct, frozen=True, kw_only=True):
    metadata: Meta = Meta()
    status: RunningStatus = RunningStatus()


class WorkloadStatus(Struct, frozen=True, rename="camel", kw_only=True):
    """Of Deployments, StatefulSets and DaemonSets together."""

    ready_replicas: int = 0
    number_ready: int = 0

    @property
    def ready(self) -> int:
        return self.ready_replicas or self.number_ready


class WorkloadSpec(Struct, frozen=True, kw_only=True):
    replicas: int = 1


class RunningWorkload(Struct, frozen=True, kw_only=True):
    metadata: Meta = Meta()
    spec: WorkloadSpec = WorkloadSpec()
    status: WorkloadStatus = WorkloadStatus()


class Counts(Struct, frozen=True, kw_only=True):
    ready_nodes: dict[str, int] = {}
    """By node group; those of none under an empty name. Without Karpenter's, which has as many as pods need."""
    resources: dict[str, int] = {}
    """What these nodes have to give of extended resources (nvidia.com/gpu and the like), in all."""
    pods: dict[str, int] = {}
    """By phase."""
    restarts: int = 0
    """Of containers in kube-system."""
    alarms: tuple[Alarm, ...] = ()
    """What EKS said of its health; of an earlier count nothing is known."""
    ready: dict[str, int] = {}
    """Ready pods of workloads, by `Kind namespace/name`. Not of DaemonSets: theirs are as many as there are nodes."""
    wanted: dict[str, int] = {}
    """Of each of these workloads, how many there are to be."""
    troubles: tuple[Trouble, ...] = ()
    """Of the API server."""


def count(
    nodes: Iterable[Node],
    pods: Iterable[RunningPod],
    workloads: Iterable[tuple[str, RunningWorkload]],
) -> Counts:
    ready_nodes: Counter[str] = Counter()
    resources: Counter[str] = Counter()
    for node in nodes:
        if POOL_LABEL in node.metadata.labels:
            continue
        ready = any(
            one.get("type") == "Ready" and one.get("status") == "True" for one in node.status.conditions
        )
        ready_nodes[node.metadata.labels.get(GROUP_LABEL, "")] += ready
        for name, amount in node.status.allocatable.items():
            if _extended(name):
                resources[name] += whole(str(amount))
    phases: Counter[str] = Counter()
    restarts = 0
    for pod in pods:
        phases[pod.status.phase] += 1
        if pod.metadata.namespace == "kube-system":
            restarts += sum(one.restart_count for one in pod.status.container_statuses)
    named = {
        f"{kind} {one.metadata.namespace}/{one.metadata.name}": one
        for kind, one in workloads
        if kind != "DaemonSet"
    }
    return Counts(
        ready_nodes=dict(ready_nodes),
        resources={name: amount for name, amount in resources.items() if amount},
        pods=dict(phases),
        restarts=restarts,
        ready={name: one.status.ready for name, one in named.items() if one.status.ready},
        wanted={name: one.spec.replicas for name, one in named.items()},
    )


def _extended(resource: str) -> bool:
    return "/" in resource and not resource.startswith(("kubernetes.io/", "attachable-volumes", "hugepages"))


def missing(
    before: Counts, now: Counts, sizes: Mapping[str, int], instead: Mapping[str, str] = MappingProxyType({})
) -> list[str]:
    """What there was and is no more although it is wanted, or is more than it was where that is bad. One line each. `sizes`: nodes that
    groups are to have now, as far as AWS was asked: what an autoscaler or a person has made smaller is not missed. `instead`: by node
    group, another one that stands in for it."""
    were = {instead.get(group, group): ready for group, ready in before.ready_nodes.items()}
    due = {group: min(ready, sizes.get(group, ready)) for group, ready in were.items()}
    found = [
        f"{_group(group)}: {now.ready_nodes.get(group, 0)} of {counted(ready, 'node is', 'nodes are')} ready"
        for group, ready in due.items()
        if now.ready_nodes.get(group, 0) < ready
    ]
    if due == were:
        found += [
            f"{name}: {now.resources.get(name, 0)} of {amount}"
            for name, amount in before.resources.items()
            if now.resources.get(name, 0) < amount
        ]
    for name, was_ready in before.ready.items():
        ready = min(was_ready, now.wanted.get(name, 0))
        if now.ready.get(name, 0) < ready:
            found.append(f"{name}: {now.ready.get(name, 0)} of {ready} ready")
    for phase in ("Pending", "Failed"):
        was, is_ = before.pods.get(phase, 0), now.pods.get(phase, 0)
        if is_ > was:
            found.append(
                f"{counted(is_, 'pod is', 'pods are')} {phase}, {counted(was, 'was', 'were')} before"
            )
    return found


def _group(group: str) -> str:
    return f"node group {group}" if group else "nodes of no group"
