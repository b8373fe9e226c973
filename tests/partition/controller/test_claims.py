"""What pods are to get: each row is a pod, and the claims that it has on a node."""

from typing import Any

import msgspec
import pytest

from aliquot.kube.api.assignment import ASSIGNMENT_ANNOTATION, Assignment, encode
from aliquot.kube.api.core import Pod
from aliquot.kube.api.gpunode import GPUNodeStatus
from aliquot.partition.controller.claims import Claim, claimed, open_claims
from tests.partition.controller.test_wishes import claim
from tests.partition.objects import status


def pod(
    *devices: str,
    on: str = "",
    made_on: str = "",
    phase: str = "Pending",
    text: str | None = None,
    **metadata: Any,
) -> Pod:
    """`on`: the node it is bound to; `made_on`: the node that its assignment names."""
    assignment = encode(Assignment(devices=tuple(claim(one) for one in devices), node=made_on))
    asked = {claim(one).resource: str(len(devices)) for one in devices}
    annotations = {ASSIGNMENT_ANNOTATION: assignment if text is None else text}
    return msgspec.convert(
        {
            "metadata": {"name": "p", "namespace": "default", "annotations": annotations, **metadata},
            "spec": {"nodeName": on, "containers": [{"name": "main", "resources": {"limits": asked}}]},
            "status": {"phase": phase},
        },
        Pod,
    )


@pytest.mark.parametrize(
    ("rule", "one", "node", "count"),
    [
        ("it waits for what is made", pod("1g.10gb@0", "1g.10gb@1", made_on="a"), "a", 2),
        ("it is bound", pod("1g.10gb@0", on="a", made_on="a"), "a", 1),
        ("where it is counts, not where it was to be", pod("1g.10gb@0", on="b", made_on="a"), "b", 1),
        ("nobody has placed it", pod("1g.10gb@0"), "", 0),
        ("it has ended", pod("1g.10gb@0", on="a", phase="Succeeded"), "", 0),
        ("it has failed", pod("1g.10gb@0", on="a", phase="Failed"), "", 0),
        (
            "it goes, and still runs",
            pod("1g.10gb@0", on="a", deletionTimestamp="2026-01-01T00:00:00Z"),
            "a",
            1,
        ),
        ("it goes unbound", pod("1g.10gb@0", made_on="a", deletionTimestamp="2026-01-01T00:00:00Z"), "", 0),
        ("what it says cannot be read", pod(made_on="a", text="{"), "", 0),
        ("it says nothing", pod(text=""), "", 0),
    ],
)
def test_the_claims_of_a_pod(rule: str, one: Pod, node: str, count: int) -> None:
    where, claims = claimed(one)
    assert (where, len(claims)) == (node, count), rule
    assert all(found.pod == "default/p" and found.bound is bool(one.spec.node_name) for found in claims)


@pytest.mark.parametrize(
    ("rule", "layout", "bound", "is_open"),
    [
        ("it waits", "1g.10gb@0 1g.10gb@1", False, True),
        ("it is bound, and kubelet has not given it anything", "1g.10gb@0 1g.10gb@1", True, True),
        ("it has what it was to get", "1g.10gb@0=p 1g.10gb@1", True, False),
        ("kubelet gave it another of the same", "1g.10gb@0 1g.10gb@1=p", True, False),
        ("it has something else", "1g.10gb@0 2g.20gb@2=p", True, True),
        ("another has what it was to get", "1g.10gb@0=q 1g.10gb@1", True, True),
        ("one of that name was there before", "1g.10gb@0=p 1g.10gb@1", False, True),
    ],
)
def test_what_kubelet_has_given_is_no_claim_any_more(
    rule: str, layout: str, bound: bool, is_open: bool
) -> None:
    one = Claim("default/p", claim("1g.10gb@0"), bound, 0.0)
    found = open_claims([one], GPUNodeStatus(gpus=[status(layout)]))
    assert (list(found) == [one]) is is_open, rule
