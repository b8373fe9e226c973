"""What to do about a HorizontalPodAutoscaler where there is no source of metrics. Pure.

Its limits hold all the same: a target outside them is brought inside. Within them nothing moves, and the condition
ScalingActive says why.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aliquot.clock import rfc3339
from aliquot.emulator.controllers import conditions
from aliquot.emulator.controllers.notices import Notice
from aliquot.emulator.controllers.types import HorizontalPodAutoscaler, WorkloadCondition

_NO_SERVER = "the server could not find the requested resource"
_REASONS = {
    "Resource": "FailedGetResourceMetric",
    "ContainerResource": "FailedGetContainerResourceMetric",
    "Pods": "FailedGetPodsMetric",
    "Object": "FailedGetObjectMetric",
    "External": "FailedGetExternalMetric",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    status: dict[str, Any]
    resize: int | None = None
    notices: tuple[Notice, ...] = field(default=())


def plan(autoscaler: HorizontalPodAutoscaler, wanted: int, replicas: int, now: float) -> Plan:
    """`wanted` replicas are asked of the target now, `replicas` it says it has."""
    spec = autoscaler.spec
    least = spec.min_replicas
    known = tuple(autoscaler.status.conditions or ())
    message = "the HPA controller was able to get the target's current scale"
    known = _put(known, "AbleToScale", "True", "SucceededGetScale", message, now)
    notices: list[Notice] = []
    resize: int | None = None
    desired = autoscaler.status.desired_replicas
    if wanted == 0 and least != 0:
        message = "scaling is disabled since the replica count of the target is zero"
        known = _put(known, "ScalingActive", "False", "ScalingDisabled", message, now)
        desired = 0
    elif wanted > spec.max_replicas or wanted < least:
        above = wanted > spec.max_replicas
        resize = desired = spec.max_replicas if above else least
        why = "above Spec.MaxReplicas" if above else "below Spec.MinReplicas"
        message = f"the HPA controller was able to update the target scale to {resize}"
        known = _put(known, "AbleToScale", "True", "SucceededRescale", message, now)
        text = f"New size: {resize}; reason: Current number of replicas {why}"
        notices.append(Notice(False, "SuccessfulRescale", text))
    else:
        reason, why = unmeasured(spec.metrics[0] if spec.metrics else {})
        text = f"the HPA was unable to compute the replica count: {why}"
        known = _put(known, "ScalingActive", "False", reason, text, now)
        notices.append(Notice(True, reason, why))
        message = f"invalid metrics (1 invalid out of {len(spec.metrics or ()) or 1}), first error is: {why}"
        notices.append(Notice(True, "FailedComputeMetricsReplicas", message))
    return Plan(
        status={
            "currentReplicas": replicas or None,
            "desiredReplicas": desired,
            "conditions": conditions.to_json(known),
            **({"lastScaleTime": rfc3339(now)} if resize is not None else {}),
        },
        resize=resize,
        notices=tuple(notices),
    )


def unreachable(autoscaler: HorizontalPodAutoscaler, why: str, now: float) -> Plan:
    """The target has no scale to be read."""
    known = tuple(autoscaler.status.conditions or ())
    message = f"the HPA controller was unable to get the target's current scale: {why}"
    known = _put(known, "AbleToScale", "False", "FailedGetScale", message, now)
    return Plan(
        status={
            "desiredReplicas": autoscaler.status.desired_replicas,
            "conditions": conditions.to_json(known),
        },
        notices=(Notice(True, "FailedGetScale", why),),
    )


def unmeasured(metric: Mapping[str, Any]) -> tuple[str, str]:
    """Reason and message for a metric that nobody measures."""
    kind = metric.get("type", "Resource")
    source = metric.get(kind[:1].lower() + kind[1:]) or {}
    if kind in ("Resource", "ContainerResource"):
        name = source.get("name", "cpu")
        what = "usage" if (source.get("target") or {}).get("averageValue") is not None else "utilization"
        why = (
            f"failed to get {name} {what}: unable to get metrics for resource {name}: unable to fetch metrics from "
            f"resource metrics API: {_NO_SERVER} (get pods.metrics.k8s.io)"
        )
        return _REASONS[kind], why
    name = (source.get("metric") or {}).get("name", "")
    api = "external" if kind == "External" else "custom"
    why = f"unable to get metric {name}: unable to fetch metrics from {api} metrics API: {_NO_SERVER}"
    return _REASONS.get(kind, "InvalidMetricSourceType"), why


def _put(
    known: tuple[WorkloadCondition, ...], kind: str, value: str, reason: str, message: str, now: float
) -> tuple[WorkloadCondition, ...]:
    new = WorkloadCondition(type=kind, status=value, reason=reason, message=message)
    return conditions.put(known, new, now)
