"""What the steps of an upgrade do in the cluster and at AWS, as both would be asked for leave. Pure.

What only reads is not here: who may not read finds out in the preflight.
"""

from collections.abc import Iterable, Mapping

from aliquot.eks.estate.job_kinds import JOB_KINDS, WORKLOADS
from aliquot.eks.estate.karpenter import NODECLAIMS, NODECLASSES, NODEPOOLS
from aliquot.eks.upgrade.acts.canary_node import CanaryNode
from aliquot.eks.upgrade.acts.cluster_counts import CountBefore
from aliquot.eks.upgrade.acts.control_plane_health import ControlPlaneHealth
from aliquot.eks.upgrade.acts.fargate import FargateRestart
from aliquot.eks.upgrade.acts.freeze import Freeze
from aliquot.eks.upgrade.acts.gang_resumption import ResumeGangs
from aliquot.eks.upgrade.acts.gang_suspension import SuspendGangs
from aliquot.eks.upgrade.acts.gpu_restore import RestoreGpus
from aliquot.eks.upgrade.acts.group_drain import GroupDrain
from aliquot.eks.upgrade.acts.node_class import NodeClassReady
from aliquot.eks.upgrade.acts.pool_roll import PoolRoll
from aliquot.eks.upgrade.acts.rights_check import Action, Right
from aliquot.eks.upgrade.acts.smoke_job import SmokeJob
from aliquot.eks.upgrade.frozen import WAYS
from aliquot.eks.upgrade.verdicts import Call
from aliquot.kube.resources import (
    CONFIGMAPS,
    DEPLOYMENTS,
    GPUNODES,
    JOBS,
    NODES,
    PODS,
    REPLICASETS,
    STATEFULSETS,
    Resource,
)


def _to(verb: str, *resources: Resource, namespace: str = "", sub: str = "") -> tuple[Right, ...]:
    return tuple(
        Right(verb, one.group, f"{one.plural}/{sub}" if sub else one.plural, namespace) for one in resources
    )


_PROBE = _to("create", CONFIGMAPS, namespace="default")
_GANGS = (
    *_to("patch", NODES, PODS, WORKLOADS, *(kind.resource for kind in JOB_KINDS.values())),
    *_to("create", PODS, sub="proxy"),
)
_POOL = (*_to("get", NODEPOOLS, NODECLASSES), *_to("list", NODECLAIMS))
_OF: Mapping[type, tuple[Right, ...]] = {
    CanaryNode: _to("patch", NODES, GPUNODES),
    ControlPlaneHealth: (*_PROBE, *_to("get", DEPLOYMENTS)),
    CountBefore: (*_PROBE, *_to("get", DEPLOYMENTS)),
    FargateRestart: (
        *_to("patch", DEPLOYMENTS, STATEFULSETS),
        *_to("get", REPLICASETS, DEPLOYMENTS, STATEFULSETS),
    ),
    Freeze: (
        *_to("list", *(way.resource for way in WAYS)),
        *_to("patch", *(way.resource for way in WAYS)),
    ),
    GroupDrain: (*_to("patch", NODES), *_to("create", PODS, sub="eviction")),
    NodeClassReady: _POOL,
    PoolRoll: (*_POOL, *_to("delete", NODECLAIMS)),
    ResumeGangs: _GANGS,
    RestoreGpus: _to("patch", NODES, GPUNODES),
    SuspendGangs: _GANGS,
}


def of(acts: Iterable[object]) -> tuple[Right, ...]:
    """Each once, in an order that is always the same."""
    found: set[Right] = set()
    for act in acts:
        found.update(_of_smoke(act.namespace) if isinstance(act, SmokeJob) else _OF.get(type(act), ()))
    return tuple(sorted(found))


def at_aws(calls: Iterable[Call], cluster_arn: str) -> tuple[Action, ...]:
    """Of calls of EKS; of what a group or an add-on is, whose ARNs end with what nobody knows here, a pattern."""
    found = set()
    for call in calls:
        if call.service == "eks":
            found.add(Action(f"eks:{call.operation}", _on(call, cluster_arn)))
    return tuple(sorted(found))


def _on(call: Call, cluster_arn: str) -> str:
    for kind, parameter in (("nodegroup", "nodegroupName"), ("addon", "addonName")):
        name = call.parameters.get(parameter)
        if name and not call.operation.startswith("Create"):
            return f"{cluster_arn.replace(':cluster/', f':{kind}/')}/{name}/*"
    return cluster_arn


def most() -> tuple[Right, ...]:
    """Of whatever upgrade."""
    return tuple(sorted({*(right for rights in _OF.values() for right in rights), *_of_smoke("")}))


def _of_smoke(namespace: str) -> tuple[Right, ...]:
    return (
        *_to("create", JOBS, namespace=namespace),
        *_to("delete", JOBS, namespace=namespace),
        *_to("get", PODS, namespace=namespace, sub="log"),
    )
