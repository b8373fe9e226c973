"""The scale subresource: a count of replicas, wherever the object keeps it. Pure.

Deployments and ReplicaSets keep it in `.spec.replicas`; a custom resource says in its CRD where.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aliquot.emulator import statuses
from aliquot.emulator.objects import Json, metadata
from aliquot.emulator.registry import Served
from aliquot.emulator.schema.errors import invalid
from aliquot.kube import selectors


@dataclass(frozen=True, slots=True)
class Paths:
    spec_replicas: tuple[str, ...]
    status_replicas: tuple[str, ...]
    selector: tuple[str, ...]
    """Of the selector; for built-in kinds an object, for custom ones a string. Empty: there is none."""


def paths(served: Served) -> Paths:
    declared = (served.crd_version.get("subresources") or {}).get("scale")
    if declared is None:
        return Paths(("spec", "replicas"), ("status", "replicas"), ("spec", "selector"))
    return Paths(
        _path(declared["specReplicasPath"]),
        _path(declared["statusReplicasPath"]),
        _path(declared.get("labelSelectorPath", "")),
    )


def read(served: Served, obj: Mapping[str, Any], *, must_say: bool = True) -> Json:
    """The autoscaling/v1 Scale of an object.

    Raises StatusError where a custom resource says nothing of its replicas, but must.
    """
    where, meta = paths(served), metadata(obj)
    if must_say and served.crd is not None and _get(obj, where.spec_replicas) is None:
        path = f".{'.'.join(where.spec_replicas)}"
        raise statuses.internal(f'the spec replicas field "{path}" does not exist')
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status: Json = {"replicas": _get(obj, where.status_replicas) or 0}
    found = _get(obj, where.selector)
    if served.storage == "replicationcontrollers":
        # The one kind whose selector is a plain map of labels.
        found = {"matchLabels": found or {}}
    if selector := _selector(found):
        status["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: meta[key] for key in kept if key in meta},
        "spec": {"replicas": _get(obj, where.spec_replicas) or 0},
        "status": status,
    }


def write(served: Served, obj: Json, scale: Mapping[str, Any], name: str) -> Json:
    """`obj` with the replicas of `scale`. Raises StatusError."""
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if replicas < 0 and served.crd is None:
        error = invalid("spec.replicas", replicas, "must be greater than or equal to 0")
        raise statuses.invalid(served.resource, name, [error])
    return _set(obj, paths(served).spec_replicas, replicas)


def _path(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split(".") if part)


def _get(obj: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = obj if path else None
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _set(obj: Json, path: tuple[str, ...], value: Any) -> Json:
    first, *rest = path
    return {**obj, first: _set(obj.get(first) or {}, tuple(rest), value) if rest else value}


def _selector(found: Any) -> str:
    if isinstance(found, str):
        return found
    return str(selectors.from_object(found)) if isinstance(found, Mapping) else ""
