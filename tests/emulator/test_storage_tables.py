from typing import Any

import pytest

from aliquot.emulator.tables import storage

META: dict[str, Any] = {"name": "x", "creationTimestamp": "2026-01-01T00:00:00Z"}
NOW = 1_767_225_600.0 + 60
CLAIM = {"accessModes": ["ReadWriteOnce"], "storageClassName": "fast", "volumeMode": "Filesystem"}
BOUND = {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany", "ReadWriteOnce"]}


@pytest.mark.parametrize(
    ("key", "obj", "cells"),
    [
        ("v1/persistentvolumeclaims", {"spec": CLAIM, "status": {"phase": "Pending"}}, ["x", "Pending", "", "", "", "fast", "<unset>", "60s", "Filesystem"]),
        ("v1/persistentvolumeclaims", {"spec": {**CLAIM, "volumeName": "v"}, "status": BOUND}, ["x", "Bound", "v", "1Gi", "RWO,RWX", "fast", "<unset>", "60s", "Filesystem"]),
        ("v1/persistentvolumes", {"spec": {**CLAIM, "capacity": {"storage": "2Gi"}, "persistentVolumeReclaimPolicy": "Delete", "claimRef": {"namespace": "n", "name": "c"}}, "status": {"phase": "Bound"}}, ["x", "2Gi", "RWO", "Delete", "Bound", "n/c", "fast", "<unset>", "", "60s", "Filesystem"]),
        ("storage.k8s.io/v1/storageclasses", {"provisioner": "p"}, ["x", "p", "Delete", "Immediate", False, "60s"]),
        ("storage.k8s.io/v1/csidrivers", {"spec": {"tokenRequests": [{"audience": "a"}]}}, ["x", True, False, False, "a", False, "<none>", "60s"]),
        ("storage.k8s.io/v1/csinodes", {"spec": {"drivers": [{}, {}]}}, ["x", 2, "60s"]),
        ("storage.k8s.io/v1/volumeattachments", {"spec": {"attacher": "a", "nodeName": "n", "source": {"persistentVolumeName": "v"}}}, ["x", "a", "v", "n", False, "60s"]),
    ],
)  # fmt: skip
def test_rows(key: str, obj: dict[str, Any], cells: list[Any]) -> None:
    assert storage.CELLS[key]({"metadata": META, **obj}, NOW) == cells


def test_what_is_on_its_way_out_and_what_is_the_default() -> None:
    gone = {"metadata": {**META, "deletionTimestamp": META["creationTimestamp"]}, "spec": CLAIM}
    assert storage.CELLS["v1/persistentvolumeclaims"](gone, NOW)[1] == "Terminating"
    default = {**META, "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
    assert storage.CELLS["storage.k8s.io/v1/storageclasses"]({"metadata": default}, NOW)[0] == "x (default)"
