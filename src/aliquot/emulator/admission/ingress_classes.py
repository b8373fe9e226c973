"""An Ingress that names no class is of the default one."""

from aliquot.emulator.admission.types import Admitted, Operation
from aliquot.emulator.objects import Json, metadata

_INGRESSES = "ingresses.networking.k8s.io"
_CLASSES = "ingressclasses.networking.k8s.io"
_IS_DEFAULT = "ingressclass.kubernetes.io/is-default-class"
_OLD_CLASS = "kubernetes.io/ingress.class"


def default_ingress_class(asked: Admitted, obj: Json) -> Json:
    """A mutation: the youngest default, the first by name of equals."""
    if asked.served.storage != _INGRESSES or asked.operation is not Operation.CREATE or asked.subresource:
        return obj
    spec = obj.get("spec") or {}
    if spec.get("ingressClassName") is not None or _OLD_CLASS in (metadata(obj).get("annotations") or {}):
        return obj
    classes = [
        metadata(dict(one))
        for one in asked.look.all(_CLASSES)
        if (one["metadata"].get("annotations") or {}).get(_IS_DEFAULT) == "true"
    ]
    found = max(
        sorted(classes, key=lambda meta: str(meta["name"])),
        key=lambda meta: str(meta.get("creationTimestamp", "")),
        default=None,
    )
    return obj if found is None else {**obj, "spec": {**spec, "ingressClassName": found["name"]}}
