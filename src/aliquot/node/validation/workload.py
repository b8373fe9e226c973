"""The pod that tries a device of a node, and what becomes of it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from aliquot.kube.api.core import ContainerStatus, Pod
from aliquot.kube.api.meta import OwnerReference
from aliquot.kube.api.node_checks import WORKLOAD_LABELS

RUNTIME_CLASS = "nvidia"
CONTAINER = "workload"
_PREFIX = "aliquot-validation-"
_LONGEST = 63
"""What a pod's name may have to be its host name too."""
_NOBODY = 65532


@dataclass(frozen=True, slots=True)
class Workload:
    """What is the same for all nodes."""

    image: str
    namespace: str
    pull_secrets: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    """Beside ours: such as the queue that the pod is to be counted in."""
    deadline_s: float = 300.0


def pod_name(node_name: str) -> str:
    """The same for a node always: one that a validator left is found by the next."""
    whole = f"{_PREFIX}{node_name}"
    if len(whole) <= _LONGEST:
        return whole
    digest = hashlib.sha256(node_name.encode()).hexdigest()[:8]
    return f"{whole[: _LONGEST - 9].rstrip('-.')}-{digest}"


def manifest(workload: Workload, node_name: str, resource: str, owner: OwnerReference) -> dict[str, Any]:
    """A pod that the scheduler gives to this node and no other: so that it is counted like any other's."""
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "runtimeClassName": RUNTIME_CLASS,
        "activeDeadlineSeconds": round(workload.deadline_s),
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        # Whoever may run the validator here may run this here; the affinity keeps it off all other nodes.
        "tolerations": [{"operator": "Exists"}],
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node_name]}]}
                    ]
                }
            }
        },
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _NOBODY,
            "runAsGroup": _NOBODY,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": CONTAINER,
                "image": workload.image,
                "imagePullPolicy": "IfNotPresent",
                "command": ["aliquot"],
                "args": ["node", "workload"],
                "env": [{"name": "NVIDIA_DRIVER_CAPABILITIES", "value": "compute,utility"}],
                "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {resource: "1"}},
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                    "readOnlyRootFilesystem": True,
                },
                "terminationMessagePolicy": "FallbackToLogsOnError",
            }
        ],
    }
    if workload.pull_secrets:
        spec["imagePullSecrets"] = [{"name": one} for one in workload.pull_secrets]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod_name(node_name),
            "namespace": workload.namespace,
            "labels": {**workload.labels, **WORKLOAD_LABELS},
            "ownerReferences": [
                {"apiVersion": owner.api_version, "kind": owner.kind, "name": owner.name, "uid": owner.uid}
            ],
        },
        "spec": spec,
    }


class Stage(Enum):
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Progress:
    stage: Stage
    said: str = ""
    """Why it waits, how it failed, or what it printed last."""


def progress(pod: Pod) -> Progress:
    status = _status(pod)
    ended = status.state.terminated if status is not None else None
    said = (ended.message.strip() if ended is not None else "").splitlines()
    if pod.status.phase == "Succeeded":
        return Progress(Stage.SUCCEEDED, said[-1] if said else "")
    if pod.status.phase == "Failed":
        if said:
            return Progress(Stage.FAILED, said[-1])
        if ended is not None and not pod.status.message:
            return Progress(Stage.FAILED, f"it ended with code {ended.exit_code} ({ended.reason})")
        return Progress(Stage.FAILED, _joined(pod.status.reason, pod.status.message) or "it failed")
    return Progress(Stage.WAITING, _waits_for(pod, status))


def _waits_for(pod: Pod, status: ContainerStatus | None) -> str:
    for condition in pod.status.conditions or ():
        if condition.type == "PodScheduled" and condition.status == "False":
            return _joined(condition.reason, condition.message)
    if not pod.spec.node_name:
        return "no scheduler has looked at it"
    waiting = status.state.waiting if status is not None else None
    if waiting is not None:
        return _joined(waiting.reason, waiting.message)
    if status is not None and status.state.running is not None:
        return "it runs still"
    return "kubelet has not started it"


def _status(pod: Pod) -> ContainerStatus | None:
    return next(iter(pod.status.container_statuses or ()), None)


def _joined(reason: str, message: str) -> str:
    return f"{reason}: {message}" if reason and message else reason or message
