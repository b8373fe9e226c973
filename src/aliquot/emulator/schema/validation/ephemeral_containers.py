"""Containers that come to a pod when it runs already, to look into it: they are no part of what it does."""

from collections.abc import Mapping, Sequence
from typing import Any

from aliquot.emulator.schema.errors import FieldError, duplicate, forbidden, not_found
from aliquot.emulator.schema.validation import containers

Obj = Mapping[str, Any]

_FORBIDDEN = (
    "ports",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
)
_NOT_FOR_THEM = "cannot be set for an Ephemeral Container"
_MIRROR = "kubernetes.io/config.mirror"


def rules(spec: Obj, pod: containers.Pod, path: str) -> list[FieldError]:
    """Problems of spec.ephemeralContainers."""
    errors: list[FieldError] = []
    others = [c.get("name", "") for key in ("containers", "initContainers") for c in spec.get(key) or ()]
    seen = set(others)
    for index, container in enumerate(spec.get("ephemeralContainers", ())):
        where, name = f"{path}[{index}]", container.get("name", "")
        errors += containers.common(container, pod, where)
        if name in seen:
            errors.append(duplicate(f"{where}.name", name))
        seen.add(name)
        target = container.get("targetContainerName", "")
        if target and target not in others:
            errors.append(not_found(f"{where}.targetContainerName", target))
        errors += [forbidden(f"{where}.{key}", _NOT_FOR_THEM) for key in _FORBIDDEN if container.get(key)]
        for position, mount in enumerate(container.get("volumeMounts", ())):
            for key in ("subPath", "subPathExpr"):
                if mount.get(key):
                    errors.append(forbidden(f"{where}.volumeMounts[{position}].{key}", _NOT_FOR_THEM))
    return errors + containers.image_spacing(spec.get("ephemeralContainers", ()), path)


def update(obj: Obj, old: Obj) -> list[FieldError]:
    """More may come; those that are there stay as they are."""
    if _MIRROR in (old["metadata"].get("annotations") or {}):
        return [forbidden("[]", "static pods do not support ephemeral containers")]
    wanted: Sequence[Obj] = obj["spec"].get("ephemeralContainers", ())
    by_name = {container.get("name"): container for container in wanted}
    errors: list[FieldError] = []
    for before in old["spec"].get("ephemeralContainers", ()):
        name = before["name"]
        if name not in by_name:
            text = f'existing ephemeral containers "{name}" may not be removed\n'
        elif by_name[name] != before:
            text = f'existing ephemeral containers "{name}" may not be changed\n'
        else:
            continue
        errors.append(forbidden("spec.ephemeralContainers", text))
    return errors
