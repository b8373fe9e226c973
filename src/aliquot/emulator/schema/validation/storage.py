"""Persistent volumes, claims to them, and the classes that they come from."""

from collections.abc import Mapping, Sequence
from typing import Any

from aliquot.emulator.schema.errors import FieldError, forbidden, invalid, not_supported, required, too_long
from aliquot.emulator.schema.validation import names, placement, resources
from aliquot.emulator.schema.validation.metadata import IMMUTABLE, label_selector
from aliquot.kube import quantity

Obj = Mapping[str, Any]

_ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_ALONE = "ReadWriteOncePod"
_VOLUME_MODES = ("Block", "Filesystem")
_RECLAIM_POLICIES = ("Delete", "Recycle", "Retain")
_CLASS_RECLAIM_POLICIES = ("Delete", "Retain")
_BINDING_MODES = ("Immediate", "WaitForFirstConsumer")
_NOT_POSITIVE = "must be greater than zero"
_BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
_MOST_PARAMETERS = 512
_LARGEST_PARAMETERS_BYTES = 256 * 1024

_SOURCES = frozenset(
    [
        *("awsElasticBlockStore", "azureDisk", "azureFile", "cephfs", "cinder", "csi", "fc", "flexVolume"),
        *("flocker", "gcePersistentDisk", "glusterfs", "hostPath", "iscsi", "local", "nfs"),
        *(
            "photonPersistentDisk",
            "portworxVolume",
            "quobyte",
            "rbd",
            "scaleIO",
            "storageos",
            "vsphereVolume",
        ),
    ]
)
_NEEDED = {
    "csi": ("driver", "volumeHandle"),
    "hostPath": ("path",),
    "local": ("path",),
    "nfs": ("server", "path"),
}

# ---- volumes -----------------------------------------------------------------------------------------------


def persistent_volume(obj: Obj) -> list[FieldError]:
    spec = obj["spec"]
    errors = _access_modes(spec.get("accessModes") or (), "spec.accessModes", "")
    errors += _capacity(spec.get("capacity") or {}, "spec.capacity")
    policy = spec.get("persistentVolumeReclaimPolicy", "Retain")
    if policy not in _RECLAIM_POLICIES:
        errors.append(not_supported("spec.persistentVolumeReclaimPolicy", policy, _RECLAIM_POLICIES))
    errors += _node_affinity(spec.get("nodeAffinity"), "spec.nodeAffinity")
    errors += _source(spec, "spec")
    if name := spec.get("storageClassName"):
        errors += [invalid("spec.storageClassName", name, problem) for problem in names.dns_subdomain(name)]
    return errors + _volume_mode(spec, "spec.volumeMode")


def _access_modes(modes: Sequence[str], path: str, missing: str) -> list[FieldError]:
    errors = [] if modes else [required(path, missing)]
    errors += [not_supported(path, mode, _ACCESS_MODES) for mode in modes if mode not in _ACCESS_MODES]
    if _ALONE in modes and any(mode in _ACCESS_MODES and mode != _ALONE for mode in modes):
        errors.append(forbidden(path, "may not use ReadWriteOncePod with other access modes"))
    return errors


def _capacity(capacity: Mapping[str, str], path: str) -> list[FieldError]:
    errors = [] if capacity else [required(path)]
    if set(capacity) != {"storage"}:
        errors.append(not_supported(path, dict(capacity) or None, ("storage",)))
    for name, amount in capacity.items():
        errors += _positive(amount, f"{path}[{name}]")
    return errors


def _positive(amount: str, path: str) -> list[FieldError]:
    return [] if quantity.parse(amount) > 0 else [invalid(path, amount, _NOT_POSITIVE)]


def _node_affinity(affinity: Obj | None, path: str) -> list[FieldError]:
    if affinity is None:
        return []
    if affinity.get("required") is None:
        return [required(f"{path}.required", "must specify required node constraints")]
    return placement.node_selector(affinity["required"], f"{path}.required")


