"""GPUs shared by a ConfigMap and a label, as a user does it with kubectl."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.commands import GIVEN, Kubectl, aliquot, eventually

NAMESPACE = "aliquot-system"

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(bool(GIVEN), reason="it configures the agents of every node"),
]

CONFIGS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: device-plugin-config}
data:
  default: ""
  shared: |
    version: v1
    sharing: {timeSlicing: {resources: [{name: nvidia.com/gpu, replicas: 4}]}}
  broken: |
    version: v1
    sharing: {timeSlicing: {resources: [{name: nvidia.com/gpu, replica: 4}]}}
"""
SERVE = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: serve}
spec:
  replicas: 9
  selector: {matchLabels: {app: serve}}
  template:
    metadata: {labels: {app: serve}}
    spec:
      containers: [{name: main, image: serve, resources: {limits: {nvidia.com/gpu: 1}}}]
"""


@pytest.fixture
def kubectl(tmp_path: Path) -> Iterator[Kubectl]:
    state = tmp_path / "state"
    up = aliquot("up", "--detach", "--state", state, "--nodes", "1", "--gpus", "h100-80gb:2")
    assert up.code == 0, up.err
    yield Kubectl(state / "kubeconfig")
    aliquot("down", "--state", state)


def test_a_node_shares_its_gpus_as_its_label_says(kubectl: Kubectl) -> None:
    def condition() -> dict[str, str]:
        conditions = kubectl.json("get", "gpunode", "node-0")["status"]["conditions"]
        return next(one for one in conditions if one["type"] == "Configured")

    def shares() -> list[Any]:
        return [gpu["shares"] for gpu in kubectl.json("get", "gpunode", "node-0")["status"]["gpus"]]

    def phases() -> Counter[str]:
        pods = kubectl.json("get", "pods", "-l", "app=serve")["items"]
        return Counter(pod["status"]["phase"] for pod in pods)

    Kubectl(kubectl.kubeconfig, NAMESPACE)("apply", "-f", "-", stdin=CONFIGS)
    kubectl("label", "node", "node-0", "nvidia.com/device-plugin.config=shared")
    eventually(lambda: all(shares()))
    assert "time slices isolate neither memory nor faults" in condition()["message"]

    kubectl("apply", "-f", "-", stdin=SERVE)
    eventually(lambda: phases() == {"Running": 8, "Pending": 1})
    eventually(lambda: [len(one["held"]) for one in shares()] == [4, 4])
    labels = kubectl.json("get", "node", "node-0")["metadata"]["labels"]
    assert labels["nvidia.com/gpu.replicas"] == "4"
    assert labels["nvidia.com/gpu.sharing-strategy"] == "time-slicing"

    kubectl("label", "--overwrite", "node", "node-0", "nvidia.com/device-plugin.config=broken")
    eventually(lambda: condition()["reason"] == "BadConfig")
    assert "broken:2: unknown field 'replica'" in condition()["message"]
    assert phases()["Running"] == 8

    kubectl("label", "node", "node-0", "nvidia.com/device-plugin.config-")
    eventually(lambda: condition()["reason"] == "WaitingForUsers")
    assert phases()["Running"] == 8
    kubectl("scale", "deployment/serve", "--replicas=0")
    eventually(lambda: not any(shares()))
    kubectl("scale", "deployment/serve", "--replicas=3")
    eventually(lambda: phases() == {"Running": 2, "Pending": 1})
