"""What pods are to get: each row is a pod, and the claims that it has on a node."""

from typing import Any

import msgspec
import pytest

from aliquot.kube.api.assignment import ASSIGNMENT_ANNOTATION, Assignment, encode
from aliquot.kube.api.core import Pod
from aliquot.kube.api.gpunode import GPUNodeStatus, GPUStatus, HeldShares
from aliquot.partition.controller.claims import Claim, claimed, open_claims
from tests.partition.controller.test_wishes import claim
from tests.partition.objects import status


def pod(
    *devices: str,
    on: str = "",
    made_on: str = "",
    phase: str = "Pending",
    text: str | None = None,
    written_for: str = "u",
    **metadata: Any,
) -> Pod:
    """`on`: the node it is bound to; `made_on`: the node that its assignment names."""
    assignment = encode(
        Assignment(devices=tuple(claim(one) for one in devices), pod_uid=written_for, node=made_on)
    )
    asked = {claim(one).resource: str(len(devices)) for one in devices}
    annotations = {ASSIGNMENT_ANNOTATION: assignment if text is None else text}
    return msgspec.convert(
        {
            "metadata": {
                "name": "p",
                "namespace": "default",
                "uid": "u",
                "annotations": annotations,
                **metadata,
            },
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
        ("it says what another was to get", pod("1g.10gb@0", made_on="a", written_for="v"), "", 0),
        ("also where it is bound", pod("1g.10gb@0", on="a", written_for="v"), "", 0),
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


def shared(replicas: int, uuid: str, **held: int) -> GPUStatus:
    """A GPU in shares; `held`: how many of them each pod has."""
    gpu = status(f"whole:small*{replicas},mps", uuid)
    assert gpu.shares is not None
    gpu.pods = [f"default/{name}" for name in held]
    gpu.shares.held = [HeldShares(pod=f"default/{name}", shares=count) for name, count in held.items()]
    return gpu


@pytest.mark.parametrize(
    ("rule", "gpus", "claims", "still_open"),
    [
        ("it has one of two", "1g.10gb@0=p 1g.10gb@1 1g.10gb@2", "1g.10gb@0 1g.10gb@1", "1g.10gb@1"),
        (
            "it has another in place of one of two: the first of them is taken for given",
            "1g.10gb@0 1g.10gb@1 1g.10gb@2=p",
            "1g.10gb@0 1g.10gb@1",
            "1g.10gb@1",
        ),
        ("it has two others", "1g.10gb@0 1g.10gb@1=p 1g.10gb@2=p", "1g.10gb@0 1g.10gb@3", ""),
        ("one of its own, one other", "1g.10gb@0 1g.10gb@1=p 1g.10gb@2=p", "1g.10gb@0 1g.10gb@1", ""),
        (
            "of each resource it is to get its own count",
            "1g.10gb@0=p 1g.10gb@1=p 2g.20gb@2",
            "1g.10gb@0 2g.20gb@2",
            "2g.20gb@2",
        ),
    ],
)
def test_of_several_devices_each_is_a_claim_until_it_is_given(
    rule: str, gpus: str, claims: str, still_open: str
) -> None:
    bound = [Claim("default/p", claim(one), True, 0.0) for one in claims.split()]
    found = open_claims(bound, GPUNodeStatus(gpus=[status(gpus)]))
    assert [one.device for one in found] == [claim(one) for one in still_open.split()], rule


@pytest.mark.parametrize(
    ("rule", "here", "there", "wanted", "still_open"),
    [
        (
            "a share of each",
            {"p": 1},
            {"p": 1},
            ["whole:small*1/8,mps@here", "whole:small*1/8,mps@there"],
            [],
        ),
        ("one is to come", {"p": 1}, {}, ["whole:small*1/8,mps@here", "whole:small*1/8,mps@there"], [1]),
        ("both of one", {"p": 2}, {}, ["whole:small*1/8,mps@here", "whole:small*1/8,mps@there"], []),
        ("several at once, elsewhere", {}, {"p": 3, "q": 1}, ["whole:small*3/8,mps@here"], []),
        (
            "two of one are given, and one of another is to come",
            {"p": 2},
            {},
            ["whole:small*2/8,mps@here", "whole:small*1/8,mps@there"],
            [1],
        ),
        ("one of three is given", {"p": 1}, {}, ["whole:small*3/8,mps@here"], [2]),
        ("and one elsewhere", {"p": 1}, {"p": 1}, ["whole:small*3/8,mps@here"], [1]),
    ],
)
def test_shares_are_counted_one_by_one(
    rule: str, here: dict[str, int], there: dict[str, int], wanted: list[str], still_open: list[int]
) -> None:
    bound = []
    for one in wanted:
        text, _, gpu = one.rpartition("@")
        bound.append(Claim("default/p", msgspec.structs.replace(claim(text), gpu=gpu), True, 0.0))
    found = open_claims(bound, GPUNodeStatus(gpus=[shared(8, "here", **here), shared(8, "there", **there)]))
    assert [one.device.shares for one in found] == still_open, rule


@pytest.mark.parametrize(
    ("rule", "containers", "shares"),
    [
        ("two that run together", ["main 1", "main 1"], 2),
        ("what ran before has what runs after", ["init 1", "main 1"], 1),
        ("the largest moment counts", ["init 3", "main 1", "main 1"], 3),
        ("one runs after the other", ["init 2", "init 1", "main 1"], 2),
        ("a sidecar keeps its own", ["init 1", "sidecar 1", "main 1"], 2),
        ("it is there while others start", ["sidecar 1", "init 2", "main 1"], 3),
    ],
)
def test_of_one_device_a_pod_is_to_get_what_its_containers_have_together(
    rule: str, containers: list[str], shares: int
) -> None:
    (one,) = claimed(of_containers("whole:small*1/8,mps", *containers))[1]
    assert one.device.shares == shares, rule


def test_a_slice_is_claimed_once_by_all_containers_that_are_to_have_it() -> None:
    claims = claimed(of_containers("1g.10gb@0", "init 1", "main 1"))[1]
    assert [(one.device.profile, one.device.start, one.device.shares) for one in claims] == [
        ("1g.10gb", 0, 0)
    ]


def of_containers(device: str, *containers: str) -> Pod:
    """Each `init COUNT`, `sidecar COUNT` or `main COUNT`, of one and the same device."""
    devices, groups = [], dict[str, list[dict[str, Any]]]()
    for number, text in enumerate(containers):
        kind, count = text.split()
        one = claim(device)
        shares = int(count) if one.shares else 0
        devices.append(msgspec.structs.replace(one, container=str(number), shares=shares))
        body: dict[str, Any] = {"name": str(number), "resources": {"limits": {one.resource: count}}}
        if kind == "sidecar":
            body["restartPolicy"] = "Always"
        groups.setdefault("containers" if kind == "main" else "initContainers", []).append(body)
    text = encode(Assignment(devices=tuple(devices), pod_uid="u"))
    metadata = {"name": "p", "namespace": "default", "uid": "u", "annotations": {ASSIGNMENT_ANNOTATION: text}}
    spec = {"nodeName": "a", **groups}
    return msgspec.convert({"metadata": metadata, "spec": spec}, Pod)
