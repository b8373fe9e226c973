"""What a PodDisruptionBudget allows: whether a pod may be evicted now, and what that costs the budget. Pure.

The disruption controller says how many may go; each eviction takes one off at once and notes the pod, until the
controller has seen it go. So evictions that come at the same time cannot overdraw the budget.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aliquot.clock import rfc3339
from aliquot.emulator import statuses
from aliquot.emulator.objects import Json, is_terminating, metadata
from aliquot.emulator.registry import Served
from aliquot.kube import selectors

ALLOWED = "DisruptionAllowed"
_VIOLATED = "Cannot evict pod as it would violate the pod's disruption budget."
_SEVERAL = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
_MOST_UNCONFIRMED = 2000
_BEING_PROCESSED_RETRY_S = 10


def guarding(pod: Mapping[str, Any], budgets: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The budgets, of the pod's namespace, that select the pod. A pod without labels is nobody's."""
    labels = metadata(pod).get("labels") or {}
    if not labels:
        return []
    return [
        budget
        for budget in budgets
        if selectors.from_object((budget.get("spec") or {}).get("selector")).matches(labels)
    ]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`spend` is the name of the budget to take the eviction off, None when it costs nothing.

    `as_seen`: it costs nothing because of the state that the pod is in, which must still be so when it goes.
    """

    spend: str | None = None
    as_seen: bool = False


def verdict(pod: Mapping[str, Any], budgets: Sequence[Mapping[str, Any]]) -> Verdict:
    """`budgets` are those that guard the pod. Raises StatusError where there are several."""
    phase = (pod.get("status") or {}).get("phase")
    if is_terminating(pod) or phase in ("Succeeded", "Failed", "Pending"):
        return Verdict(as_seen=phase == "Pending" and not is_terminating(pod))
    if not budgets:
        return Verdict()
    if len(budgets) > 1:
        raise statuses.failure(500, "", _SEVERAL)
    [budget] = budgets
    spec, status = budget.get("spec") or {}, budget.get("status") or {}
    if not _is_ready(pod):
        healthy, desired = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
        if spec.get("unhealthyPodEvictionPolicy") == "AlwaysAllow" or healthy >= desired > 0:
            return Verdict(as_seen=True)
    return Verdict(spend=metadata(budget)["name"])


def _is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def spent(served: Served, budget: Json, pod_name: str, now: float) -> Json:
    """The budget after the eviction of that pod. Raises StatusError when it allows none."""
    meta, status = metadata(budget), budget.get("status") or {}
    name = meta["name"]
    if status.get("observedGeneration", 0) < meta.get("generation", 0):
        raise _refused(
            f"The disruption budget {name} is still being processed by the server.",
            retry_s=_BEING_PROCESSED_RETRY_S,
        )
    allowed = status.get("disruptionsAllowed", 0)
    if allowed < 0:
        raise statuses.forbidden(served.resource, name, "pdb disruptions allowed is negative")
    if len(status.get("disruptedPods") or ()) > _MOST_UNCONFIRMED:
        why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise statuses.forbidden(served.resource, name, why)
    if allowed == 0:
        failed = _condition(status)
        if failed is not None and failed.get("reason") == "SyncFailed":
            raise _refused(
                f"The disruption budget {name} does not allow evicting pods currently because it failed sync: "
                f"{failed.get('message', '')}"
            )
        raise _refused(
            f"The disruption budget {name} needs {status.get('desiredHealthy', 0)} healthy pods and has "
            f"{status.get('currentHealthy', 0)} currently"
        )
    noted = {**(status.get("disruptedPods") or {}), pod_name: rfc3339(now)}
    left = {**status, "disruptionsAllowed": allowed - 1, "disruptedPods": noted}
    if allowed == 1:
        left["conditions"] = _insufficient(status, meta.get("generation", 0), now)
    return {**budget, "status": left}


def _condition(status: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return next((one for one in status.get("conditions") or () if one.get("type") == ALLOWED), None)


def _insufficient(status: Mapping[str, Any], generation: int, now: float) -> list[Json]:
    others = [one for one in status.get("conditions") or () if one.get("type") != ALLOWED]
    return [
        *others,
        {
            "type": ALLOWED,
            "status": "False",
            "reason": "InsufficientPods",
            "message": "",
            "observedGeneration": generation,
            "lastTransitionTime": rfc3339(now),
        },
    ]


def _refused(why: str, *, retry_s: int = 0) -> statuses.StatusError:
    details: Json = {"causes": [{"reason": "DisruptionBudget", "message": why}]}
    if retry_s:
        details["retryAfterSeconds"] = retry_s
    return statuses.failure(429, "TooManyRequests", _VIOLATED, details)
