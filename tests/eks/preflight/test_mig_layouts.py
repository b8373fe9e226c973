"""Layouts that would be lost: what cuts the GPUs of a node, and whether anything does it again."""

from typing import Any

import pytest

from aliquot.eks.estate.estate import Template
from aliquot.eks.estate.objects import Objects
from aliquot.eks.preflight.checks import mig_layouts
from aliquot.eks.preflight.checks.mig_layouts import CONFIG, SHARING
from aliquot.eks.preflight.findings import Finding, Severity
from tests.eks.preflight.estates import estate, group, nodes

WARN, INFO = Severity.WARN, Severity.INFO
SLICES = {"nvidia.com/mig-1g.10gb": "14", "nvidia.com/mig-3g.40gb": "4", "nvidia.com/gpu": "0"}


def node(name: str = "n1", capacity: dict[str, str] | None = None, /, **labels: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"eks.amazonaws.com/nodegroup": "gpu", **labels}},
        "status": {"capacity": capacity or {"nvidia.com/gpu": "8"}},
    }


def gpu_node(partitioning: str | None, *profiles: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "n1"},
        "spec": {"partitioning": partitioning} if partitioning else {},
        "status": {"gpus": [{"uuid": "GPU-1", "instances": [{"profile": one} for one in profiles]}]},
    }


def policy(default: str, enabled: bool = True) -> dict[str, Any]:
    manager = {"enabled": enabled, "config": {"default": default}}
    return {"metadata": {"name": "cluster-policy"}, "spec": {"migManager": manager}}


def judged(
    *there: dict[str, Any], labels: dict[str, str] | None = None, user_data: str = "", **things: Any
) -> list[Finding]:
    one = group("gpu", labels=labels or {}, template="lt-1", template_version="1")
    read = Objects(nodes=nodes(*there), things={name: tuple(found) for name, found in things.items()})
    whole = estate(
        nodegroups=(one,), objects=read, templates=(Template(id="lt-1", version="1", user_data=user_data),)
    )
    found = list(mig_layouts.judge(whole))
    assert all(finding.why and finding.fix for finding in found)
    return found


CUT = node("n1", SLICES, **{CONFIG: "all-balanced"})
BARE = node("n1", SLICES)


@pytest.mark.parametrize(
    ("there", "more", "found", "says"),
    [
        (CUT, {}, [WARN], "14 x 1g.10gb, 4 x 3g.40gb (nvidia.com/mig.config=all-balanced)"),
        (CUT, {"labels": {CONFIG: "all-balanced"}}, [INFO], "the node group's labels"),
        (CUT, {"labels": {CONFIG: "all-1g.10gb"}}, [WARN], "know nothing of it"),
        (CUT, {"ClusterPolicy.nvidia.com": [policy("all-balanced")]}, [INFO], "NVIDIA's MIG manager"),
        (CUT, {"ClusterPolicy.nvidia.com": [policy("all-disabled")]}, [WARN], "know nothing of it"),
        (CUT, {"ClusterPolicy.nvidia.com": [policy("all-balanced", False)]}, [WARN], "know nothing of it"),
        (CUT, {"user_data": "#!/bin/sh\nnvidia-smi -i 0 -mig 1\n"}, [INFO], "user data"),
        (CUT, {"user_data": "#!/bin/sh\nnvidia-smi -L\n"}, [WARN], "know nothing of it"),
        (BARE, {}, [WARN], "no label says it"),
        (BARE, {"GPUNode": [gpu_node("onDemand", "1g.10gb", "1g.10gb")]}, [INFO], "2 x 1g.10gb"),
        (BARE, {"GPUNode": [gpu_node("budgeted", "7g.80gb")]}, [INFO], "Aliquot's partitioner (budgeted)"),
        (BARE, {"GPUNode": [gpu_node("static", "7g.80gb")]}, [WARN], "1 x 7g.80gb"),
        (BARE, {"GPUNode": [gpu_node(None, "7g.80gb")]}, [WARN], "1 x 7g.80gb"),
        # A label makes it static, whatever the partitioner does by default.
        (CUT, {"GPUNode": [gpu_node("onDemand", "1g.10gb")]}, [WARN], "know nothing of it"),
        (node(**{"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3-MIG-1g.10gb"}), {}, [WARN], "8 x 1g.10gb"),
        (node(**{CONFIG: "all-1g.10gb"}), {}, [WARN], "nvidia.com/mig.config=all-1g.10gb on each"),
        (node(**{CONFIG: "all-disabled"}), {}, [], ""),
        (node(), {}, [], ""),
        (node("n1", {"nvidia.com/mig-1g.10gb": "0"}), {}, [], ""),
        (node(**{SHARING: "shared"}), {}, [WARN], "how their GPUs are shared"),
        (node(**{SHARING: "shared"}), {"labels": {SHARING: "shared"}}, [], ""),
    ],
)
def test_what_is_lost(there: dict[str, Any], more: dict[str, Any], found: list[Severity], says: str) -> None:
    judgement = judged(there, **more)
    assert [finding.severity for finding in judgement] == found
    assert not found or says in judgement[0].why


def test_nodes_with_the_same_layout_are_told_once() -> None:
    there = [node(name, SLICES, **{CONFIG: "all-balanced"}) for name in ("n2", "n1")]
    other = node("n3", {"nvidia.com/mig-7g.80gb": "8"}, **{CONFIG: "all-7g.80gb"})
    found = judged(*there, other)
    assert [(one.what, one.where) for one in found] == [
        ("node group gpu", "2 nodes, n1 first"),
        ("node group gpu", "node n3"),
    ]
    assert "put nvidia.com/mig.config=all-balanced into the labels of the node group" in found[0].fix


def test_without_a_label_it_is_kept_by_hand() -> None:
    (found,) = judged(BARE)
    assert "kubectl get gpunode n1 -o yaml" in found.fix
