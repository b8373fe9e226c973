"""Which pods may leave their nodes now, and how they are asked to: by the Eviction API, within their budgets, never deleted. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aliquot.eks.estate.objects import Pod
from aliquot.eks.preflight.selecting import Labelled
from aliquot.eks.upgrade.verdicts import Verb, Write
from aliquot.kube.resources import PODS
from aliquot.kube.selectors.errors import SelectorError

Key = tuple[str, str]
"""Namespace, name."""
Budget = Mapping[str, Any]
"""A PodDisruptionBudget, as the API server gives it."""


def key(pod: Pod) -> Key:
    return (pod.metadata.namespace, pod.metadata.name)


def may_leave(
    pods: Sequence[Pod], budgets: Iterable[Budget]
) -> tuple[tuple[Pod, ...], tuple[tuple[Pod, str], ...]]:
    """Those that may, all at once; and the others, each with why it may not."""
    of_pod = budgets_of(pods, budgets)
    spent: dict[str, int] = {}
    free, held = [], []
    for pod in pods:
        why = _against(pod, of_pod.get(key(pod), []), spent)
        if why:
            held.append((pod, why))
        else:
            free.append(pod)
    return tuple(free), tuple(held)


def budgets_of(pods: Iterable[Pod], budgets: Iterable[Budget]) -> dict[Key, list[Budget]]:
    """Of each pod that has any."""
    there = Labelled([(pod.metadata.namespace, pod.metadata.labels, pod) for pod in pods])
    found: dict[Key, list[Budget]] = {}
    for budget in budgets:
        try:
            selected = there.selected(_meta(budget, "namespace"), (budget.get("spec") or {}).get("selector"))
        except SelectorError:
            continue
        for pod in selected:
            found.setdefault(key(pod), []).append(budget)
    return found


def name_of(budget: Budget) -> str:
    return _meta(budget, "name")


def _meta(budget: Budget, name: str) -> str:
    return str((budget.get("metadata") or {}).get(name, ""))


def _against(pod: Pod, budgets: list[Budget], spent: dict[str, int]) -> str:
    """As the API server judges it; empty: it goes, and its budget has one less."""
    # Whoever has not begun is of no budget.
    if not budgets or pod.status.phase == "Pending":
        return ""
    names = sorted(map(name_of, budgets))
    if len(names) > 1:
        return f"PodDisruptionBudgets {', '.join(names)} select it, and the Eviction API takes one at most"
    spec, status = (budgets[0].get(part) or {} for part in ("spec", "status"))
    healthy, desired = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
    if not pod.status.ready and (
        spec.get("unhealthyPodEvictionPolicy") == "AlwaysAllow" or healthy >= desired > 0
    ):
        return ""
    metadata = budgets[0].get("metadata") or {}
    if status.get("observedGeneration", 0) < metadata.get("generation", 0):
        return f"PodDisruptionBudget {names[0]} is new, and what it allows is not known yet"
    named = f"{_meta(budgets[0], 'namespace')}/{names[0]}"
    if status.get("disruptionsAllowed", 0) <= spent.get(named, 0):
        return f"PodDisruptionBudget {names[0]} lets none go"
    spent[named] = spent.get(named, 0) + 1
    return ""


def eviction(pod: Pod) -> Write:
    """Of this pod, and none that comes after it under its name."""
    namespace, name = key(pod)
    return Write(
        verb=Verb.CREATE,
        resource=PODS,
        name=name,
        namespace=namespace,
        subresource="eviction",
        body={
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace},
            "deleteOptions": {"preconditions": {"uid": pod.metadata.uid}},
        },
    )
