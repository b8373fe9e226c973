"""Claims and volumes: guarded while they are in use, of the default class where none is named, grown where they can."""

from aliquot.emulator.admission.types import Admitted, Operation
from aliquot.emulator.kinds import storage_classes
from aliquot.emulator.objects import Json, metadata, with_metadata
from aliquot.emulator.registry import CLAIMS, STORAGE_CLASSES, VOLUMES
from aliquot.emulator.statuses import forbidden
from aliquot.kube import quantity

CLAIM_GUARD = "kubernetes.io/pvc-protection"
VOLUME_GUARD = "kubernetes.io/pv-protection"
_GUARDS = {CLAIMS: CLAIM_GUARD, VOLUMES: VOLUME_GUARD}


def guard_in_use(asked: Admitted, obj: Json) -> Json:
    """A mutation: the finalizer that holds a claim as long as pods use it, and a volume as long as it is bound."""
    guard = _GUARDS.get(asked.served.storage)
    if guard is None or asked.operation is not Operation.CREATE or asked.subresource:
        return obj
    found = metadata(obj).get("finalizers") or []
    return obj if guard in found else with_metadata(obj, finalizers=[*found, guard])


def default_storage_class(asked: Admitted, obj: Json) -> Json:
    """A mutation."""
    if asked.served.storage != CLAIMS or asked.operation is not Operation.CREATE or asked.subresource:
        return obj
    if storage_classes.asked(obj) is not None:
        return obj
    name = storage_classes.default(asked.look.all(STORAGE_CLASSES))
    return {**obj, "spec": {**obj["spec"], "storageClassName": name}} if name else obj


def only_grows_where_it_can(asked: Admitted, obj: Json | None) -> None:
    """A check. Raises StatusError 403."""
    if obj is None or asked.old is None or asked.served.storage != CLAIMS or asked.subresource:
        return
    if quantity.parse(_size(obj)) <= quantity.parse(_size(asked.old)):
        return
    resource, name = asked.served.resource, asked.name
    if (asked.old.get("status") or {}).get("phase") != "Bound":
        raise forbidden(resource, name, "Only bound persistent volume claims can be expanded")
    wanted = storage_classes.asked(obj)
    found = asked.look.get(STORAGE_CLASSES, "", wanted) if wanted else None
    if found is None or wanted != storage_classes.asked(asked.old) or not found.get("allowVolumeExpansion"):
        why = (
            "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support "
            "resize"
        )
        raise forbidden(resource, name, why)


def _size(claim: Json) -> str:
    asked = (claim["spec"].get("resources") or {}).get("requests") or {}
    return str(asked.get("storage", "0"))
