"""The cells of volumes, claims and what they come from."""

from collections.abc import Mapping, Sequence
from typing import Any

from aliquot.emulator.kinds import storage_classes
from aliquot.emulator.tables import parts
from aliquot.emulator.tables.parts import Cells, Object

_ACCESS_MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def _access_modes(modes: Sequence[str] | None) -> str:
    return ",".join(short for mode, short in _ACCESS_MODES.items() if mode in (modes or ()))


def _persistent_volume(obj: Object, now: float) -> list[Any]:
    spec, status = parts.part(obj, "spec"), parts.part(obj, "status")
    reference = spec.get("claimRef")
    beta = parts.part(obj["metadata"], "annotations").get(storage_classes.BETA_CLASS)
    return [
        parts.name(obj),
        parts.part(spec, "capacity").get("storage", "0"),
        _access_modes(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy", ""),
        "Terminating" if obj["metadata"].get("deletionTimestamp") else status.get("phase", ""),
        f"{reference.get('namespace', '')}/{reference.get('name', '')}" if reference else "",
        beta if beta is not None else spec.get("storageClassName", ""),
        spec.get("volumeAttributesClassName") or parts.UNSET,
        status.get("reason", ""),
        parts.age(obj, now),
        spec.get("volumeMode") or parts.UNSET,
    ]


def _persistent_volume_claim(obj: Object, now: float) -> list[Any]:
    spec, status = parts.part(obj, "spec"), parts.part(obj, "status")
    bound = bool(spec.get("volumeName"))
    return [
        parts.name(obj),
        "Terminating" if obj["metadata"].get("deletionTimestamp") else status.get("phase", ""),
        spec.get("volumeName", ""),
        parts.part(status, "capacity").get("storage", "0") if bound else "",
        _access_modes(status.get("accessModes")) if bound else "",
        storage_classes.asked(obj) or "",
        spec.get("volumeAttributesClassName") or parts.UNSET,
        parts.age(obj, now),
        spec.get("volumeMode") or parts.UNSET,
    ]


def _storage_class(obj: Object, now: float) -> list[Any]:
    return [
        f"{parts.name(obj)} (default)" if storage_classes.is_default(obj) else parts.name(obj),
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy") or "Delete",
        obj.get("volumeBindingMode") or "Immediate",
        bool(obj.get("allowVolumeExpansion")),
        parts.age(obj, now),
    ]


def _csi_driver(obj: Object, now: float) -> list[Any]:
    spec = parts.part(obj, "spec")
    tokens = spec.get("tokenRequests")
    return [
        parts.name(obj),
        spec.get("attachRequired", True),
        spec.get("podInfoOnMount", False),
        spec.get("storageCapacity", False),
        parts.UNSET if tokens is None else ",".join(one.get("audience", "") for one in tokens),
        spec.get("requiresRepublish", False),
        ",".join(spec.get("volumeLifecycleModes") or ()) or parts.NONE,
        parts.age(obj, now),
    ]


def _csi_node(obj: Object, now: float) -> list[Any]:
    return [parts.name(obj), len(parts.part(obj, "spec").get("drivers") or ()), parts.age(obj, now)]


def _volume_attachment(obj: Object, now: float) -> list[Any]:
    spec = parts.part(obj, "spec")
    return [
        parts.name(obj),
        spec.get("attacher", ""),
        parts.part(spec, "source").get("persistentVolumeName", ""),
        spec.get("nodeName", ""),
        bool(parts.part(obj, "status").get("attached")),
        parts.age(obj, now),
    ]


def _volume_attributes_class(obj: Object, now: float) -> list[Any]:
    return [parts.name(obj), obj.get("driverName", ""), parts.age(obj, now)]


CELLS: Mapping[str, Cells] = {
    "v1/persistentvolumeclaims": _persistent_volume_claim,
    "v1/persistentvolumes": _persistent_volume,
    "storage.k8s.io/v1/csidrivers": _csi_driver,
    "storage.k8s.io/v1/csinodes": _csi_node,
    "storage.k8s.io/v1/storageclasses": _storage_class,
    "storage.k8s.io/v1/volumeattachments": _volume_attachment,
    "storage.k8s.io/v1/volumeattributesclasses": _volume_attributes_class,
}
