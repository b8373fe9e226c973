"""How many pods of a PodDisruptionBudget may go, from the budget, its pods and the scale of their controllers. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aliquot.clock import rfc3339
from aliquot.emulator.controllers import amounts, ownership, pods
from aliquot.emulator.controllers.notices import Notice
from aliquot.emulator.controllers.types import DisruptionBudget
from aliquot.emulator.kinds.disruption_budgets import ALLOWED
from aliquot.kube import selectors
from aliquot.kube.api.core import Pod

DELETION_TIMEOUT_S = 120.0
"""How long an eviction that was allowed may take until the pod is on its way out."""


class CannotCount(Exception):
    """The number of pods that there should be is not to be had; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    status: dict[str, Any]
    undeleted: tuple[Pod, ...] = ()
    """Pods that were to be evicted and are still there."""
    again_s: float | None = None
    notices: tuple[Notice, ...] = field(default=())


def asks_for_scale(budget: DisruptionBudget) -> bool:
    """Whether what it allows depends on how many pods there should be: anything but a fixed `minAvailable`."""
    return not isinstance(budget.spec.min_available, int)


def plan(budget: DisruptionBudget, held: Sequence[Pod], scale: int, now: float) -> Plan:
    """`scale` is what the controllers of the pods want together; only looked at where it is asked for."""
    expected = scale if asks_for_scale(budget) else len(held)
    desired = _desired(budget, expected)
    disrupted, undeleted, again_s = _disrupted(budget, held, now)
    healthy = sum(
        pods.is_ready(pod) and pod.metadata.deletion_timestamp is None and pod.metadata.name not in disrupted
        for pod in held
    )
    allowed = max(0, healthy - desired) if expected > 0 else 0
    reason = "SufficientPods" if allowed else "InsufficientPods"
    notices = [Notice(False, "NoPods", "No matching pods found")] if not held else []
    if asks_for_scale(budget) and any(ownership.controller_of(pod) is None for pod in held):
        notices.append(Notice(True, "UnmanagedPods", _unmanaged(budget)))
    return Plan(
        status={
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "disruptionsAllowed": allowed,
            "expectedPods": expected,
            "observedGeneration": budget.metadata.generation,
            "disruptedPods": disrupted or None,
            "conditions": [_condition(budget, "True" if allowed else "False", reason, "", now)],
        },
        undeleted=undeleted,
        again_s=again_s,
        notices=tuple(notices),
    )


def failed(budget: DisruptionBudget, why: str, now: float) -> Plan:
    """Nothing may go while nobody knows how many there should be."""
    message = f"Failed to calculate the number of expected pods: {why}"
    return Plan(
        status={
            "disruptionsAllowed": 0,
            "observedGeneration": budget.metadata.generation,
            "conditions": [_condition(budget, "False", "SyncFailed", why, now)],
        },
        notices=(Notice(True, "CalculateExpectedPodCountFailed", message),),
    )


def _desired(budget: DisruptionBudget, expected: int) -> int:
    if budget.spec.max_unavailable is not None:
        return max(0, expected - amounts.of(budget.spec.max_unavailable, expected, up=True))
    if budget.spec.min_available is not None:
        return amounts.of(budget.spec.min_available, expected, up=True)
    return 0


def _disrupted(
    budget: DisruptionBudget, held: Sequence[Pod], now: float
) -> tuple[dict[str, str], tuple[Pod, ...], float | None]:
    """Evictions that are still to be seen, pods whose eviction came to nothing, and seconds until the next of these."""
    waiting: dict[str, str] = {}
    undeleted: list[Pod] = []
    waits: list[float] = []
    for pod in held:
        evicted_at = (budget.status.disrupted_pods or {}).get(pod.metadata.name)
        if evicted_at is None or pod.metadata.deletion_timestamp is not None:
            continue
        left_s = pods.seconds(evicted_at) + DELETION_TIMEOUT_S - now
        if left_s < 0:
            undeleted.append(pod)
        else:
            waiting[pod.metadata.name] = evicted_at
            waits.append(left_s + 1.0)
    return waiting, tuple(undeleted), min(waits, default=None)


def _condition(budget: DisruptionBudget, value: str, reason: str, message: str, now: float) -> dict[str, Any]:
    old = next((one for one in budget.status.conditions or () if one.type == ALLOWED), None)
    since = old.last_transition_time if old is not None and old.status == value else rfc3339(now)
    return {
        "type": ALLOWED,
        "status": value,
        "reason": reason,
        "message": message,
        "observedGeneration": budget.metadata.generation,
        "lastTransitionTime": since,
    }


def _unmanaged(budget: DisruptionBudget) -> str:
    selector = selectors.from_object(budget.spec.selector)
    return (
        f"Pods selected by this PodDisruptionBudget (selector: {selector}) were found to be unmanaged. As a result, the "
        "status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for "
        'these pods please set ".spec.minAvailable" field of the PDB to an integer value.'
    )
