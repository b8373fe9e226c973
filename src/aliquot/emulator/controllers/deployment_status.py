"""What a Deployment says of itself: counts, and whether it is available and getting on. Pure."""

from collections.abc import Sequence
from typing import Any, TypeAlias

from aliquot.clock import rfc3339
from aliquot.emulator.controllers import conditions, pods, rollouts
from aliquot.emulator.controllers.types import Deployment, DeploymentStatus, ReplicaSet, WorkloadCondition

Conditions: TypeAlias = tuple[WorkloadCondition, ...]
Statement: TypeAlias = tuple[str, str, str, str]
"""Type, status, reason and message of a condition."""

AVAILABLE = "Available"
PROGRESSING = "Progressing"
_COMPLETE = "NewReplicaSetAvailable"
_LATE = "ProgressDeadlineExceeded"
_PAUSED = "DeploymentPaused"


def counts(held: Sequence[ReplicaSet], new: ReplicaSet | None) -> dict[str, int]:
    available = sum(found.status.available_replicas for found in held)
    return {
        "replicas": sum(found.status.replicas for found in held),
        "updatedReplicas": new.status.replicas if new is not None else 0,
        "readyReplicas": sum(found.status.ready_replicas for found in held),
        "availableReplicas": available,
        "unavailableReplicas": max(0, sum(found.spec.replicas for found in held) - available),
    }


def is_complete(deployment: Deployment, held: Sequence[ReplicaSet], new: ReplicaSet | None) -> bool:
    """All wanted replicas are of the new template and available, and nothing else is left."""
    found, replicas = counts(held, new), deployment.spec.replicas
    return found["updatedReplicas"] == found["replicas"] == found["availableReplicas"] == replicas


def status(
    deployment: Deployment, held: Sequence[ReplicaSet], new: ReplicaSet | None, created: str, now: float
) -> tuple[dict[str, Any], float | None]:
    """The status to write (None for fields to take away), and the seconds until its deadline speaks.

    `created` is the name of the ReplicaSet that was made just now, empty when none was.
    """
    found = counts(held, new)
    known = tuple(deployment.status.conditions or ())
    known = _put(known, _availability(deployment, found["availableReplicas"]), now)
    if deployment.spec.progress_deadline_seconds is None:
        known = conditions.without(known, PROGRESSING)
    else:
        known = _progress(deployment, held, new, created, known, now)
    known = _failure(held, new, known, now)
    written: dict[str, Any] = {name: value or None for name, value in found.items()}
    written["terminatingReplicas"] = sum(found.status.terminating_replicas for found in held)
    written["observedGeneration"] = deployment.metadata.generation
    written["conditions"] = conditions.to_json(known) or None
    return written, _until_late(deployment, known, now)


def _availability(deployment: Deployment, available: int) -> Statement:
    if available >= deployment.spec.replicas - rollouts.limits(deployment).unavailable:
        return AVAILABLE, "True", "MinimumReplicasAvailable", "Deployment has minimum availability."
    return (
        AVAILABLE,
        "False",
        "MinimumReplicasUnavailable",
        "Deployment does not have minimum availability.",
    )


def _progress(
    deployment: Deployment,
    held: Sequence[ReplicaSet],
    new: ReplicaSet | None,
    created: str,
    known: Conditions,
    now: float,
) -> Conditions:
    before = conditions.find(known, PROGRESSING)
    reason = before.reason if before is not None else ""
    if deployment.spec.paused:
        if reason == _LATE:
            return known
        return _put(known, (PROGRESSING, "Unknown", _PAUSED, "Deployment is paused"), now)
    if reason == _PAUSED:
        known = _put(known, (PROGRESSING, "Unknown", "DeploymentResumed", "Deployment is resumed"), now)
    if created:
        message = f'Created new replica set "{created}"'
        return _put(known, (PROGRESSING, "True", "NewReplicaSetCreated", message), now)
    if new is None:
        return known
    name = new.metadata.name
    if before is None:
        message = f'Found new replica set "{name}"'
        known = _put(known, (PROGRESSING, "True", "FoundNewReplicaSet", message), now)
    found = counts(held, new)
    if reason == _COMPLETE and found["replicas"] == found["updatedReplicas"]:
        # Once rolled out it stays so, though pods come and go.
        return known
    if is_complete(deployment, held, new):
        message = f'ReplicaSet "{name}" has successfully progressed.'
        return _put(known, (PROGRESSING, "True", _COMPLETE, message), now)
    if _got_on(deployment.status, found):
        message = f'ReplicaSet "{name}" is progressing.'
        return _put(known, (PROGRESSING, "True", "ReplicaSetUpdated", message), now, refresh=True)
    latest = conditions.find(known, PROGRESSING)
    if latest is not None and _late_by(deployment, latest, now) >= 0:
        message = f'ReplicaSet "{name}" has timed out progressing.'
        return _put(known, (PROGRESSING, "False", _LATE, message), now)
    return known


def _got_on(before: DeploymentStatus, found: dict[str, int]) -> bool:
    return (
        found["updatedReplicas"] > before.updated_replicas
        or found["replicas"] - found["updatedReplicas"] < before.replicas - before.updated_replicas
        or found["readyReplicas"] > before.ready_replicas
        or found["availableReplicas"] > before.available_replicas
    )


def _late_by(deployment: Deployment, progress: WorkloadCondition, now: float) -> float:
    """Seconds past the deadline, negative before it."""
    if progress.reason == _COMPLETE or deployment.spec.progress_deadline_seconds is None:
        return -1.0
    return now - pods.seconds(progress.last_update_time) - deployment.spec.progress_deadline_seconds


def _until_late(deployment: Deployment, known: Conditions, now: float) -> float | None:
    progress = conditions.find(known, PROGRESSING)
    if progress is None or progress.reason in (_COMPLETE, _LATE, _PAUSED):
        return None
    # Timestamps are whole seconds: a moment later, not a moment too early.
    return max(0.0, -_late_by(deployment, progress, now)) + 1.0


def _failure(held: Sequence[ReplicaSet], new: ReplicaSet | None, known: Conditions, now: float) -> Conditions:
    kind = "ReplicaFailure"
    for found in [*([new] if new is not None else []), *held]:
        failure = conditions.find(found.status.conditions, kind)
        if failure is not None:
            return _put(known, (kind, failure.status, failure.reason, failure.message), now)
    return conditions.without(known, kind)


def _put(known: Conditions, said: Statement, now: float, *, refresh: bool = False) -> Conditions:
    kind, value, reason, message = said
    new = WorkloadCondition(
        type=kind, status=value, reason=reason, message=message, last_update_time=rfc3339(now)
    )
    return conditions.put(known, new, now, refresh=refresh)
