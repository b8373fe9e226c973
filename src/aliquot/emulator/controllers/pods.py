"""What controllers ask of a pod: does it count, is it ready, and which of several goes first."""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from aliquot.clock import parse_rfc3339
from aliquot.emulator.controllers import ownership
from aliquot.kube.api.core import Pod, PodCondition
from aliquot.kube.resources import JOBS

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"

NAMESPACE_INDEX = "namespace"
NODE_INDEX = "node"
JOB_INDEX = "job"
CLAIM_INDEX = "claim"

TERMINAL_PHASES = ("Succeeded", "Failed")
_PHASE_ORDER = {"Pending": 0, "": 0, "Unknown": 1, "Running": 2}


def _node(pod: Pod) -> Iterable[str]:
    return (pod.spec.node_name,) if pod.spec.node_name else ()


def _job(pod: Pod) -> Iterable[str]:
    owner = ownership.controller_of(pod)
    if owner is None or owner.kind != JOBS.kind:
        return ()
    return (f"{pod.metadata.namespace}/{owner.name}",)


def claims_of(pod: Pod) -> Iterable[str]:
    """The keys of the claims whose volumes it mounts."""
    return [
        f"{pod.metadata.namespace}/{name}"
        for volume in pod.spec.volumes or ()
        if (name := volume.claim_name(pod.metadata.name))
    ]


INDEXES: Mapping[str, Callable[[Pod], Iterable[str]]] = {
    **ownership.INDEXES,
    NAMESPACE_INDEX: lambda pod: (pod.metadata.namespace,),
    NODE_INDEX: _node,
    JOB_INDEX: _job,
    CLAIM_INDEX: claims_of,
}
"""Besides by owner: by namespace, by node, by the key of the Job that controls them, and by those of claims."""


def is_active(pod: Pod) -> bool:
    return pod.status.phase not in TERMINAL_PHASES and pod.metadata.deletion_timestamp is None


def is_terminating(pod: Pod) -> bool:
    """Asked to go and not yet ended."""
    return pod.metadata.deletion_timestamp is not None and pod.status.phase not in TERMINAL_PHASES


def condition(pod: Pod, kind: str) -> PodCondition | None:
    for found in pod.status.conditions or ():
        if found.type == kind:
            return found
    return None


def is_ready(pod: Pod) -> bool:
    found = condition(pod, "Ready")
    return found is not None and found.status == "True"


def ready_since(pod: Pod) -> float | None:
    """Unix time at which the pod became ready, None when it is not."""
    found = condition(pod, "Ready")
    if found is None or found.status != "True":
        return None
    return seconds(found.last_transition_time)


def seconds(timestamp: str | None) -> float:
    """Unix time, 0 where there is none or it cannot be read."""
    return _seconds(timestamp) if timestamp else 0.0


@lru_cache(maxsize=4096)
def _seconds(timestamp: str) -> float:
    """They have whole seconds: those of a fleet are few, and are asked for at each look."""
    try:
        return parse_rfc3339(timestamp)
    except ValueError:
        return 0.0


def ended_at(pod: Pod) -> float:
    """Unix time at which its last container ended; of a pod that never ran, when it was last heard of."""
    ends = [
        seconds(status.state.terminated.finished_at)
        for status in pod.status.container_statuses or ()
        if status.state.terminated is not None
    ]
    if ends:
        return max(ends)
    ready = condition(pod, "Ready")
    moved = seconds(ready.last_transition_time) if ready is not None else 0.0
    return max(moved, seconds(pod.metadata.deletion_timestamp), seconds(pod.metadata.creation_timestamp))


def gather_s(held: int) -> float:
    """How long to gather changes before looking again at an owner of so many pods: each look is at all of them."""
    return 0.01 + held * 1e-4


def restarts(pod: Pod) -> int:
    return sum(status.restart_count for status in pod.status.container_statuses or ())


def in_order_of_deletion(pods: Iterable[Pod], crowd: Mapping[str, int]) -> list[Pod]:
    """Those whose loss costs least come first: never placed, not running, not ready, cheap, crowded, young.

    `crowd` counts, by node, the pods of the same purpose there.
    """

    def rank(pod: Pod) -> tuple[Any, ...]:
        since = ready_since(pod)
        return (
            bool(pod.spec.node_name),
            _PHASE_ORDER.get(pod.status.phase, 2),
            since is not None,
            _deletion_cost(pod),
            -crowd.get(pod.spec.node_name, 0),
            -(since or 0.0),
            -restarts(pod),
            -seconds(pod.metadata.creation_timestamp),
            pod.metadata.name,
        )

    return sorted(pods, key=rank)


def _deletion_cost(pod: Pod) -> int:
    try:
        return int((pod.metadata.annotations or {}).get(DELETION_COST, "0"))
    except ValueError:
        return 0


def from_template(
    template: Mapping[str, Any], prefix: str, namespace: str, owner: dict[str, Any]
) -> dict[str, Any]:
    """A pod to create: the template's, under a generated name, controlled by `owner`."""
    wanted = template.get("metadata") or {}
    metadata = {key: wanted[key] for key in ("labels", "annotations", "finalizers") if wanted.get(key)}
    return {
        "metadata": {
            **metadata,
            "generateName": prefix,
            "namespace": namespace,
            "ownerReferences": [owner],
        },
        "spec": dict(template.get("spec") or {}),
    }
