"""What kubectl finds out about a cluster: its kinds, their fields, its version, its names."""

import json
import re
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.e2e.commands import Kubectl
from tests.e2e.manifests import config

pytestmark = pytest.mark.e2e


def test_kinds_and_versions(kubectl: Kubectl) -> None:
    rows = {row.split()[0]: row.split() for row in kubectl("api-resources").splitlines()}
    assert rows["deployments"] == ["deployments", "deploy", "apps/v1", "true", "Deployment"]
    assert rows["nodes"] == ["nodes", "no", "v1", "false", "Node"]
    listed = kubectl("api-resources", "--api-group=apps", "--verbs=list,create", "-o", "name").split()
    assert "deployments.apps" in listed
    assert "pods" not in kubectl("api-resources", "--namespaced=false", "-o", "name").split()
    assert {"v1", "apps/v1", "batch/v1"} <= set(kubectl("api-versions").split())


def test_explain(kubectl: Kubectl) -> None:
    limits = kubectl("explain", "pod.spec.containers.resources.limits")
    assert limits.startswith("KIND:       Pod\nVERSION:    v1\n\nFIELD: limits <map[string]Quantity>\n")
    assert "  revisionHistoryLimit\t<integer>\n" in kubectl("explain", "deployment.spec")
    tree = kubectl("explain", "cronjob", "--recursive")
    assert "    jobTemplate\t<JobTemplateSpec> -required-\n" in tree
    assert "GROUP:      apps\n" in kubectl("explain", "deployment", "--api-version=apps/v1")
    assert kubectl("explain", "pods", "--output=plaintext-openapiv2").startswith(
        "KIND:     Pod\nVERSION:  v1\n"
    )
    assert kubectl.refused("explain", "pods.nonsense").endswith('error: field "nonsense" does not exist\n')


def test_the_cluster_itself(kubectl: Kubectl, tmp_path: Path) -> None:
    version = json.loads(kubectl("version", "-o", "json"))["serverVersion"]
    assert re.fullmatch(r"v1\.\d+\.\d+.*", version["gitVersion"])
    assert "Kubernetes control plane" in kubectl("cluster-info")
    kubectl("cluster-info", "dump", f"--namespaces={kubectl.namespace}", f"--output-directory={tmp_path}")
    assert (tmp_path / "nodes.json").exists()
    assert (tmp_path / kubectl.namespace / "pods.json").exists()
    assert "PRIVATE KEY" not in kubectl("config", "view")
    assert (
        kubectl("config", "current-context").strip()
        in kubectl("config", "get-contexts", "-o", "name").split()
    )


def test_names_are_completed(kubectl: Kubectl) -> None:
    for name in ("apple", "apricot", "banana"):
        kubectl("apply", "-f", "-", stdin=config(name))

    def completed(*words: str) -> list[str]:
        # Flags come after the command: shells ask it so.
        command = [kubectl.binary, "__complete", "--kubeconfig", str(kubectl.kubeconfig), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()

    assert completed("-n", kubectl.namespace, "get", "configmap", "ap")[:2] == ["apple", "apricot"]
    assert "deployments.apps" in completed("get", "deploym")


def test_there_are_no_metrics(kubectl: Kubectl) -> None:
    if "metrics.k8s.io/v1beta1" in kubectl("api-versions").split():
        pytest.skip("this cluster has metrics")
    assert kubectl.refused("top", "nodes") == "error: Metrics API not available\n"
    assert kubectl.refused("top", "pods") == "error: Metrics API not available\n"


def test_proxy(kubectl: Kubectl) -> None:
    with kubectl.running("proxy", "--port=0") as lines:
        address = lines.readline().removeprefix("Starting to serve on ").strip()
        with urllib.request.urlopen(f"http://{address}/api/v1/namespaces/{kubectl.namespace}") as answer:
            assert json.load(answer)["metadata"]["name"] == kubectl.namespace
