"""Aliquot by the real helm and by its own command: into an emulated cluster, changed there, and out again."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.commands import ALIQUOT, GIVEN, ROOT, RUNS, Kubectl, Result, aliquot, eventually
from tests.e2e.test_helm import Helm

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(bool(GIVEN), reason="it takes a whole cluster, and takes things out of it"),
]

CHART = ROOT / "deploy/chart/aliquot"
OLDER = str(ROOT / "tests/installation/older/crds.yaml")
NAMESPACE = "aliquot-system"
OURS = ("aliquot.dev/", "nvidia.com/")
POLICY = "policy.create=true"


@contextmanager
def cluster(state: Path, *options: str) -> Iterator[Kubectl]:
    up = aliquot("up", "--detach", "--state", state, *options)
    assert up.code == 0, up.err
    try:
        yield Kubectl(state / "kubeconfig")
    finally:
        aliquot("down", "--state", state)


@pytest.fixture
def kubectl(tmp_path: Path) -> Iterator[Kubectl]:
    """Of a cluster whose node is bare, and which has the operator that is installed and no other."""
    options = ("--nodes", "1", "--gpus", "l4:1", "--operator", "--operator-outside")
    with cluster(tmp_path / "state", *options) as found:
        yield found


def command(kubectl: Kubectl, *args: str) -> Result:
    return aliquot(*args, env={"KUBECONFIG": str(kubectl.kubeconfig)})


def marks(kubectl: Kubectl) -> dict[str, str]:
    metadata = kubectl.json("get", "node", "node-0")["metadata"]
    found = {**metadata.get("labels", {}), **metadata.get("annotations", {})}
    return {name: value for name, value in found.items() if name.startswith(OURS)}


def driver(kubectl: Kubectl) -> str:
    found: str = kubectl.json("get", "gpunode", "node-0")["status"].get("driverVersion", "")
    return found


def is_ready(kubectl: Kubectl) -> bool:
    """The policy, once all of its nodes are validated."""
    conditions = kubectl.json("get", "gpupolicy", "default").get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def deployments(kubectl: Kubectl) -> dict[str, Any]:
    found = kubectl.json("get", "deployments", "-n", NAMESPACE)["items"]
    return {one["metadata"]["name"]: one["spec"]["replicas"] for one in found}


def test_helm_brings_it_changes_it_and_takes_it_out_of_a_node_that_is_in_use(
    kubectl: Kubectl, tmp_path: Path
) -> None:
    helm = Helm(kubectl, tmp_path)
    # The emulator has its kinds and roles before: they become the release's.
    mine = ("--take-ownership", "--force-conflicts")
    helm("install", "gpus", CHART, "--set", POLICY, *mine, "--wait")
    assert deployments(kubectl) == {
        "aliquot-operator": 2,
        "aliquot-partitioner": 2,
        "aliquot-scheduler": 2,
    }
    eventually(lambda: is_ready(kubectl), within_s=120)

    changed = ("--set", "partitioner.enabled=false", "--set", "operator.replicas=1")
    helm("upgrade", "gpus", CHART, "--reuse-values", *changed, "--wait", "--timeout", "60s")
    assert deployments(kubectl) == {"aliquot-operator": 1, "aliquot-scheduler": 2}
    assert kubectl.run("get", "clusterrole", "aliquot-partitioner").code != 0

    assert "Helm has installed it" in command(kubectl, "install").err
    assert "helm uninstall gpus" in command(kubectl, "uninstall", "--yes").err

    # In the middle of an upgrade, with nobody left who could end it.
    kubectl("scale", "deployment", "aliquot-operator", "-n", NAMESPACE, "--replicas", "0")
    pods = ("get", "pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/name=aliquot-operator", "-o", "name")
    eventually(lambda: kubectl(*pods) == "")
    kubectl("annotate", "node", "node-0", 'aliquot.dev/driver-upgrade={"cordoned":true}')
    # As the operator does: a user's cordon would stay.
    cordon = ("--type", "merge", "-p", '{"spec":{"unschedulable":true}}')
    kubectl("patch", "node", "node-0", "--field-manager", "aliquot", *cordon)
    helm("uninstall", "gpus", "--timeout", "100s")
    assert marks(kubectl) == {}
    assert not kubectl.json("get", "node", "node-0")["spec"].get("unschedulable")
    left = kubectl(
        "get", "deployments,daemonsets,serviceaccounts,roles,services", "-n", NAMESPACE, "-o", "name"
    )
    assert "aliquot" not in left
    assert "aliquot" not in kubectl("get", "clusterroles,clusterrolebindings,gpunodes", "-o", "name").replace(
        "aliquot:", ""
    )
    assert kubectl("get", "gpupolicies", "-o", "name") == "gpupolicy.aliquot.dev/default\n"


def test_the_command_does_the_same(kubectl: Kubectl) -> None:
    tried = command(kubectl, "install", "--dry-run")
    assert f"Deployment {NAMESPACE}/aliquot-operator: created (dry run)" in tried.out
    assert deployments(kubectl) == {}

    done = command(kubectl, "install", "--policy", "default", "--timeout", "60")
    assert done.code == 0, done.err
    assert f"Deployment {NAMESPACE}/aliquot-operator: ready" in done.out
    again = command(kubectl, "install", "--policy", "default", "--no-wait")
    assert again.out == "everything is as it should be\n"
    eventually(lambda: is_ready(kubectl), within_s=120)

    newer = '{"spec":{"driver":{"version":"590.44.01"}}}'
    kubectl("patch", "gpupolicy", "default", "--type", "merge", "-p", newer)
    eventually(lambda: driver(kubectl) == "590.44.01", within_s=120)
    eventually(lambda: is_ready(kubectl), within_s=120)

    unasked = command(kubectl, "uninstall")
    assert "nobody can be asked here: give --yes" in unasked.err
    assert "Node node-0: take off" in unasked.out
    assert deployments(kubectl)
    assert command(kubectl, "uninstall", "--yes").code == 0
    assert marks(kubectl) == {}
    assert kubectl.run("get", "namespace", NAMESPACE).code != 0
    assert kubectl("get", "gpupolicies", "-o", "name") == "gpupolicy.aliquot.dev/default\n"
    assert command(kubectl, "uninstall", "--purge", "--yes").code == 0
    assert "aliquot.dev" not in kubectl("get", "crds", "-o", "name")
    # What others were given beside it stays: the emulator's own scheduler has its rights.
    pod = {"metadata": {"name": "after"}, "spec": {"containers": [{"name": "main", "image": RUNS}]}}
    kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "Pod", **pod}))
    kubectl("wait", "pod/after", "--for=condition=Ready", "--timeout=30s")


def test_the_state_of_any_earlier_cluster_can_be_gone_on_with(tmp_path: Path) -> None:
    """Whatever its nodes, and whoever put what onto them."""
    state, kubectl = tmp_path / "state", Kubectl(tmp_path / "state" / "kubeconfig")

    def up(*args: str) -> None:
        done = aliquot("up", "--detach", "--state", state, *args)
        assert done.code == 0, done.err

    try:
        up("--nodes", "1", "--gpus", "l4:1")
        refused = command(kubectl, "uninstall", "--yes").err
        assert "the agents of this emulated cluster run in the process of 'aliquot up'" in refused
        aliquot("down", "--state", state)

        up("--operator")
        refused = command(kubectl, "uninstall", "--yes").err
        assert "the operator of this emulated cluster run" in refused
        # What keeps a namespace that is being deleted is seen to once the cluster runs again.
        kept = {"name": "kept", "namespace": NAMESPACE, "finalizers": ["example.com/kept"]}
        kept_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": kept}
        kubectl("create", "-n", NAMESPACE, "-f", "-", stdin=json.dumps(kept_map))
        kubectl("delete", "namespace", NAMESPACE, "--wait=false")
        aliquot("down", "--state", state)

        other = ("--nodes", "2", "--gpus", "h100-80gb:1", "--operator", "--operator-outside")
        starting = subprocess.Popen([ALIQUOT, "up", "--detach", "--state", str(state), *other])
        free = ("patch", "configmap", "kept", "-n", NAMESPACE, "--type", "merge")
        eventually(lambda: kubectl.run(*free, "-p", '{"metadata":{"finalizers":null}}').code == 0)
        assert starting.wait(timeout=60) == 0
        assert command(kubectl, "install", "--policy", "default", "--timeout", "60").code == 0
        eventually(lambda: is_ready(kubectl), within_s=120)
        assert command(kubectl, "uninstall", "--purge", "--yes").code == 0
    finally:
        aliquot("down", "--state", state)


def test_the_kinds_go_to_the_newer_version_before_helm_upgrades_the_rest(tmp_path: Path) -> None:
    with cluster(tmp_path / "state", "--nodes", "0") as kubectl:
        helm = Helm(kubectl, tmp_path)
        helm("install", "gpus", CHART, "--take-ownership", "--force-conflicts")
        kubectl("replace", "-f", OLDER)
        policy = {
            "apiVersion": "aliquot.dev/v1alpha1",
            "kind": "GPUPolicy",
            "metadata": {"name": "all"},
            "spec": {"driver": {"version": "580.95.05"}},
        }
        kubectl("create", "-f", "-", stdin=json.dumps(policy))
        before = kubectl.json("get", "gpupolicy", "all")
        helm("upgrade", "gpus", CHART)
        assert "CRDOutdated" in command(kubectl, "operator", "doctor").out

        newer = helm("show", "crds", CHART)
        kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=newer)
        assert "CRDOutdated" not in command(kubectl, "operator", "doctor").out
        after = kubectl.json("get", "gpupolicy", "all")
        assert (after["metadata"]["uid"], after["spec"]) == (before["metadata"]["uid"], before["spec"])
