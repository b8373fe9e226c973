"""What lets a workload live through its nodes' replacement unnoticed: probes, spread, budgets, time to end. Nothing of it blocks."""

from collections.abc import Iterator

from aliquot.eks.estate.objects import Objects, Workload
from aliquot.eks.preflight.findings import Finding, Severity
from aliquot.eks.preflight.selecting import Labelled

CHECK = "probes-and-spread"
_KINDS = ("Deployment", "StatefulSet")
_SYSTEM = "kube-system"
"""Add-ons are as their makers have them."""


def judge(objects: Objects) -> Iterator[Finding]:
    guarded = _guarded(objects)
    knows_budgets = "PodDisruptionBudget" not in objects.unread
    for kind in _KINDS:
        for workload in objects.workloads.get(kind, ()):
            namespace = workload.metadata.namespace
            if namespace == _SYSTEM or workload.spec.replicas == 0:
                continue
            wrong = list(_wrong(workload))
            if (
                knows_budgets
                and _several(workload)
                and (kind, namespace, workload.metadata.name) not in guarded
            ):
                wrong.append("no PodDisruptionBudget keeps some of its pods while nodes are emptied")
            if wrong:
                yield Finding(
                    check=CHECK,
                    severity=Severity.INFO,
                    what=f"{kind} {namespace}/{workload.metadata.name}",
                    why="; ".join(wrong),
                    fix="see which of it matters to those who use it while nodes are replaced",
                    labels=tuple(sorted(workload.metadata.labels.items())),
                )


def _several(workload: Workload) -> bool:
    return (workload.spec.replicas or 1) > 1


def _wrong(workload: Workload) -> Iterator[str]:
    spec = workload.spec.template.spec
    unprobed = [one.name for one in spec.containers if one.readiness_probe is None]
    if unprobed:
        yield f"no readinessProbe ({', '.join(unprobed)}): traffic comes as soon as the process runs"
    if not workload.spec.min_ready_seconds:
        yield "minReadySeconds is 0: the next pod goes as soon as this one has once been ready"
    spread = spec.topology_spread_constraints or (
        spec.affinity is not None and spec.affinity.pod_anti_affinity is not None
    )
    if _several(workload) and not spread:
        yield "neither topologySpreadConstraints nor podAntiAffinity: all of it may be on one node"
    if spec.termination_grace_period_seconds == 0:
        yield "terminationGracePeriodSeconds is 0: it is killed in the middle of what it does"


def _guarded(objects: Objects) -> frozenset[tuple[str, str, str]]:
    """Kind, namespace and name of workloads whose pods some budget is of."""
    workloads = Labelled(
        (
            one.metadata.namespace,
            one.spec.template.metadata.labels,
            (kind, one.metadata.namespace, one.metadata.name),
        )
        for kind in _KINDS
        for one in objects.workloads.get(kind, ())
    )
    return frozenset(
        named
        for budget in objects.of("PodDisruptionBudget")
        for named in workloads.selected(
            budget["metadata"].get("namespace", ""), (budget.get("spec") or {}).get("selector")
        )
    )
