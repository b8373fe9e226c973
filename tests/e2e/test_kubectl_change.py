"""kubectl patch, label, annotate, set, scale and edit."""

import json

import pytest

from tests.e2e.commands import RUNS, RUNS_ANOTHER, Kubectl, eventually
from tests.e2e.manifests import config, pod, workload

pytestmark = pytest.mark.e2e


def test_patch_of_each_kind(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=pod("p"))
    patch = ("patch", "pod", "p")
    kubectl(*patch, "-p", '{"metadata":{"labels":{"a":"1"}}}')
    kubectl(*patch, "--type=merge", "-p", '{"metadata":{"labels":{"a":null,"b":"2"}}}')
    kubectl(*patch, "--type=json", "-p", '[{"op":"add","path":"/metadata/labels/c","value":"3"}]')
    assert json.loads(kubectl("get", "pod", "p", "-o", "jsonpath={.metadata.labels}")) == {"b": "2", "c": "3"}
    assert kubectl(*patch, "-p", '{"metadata":{"labels":{"c":"3"}}}') == "pod/p patched (no change)\n"
    # Strategic: containers are told apart by name.
    kubectl(*patch, "-p", json.dumps({"spec": {"containers": [{"name": "main", "image": RUNS_ANOTHER}]}}))
    containers = kubectl.json("get", "pod", "p")["spec"]["containers"]
    assert [(one["name"], one["image"]) for one in containers] == [("main", RUNS_ANOTHER)]
    immutable = kubectl.refused(*patch, "-p", '{"spec":{"nodeName":"other"}}')
    assert "pod updates may not change fields other than" in immutable
    broken = kubectl.refused(*patch, "--type=json", "-p", '[{"op":"test","path":"/kind","value":"x"}]')
    assert (
        broken == "The request is invalid: the server rejected our request due to an error in our request\n"
    )


def test_patch_of_a_subresource(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=workload("Deployment", "d", replicas=1))
    scale = ("patch", "deployment", "d", "--subresource=scale", "--type=merge")
    assert kubectl(*scale, "-p", '{"spec":{"replicas":2}}') == "scale.autoscaling/d patched\n"
    assert kubectl("get", "deployment", "d", "-o", "jsonpath={.spec.replicas}") == "2"
    kubectl("create", "service", "loadbalancer", "s", "--tcp=80")
    ingress = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}
    kubectl("patch", "service", "s", "--subresource=status", "--type=merge", "-p", json.dumps(ingress))
    assert kubectl.cells("get", "service", "s")[1][3] == "192.0.2.1"


def test_labels_and_annotations(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", stdin=config("c"))
    assert kubectl("label", "configmap", "c", "a=1", "b=2") == "configmap/c labeled\n"
    refused = kubectl.refused("label", "configmap", "c", "a=3")
    assert "'a' already has a value (1), and --overwrite is false" in refused
    kubectl("label", "configmap", "c", "a=3", "--overwrite")
    assert kubectl("label", "configmap", "c", "b-") == "configmap/c unlabeled\n"
    assert kubectl("label", "configmap", "c", "--list") == "a=3\n"
    assert "labeled" in kubectl("label", "configmaps", "--all", "d=4")
    kubectl("annotate", "configmap", "c", "note=long text", "other=x")
    kubectl("annotate", "configmap", "c", "other-")
    assert kubectl("annotate", "configmap", "c", "--list") == "note=long text\n"
    refused = kubectl.refused("patch", "configmap", "c", "-p", '{"metadata":{"labels":{"a":"no spaces"}}}')
    assert 'metadata.labels: Invalid value: "no spaces"' in refused


def test_set(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=workload("Deployment", "d", RUNS, paused=True))
    kubectl("create", "configmap", "c", "--from-literal=FROM=config")
    kubectl("create", "serviceaccount", "sa")
    kubectl("set", "image", "deployment/d", f"main={RUNS_ANOTHER}")
    kubectl("set", "env", "deployment/d", "A=1")
    kubectl("set", "env", "deployment/d", "--from=configmap/c")
    kubectl("set", "resources", "deployment/d", "--requests=cpu=10m", "--limits=cpu=20m,memory=64Mi")
    kubectl("set", "serviceaccount", "deployment/d", "sa")
    spec = kubectl.json("get", "deployment", "d")["spec"]["template"]["spec"]
    main = spec["containers"][0]
    assert main["image"] == RUNS_ANOTHER
    assert [one["name"] for one in main["env"]] == ["A", "FROM"]
    assert main["resources"] == {"requests": {"cpu": "10m"}, "limits": {"cpu": "20m", "memory": "64Mi"}}
    assert spec["serviceAccountName"] == "sa"
    assert "A=1" in kubectl("set", "env", "deployment/d", "--list")
    kubectl("set", "env", "deployment/d", "A-")
    assert "A=1" not in kubectl("set", "env", "deployment/d", "--list")
    kubectl("create", "service", "clusterip", "s", "--tcp=80")
    kubectl("set", "selector", "service", "s", "app=other")
    assert kubectl.json("get", "service", "s")["spec"]["selector"] == {"app": "other"}
    kubectl("create", "rolebinding", "b", "--clusterrole=view", "--user=ann")
    kubectl("set", "subject", "rolebinding", "b", "--group=devs")
    assert [one["name"] for one in kubectl.json("get", "rolebinding", "b")["subjects"]] == ["ann", "devs"]


def test_scale(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=workload("Deployment", "d", replicas=1))
    kubectl("apply", "-f", "-", stdin=workload("StatefulSet", "s", replicas=1, serviceName="s"))
    assert kubectl("scale", "deployment/d", "statefulset/s", "--replicas=2").splitlines() == [
        "deployment.apps/d scaled",
        "statefulset.apps/s scaled",
    ]
    eventually(lambda: kubectl.cells("get", "deployment", "d")[1][1] == "2/2")
    assert "Expected replicas to be 5, was 2" in kubectl.refused(
        "scale", "deployment", "d", "--replicas=1", "--current-replicas=5"
    )
    kubectl("scale", "deployment", "d", "--replicas=0", "--current-replicas=2")
    eventually(lambda: not kubectl.json("get", "pods", "-l", "app=d")["items"])
    kubectl("create", "job", "j", f"--image={RUNS}")
    refused = kubectl.refused("scale", "job", "j", "--replicas=2")
    assert refused == "Error from server (NotFound): the server could not find the requested resource\n"


def test_an_autoscaler(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=workload("Deployment", "d", replicas=1))
    kubectl("autoscale", "deployment", "d", "--min=2", "--max=3")
    eventually(lambda: kubectl("get", "deployment", "d", "-o", "jsonpath={.spec.replicas}") == "2")
    assert kubectl.cells("get", "hpa")[1][:2] == ["d", "Deployment/d"]


def test_edit(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=config("c", k="tea"))
    edit = ("edit", "configmap", "c")
    assert "configmap/c edited" in kubectl(*edit, env={"KUBE_EDITOR": "sed -i s/tea/coffee/"})
    assert kubectl("get", "configmap", "c", "-o", "jsonpath={.data.k}") == "coffee"
    assert "Edit cancelled, no changes made." in kubectl.run(*edit, env={"KUBE_EDITOR": "true"}).err
