"""kubectl delete and wait."""

import json

import pytest

from tests.e2e.commands import Kubectl, eventually
from tests.e2e.manifests import config, pod, workload

pytestmark = pytest.mark.e2e


def test_of_several_and_of_all(kubectl: Kubectl) -> None:
    for name in "abcd":
        kubectl("apply", "-f", "-", stdin=config(name))
    kubectl("label", "configmap", "c", "x=y")
    assert kubectl("delete", "configmap", "a", "b", "-o", "name").split() == ["configmap/a", "configmap/b"]
    assert kubectl("delete", "configmaps", "-l", "x=y", "--dry-run=server", "-o", "name") == "configmap/c\n"
    assert kubectl("delete", "configmaps", "-l", "x=y", "-o", "name") == "configmap/c\n"
    assert "configmap/d" in kubectl("delete", "configmaps", "--all", "-o", "name")
    assert 'configmaps "d" not found' in kubectl.refused("delete", "configmap", "d")
    assert kubectl("delete", "configmap", "d", "--ignore-not-found") == ""


def test_a_pod_gets_time_or_none(kubectl: Kubectl) -> None:
    for name in ("patient", "now", "forced"):
        kubectl("apply", "-f", "-", stdin=pod(name))
    kubectl("wait", "pod", "--all", "--for=condition=Ready", "--timeout=30s")
    kubectl("patch", "pod", "patient", "-p", '{"metadata":{"finalizers":["example.com/hold"]}}')
    kubectl("delete", "pod", "patient", "--grace-period=3600", "--wait=false")
    assert kubectl.json("get", "pod", "patient")["metadata"]["deletionTimestamp"]
    kubectl("delete", "pod", "now", "--now")
    forced = kubectl.run("delete", "pod", "forced", "--grace-period=0", "--force")
    assert "Immediate deletion does not wait for confirmation" in forced.err
    assert kubectl.run("get", "pod", "forced").code == 1
    kubectl("delete", "pod", "patient", "--grace-period=0", "--force", "--wait=false")
    kubectl("patch", "pod", "patient", "-p", '{"metadata":{"finalizers":null}}')
    kubectl("wait", "pod/patient", "--for=delete", "--timeout=30s")


@pytest.mark.parametrize("how", ["background", "foreground", "orphan"])
def test_what_belongs_to_it_goes_or_stays(kubectl: Kubectl, how: str) -> None:
    kubectl("apply", "-f", "-", stdin=workload("Deployment", "d", replicas=1))
    kubectl("rollout", "status", "deployment/d", "--timeout=30s")
    owned = ("get", "replicasets,pods", "-l", "app=d")
    kubectl("delete", "deployment", "d", f"--cascade={how}")
    assert kubectl.run("get", "deployment", "d").code == 1
    if how == "orphan":
        (replicas,) = kubectl.json("get", "replicasets", "-l", "app=d")["items"]
        eventually(lambda: not kubectl.json(*owned)["items"][0]["metadata"].get("ownerReferences"))
        kubectl("delete", "replicaset", replicas["metadata"]["name"])
    elif how == "foreground":
        assert not kubectl.json("get", "replicasets", "-l", "app=d")["items"]
    eventually(lambda: not kubectl.json(*owned)["items"])


def test_a_finalizer_holds_it(kubectl: Kubectl) -> None:
    held = json.loads(config("c"))
    held["metadata"]["finalizers"] = ["example.com/hold"]
    kubectl("create", "-f", "-", stdin=json.dumps(held))
    waited = kubectl.refused("delete", "configmap", "c", "--timeout=1s")
    assert "timed out waiting for the condition" in waited
    kubectl("patch", "configmap", "c", "--type=json", "-p", '[{"op":"remove","path":"/metadata/finalizers"}]')
    kubectl("wait", "configmap/c", "--for=delete", "--timeout=10s")


def test_wait_for_this_and_that(kubectl: Kubectl) -> None:
    with kubectl.running("wait", "configmap/later", "--for=create", "--timeout=30s") as waiting:
        kubectl("apply", "-f", "-", stdin=config("later", k="v"))
        assert waiting.readline() == "configmap/later condition met\n"
    kubectl("wait", "configmap/later", "--for=jsonpath={.data.k}=v", "--timeout=10s")
    kubectl("apply", "-f", "-", stdin=pod("p"))
    assert kubectl("wait", "pod/p", "--for=condition=Ready", "--timeout=30s") == "pod/p condition met\n"
    kubectl("wait", "pod", "--all", "--for=jsonpath={.status.phase}=Running", "--timeout=30s")
    late = kubectl.refused("wait", "pod/p", "--for=condition=Nonsense", "--timeout=1s")
    assert late == "error: timed out waiting for the condition on pods/p\n"
    assert 'pods "q" not found' in kubectl.refused("wait", "pod/q", "--for=condition=Ready", "--timeout=1s")
