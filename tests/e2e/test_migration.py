"""docs/migration.md, as it says: node by node from NVIDIA's operator to Aliquot's, and one of them back."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.commands import GIVEN, ROOT, RUNS, Kubectl, Result, aliquot, eventually

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(bool(GIVEN), reason="it takes a whole cluster"),
]

NVIDIA = str(ROOT / "tests/e2e/migration/nvidia.yaml")
LEAVE = str(ROOT / "examples/gpu-operator/leave-nodes-to-aliquot.yaml")
LABELS = [f"nvidia.com/gpu.deploy.{one}=true" for one in ("driver", "container-toolkit")]
POLICY = {
    "apiVersion": "nvidia.com/v1",
    "kind": "ClusterPolicy",
    "metadata": {"name": "cluster-policy"},
    "spec": {"driver": {"version": "580.95.05"}, "devicePlugin": {"config": {"name": "plugin-configs"}}},
}
SHARED = {
    "version": "v1",
    "sharing": {"timeSlicing": {"resources": [{"name": "nvidia.com/gpu", "replicas": 4}]}},
}
TRAINING = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "train"},
    "spec": {
        "containers": [{"name": "main", "image": RUNS, "resources": {"limits": {"nvidia.com/gpu": "1"}}}]
    },
}


@pytest.fixture
def kubectl(tmp_path: Path) -> Iterator[Kubectl]:
    state = tmp_path / "state"
    try:
        up = aliquot(
            *("up", "--detach", "--state", state, "--nodes", "2", "--gpus", "l4:2"),
            *("--operator", "--operator-outside"),
        )
        assert up.code == 0, up.err
        yield Kubectl(state / "kubeconfig")
    finally:
        aliquot("down", "--state", state)


def command(kubectl: Kubectl, *args: str | Path) -> Result:
    done = aliquot(*args, env={"KUBECONFIG": str(kubectl.kubeconfig)})
    assert done.code == 0, done.err
    return done


def pods(kubectl: Kubectl, namespace: str, node: str) -> dict[str, str]:
    """Of DaemonSets: name -> uid."""
    found = kubectl.json("get", "pods", "-n", namespace, "--field-selector", f"spec.nodeName={node}")["items"]
    return {
        one["metadata"]["name"]: one["metadata"]["uid"]
        for one in found
        if one["metadata"]["ownerReferences"][0]["kind"] == "DaemonSet"
    }


def both_run(kubectl: Kubectl, node: str) -> None:
    """NVIDIA's driver and toolkit."""
    eventually(lambda: len(pods(kubectl, "gpu-operator", node)) == 2)


def daemon_sets(kubectl: Kubectl) -> list[str]:
    return kubectl("get", "-n", "gpu-operator", "daemonsets", "-o", "name").split()


def move(kubectl: Kubectl, node: str) -> None:
    kubectl("cordon", node)
    kubectl("label", "node", node, "gpu-operator=aliquot")
    kubectl("wait", f"gpunode/{node}", "--for=create", "--timeout=30s")
    kubectl("wait", f"gpunode/{node}", "--for=condition=Validated", "--timeout=50s")
    kubectl("uncordon", node)
    assert pods(kubectl, "gpu-operator", node) == {}


def test_node_by_node_and_back_with_no_pod_disturbed(kubectl: Kubectl, tmp_path: Path) -> None:
    kubectl("apply", "-n", "gpu-operator", "-f", NVIDIA)
    for node in ("node-0", "node-1"):
        kubectl("label", "node", node, "nvidia.com/gpu.present=true", *LABELS)
    both_run(kubectl, "node-0")
    both_run(kubectl, "node-1")

    given = tmp_path / "nvidia.yaml"
    given.write_text(yaml.safe_dump(POLICY))
    translated = command(kubectl, "install", "--from-clusterpolicy", given)
    assert "copy the ConfigMap plugin-configs into the namespace aliquot-system" in translated.err
    command(kubectl, "install", "--timeout", "60")
    shared = tmp_path / "shared.yaml"
    shared.write_text(yaml.safe_dump(SHARED))
    kubectl("create", "configmap", "-n", "aliquot-system", "plugin-configs", f"--from-file=shared={shared}")

    before = {node: pods(kubectl, "gpu-operator", node) for node in ("node-0", "node-1")}
    kubectl("scale", "-n", "gpu-operator", "deployment", "gpu-operator", "--replicas=0")
    for one in daemon_sets(kubectl):
        kubectl("patch", "-n", "gpu-operator", one, "--type", "merge", "--patch-file", LEAVE)
    policy = yaml.safe_load(translated.out)
    policy["spec"]["nodeSelector"] = {"matchLabels": {"gpu-operator": "aliquot"}}
    kubectl("apply", "-f", "-", stdin=yaml.safe_dump(policy))
    move(kubectl, "node-0")
    # Its configuration has come with it.
    shares = kubectl.json("get", "node", "node-0")["status"]["allocatable"]["nvidia.com/gpu"]
    assert shares == "8"
    assert pods(kubectl, "gpu-operator", "node-1") == before["node-1"]

    kubectl("create", "-f", "-", stdin=yaml.safe_dump(TRAINING))
    kubectl("wait", "pod/train", "--for=condition=Ready", "--timeout=30s")
    training = kubectl.json("get", "pod", "train")
    ours = pods(kubectl, "aliquot-system", "node-0")
    move(kubectl, "node-1")

    kubectl("cordon", "node-1")
    kubectl("label", "node", "node-1", "gpu-operator-")
    operands = ("-l", "aliquot.dev/gpu-policy", "--field-selector", "spec.nodeName=node-1")
    kubectl("wait", "-n", "aliquot-system", "pods", *operands, "--for=delete", "--timeout=50s")
    kubectl("label", "node", "node-1", *LABELS)
    kubectl("uncordon", "node-1")
    both_run(kubectl, "node-1")

    move(kubectl, "node-1")
    kubectl("patch", "gpupolicy", "cluster-policy", "--type", "merge", "-p", '{"spec":{"nodeSelector":null}}')
    kubectl("label", "nodes", "--all", "gpu-operator-")
    kubectl("delete", "namespace", "gpu-operator")
    kubectl("wait", "gpupolicy/cluster-policy", "--for=condition=Ready", "--timeout=50s")
    assert pods(kubectl, "aliquot-system", "node-0") == ours
    after = kubectl.json("get", "pod", "train")
    assert after["metadata"]["uid"] == training["metadata"]["uid"]
    assert after["status"]["containerStatuses"] == training["status"]["containerStatuses"]
