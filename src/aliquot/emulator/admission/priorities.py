"""A pod's priority is a number that comes from its class, or from the default class."""

from aliquot.emulator.admission.pods import is_new_pod
from aliquot.emulator.admission.types import Admitted
from aliquot.emulator.objects import Json, metadata
from aliquot.emulator.statuses import forbidden

_PRIORITIES = "priorityclasses.scheduling.k8s.io"


def priority(asked: Admitted, obj: Json) -> Json:
    """Raises StatusError 403."""
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
