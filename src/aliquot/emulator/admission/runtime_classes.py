"""A pod's RuntimeClass says what running it costs beside its containers, and where it can run at all."""

from collections.abc import Mapping
from typing import Any

from aliquot.emulator.admission.pods import is_new_pod
from aliquot.emulator.admission.types import Admitted
from aliquot.emulator.objects import Json, metadata
from aliquot.emulator.statuses import StatusError, forbidden
from aliquot.kube import quantity

_CLASSES = "runtimeclasses.node.k8s.io"


def runtime_class(asked: Admitted, obj: Json) -> Json:
    """A mutation. Raises StatusError 403."""
    if not is_new_pod(asked):
        return obj
    spec = obj.get("spec") or {}
    found = _found(asked, obj)
    if found is None:
        return obj
    changed: Json = {}
    overhead = (found.get("overhead") or {}).get("podFixed")
    if overhead is not None:
        if spec.get("overhead") and not _equal(spec["overhead"], overhead):
            raise _rejected(asked, obj, "Pod's Overhead doesn't match RuntimeClass's defined Overhead")
        changed["overhead"] = dict(overhead)
    scheduling = found.get("scheduling") or {}
    if scheduling.get("nodeSelector"):
        changed["nodeSelector"] = _selector(asked, obj, scheduling["nodeSelector"])
    if scheduling.get("tolerations"):
        own = spec.get("tolerations") or []
        changed["tolerations"] = [*own, *(one for one in scheduling["tolerations"] if one not in own)]
    return {**obj, "spec": {**spec, **changed}} if changed else obj


def overhead_is_of_its_class(asked: Admitted, obj: Json | None) -> None:
    """A check: mutators may have had a hand in it. Raises StatusError 403."""
    if obj is None or not is_new_pod(asked):
        return
    own = (obj.get("spec") or {}).get("overhead")
    overhead = ((_found(asked, obj) or {}).get("overhead") or {}).get("podFixed")
    if overhead is None:
        if own is not None:
            raise _rejected(
                asked, obj, "Pod Overhead set without corresponding RuntimeClass defined Overhead"
            )
    elif not _equal(own or {}, overhead):
        raise _rejected(asked, obj, "Pod's Overhead doesn't match RuntimeClass's defined Overhead")


def _found(asked: Admitted, obj: Json) -> Mapping[str, Any] | None:
    name = (obj.get("spec") or {}).get("runtimeClassName")
    if name is None:
        return None
    found = asked.look.get(_CLASSES, "", name)
    if found is None:
        raise _rejected(asked, obj, f'RuntimeClass "{name}" not found')
    return found


def _selector(asked: Admitted, obj: Json, wanted: Mapping[str, str]) -> dict[str, str]:
    own: Mapping[str, str] = obj["spec"].get("nodeSelector") or {}
    for key, value in wanted.items():
        if own.get(key, value) != value:
            why = (
                f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; pod.spec.nodeSelector[{key}] = "
                f"{own[key]}"
            )
            raise forbidden(asked.served.resource, metadata(obj).get("name", ""), why)
    return {**own, **wanted}


def _equal(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    return one.keys() == other.keys() and all(
        quantity.parse(one[name]) == quantity.parse(other[name]) for name in one
    )


def _rejected(asked: Admitted, obj: Json, why: str) -> StatusError:
    return forbidden(asked.served.resource, metadata(obj).get("name", ""), f"pod rejected: {why}")
