"""The defaults of built-in kinds: what Kubernetes fills in whenever it reads an object.

One module for each family of kinds; each default is written once, for the type that it belongs to, and applied
wherever that type occurs. What depends on anything but the object itself (cluster addresses, service account
tokens, default tolerations) is no default but admission or registry work, and not done here.
"""

from collections.abc import Callable, Mapping
from typing import Any

from aliquot.emulator.schema import decoding
from aliquot.emulator.schema.defaults import admission, configuration, pods, policies, services, workloads
from aliquot.emulator.schema.shapes import Shape

Filler = Callable[[dict[str, Any]], None]

ZERO_STATUS: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("", "ReplicationController"): {"replicas": 0},
    ("apps", "ReplicaSet"): {"replicas": 0},
    ("apps", "StatefulSet"): {"replicas": 0, "availableReplicas": 0},
    ("apps", "DaemonSet"): dict.fromkeys(
        ("currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady"), 0
    ),
    ("autoscaling", "HorizontalPodAutoscaler"): {"desiredReplicas": 0},
    ("storage.k8s.io", "VolumeAttachment"): {"attached": False},
    ("policy", "PodDisruptionBudget"): dict.fromkeys(
        ("currentHealthy", "desiredHealthy", "disruptionsAllowed", "expectedPods"), 0
    ),
}
"""What the status of a kind always says, from its first moment: typed clients insist on it."""

_FILLERS: Mapping[tuple[str, str], Filler] = {
    **pods.FILLERS,
    **workloads.FILLERS,
    **services.FILLERS,
    **configuration.FILLERS,
    **admission.FILLERS,
    **policies.FILLERS,
}


def fill(group: str, kind: str, obj: Mapping[str, Any], shape: Shape) -> dict[str, Any]:
    """A copy of `obj` with its defaults, and in the form in which Go would write it: nothing empty that may go."""
    return fill_in(group, kind, decoding.without_empties(obj, shape), shape)


def fill_in(group: str, kind: str, obj: dict[str, Any], shape: Shape) -> dict[str, Any]:
    """The defaults of `obj`, which has nothing empty in it that may go, in place."""
    _add_structs(obj, shape.skeleton)
    for name, zero in ZERO_STATUS.get((group, kind), {}).items():
        obj["status"].setdefault(name, zero)
    filler = _FILLERS.get((group, kind))
    if filler is not None:
        filler(obj)
    if shape.holds_nulls:
        _add_nulls(obj, shape)
    return obj


def zero_status(group: str, kind: str, shape: Shape) -> dict[str, Any]:
    """The status that an object begins with."""
    status: dict[str, Any] = {}
    _add_structs(status, shape.fields["status"].skeleton)
    return {**status, **dict.fromkeys(shape.fields["status"].nulls), **ZERO_STATUS.get((group, kind), {})}


def _add_nulls(value: Any, shape: Shape) -> None:
    """Nothing in place of what is absent or empty and never left out."""
    if isinstance(value, dict):
        for name in shape.nulls:
            value[name] = value.get(name) or None
        for name, inner in shape.fields_with_nulls:
            if (child := value.get(name)) is not None:
                _add_nulls(child, inner)
    element = shape.element
    if element is not None and element.holds_nulls:
        for child in value.values() if isinstance(value, dict) else value:
            _add_nulls(child, element)


def _add_structs(obj: dict[str, Any], skeleton: Mapping[str, Any]) -> None:
    for name, inner in skeleton.items():
        if inner is None:
            continue
        child = obj.get(name)
        if child is None:
            child = obj[name] = {}
        if isinstance(child, dict):
            _add_structs(child, inner)
