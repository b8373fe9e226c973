"""Which pods did not leave nodes that were to be emptied, and whose budget says so: EKS names the nodes alone."""

from collections.abc import Collection, Iterable

from aliquot.eks.estate.karpenter import DO_NOT_DISRUPT
from aliquot.eks.estate.objects import Meta, Pod
from aliquot.eks.upgrade.evictions import Budget, budgets_of, key, name_of
from aliquot.kube.client import Client
from aliquot.kube.errors import ApiError
from aliquot.kube.resources import PODDISRUPTIONBUDGETS, PODS

_MIRROR = "kubernetes.io/config.mirror"
_ENDED = frozenset({"Succeeded", "Failed"})
_NAMED = 5


async def who_stays(kube: Client, nodes: Collection[str]) -> tuple[str, ...]:
    """A line each, the first few. Nothing, where the API server does not say."""
    try:
        pods = (await kube.list(PODS, into=Pod)).items
        budgets = (await kube.list(PODDISRUPTIONBUDGETS)).items
    except ApiError:
        return ()
    left = [pod for pod in pods if pod.spec.node_name in nodes and evictable(pod.metadata, pod.status.phase)]
    of_pod = budgets_of(left, budgets)
    found = [_line(pod, _holding(of_pod.get(key(pod), ()))) for pod in left]
    more = [f"and {len(found) - _NAMED} more"] if len(found) > _NAMED else []
    return (*sorted(found)[:_NAMED], *more)


def evictable(pod: Meta, phase: str) -> bool:
    """Whoever empties its node moves it: no pod of a DaemonSet, of the kubelet itself, or that has ended."""
    of_daemon = any(owner.kind == "DaemonSet" for owner in pod.owner_references)
    return not of_daemon and _MIRROR not in pod.annotations and phase not in _ENDED


def _holding(budgets: Iterable[Budget]) -> str:
    """The first of a pod's budgets that lets it not go now; empty: none."""
    return next(
        (name_of(one) for one in budgets if (one.get("status") or {}).get("disruptionsAllowed", 0) <= 0), ""
    )


def _line(pod: Pod, budget: str) -> str:
    held = f" (PodDisruptionBudget {budget} lets none go)" if budget else ""
    if pod.metadata.annotations.get(DO_NOT_DISRUPT, "false") != "false":
        held += f" ({DO_NOT_DISRUPT} keeps Karpenter from evicting it)"
    return f"pod {pod.metadata.namespace}/{pod.metadata.name} on {pod.spec.node_name}{held}"
