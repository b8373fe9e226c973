"""What is taken off a node, and what stays."""

from typing import Any

import pytest

from aliquot.installation.giving_back import is_users, of_node
from aliquot.operator.core.upgrade.memory import Memory, encode

Json = dict[str, Any]

STATE = "nvidia.com/gpu-driver-upgrade-state"
MEMORY = "aliquot.dev/driver-upgrade"


CORDONS: Json = {"f:spec": {"f:unschedulable": {}}}


def node(
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    *,
    cordoned: bool = False,
    cordoned_by: tuple[str, ...] = (),
    managers: tuple[str, ...] = (),
) -> Json:
    metadata = {
        "name": "a",
        "uid": "u",
        "resourceVersion": "7",
        "labels": labels or {},
        "annotations": annotations or {},
        "managedFields": [
            *({"manager": one, "operation": "Apply", "fieldsV1": {"f:metadata": {}}} for one in managers),
            *({"manager": one, "operation": "Update", "fieldsV1": CORDONS} for one in cordoned_by),
        ],
    }
    return {"metadata": metadata, "spec": {"unschedulable": True} if cordoned else {}}


@pytest.mark.parametrize(
    ("labels", "off"),
    [
        ({"nvidia.com/gpu.deploy.driver": "true"}, ["nvidia.com/gpu.deploy.driver"]),
        ({"nvidia.com/gpu.deploy.driver": "false"}, []),
        (
            {"nvidia.com/gpu.deploy.device-plugin": "paused-for-driver-upgrade"},
            ["nvidia.com/gpu.deploy.device-plugin"],
        ),
        ({"nvidia.com/gpu.deploy.operands": "false"}, []),
        ({"nvidia.com/gpu.present": "true"}, ["nvidia.com/gpu.present"]),
        ({"aliquot.dev/gpu-policy": "a"}, ["aliquot.dev/gpu-policy"]),
        ({"aliquot.dev/driver-pool": "ubuntu24.04"}, ["aliquot.dev/driver-pool"]),
        ({"aliquot.dev/pci-10de.present": "true"}, ["aliquot.dev/pci-10de.present"]),
        ({STATE: "upgrade-done"}, [STATE]),
        ({"nvidia.com/mig.config.state": "success"}, ["nvidia.com/mig.config.state"]),
        ({"nvidia.com/mig.config": "all-balanced"}, []),
        ({"nvidia.com/device-plugin.config": "shared"}, []),
        ({"feature.node.kubernetes.io/pci-10de.present": "true", "zone": "b"}, []),
    ],
)
def test_labels(labels: dict[str, str], off: list[str]) -> None:
    change = of_node(node(labels))
    assert list(change.patch["metadata"]["labels"] if change else ()) == off


@pytest.mark.parametrize(
    ("cordoned", "memory", "uncordons"),
    [
        pytest.param(True, Memory(cordoned=True), True, id="ours"),
        pytest.param(True, Memory(cordoned=False, revision="1"), False, id="there before the upgrade"),
        pytest.param(True, None, False, id="a user's"),
        pytest.param(False, Memory(cordoned=True), False, id="taken back by hand"),
    ],
)
def test_only_what_we_cordoned_is_uncordoned(cordoned: bool, memory: Memory | None, uncordons: bool) -> None:
    annotations = {MEMORY: encode(memory)} if memory is not None else {}
    change = of_node(node({STATE: "drain-required"}, annotations, cordoned=cordoned))
    assert change is not None
    assert change.uncordons is uncordons
    assert ("spec" in change.patch) is uncordons
    assert change.patch["metadata"].get("annotations") == ({MEMORY: None} if memory is not None else None)
    assert change.patch["metadata"]["resourceVersion"] == "7"


@pytest.mark.parametrize(
    ("annotations", "cordoned_by", "uncordons"),
    [
        pytest.param({MEMORY: "{"}, ("aliquot",), True, id="ours, and the annotation is broken"),
        pytest.param({}, ("aliquot",), True, id="ours, and the annotation is gone"),
        pytest.param({MEMORY: "{"}, ("kubectl-cordon",), False, id="a user's, and the annotation is broken"),
        pytest.param({MEMORY: encode(Memory(cordoned=True))}, ("kubectl",), False, id="a user's since"),
        pytest.param({MEMORY: encode(Memory(cordoned=True))}, ("aliquot", "argocd"), False, id="applied with us"),
        pytest.param({MEMORY: encode(Memory(revision="1"))}, ("aliquot",), False, id="remembered as another's"),
    ],
)  # fmt: skip
def test_who_has_cordoned_is_known_to_the_api_server(
    annotations: dict[str, str], cordoned_by: tuple[str, ...], uncordons: bool
) -> None:
    found = node({STATE: "drain-required"}, annotations, cordoned=True, cordoned_by=cordoned_by)
    change = of_node(found)
    assert change is not None
    assert change.uncordons is uncordons
    assert (change.patch.get("spec") == {"unschedulable": None}) is uncordons


def test_a_memory_that_nobody_can_read_uncordons_nothing() -> None:
    change = of_node(node({}, {MEMORY: "{"}, cordoned=True))
    assert change is not None
    assert not change.uncordons


def test_a_users_word_that_there_are_gpus_stays() -> None:
    labels = {"nvidia.com/gpu.present": "true", "aliquot.dev/gpu-policy": "a"}
    change = of_node(node(labels, {"aliquot.dev/gpu-present-by-hand": "true"}))
    assert change is not None
    assert list(change.patch["metadata"]["labels"]) == ["aliquot.dev/gpu-policy"]
    assert list(change.patch["metadata"]["annotations"]) == ["aliquot.dev/gpu-present-by-hand"]


def test_what_was_applied_goes_with_its_manager() -> None:
    change = of_node(node({"nvidia.com/gpu.product": "L4"}, managers=("aliquot-node-labels", "kubectl")))
    assert change is not None
    assert (change.patch, change.applied_by) == ({}, ("aliquot-node-labels",))
    assert of_node(node({"nvidia.com/gpu.product": "L4"}, managers=("kubectl",))) is None


@pytest.mark.parametrize(
    ("manager", "fields", "users"),
    [
        ("kubectl-patch", {"f:spec": {}}, True),
        ("kubectl-label", {"f:metadata": {}}, False),
        ("aliquot-partitioner", {"f:spec": {}}, False),
        ("aliquot-node", {"f:metadata": {}}, False),
    ],
)
def test_whose_a_gpunode_is(manager: str, fields: Json, users: bool) -> None:
    assert is_users({"metadata": {"managedFields": [{"manager": manager, "fieldsV1": fields}]}}) is users
