"""Where the scale subresource of a custom kind finds its numbers, and that they are such."""

from collections.abc import Mapping
from typing import Any

from aliquot.emulator.schema.errors import FieldError, invalid

Obj = Mapping[str, Any]

_MOST = 2**31 - 1


def scale(obj: Obj, paths: Mapping[str, str], *, status_alone: bool = False) -> list[FieldError]:
    """`paths`: `spec.versions[*].subresources.scale` of the CRD."""
    looked_at = ("statusReplicasPath",) if status_alone else ("specReplicasPath", "statusReplicasPath")
    errors: list[FieldError] = []
    for name in looked_at:
        path = paths[name]
        replicas = _at(obj, path)
        if not isinstance(replicas, int) or isinstance(replicas, bool):
            continue
        if replicas < 0:
            errors.append(invalid(path, replicas, "should be a non-negative integer"))
        elif replicas > _MOST:
            errors.append(invalid(path, replicas, f"should be less than or equal to {_MOST}"))
    return errors


def _at(obj: Obj, path: str) -> Any:
    value: Any = obj
    for name in path.removeprefix(".").split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
