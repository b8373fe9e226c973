"""A pod's status as kubelet writes it, out of its spec and its containers' runs. Pure.

Gives the body of a strategic merge patch: conditions merge by type, so those of others (PodScheduled) stay.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from aliquot.clock import rfc3339
from aliquot.emulator.kubelet.admission import Rejection, is_sidecar, qos_class
from aliquot.emulator.kubelet.pod_plan import Phase, Plan, Situation, initialized
from aliquot.emulator.kubelet.probes import WELL
from aliquot.emulator.kubelet.runtimes.base import ContainerRecord
from aliquot.kube.api.core import Container, Pod

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the pod runs."""

    host_ip: str
    pod_ip: str
    runtime: str
    """Scheme of container ids."""
    started_at: float
    """When kubelet took it on."""


_CONDITIONS = frozenset(
    ("PodScheduled", "PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready")
)
"""Those that kubelet answers for; the others are readiness gates' and controllers'."""
_WHERE_IT_RAN = ("hostIP", "hostIPs", "podIP", "podIPs", "initContainerStatuses", "containerStatuses")

DeviceHealth: TypeAlias = Mapping[str, Mapping[str, Mapping[str, str]]]
"""Container to resource to device to its health."""


@dataclass(frozen=True, slots=True)
class Unhealthy:
    """Why a pod was ended that could have gone on."""

    reason: str
    message: str


def running_status(
    pod: Pod,
    situation: Situation,
    plan: Plan,
    place: Place,
    previous: Sequence[Mapping[str, Any]],
    *,
    verdict: Unhealthy | None = None,
    devices: DeviceHealth | None = None,
) -> JsonObject:
    """Status of an admitted pod. `previous` are its conditions so far, for their transition times."""
    spec = pod.spec
    phase = _phase(situation, plan)
    containers = sorted(spec.containers, key=lambda container: container.name)
    init = spec.init_containers or ()
    statuses = [_container(c, situation, plan, place.runtime) for c in containers]
    init_statuses = [_container(c, situation, plan, place.runtime, init=True) for c in init]
    for container_status in (*statuses, *init_statuses):
        held = (devices or {}).get(container_status["name"])
        if held:
            container_status["allocatedResourcesStatus"] = [
                {
                    "name": resource,
                    "resources": [{"resourceID": name, "health": health} for name, health in ids.items()],
                }
                for resource, ids in held.items()
            ]
    status: JsonObject = {
        "phase": phase.value,
        "qosClass": pod.status.qos_class or qos_class(pod),
        "startTime": rfc3339(place.started_at),
        "hostIP": place.host_ip,
        "hostIPs": [{"ip": place.host_ip}],
        "podIP": place.pod_ip,
        "podIPs": [{"ip": place.pod_ip}],
        "conditions": _conditions(situation, phase, statuses, init_statuses, previous, pod),
        "containerStatuses": statuses,
    }
    if init_statuses:
        status["initContainerStatuses"] = init_statuses
    if ephemeral := spec.ephemeral_containers:
        status["ephemeralContainerStatuses"] = [
            _container(c, situation, plan, place.runtime) | {"ready": False, "started": False}
            for c in ephemeral
        ]
    if pod.metadata.generation:
        status["observedGeneration"] = pod.metadata.generation
    if verdict is not None:
        status |= {"reason": verdict.reason, "message": verdict.message}
    return status


def rejected_status(pod: Pod, rejection: Rejection, now: float) -> JsonObject:
    """Status of a pod that this node will not run: final.

    It stands alone, as a real kubelet's does: of an earlier life on this node only the start time stays, no address,
    no container and no condition of kubelet's own.
    """
    return {
        "phase": Phase.FAILED.value,
        "reason": rejection.reason,
        "message": f"Pod was rejected: {rejection.message}",
        "qosClass": pod.status.qos_class or qos_class(pod),
        "startTime": pod.status.start_time or rfc3339(now),
        "conditions": [],
        **dict.fromkeys(_WHERE_IT_RAN),
    }


def as_patch(status: JsonObject, previous: Sequence[Mapping[str, Any]]) -> JsonObject:
    """`status` for a strategic merge over `previous` conditions: what a condition no longer has is named null.

    A status without conditions takes back all that kubelet ever wrote.
    """
    since = {condition.get("type"): condition for condition in previous}
    if status["conditions"]:
        conditions = [
            dict.fromkeys(name for name in since.get(condition["type"], {}) if name not in condition)
            | condition
            for condition in status["conditions"]
        ]
    else:
        conditions = [{"$patch": "delete", "type": kind} for kind in since if kind in _CONDITIONS]
    return status | {"conditions": conditions}


