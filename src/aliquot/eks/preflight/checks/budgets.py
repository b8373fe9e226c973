"""PodDisruptionBudgets that let nobody go, and workloads that have nobody else while their node is emptied."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from aliquot.counting import counted
from aliquot.eks.estate.objects import Objects, Pod, Workload
from aliquot.eks.preflight import written
from aliquot.eks.preflight.fields import mapping
from aliquot.eks.preflight.findings import Finding, Severity, at
from aliquot.eks.preflight.pools import some
from aliquot.eks.preflight.selecting import Labelled
from aliquot.eks.sightings.sighting import Sighting, Trace

CHECK = "budgets"
REPLICAS = "single-replicas"
_FIX = "let it allow one disruption at least: more replicas, or maxUnavailable: 1"


def judge(objects: Objects) -> Iterator[Finding]:
    living = Labelled(
        (pod.metadata.namespace, pod.metadata.labels, pod)
        for pod in objects.pods
        if pod.status.phase in ("Pending", "Running")
    )
    over: dict[tuple[str, str], list[str]] = {}
    for budget in objects.of("PodDisruptionBudget"):
        meta, spec = budget["metadata"], budget.get("spec") or {}
        named = f"PodDisruptionBudget {meta.get('namespace', '')}/{meta.get('name', '')}"
        selected = living.selected(meta.get("namespace", ""), spec.get("selector"))
        if not selected:
            continue
        for pod in selected:
            if pod.status.phase == "Running":
                over.setdefault((pod.metadata.namespace, pod.metadata.name), []).append(named)
        wrong = _never(spec, budget.get("status") or {}, selected)
        if wrong:
            severity, why = wrong
            names = [f"{pod.metadata.namespace}/{pod.metadata.name}" for pod in selected]
            yield Finding(
                check=CHECK,
                severity=severity,
                what=named,
                why=f"{why}: the node of {some(names)} cannot be emptied; after 15 minutes EKS gives up (PodEvictionFailure)",
                fix=_FIX,
            )
    yield from _several(over)


def judge_written(sightings: Iterable[Sighting], *, with_cluster: bool) -> Iterator[Finding]:
    """Those that let nobody go whoever they select. Of releases that are in a cluster which is looked at, the cluster says more."""
    traces = (Trace.FILE,) if with_cluster else (Trace.FILE, Trace.HELM)
    for sighting, body in written.manifests(sightings, ("PodDisruptionBudget",), traces):
        spec = mapping(body, "spec")
        for field, never in (("maxUnavailable", ("0", "0%")), ("minAvailable", ("100%",))):
            if str(spec.get(field)) in never:
                finding = Finding(
                    check=CHECK,
                    severity=Severity.BLOCK,
                    what="",
                    why=f"{field} {spec[field]} allows no disruption, ever: nodes with pods that it selects cannot be emptied; after 15 minutes EKS gives up (PodEvictionFailure)",
                    fix=_FIX,
                )
                yield at(sighting, finding)


def _several(over: Mapping[tuple[str, str], list[str]]) -> Iterator[Finding]:
    """`over`: budgets by pod. The API server evicts no pod that more than one selects."""
    pods: dict[tuple[str, ...], list[str]] = {}
    for (namespace, name), budgets in over.items():
        if len(budgets) > 1:
            pods.setdefault(tuple(budgets), []).append(f"{namespace}/{name}")
    for budgets_of, names in pods.items():
        yield Finding(
            check=CHECK,
            severity=Severity.BLOCK,
            what=" and ".join(budgets_of),
            why=f"they select the same pods, of which none can be evicted then, whatever they allow: the node of {some(names)} cannot be emptied",
            fix="let one budget select each pod",
        )


def _never(
    spec: Mapping[str, Any], status: Mapping[str, Any], selected: list[Pod]
) -> tuple[Severity, str] | None:
    # What counts is how many there should be: one that is missing now comes back.
    pods = int(status.get("expectedPods") or len(selected))
    at_least, at_most = spec.get("minAvailable"), spec.get("maxUnavailable")
    if at_most is not None and _number(at_most, pods) == 0:
        return (
            Severity.BLOCK,
            f"maxUnavailable {at_most} of {counted(pods, 'pod', 'pods')} allows no disruption, ever",
        )
    if at_least is not None and _number(at_least, pods) >= pods:
        return (
            Severity.BLOCK,
            f"minAvailable {at_least} of {counted(pods, 'pod', 'pods')} allows no disruption, ever",
        )
    if status.get("disruptionsAllowed") == 0:
        ready = sum(pod.status.ready for pod in selected)
        return (
            Severity.WARN,
            f"it allows no disruption now ({ready} of {counted(pods, 'pod is', 'pods are')} ready)",
        )
    return None


def _number(value: Any, of: int) -> int:
    """Of a count or a percentage, rounded as the disruption controller does: up."""
    text = str(value)
    if text.endswith("%") and text[:-1].isdigit():
        return -(-int(text[:-1]) * of // 100)
    return int(text) if text.isdigit() else 0


def judge_replicas(objects: Objects) -> Iterator[Finding]:
    for kind in ("Deployment", "StatefulSet"):
        for workload in objects.workloads.get(kind, ()):
            replicas = 1 if workload.spec.replicas is None else workload.spec.replicas
            if replicas == 1:
                yield _single(kind, workload)


def _single(kind: str, workload: Workload) -> Finding:
    meta = workload.metadata
    system = meta.namespace == "kube-system"
    return Finding(
        check=REPLICAS,
        severity=Severity.WARN if system else Severity.INFO,
        what=f"{kind} {meta.namespace}/{meta.name}",
        why="it has one replica: while its node is replaced it is away",
        fix="two replicas on two nodes, or live with the minutes",
    )
