"""An annotation that fits the pod's containers, and all that do not: anybody may write one."""

import json
from typing import Any

import msgspec
import pytest

from aliquot.kube.api.assignment import ASSIGNMENT_ANNOTATION, decode
from aliquot.kube.api.core import Pod
from aliquot.partition.assigned import assigned

SLICE = "nvidia.com/mig-1g.10gb"
SHARED = "class.aliquot.dev/notebook"
CONTAINERS = [
    {"name": "a", "resources": {"limits": {SLICE: "2", "cpu": "1"}}},
    {"name": "b", "resources": {"limits": {SHARED: 3}}},
]
FIRST = {"container": "a", "resource": SLICE, "gpu": "gpu0", "profile": "1g.10gb", "start": 0}
SECOND = {**FIRST, "start": 6}
SHARES = {"container": "b", "resource": SHARED, "gpu": "gpu1", "shares": 3, "sharing": "mps", "replicas": 4}


def pod(text: str) -> Pod:
    metadata = {"name": "p", "uid": "u", "annotations": {ASSIGNMENT_ANNOTATION: text} if text else {}}
    return msgspec.convert({"metadata": metadata, "spec": {"containers": CONTAINERS}}, Pod)


def written(*devices: dict[str, Any], node: str = "n", pod_uid: str = "u") -> str:
    return json.dumps({"devices": devices, "podUid": pod_uid, "node": node})


@pytest.mark.parametrize(
    "text", [written(FIRST, SECOND, SHARES), written(FIRST, SECOND, node=""), written(node="")]
)
def test_what_fits_is_as_it_is_written(text: str) -> None:
    """Of a bound pod not all devices need be known."""
    assert assigned(pod(text)) == decode(text)


def test_nobody_has_assigned_anything() -> None:
    assert assigned(pod("")) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("garbage", "malformed"),
        (json.dumps({"devices": [FIRST, SECOND, SHARES], "node": "n"}), "podUid"),
        (written(FIRST, SECOND, SHARES, pod_uid="v"), "for another pod, and copied"),
        (written(), "it leaves out nvidia.com/mig-1g.10gb of container 'a'"),
        (written(FIRST, SECOND), "it leaves out class.aliquot.dev/notebook of container 'b'"),
        (written(FIRST, SHARES), "1 x nvidia.com/mig-1g.10gb for container 'a'"),
        (written(FIRST, SECOND, SECOND, SHARES), "3 x nvidia.com/mig-1g.10gb for container 'a'"),
        (written(FIRST, SECOND, {**SHARES, "container": "c"}), "for container 'c', which does not ask"),
        (written(FIRST, SECOND, {**SHARES, "shares": 2}), "2 x class.aliquot.dev/notebook"),
        (written(FIRST, SECOND, {**SHARES, "replicas": 2}), "3 of 2 shares"),
        (written(FIRST, SECOND, {**SHARES, "replicas": -4}), "negative"),
        (written(FIRST, SECOND, {**SHARES, "start": -1, "profile": "1g.10gb"}), "negative"),
        (written(FIRST, {**SECOND, "profile": ""}, SHARES), "a slice has a profile and a start"),
    ],
)
def test_what_does_not_fit_says_why(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        assigned(pod(text))