def image_id(image: str) -> str:
    """No image is ever pulled, so its digest is one of its name."""
    return f"{image.partition('@')[0]}@sha256:{hashlib.sha256(image.encode()).hexdigest()}"


def _phase(situation: Situation, plan: Plan) -> Phase:
    if plan.ended is not None:
        return plan.ended
    begun = all(situation.last(container.name) is not None for container in situation.spec.containers)
    return Phase.RUNNING if begun else Phase.PENDING


def _container(
    container: Container, situation: Situation, plan: Plan, runtime: str, *, init: bool = False
) -> JsonObject:
    runs = list(situation.runs.get(container.name, ()))
    waiting = plan.waiting.get(container.name)
    shown = runs[-1] if runs else None
    before = shown if waiting is not None else (runs[-2] if len(runs) > 1 else None)
    running = waiting is None and shown is not None and shown.running
    health = situation.health_of(shown) if shown is not None else WELL
    ready = running and health.ready
    if init and not is_sidecar(container):
        ready = shown is not None and not shown.running and shown.exit_code == 0
    status: JsonObject = {
        "name": container.name,
        "image": container.image,
        "imageID": image_id(container.image) if shown is not None else "",
        "ready": ready,
        "started": running and health.started and (not init or is_sidecar(container)),
        "restartCount": shown.attempt if shown is not None else 0,
        "state": _waiting(waiting.reason, waiting.message) if waiting is not None else _state(shown, runtime),
        "lastState": {"terminated": _terminated(before, runtime)} if before is not None else {},
    }
    if shown is not None:
        status["containerID"] = f"{runtime}://{shown.id}"
    return status


def _waiting(reason: str, message: str) -> JsonObject:
    return {"waiting": {"reason": reason, "message": message} if message else {"reason": reason}}


def _state(run: ContainerRecord | None, runtime: str) -> JsonObject:
    if run is None:
        return {}
    if run.running:
        return {"running": {"startedAt": rfc3339(run.started_at)}}
    return {"terminated": _terminated(run, runtime)}


def _terminated(run: ContainerRecord, runtime: str) -> JsonObject:
    state: JsonObject = {
        "exitCode": run.exit_code,
        "reason": run.reason,
        "startedAt": rfc3339(run.started_at),
        "finishedAt": rfc3339(run.finished_at if run.finished_at is not None else run.started_at),
        "containerID": f"{runtime}://{run.id}",
    }
    if run.message:
        state["message"] = run.message
    return state


def _conditions(
    situation: Situation,
    phase: Phase,
    statuses: Sequence[JsonObject],
    init_statuses: Sequence[JsonObject],
    previous: Sequence[Mapping[str, Any]],
    pod: Pod,
) -> list[JsonObject]:
    sidecars = {c.name for c in situation.spec.init_containers or () if is_sidecar(c)}
    lasting = [status for status in init_statuses if status["name"] in sidecars] + [*statuses]
    unready = _names(status for status in lasting if not status["ready"])
    if phase is Phase.SUCCEEDED:
        ready: JsonObject = {"status": "False", "reason": "PodCompleted"}
    elif phase is Phase.FAILED:
        ready = {"status": "False", "reason": "PodFailed"}
    elif unready:
        text = f"containers with unready status: [{unready}]"
        ready = {"status": "False", "reason": "ContainersNotReady", "message": text}
    else:
        ready = {"status": "True"}
    through: JsonObject = {"status": "True"}
    if phase is Phase.SUCCEEDED:
        through["reason"] = "PodCompleted"
    elif not initialized(situation):
        names = _names(status for status in init_statuses if not status["ready"])
        text = f"containers with incomplete status: [{names}]"
        through = {"status": "False", "reason": "ContainersNotInitialized", "message": text}
    ended = phase in (Phase.SUCCEEDED, Phase.FAILED)
    by_type = {
        "PodReadyToStartContainers": {"status": "False" if ended or not situation.volumes_ready else "True"},
        "Initialized": through,
        "Ready": ready,
        "ContainersReady": ready,
    }
    since = {condition.get("type"): condition for condition in previous}
    conditions = []
    for kind, condition in by_type.items():
        before = since.get(kind, {})
        same = before.get("status") == condition["status"]
        time = before.get("lastTransitionTime") if same else None
        made = {"type": kind} | condition | {"lastTransitionTime": time or rfc3339(situation.now)}
        if pod.metadata.generation:
            made["observedGeneration"] = pod.metadata.generation
        conditions.append(made)
    return conditions


def _names(statuses: Iterable[JsonObject]) -> str:
    return " ".join(str(status["name"]) for status in statuses)
