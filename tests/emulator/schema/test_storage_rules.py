from typing import Any

import pytest

from tests.emulator.schema.objects import changed, schema, texts

STORAGE = "storage.k8s.io"
SIZE = {"requests": {"storage": "1Gi"}}


def claim(**spec: Any) -> dict[str, Any]:
    whole = {"accessModes": ["ReadWriteOnce"], "resources": SIZE, **spec}
    return schema("PersistentVolumeClaim").default(
        {"metadata": {"name": "c", "namespace": "ns"}, "spec": whole}
    )


def volume(**spec: Any) -> dict[str, Any]:
    whole = {
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "1Gi"},
        "hostPath": {"path": "/d"},
        **spec,
    }
    return schema("PersistentVolume").default({"metadata": {"name": "v"}, "spec": whole})


def storage_class(**fields: Any) -> dict[str, Any]:
    return schema("StorageClass", STORAGE).default(
        {"metadata": {"name": "s"}, "provisioner": "a/b", **fields}
    )


MODES = '"ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"'


@pytest.mark.parametrize(
    ("obj", "problems"),
    [
        (claim(), []),
        (claim(accessModes=[]), ["spec.accessModes: Required value: at least 1 access mode is required"]),
        (claim(accessModes=["Odd"]), [f'spec.accessModes: Unsupported value: "Odd": supported values: {MODES}']),
        (claim(accessModes=["ReadWriteOncePod", "ReadOnlyMany"]), ["spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes"]),
        (claim(resources={}), ["spec.resources[storage]: Required value"]),
        (claim(resources={"requests": {"storage": "0"}}), ['spec.resources[storage]: Invalid value: "0": must be greater than zero']),
        (claim(volumeMode="Odd"), ['spec.volumeMode: Unsupported value: "Odd": supported values: "Block", "Filesystem"']),
        (claim(dataSource={"kind": "Odd", "name": "a"}), ["spec.dataSource: Invalid value: \"Odd\": must be 'PersistentVolumeClaim' when referencing the default apiGroup"]),
    ],
)  # fmt: skip
def test_claims(obj: dict[str, Any], problems: list[str]) -> None:
    assert texts(schema("PersistentVolumeClaim").validate(obj)) == problems


@pytest.mark.parametrize(
    ("obj", "problems"),
    [
        (volume(), []),
        (volume(csi={"driver": "d", "volumeHandle": "h"}, hostPath=None), []),
        (volume(hostPath=None), ["spec: Required value: must specify a volume type"]),
        (volume(nfs={"server": "s", "path": "/"}), ["spec.nfs: Forbidden: may not specify more than 1 volume type"]),
        (volume(capacity={}), ["spec.capacity: Required value", 'spec.capacity: Unsupported value: null: supported values: "storage"']),
        (volume(hostPath=None, local={"path": "/d"}), ["spec.nodeAffinity: Required value: Local volume requires node affinity"]),
        (volume(persistentVolumeReclaimPolicy="Odd"), ['spec.persistentVolumeReclaimPolicy: Unsupported value: "Odd": supported values: "Delete", "Recycle", "Retain"']),
    ],
)  # fmt: skip
def test_volumes(obj: dict[str, Any], problems: list[str]) -> None:
    obj["spec"] = {name: value for name, value in obj["spec"].items() if value is not None}
    assert texts(schema("PersistentVolume").validate(obj)) == problems


@pytest.mark.parametrize(
    ("obj", "problems"),
    [
        (storage_class(), []),
        (storage_class(provisioner=""), ["provisioner: Required value"]),
        (storage_class(reclaimPolicy="Recycle"), ['reclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain"']),
        (storage_class(volumeBindingMode="Odd"), ['volumeBindingMode: Unsupported value: "Odd": supported values: "Immediate", "WaitForFirstConsumer"']),
    ],
)  # fmt: skip
def test_storage_classes(obj: dict[str, Any], problems: list[str]) -> None:
    assert texts(schema("StorageClass", STORAGE).validate(obj)) == problems


def test_a_storage_class_changes_in_little() -> None:
    known, old = schema("StorageClass", STORAGE), storage_class()
    assert known.validate_update(changed(old, "allowVolumeExpansion", True), old) == []
    assert texts(known.validate_update(changed(old, "provisioner", "c/d"), old)) == [
        'provisioner: Invalid value: "c/d": field is immutable'
    ]


BOUND = {"phase": "Bound", "capacity": {"storage": "1Gi"}}
FROZEN = "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"


@pytest.mark.parametrize(
    ("old", "path", "value", "problems"),
    [
        (claim(), "spec.volumeName", "v", []),
        (claim(volumeName="v"), "spec.volumeName", "w", [FROZEN]),
        (claim(), "spec.storageClassName", "s", []),
        (claim(storageClassName="s"), "spec.storageClassName", "t", [FROZEN]),
        (claim(), "spec.accessModes", ["ReadWriteMany"], [FROZEN]),
        (claim(), "spec.resources.requests.storage", "2Gi", [FROZEN]),
        ({**claim(), "status": BOUND}, "spec.resources.requests.storage", "2Gi", []),
        ({**claim(), "status": BOUND}, "spec.resources.requests.storage", "1Mi", ["spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"]),
    ],
)  # fmt: skip
def test_changes_of_claims(old: dict[str, Any], path: str, value: Any, problems: list[str]) -> None:
    assert texts(schema("PersistentVolumeClaim").validate_update(changed(old, path, value), old)) == problems