def _source(spec: Obj, path: str) -> list[FieldError]:
    given = [name for name in spec if name in _SOURCES]
    if not given:
        return [required(path, "must specify a volume type")]
    errors = [forbidden(f"{path}.{name}", "may not specify more than 1 volume type") for name in given[1:]]
    kind = given[0]
    source = spec[kind]
    errors += [required(f"{path}.{kind}.{name}") for name in _NEEDED.get(kind, ()) if not source.get(name)]
    if kind == "local" and spec.get("nodeAffinity") is None:
        errors.append(required("spec.nodeAffinity", "Local volume requires node affinity"))
    return errors


def _volume_mode(spec: Obj, path: str) -> list[FieldError]:
    mode = spec.get("volumeMode", "Filesystem")
    return [] if mode in _VOLUME_MODES else [not_supported(path, mode, _VOLUME_MODES)]


def persistent_volume_update(obj: Obj, old: Obj) -> list[FieldError]:
    spec, before = obj["spec"], old["spec"]
    errors: list[FieldError] = []
    if any(spec.get(name) != before.get(name) for name in _SOURCES):
        text = "spec.persistentvolumesource is immutable after creation"
        errors.append(forbidden("spec.persistentvolumesource", text))
    if spec.get("volumeMode") != before.get("volumeMode"):
        errors.append(invalid("volumeMode", spec.get("volumeMode"), IMMUTABLE))
    if before.get("nodeAffinity") is not None and spec.get("nodeAffinity") != before["nodeAffinity"]:
        text = f"{IMMUTABLE}, except for updating from beta label to GA"
        errors.append(invalid("nodeAffinity", spec.get("nodeAffinity"), text))
    return errors


# ---- claims ------------------------------------------------------------------------------------------------


def claim(obj: Obj) -> list[FieldError]:
    return claim_spec(obj["spec"], "spec")


def claim_spec(spec: Obj, path: str) -> list[FieldError]:
    modes = spec.get("accessModes") or ()
    errors = _access_modes(modes, f"{path}.accessModes", "at least 1 access mode is required")
    if spec.get("selector") is not None:
        errors += label_selector(spec["selector"], f"{path}.selector")
    asked = (spec.get("resources") or {}).get("requests") or {}
    where = f"{path}.resources[storage]"
    if "storage" not in asked:
        errors.append(required(where))
    else:
        errors += _positive(asked["storage"], where) or resources.value("storage", asked["storage"], where)
    for field in ("storageClassName", "volumeAttributesClassName"):
        if name := spec.get(field):
            errors += [invalid(f"{path}.{field}", name, problem) for problem in names.dns_subdomain(name)]
    errors += _volume_mode(spec, f"{path}.volumeMode")
    for field in ("dataSource", "dataSourceRef"):
        if spec.get(field) is not None:
            errors += _data_source(spec[field], f"{path}.{field}")
    return errors


def _data_source(source: Obj, path: str) -> list[FieldError]:
    errors = [required(f"{path}.{name}") for name in ("name", "kind") if not source.get(name)]
    if not source.get("apiGroup") and source.get("kind") != "PersistentVolumeClaim":
        text = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        errors.append(invalid(path, source.get("kind", ""), text))
    return errors


def claim_update(obj: Obj, old: Obj) -> list[FieldError]:
    """A claim stays what it is, but for the volume that it gets, once, and, when it is bound, its size."""
    errors: list[FieldError] = []
    spec, before = dict(obj["spec"]), dict(old["spec"])
    if not before.get("volumeName"):
        before["volumeName"] = spec.get("volumeName")
    beta = _beta_class(old)
    if before.get("storageClassName") is None and beta in ("", spec.get("storageClassName")):
        before["storageClassName"] = spec.get("storageClassName")
    elif _beta_class(obj) != beta:
        errors.append(invalid(f"metadata.annotations.{_BETA_CLASS}", _beta_class(obj), IMMUTABLE))
    size, size_before = _size(spec), _size(before)
    if (obj.get("status") or {}).get("phase") == "Bound":
        spec, before = _without_size(spec), _without_size(before)
    if _bare(spec) != _bare(before):
        text = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
        errors.append(forbidden("spec", text))
    if size < size_before:
        held = quantity.parse(((old.get("status") or {}).get("capacity") or {}).get("storage", "0"))
        if size <= held:
            text = "field can not be less than status.capacity"
            errors.append(forbidden("spec.resources.requests.storage", text))
    if spec.get("volumeMode") != before.get("volumeMode"):
        errors.append(invalid("volumeMode", spec.get("volumeMode"), IMMUTABLE))
    return errors


