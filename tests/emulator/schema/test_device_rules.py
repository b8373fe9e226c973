from typing import Any

import pytest

from aliquot.emulator.schema.catalogue import Catalogue
from aliquot.emulator.schema.kind import Schema
from aliquot.emulator.versions import Surface
from tests.emulator.schema.objects import changed, texts

REQUEST = {"name": "gpu", "exactly": {"deviceClassName": "gpus"}}
BETA = Catalogue(Surface("1.36", frozenset({"resource.k8s.io/v1beta1"})))
ONE_OF = "exactly one of `exactly` or `firstAvailable` is required"


def schema(kind: str, version: str = "v1") -> Schema:
    found = BETA.get("resource.k8s.io", version, kind)
    assert found is not None
    return found


def made(kind: str, spec: dict[str, Any], version: str = "v1") -> dict[str, Any]:
    return schema(kind, version).default({"kind": kind, "metadata": {"name": "x"}, "spec": spec})


def asking(*requests: dict[str, Any]) -> dict[str, Any]:
    return {"devices": {"requests": list(requests)}}


@pytest.mark.parametrize(
    ("requests", "problems"),
    [
        ([REQUEST], []),
        ([{"name": "gpu", "firstAvailable": [{"name": "big", "deviceClassName": "gpus"}]}], []),
        ([{"name": "gpu"}], [f"spec.devices.requests[0]: Required value: {ONE_OF}"]),
        ([{**REQUEST, "firstAvailable": [{"name": "big", "deviceClassName": "gpus"}]}], [f"spec.devices.requests[0]: Invalid value: null: {ONE_OF}, but multiple fields are set"]),
        ([{"exactly": {"deviceClassName": "gpus"}}], ["spec.devices.requests[0].name: Required value"]),
        ([REQUEST, REQUEST], ['spec.devices.requests[1].name: Duplicate value: "gpu"']),
        ([{"name": "gpu", "exactly": {"count": 1}}], ["spec.devices.requests[0].exactly.deviceClassName: Required value"]),
        ([{"name": "gpu", "firstAvailable": [{"name": "big"}]}], ["spec.devices.requests[0].firstAvailable[0].deviceClassName: Required value"]),
    ],
)  # fmt: skip
def test_what_is_asked_for(requests: list[dict[str, Any]], problems: list[str]) -> None:
    assert texts(schema("ResourceClaim").validate(made("ResourceClaim", asking(*requests)))) == problems
    template = made("ResourceClaimTemplate", {"spec": asking(*requests)})
    in_template = [text.replace("spec.", "spec.spec.", 1) for text in problems]
    assert texts(schema("ResourceClaimTemplate").validate(template)) == in_template


def test_a_template_gives_its_claims_labels_and_annotations_alone() -> None:
    metadata = {
        "labels": {"a": "b", "-": "c"},
        "annotations": {"a": "b"},
        "uid": "u",
        "finalizers": ["example.com/f"],
        "deletionTimestamp": None,
    }
    template = made("ResourceClaimTemplate", {"metadata": metadata, "spec": asking(REQUEST)})
    label, *others = texts(schema("ResourceClaimTemplate").validate(template))
    assert label.startswith('spec.metadata.labels: Invalid value: "-": ')
    assert others == [
        "spec.metadata.uID: Forbidden: cannot be set",
        "spec.metadata.finalizers: Forbidden: cannot be set",
    ]


@pytest.mark.parametrize(
    ("request_", "problems"),
    [
        ({"name": "gpu", "deviceClassName": "gpus"}, []),
        ({"name": "gpu", "count": 1}, ["spec.devices.requests[0].deviceClassName: Required value"]),
        ({"name": "gpu"}, [f"spec.devices.requests[0]: Required value: {ONE_OF}"]),
    ],
)
def test_what_v1beta1_asks_for(request_: dict[str, Any], problems: list[str]) -> None:
    claim = made("ResourceClaim", asking(request_), "v1beta1")
    assert texts(schema("ResourceClaim", "v1beta1").validate(claim)) == problems


@pytest.mark.parametrize(
    ("version", "request_", "filled"),
    [
        ("v1", REQUEST, {"exactly": {"deviceClassName": "gpus", "allocationMode": "ExactCount", "count": 1}}),
        (
            "v1beta1",
            {"name": "gpu", "deviceClassName": "gpus"},
            {"deviceClassName": "gpus", "allocationMode": "ExactCount", "count": 1},
        ),
        (
            "v1beta1",
            {"name": "gpu", "deviceClassName": "gpus", "allocationMode": "All"},
            {"deviceClassName": "gpus", "allocationMode": "All"},
        ),
    ],
)
def test_one_device_unless_told_otherwise(
    version: str, request_: dict[str, Any], filled: dict[str, Any]
) -> None:
    claim = made("ResourceClaim", asking(request_), version)
    assert claim["spec"]["devices"]["requests"] == [{"name": "gpu", **filled}]


SLICE = {"driver": "gpu.example.com", "nodeName": "n", "pool": {"name": "p", "resourceSliceCount": 1}}


@pytest.mark.parametrize(
    ("kind", "spec", "path", "value", "problems"),
    [
        ("ResourceSlice", SLICE, "spec.nodeName", "m", ['spec.nodeName: Invalid value: "m": field is immutable']),
        ("ResourceSlice", SLICE, "spec.pool.name", "q", ['spec.pool.name: Invalid value: "q": field is immutable']),
        ("ResourceSlice", SLICE, "spec.pool.generation", 2, []),
        ("ResourceClaim", asking(REQUEST), "metadata.labels", {"a": "b"}, []),
    ],
)  # fmt: skip
def test_what_may_change(kind: str, spec: dict[str, Any], path: str, value: Any, problems: list[str]) -> None:
    old = made(kind, spec)
    assert texts(schema(kind).validate_update(changed(old, path, value), old)) == problems


@pytest.mark.parametrize("kind", ["ResourceClaim", "ResourceClaimTemplate"])
def test_what_was_asked_for_stays(kind: str) -> None:
    spec = asking(REQUEST)
    old = made(kind, spec if kind == "ResourceClaim" else {"spec": spec})
    new = {**old, "spec": {**old["spec"], "more": 1}}
    errors = texts(schema(kind).validate_update(new, old))
    assert len(errors) == 1
    assert errors[0].startswith("spec: Invalid value: ")
    assert errors[0].endswith(": field is immutable")
