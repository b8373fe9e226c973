"""A new node is not ready, whatever it says: nothing is placed there before the node controller has looked at it."""

from aliquot.emulator.admission.types import Admitted, Operation
from aliquot.emulator.objects import Json

_NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


def taint_new_node(asked: Admitted, obj: Json) -> Json:
    """A mutation."""
    if asked.served.storage != "nodes" or asked.operation is not Operation.CREATE or asked.subresource:
        return obj
    spec = obj.get("spec") or {}
    taints = list(spec.get("taints") or ())
    if any((one.get("key"), one.get("effect")) == tuple(_NOT_READY.values()) for one in taints):
        return obj
    return {**obj, "spec": {**spec, "taints": [*taints, dict(_NOT_READY)]}}
