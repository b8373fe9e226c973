"""A DRA driver beside the agent: a GPU that it publishes leaves kubelet's hands, and comes back."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.commands import GIVEN, Kubectl, aliquot, eventually

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(bool(GIVEN), reason="GPUs of a cluster that is given are not taken out of service"),
]

GPU = "nvidia.com/gpu"
SLICE = "resourceslices.resource.k8s.io/published"


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Callable[..., Kubectl]]:
    """Starts a cluster of one node with two GPUs."""
    state = tmp_path / "state"

    def start(*more: str) -> Kubectl:
        found = aliquot("up", "--detach", "--state", state, "--nodes", "1", "--gpus", "l4:2", *more)
        assert found.code == 0, found.err
        return Kubectl(state / "kubeconfig")

    yield start
    aliquot("down", "--state", state)


def gpus(kubectl: Kubectl) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = kubectl.json("get", "gpunodes")["items"][0]["status"]["gpus"]
    return found


@pytest.mark.parametrize(
    ("version", "more"),
    [
        ("v1", ()),
        (
            "v1beta1",
            ("--kubernetes-version", "1.33", "--runtime-config", "resource.k8s.io/v1beta1=true"),
        ),
    ],
    ids=["v1", "v1beta1"],
)
def test_a_published_gpu_is_the_dra_driver_s_as_long_as_the_slice_is_there(
    up: Callable[..., Kubectl], version: str, more: tuple[str, ...]
) -> None:
    kubectl = up(*more)
    eventually(lambda: all(gpu["ready"] for gpu in gpus(kubectl)))
    node = kubectl("get", "gpunodes", "-o", "jsonpath={.items[0].metadata.name}")
    kubectl("apply", "-f", "-", stdin=_slice(version, node, gpus(kubectl)[1]["uuid"]))
    eventually(lambda: [gpu.get("reason", "") for gpu in gpus(kubectl)] == ["", "PublishedByDRA"])
    assert [gpu.get("ready", False) for gpu in gpus(kubectl)] == [True, False]
    condition = "jsonpath={.status.conditions[?(@.type=='SoleProvider')].message}"
    assert (
        kubectl("get", "gpunode", node, "-o", condition)
        == f"GPU 1: DRA driver gpu.nvidia.com publishes it in pool {node}"
    )
    eventually(lambda: kubectl.json("get", "node", node)["status"]["allocatable"].get(GPU) == "1")
    kubectl("delete", SLICE)
    eventually(lambda: all(gpu["ready"] for gpu in gpus(kubectl)))


def _slice(version: str, node: str, uuid: str) -> str:
    described = {
        "attributes": {"type": {"string": "gpu"}, "uuid": {"string": uuid}, "numaNode": {"int": 0}},
        "capacity": {"memory": {"value": "24Gi"}},
    }
    device = {"name": "gpu-1", **({"basic": described} if version == "v1beta1" else described)}
    return json.dumps(
        {
            "apiVersion": f"resource.k8s.io/{version}",
            "kind": "ResourceSlice",
            "metadata": {"name": "published"},
            "spec": {
                "driver": "gpu.nvidia.com",
                "nodeName": node,
                "pool": {"name": node, "generation": 1, "resourceSliceCount": 1},
                "devices": [device],
            },
        }
    )
