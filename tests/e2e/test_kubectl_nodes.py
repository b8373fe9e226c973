"""kubectl taint, cordon and drain: on one node, with pods that are put there by its name."""

import json
from collections.abc import Iterator

import pytest

from tests.e2e.commands import RUNS, Kubectl, eventually

pytestmark = pytest.mark.e2e


@pytest.fixture
def node(kubectl: Kubectl) -> Iterator[str]:
    """One that takes pods again when the test is over."""
    name = kubectl("get", "nodes", "-o", "jsonpath={.items[0].metadata.name}")
    yield name
    kubectl("uncordon", name)


def _on(node: str, name: str, **more: str) -> str:
    spec = {
        "nodeName": node,
        "terminationGracePeriodSeconds": 0,
        "tolerations": [{"operator": "Exists"}],
        "containers": [{"name": "main", "image": RUNS}],
    }
    metadata = {"name": name, "labels": {"app": name}, **more}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


def test_taints(kubectl: Kubectl, node: str) -> None:
    key = f"example.com/{kubectl.namespace}"
    # One that nobody heeds, so that other tests' pods stay.
    assert kubectl("taint", "node", node, f"{key}=a:PreferNoSchedule") == f"node/{node} tainted\n"
    refused = kubectl.refused("taint", "node", node, f"{key}=b:PreferNoSchedule")
    assert f"node {node} already has {key} taint(s) with same effect(s) and --overwrite is false" in refused
    assert (
        kubectl("taint", "node", node, f"{key}=b:PreferNoSchedule", "--overwrite")
        == f"node/{node} modified\n"
    )
    assert f"{key}=b:PreferNoSchedule" in kubectl("describe", "node", node)
    assert kubectl("taint", "node", node, f"{key}-") == f"node/{node} untainted\n"


def test_a_cordoned_node_takes_no_pods(kubectl: Kubectl, node: str) -> None:
    assert kubectl("cordon", node) == f"node/{node} cordoned\n"
    assert kubectl("cordon", node) == f"node/{node} already cordoned\n"
    assert kubectl.cells("get", "node", node)[1][1] == "Ready,SchedulingDisabled"
    assert kubectl("uncordon", node) == f"node/{node} uncordoned\n"
    assert kubectl.cells("get", "node", node)[1][1] == "Ready"


def test_drain(kubectl: Kubectl, node: str) -> None:
    selected = (node, f"--pod-selector=app in (p,q),set={kubectl.namespace}", "--timeout=30s")
    for name in ("p", "q"):
        kubectl("apply", "-f", "-", stdin=_on(node, name))
        kubectl("label", "pod", name, f"set={kubectl.namespace}")
    kubectl("wait", "pod/p", "pod/q", "--for=condition=Ready", "--timeout=30s")

    unmanaged = kubectl.refused("drain", *selected)
    assert "declare no controller (use --force to override)" in unmanaged
    dry = kubectl("drain", *selected, "--force", "--dry-run=server")
    assert f"evicting pod {kubectl.namespace}/p (server dry run)" in dry
    assert kubectl.run("get", "pod", "p").code == 0

    kubectl("create", "poddisruptionbudget", "b", "--selector=app=q", "--min-available=1")
    eventually(lambda: kubectl.json("get", "pdb", "b")["status"].get("currentHealthy") == 1)

    held = kubectl.refused(
        "drain", node, f"--pod-selector=app=q,set={kubectl.namespace}", "--force", "--timeout=1s"
    )
    assert "Cannot evict pod as it would violate the pod's disruption budget." in held
    assert "node/" in kubectl("drain", *selected, "--force", "--disable-eviction")
    assert not kubectl.json("get", "pods")["items"]


def test_drain_leaves_daemons_alone(kubectl: Kubectl, node: str) -> None:
    template = {
        "metadata": {"labels": {"app": "agent", "set": kubectl.namespace}},
        "spec": {
            "nodeName": node,
            "containers": [{"name": "main", "image": RUNS}],
            "terminationGracePeriodSeconds": 0,
        },
    }
    spec = {"selector": {"matchLabels": {"app": "agent"}}, "template": template}
    made = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent"}, "spec": spec}
    kubectl("apply", "-f", "-", stdin=json.dumps(made))
    kubectl("rollout", "status", "daemonset/agent", "--timeout=30s")
    selected = (node, f"--pod-selector=set={kubectl.namespace}", "--timeout=30s")
    assert "DaemonSet-managed Pods (use --ignore-daemonsets to ignore)" in kubectl.refused("drain", *selected)
    ignored = kubectl.run("drain", *selected, "--ignore-daemonsets")
    assert ignored.code == 0
    assert "ignoring DaemonSet-managed Pods" in ignored.err
    assert kubectl.json("get", "pods", "-l", "app=agent")["items"]
