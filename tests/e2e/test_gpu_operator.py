"""Nodes from bare to validated by one GPUPolicy, a driver that fails and is mended, an upgrade, and back to bare."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.commands import GIVEN, RUNS, Kubectl, aliquot, eventually

POLICY = """
apiVersion: aliquot.dev/v1alpha1
kind: GPUPolicy
metadata: {{name: gpus}}
spec:
  driver: {{version: {version}}}
  upgrade: {{maxUnavailable: 1, canary: {{nodes: 1, soak: 1s}}, checkpoint: {{timeout: 0s}}}}
"""
POD = f"""
apiVersion: v1
kind: Pod
metadata: {{name: one}}
spec:
  containers: [{{name: main, image: {RUNS}, resources: {{limits: {{nvidia.com/gpu: 1}}}}}}]
"""
STATE = "nvidia.com/gpu-driver-upgrade-state"
OURS = (
    "aliquot.dev/gpu-policy",
    "aliquot.dev/driver-pool",
    "nvidia.com/gpu.deploy.",
    "nvidia.com/gpu.present",
    STATE,
)

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(bool(GIVEN), reason="it takes the node software away from every node"),
]


class Operated(Kubectl):
    """kubectl, and what these tests ask again and again."""

    def all(self, *kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.json("get", *kind)["items"]
        return found

    def operands(self) -> list[dict[str, Any]]:
        return self.all("pods", "-n", "aliquot-system")

    def policy(self, version: str) -> None:
        self("apply", "-f", "-", stdin=POLICY.format(version=version))

    def condition(self, kind: str, name: str, condition: str) -> dict[str, str]:
        found = self.json("get", kind, name).get("status", {}).get("conditions", [])
        return next(
            (one for one in found if one["type"] == condition), {"status": "", "reason": "", "message": ""}
        )

    def all_validated_with(self, version: str) -> bool:
        return all(
            node["status"].get("driverVersion") == version
            and any((c["type"], c["status"]) == ("Validated", "True") for c in node["status"]["conditions"])
            for node in self.all("gpunodes")
        )


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    state = tmp_path_factory.mktemp("operator") / "state"
    up = aliquot("up", "--detach", "--state", state, "--operator", "--nodes", "2", "--gpus", "h100-80gb:1")
    assert up.code == 0, up.err
    yield state
    down = aliquot("down", "--state", state)
    assert down.code == 0, down.err


@pytest.fixture(scope="module")
def kubectl(state: Path) -> Operated:
    return Operated(state / "kubeconfig")


def test_a_pod_hangs_on_bare_nodes_and_runs_once_there_is_a_policy(kubectl: Operated) -> None:
    kubectl("apply", "-f", "-", stdin=POD)
    eventually(lambda: kubectl.condition("pod", "one", "PodScheduled")["status"] == "False")
    assert kubectl.all("gpunodes") == []
    kubectl.policy("580.82.07")
    eventually(lambda: len(kubectl.all("gpunodes")) == 2 and kubectl.all_validated_with("580.82.07"))
    eventually(lambda: kubectl.condition("pod", "one", "Ready")["status"] == "True")
    eventually(lambda: kubectl.condition("gpupolicy", "gpus", "Ready")["status"] == "True")
    assert kubectl.condition("gpunode", "node-0", "DriverReady")["status"] == "True"


def test_what_was_installed_is_there_after_a_restart(state: Path, kubectl: Operated) -> None:
    assert aliquot("down", "--state", state).code == 0
    up = aliquot("up", "--detach", "--state", state)
    assert up.code == 0, up.err
    eventually(lambda: kubectl.all_validated_with("580.82.07"))
    eventually(lambda: kubectl.condition("pod", "one", "Ready")["status"] == "True")
    restarts = [c["restartCount"] for pod in kubectl.operands() for c in pod["status"]["containerStatuses"]]
    assert not any(restarts)


def test_a_driver_that_fails_on_a_node_stops_the_upgrade_and_says_why(kubectl: Operated) -> None:
    """And no other node is taken out of use for it."""
    holder = next(pod["spec"]["nodeName"] for pod in kubectl.all("pods") if pod["metadata"]["name"] == "one")
    free = "node-1" if holder == "node-0" else "node-0"
    said = "NVRM: RmInitAdapter failed"
    kubectl("annotate", "node", free, f"aliquot.dev/driver-fails={said}")
    kubectl.policy("595.91.07")

    def fails() -> bool:
        return any(
            said in c.get("lastState", {}).get("terminated", {}).get("message", "")
            for pod in kubectl.operands()
            if pod["spec"].get("nodeName") == free
            for c in pod["status"].get("containerStatuses", [])
        )

    eventually(fails)
    nodes = {node["metadata"]["name"]: node for node in kubectl.all("nodes")}
    assert nodes[free]["spec"].get("unschedulable") is True
    assert nodes[holder]["metadata"]["labels"][STATE] == "upgrade-required"
    assert not nodes[holder]["spec"].get("unschedulable")
    kubectl("annotate", "node", free, "aliquot.dev/driver-fails-")


def test_the_upgrade_goes_on_once_the_driver_loads_and_the_pod_runs_elsewhere(kubectl: Operated) -> None:
    # Nobody would make it anew: such a pod is not evicted.
    kubectl("delete", "pod", "one", "--now")
    eventually(lambda: kubectl.all_validated_with("595.91.07"))
    eventually(
        lambda: {node["metadata"]["labels"].get(STATE) for node in kubectl.all("nodes")} == {"upgrade-done"}
    )
    assert not any(node["spec"].get("unschedulable") for node in kubectl.all("nodes"))
    kubectl("apply", "-f", "-", stdin=POD)
    eventually(lambda: kubectl.condition("pod", "one", "Ready")["status"] == "True")


def test_without_its_policy_nodes_are_bare_again(kubectl: Operated) -> None:
    kubectl("delete", "pod", "one", "--now")
    kubectl("delete", "gpupolicy", "gpus")

    def is_left() -> bool:
        labels = [label for node in kubectl.all("nodes") for label in node["metadata"]["labels"]]
        return not any(label.startswith(OURS) for label in labels) and all(
            pod["metadata"]["name"].startswith("aliquot-discovery") for pod in kubectl.operands()
        )

    eventually(is_left)
    kubectl("apply", "-f", "-", stdin=POD)
    eventually(lambda: kubectl.condition("pod", "one", "PodScheduled")["status"] == "False")
