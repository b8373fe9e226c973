"""What becomes of a pod that asks for a GPUClass. `policy` says the same in CEL, and the tests hold the two together."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from aliquot.kube.api.gpuclass import CLASS_ANNOTATION, CLASS_PREFIX, LONGEST_NAME, resource_of

NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
"""Of objects in Kubernetes. Read by RE2 too."""
NO_NAME = (
    f"is no name of a GPUClass: lower-case letters, digits, '-' and '.', at most {LONGEST_NAME} characters"
)
SCHEDULER = "aliquot"
DEFAULT_SCHEDULER = "default-scheduler"

_NAME = re.compile(NAME_PATTERN, re.ASCII)
_KEY_ESCAPES = str.maketrans({"~": "~0", "/": "~1"})


class Refused(Exception):
    """One line for whoever made the pod."""


def patch(pod: Mapping[str, Any], *, scheduler: str = SCHEDULER) -> list[dict[str, Any]]:
    """The operations of a JSON Patch; none for a pod that asks for no class. `scheduler` gets those that do, unless they
    name another than the default one. Raises Refused."""
    name = (pod["metadata"].get("annotations") or {}).get(CLASS_ANNOTATION)
    if name is not None and not (len(name) <= LONGEST_NAME and _NAME.fullmatch(name)):
        raise Refused(f"annotation {CLASS_ANNOTATION}: '{name}' {NO_NAME}")
    spec = pod["spec"]
    operations: list[dict[str, Any]] = []
    asked = _asked(spec)
    if name is not None and resource_of(name) not in asked:
        operations += _asking(spec["containers"][0], resource_of(name))
    ours = name is not None or any(resource.startswith(CLASS_PREFIX) for resource in asked)
    if ours and spec.get("schedulerName", DEFAULT_SCHEDULER) == DEFAULT_SCHEDULER != scheduler:
        operations.append({"op": "add", "path": "/spec/schedulerName", "value": scheduler})
    return operations


def _asked(spec: Mapping[str, Any]) -> set[str]:
    containers: Sequence[Mapping[str, Any]] = [*spec["containers"], *(spec.get("initContainers") or ())]
    return {r for c in containers for r in (c.get("resources") or {}).get("limits") or {}}


def _asking(container: Mapping[str, Any], resource: str) -> list[dict[str, Any]]:
    """One of `resource` for the first container."""
    path = "/spec/containers/0/resources"
    resources = container.get("resources")
    operations = [] if resources is not None else [{"op": "add", "path": path, "value": {}}]
    for kind in ("limits", "requests"):
        if (resources or {}).get(kind) is None:
            operations.append({"op": "add", "path": f"{path}/{kind}", "value": {}})
        key = resource.translate(_KEY_ESCAPES)
        operations.append({"op": "add", "path": f"{path}/{kind}/{key}", "value": "1"})
    return operations
