"""A pod's priority is a number that comes from its class, or from the default class."""

from aliquot.emulator.admission.pods import is_new_pod
from aliquot.emulator.admission.types import Admitted, Operation
from aliquot.emulator.objects import Json, metadata
from aliquot.emulator.registry import PODS
from aliquot.emulator.statuses import forbidden

_PRIORITIES = "priorityclasses.scheduling.k8s.io"


def priority(asked: Admitted, obj: Json) -> Json:
    """Raises StatusError 403."""
    if asked.served.storage == PODS and asked.old is not None and not asked.subresource:
        return _as_it_was(obj, asked.old)
    if not is_new_pod(asked):
        return obj
    resource, name = asked.served.resource, metadata(obj).get("name", "")
    spec = obj.get("spec") or {}
    wanted = spec.get("priorityClassName") or ""
    if wanted:
        found = asked.look.get(_PRIORITIES, "", wanted)
        if found is None:
            raise forbidden(resource, name, f"no PriorityClass with name {wanted} was found")
    else:
        defaults = [one for one in asked.look.all(_PRIORITIES) if one.get("globalDefault")]
        found = min(defaults, key=lambda one: int(one["value"]), default=None)
        wanted = metadata(found)["name"] if found is not None else ""
    value = int(found["value"]) if found is not None else 0
    policy = (found or {}).get("preemptionPolicy") or "PreemptLowerPriority"
    for field, right in (("priority", value), ("preemptionPolicy", policy)):
        if field in spec and spec[field] is not None and spec[field] != right:
            why = (
                f"the integer value of priority ({spec[field]}) must not be provided in pod spec; priority admission "
                f"controller computed {right} from the given PriorityClass name"
                if field == "priority"
                else f"the string value of PreemptionPolicy ({spec[field]}) must not be provided in pod spec; priority "
                f"admission controller computed {right} from the given PriorityClass name"
            )
            raise forbidden(resource, name, why)
    named = {"priorityClassName": wanted} if wanted else {}
    return {**obj, "spec": {**spec, **named, "priority": value, "preemptionPolicy": policy}}


def _as_it_was(obj: Json, old: Json) -> Json:
    """Who leaves out what was filled in does not mean to change it."""
    spec, before = obj.get("spec") or {}, old.get("spec") or {}
    kept = {
        field: before[field]
        for field in ("priority", "preemptionPolicy")
        if field in before and spec.get(field) is None
    }
    return {**obj, "spec": {**spec, **kept}} if kept else obj


def one_default_priority(asked: Admitted, obj: Json | None) -> None:
    """A check. Raises StatusError 403."""
    if obj is None or asked.served.storage != _PRIORITIES or not obj.get("globalDefault"):
        return
    if asked.operation not in (Operation.CREATE, Operation.UPDATE):
        return
    own = metadata(obj).get("name", "")
    defaults = [one for one in asked.look.all(_PRIORITIES) if one.get("globalDefault")]
    found = min(defaults, key=lambda one: int(one["value"]), default=None)
    if found is not None and metadata(dict(found))["name"] != own:
        name = metadata(dict(found))["name"]
        why = f"PriorityClass {name} is already marked as default. Only one default can exist"
        raise forbidden(asked.served.resource, own, why)