def _beta_class(obj: Obj) -> str:
    return str((obj["metadata"].get("annotations") or {}).get(_BETA_CLASS, ""))


def _size(spec: Obj) -> Any:
    return quantity.parse(((spec.get("resources") or {}).get("requests") or {}).get("storage", "0"))


def _without_size(spec: Obj) -> dict[str, Any]:
    asked = spec.get("resources") or {}
    requests = {name: amount for name, amount in (asked.get("requests") or {}).items() if name != "storage"}
    return {**spec, "resources": {**asked, "requests": requests}, "volumeAttributesClassName": None}


def _bare(spec: Obj) -> dict[str, Any]:
    return {name: value for name, value in spec.items() if value is not None}


# ---- classes -----------------------------------------------------------------------------------------------


def storage_class(obj: Obj) -> list[FieldError]:
    errors: list[FieldError] = []
    provisioner = obj.get("provisioner", "")
    if not provisioner:
        errors.append(required("provisioner"))
    errors += [
        invalid("provisioner", provisioner.lower(), problem)
        for problem in (names.qualified_name(provisioner.lower()) if provisioner else ())
    ]
    parameters = obj.get("parameters") or {}
    if len(parameters) > _MOST_PARAMETERS:
        errors.append(too_long("parameters", _MOST_PARAMETERS))
    elif sum(len(name) + len(value) for name, value in parameters.items()) > _LARGEST_PARAMETERS_BYTES:
        errors.append(too_long("parameters", _LARGEST_PARAMETERS_BYTES))
    policy = obj.get("reclaimPolicy", "Delete")
    if policy not in _CLASS_RECLAIM_POLICIES:
        errors.append(not_supported("reclaimPolicy", policy, _CLASS_RECLAIM_POLICIES))
    mode = obj.get("volumeBindingMode", "Immediate")
    if mode not in _BINDING_MODES:
        errors.append(not_supported("volumeBindingMode", mode, _BINDING_MODES))
    return errors


def storage_class_update(obj: Obj, old: Obj) -> list[FieldError]:
    return [
        invalid(name, obj.get(name), IMMUTABLE)
        for name in ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode")
        if obj.get(name) != old.get(name)
    ]


def attributes_class_update(obj: Obj, old: Obj) -> list[FieldError]:
    return [
        invalid(name, obj.get(name), IMMUTABLE)
        for name in ("driverName", "parameters")
        if obj.get(name) != old.get(name)
    ]


def volume_attachment(obj: Obj) -> list[FieldError]:
    spec = obj["spec"]
    errors: list[FieldError] = []
    if not spec.get("attacher"):
        errors.append(required("spec.attacher"))
    source = spec.get("source") or {}
    text = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
    if source.get("inlineVolumeSpec") is None and source.get("persistentVolumeName") is None:
        errors.append(required("spec.source", text))
    elif source.get("inlineVolumeSpec") is not None and source.get("persistentVolumeName") is not None:
        errors.append(forbidden("spec.source", text))
    node = spec.get("nodeName", "")
    return errors + [invalid("spec.nodeName", node, problem) for problem in names.dns_subdomain(node)]


def volume_attachment_update(obj: Obj, old: Obj) -> list[FieldError]:
    return [] if obj["spec"] == old["spec"] else [invalid("spec", obj["spec"], IMMUTABLE)]
