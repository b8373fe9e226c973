"""What is read in one step is what the walk would have read; what is not, is walked."""

import copy
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aliquot.emulator.schema import decoding, quick
from aliquot.emulator.schema.catalogue import Catalogue
from aliquot.emulator.schema.quick import Quick
from aliquot.emulator.schema.shapes import Shape

POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "train",
        "labels": {"app": "train"},
        "creationTimestamp": "2026-11-01T08:00:00Z",
        "managedFields": [{"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {}}}],
    },
    "spec": {
        "containers": [
            {
                "name": "main",
                "image": "app:1",
                "args": ["--epochs", "10"],
                "env": [
                    {"name": "A", "value": "1"},
                    {
                        "name": "CPU",
                        "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}},
                    },
                ],
                "resources": {"limits": {"cpu": "500m", "memory": "1Gi", "nvidia.com/gpu": "1"}},
                "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "livenessProbe": {"httpGet": {"port": "http"}, "periodSeconds": 10},
            }
        ],
        "volumes": [
            {"name": "a", "emptyDir": {"sizeLimit": "1Gi"}},
            {"name": "b", "emptyDir": {}},
            {"name": "c", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
        ],
        "nodeSelector": {"zone": "a"},
        "hostNetwork": False,
        "terminationGracePeriodSeconds": 30,
    },
    "status": {"phase": "Pending", "startTime": "2026-11-01T08:00:01Z"},
}
SECRET: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "s"},
    "data": {"a": "YQ=="},
    "immutable": True,
}
LEASE: dict[str, Any] = {
    "apiVersion": "coordination.k8s.io/v1",
    "kind": "Lease",
    "metadata": {"name": "node-1"},
    "spec": {
        "holderIdentity": "node-1",
        "leaseDurationSeconds": 40,
        "renewTime": "2026-11-01T08:00:00.500000Z",
        "acquireTime": "0838-06-26T13:22:51.000000Z",
    },
}
ODD: tuple[Any, ...] = (
    *(
        None,
        "",
        "x",
        "1000m",
        "0.5",
        "YQ==",
        "YQ=",
        "2026-11-01T08:00:00Z",
        "2026-11-01T09:00:00+01:00",
        "2026-11-01T08:00:00.5Z",
        "2026-11-01T09:00:00.500000+01:00",
        "2026-02-30T08:00:00.000000Z",
        "nan",
    ),
    *(0, 1, -1, 1.0, 1.5, True, False, 2**31, 2**63, 2**70, [], {}, [None], {"a": None}, {"": ""}, [[]]),
)


def places(value: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """(container, key) of everything inside."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in list(keys):
        found.append((value, key))
        places(value[key], found)
    return found


def spoilt(obj: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    obj = copy.deepcopy(obj)
    for _ in range(rng.randrange(3)):
        container, key = rng.choice(places(obj, []))
        match rng.randrange(3):
            case 0:
                container[key] = copy.deepcopy(rng.choice(ODD))
            case 1 if isinstance(container, dict):
                container[rng.choice(("unknown", "name", "limits", "$ref"))] = copy.deepcopy(rng.choice(ODD))
            case _:
                del container[key]
    return obj


def shape(kind: str) -> Shape:
    schema = Catalogue().get("coordination.k8s.io" if kind == "Lease" else "", "v1", kind)
    assert schema is not None
    return schema.shape


def reader(kind: str) -> Quick:
    found = Quick(shape(kind))
    for _ in range(quick.READS_BEFORE):
        assert found.read({}) is None
    return found


READERS = {kind: reader(kind) for kind in ("Pod", "Secret", "Lease")}


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([POD, SECRET, LEASE]))
def test_what_is_read_at_once_is_what_the_walk_reads(seed: int, sample: dict[str, Any]) -> None:
    obj = spoilt(sample, random.Random(seed))
    before = copy.deepcopy(obj)
    read = READERS[sample["kind"]].read(obj)
    assert obj == before
    if read is None:
        return
    assert (read, []) == decoding.decode(obj, shape(sample["kind"]))
    assert read == decoding.without_empties(read, shape(sample["kind"]))


@pytest.mark.parametrize("sample", [POD, SECRET, LEASE])
def test_what_is_as_it_should_be_is_read_at_once(sample: dict[str, Any]) -> None:
    assert READERS[sample["kind"]].read(sample) == sample


def test_quantities_are_spelled_canonically() -> None:
    obj = copy.deepcopy(POD)
    obj["spec"]["containers"][0]["resources"]["limits"] |= {"cpu": 0.5, "nvidia.com/gpu": 1}
    obj["spec"]["volumes"][0]["emptyDir"]["sizeLimit"] = "1024Mi"
    assert READERS["Pod"].read(obj) == POD


def test_a_kind_that_refers_to_itself_is_walked() -> None:
    schema = Catalogue().get("apiextensions.k8s.io", "v1", "CustomResourceDefinition")
    assert schema is not None
    found = Quick(schema.shape)
    assert [found.read({}) for _ in range(quick.READS_BEFORE + 2)] == [None] * (quick.READS_BEFORE + 2)


def test_a_field_behind_a_closed_gate_is_walked() -> None:
    assert (
        READERS["Pod"].read({**POD, "spec": {**POD["spec"], "schedulingGroup": {"podGroupName": "g"}}})
        is None
    )
