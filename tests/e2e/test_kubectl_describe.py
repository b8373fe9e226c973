"""kubectl describe: what a person reads of each kind, with its events."""

import pytest

from tests.e2e.commands import RUNS, SHELL, Kubectl, eventually
from tests.e2e.manifests import pod, workload

pytestmark = pytest.mark.e2e


def _described(kubectl: Kubectl, kind: str, name: str, *awaited: str) -> str:
    """Once it says all of `awaited`: events come a little later."""

    def told() -> str:
        text = kubectl("describe", kind, name)
        for words in awaited:
            assert words in text
        return text

    return str(eventually(told))


def test_a_pod_with_its_events(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=pod("p", labels={"a": "b"}))
    kubectl("wait", "pod/p", "--for=condition=Ready", "--timeout=30s")
    text = _described(kubectl, "pod", "p", "Successfully assigned", "Started")
    for words in (
        "Labels:           a=b\n",
        "Status:           Running\n",
        f"    Image:          {RUNS}\n",
        "    Ready:          True\n",
        "  PodScheduled                True \n",
        "QoS Class:                   BestEffort\n",
        "Type    Reason",
    ):
        assert words in text
    node = kubectl("get", "pod", "p", "-o", "jsonpath={.spec.nodeName}")
    on_node = kubectl("describe", "node", node)
    assert f"  {kubectl.namespace} " in on_node
    for words in (
        "Conditions:",
        "KubeletReady",
        "Capacity:",
        "Allocatable:",
        "Non-terminated Pods:",
        "Allocated resources:",
    ):
        assert words in on_node


def test_plain_kinds(kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "c", "--from-literal=k=v")
    kubectl("create", "secret", "generic", "s", "--from-literal=password=hunter2")
    assert "k:\n----\nv\n" in kubectl("describe", "configmap", "c")
    secret = kubectl("describe", "secret", "s")
    assert "password:  7 bytes" in secret
    assert "hunter2" not in secret
    assert "Status:       Active" in kubectl("describe", "namespace", kubectl.namespace)


def test_services_have_the_endpoints_of_their_pods(kubectl: Kubectl) -> None:
    kubectl("create", "deployment", "d", f"--image={RUNS}")
    kubectl("expose", "deployment", "d", "--port=80", "--target-port=8080")
    kubectl("rollout", "status", "deployment/d", "--timeout=30s")
    address = kubectl("get", "pods", "-l", "app=d", "-o", "jsonpath={.items[0].status.podIP}")
    text = _described(kubectl, "service", "d", f"{address}:8080")
    assert "Type:                     ClusterIP\n" in text
    assert "TargetPort:               8080/TCP\n" in text


def test_workloads(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=workload("Deployment", "d", replicas=2))
    kubectl("apply", "-f", "-", stdin=workload("StatefulSet", "s", serviceName="s", replicas=1))
    kubectl("apply", "-f", "-", stdin=workload("DaemonSet", "n"))
    kubectl("create", "job", "j", f"--image={SHELL}", "--", "sleep", "1000")
    kubectl("create", "cronjob", "c", f"--image={SHELL}", "--schedule=0 0 1 1 *", "--", "date")
    text = _described(kubectl, "deployment", "d", "2 available", "ScalingReplicaSet")
    assert "MinimumReplicasAvailable" in text
    _described(kubectl, "statefulset", "s", "1 Running / 0 Waiting", "SuccessfulCreate")
    _described(kubectl, "daemonset", "n", "Node-Selector:", "SuccessfulCreate")
    _described(kubectl, "job", "j", "1 Active (1 Ready) / 0 Succeeded / 0 Failed", "Created pod: j-")
    assert "Schedule:                      0 0 1 1 *\n" in kubectl("describe", "cronjob", "c")


def test_rules_and_limits(kubectl: Kubectl) -> None:
    kubectl("create", "role", "r", "--verb=get,list", "--resource=pods,deployments.apps")
    kubectl("create", "rolebinding", "b", "--role=r", "--user=ann", "--serviceaccount=default:sa")
    kubectl("create", "poddisruptionbudget", "p", "--selector=app=d", "--min-available=1")
    role = kubectl("describe", "role", "r")
    assert "deployments.apps  []                 []              [get list]" in role
    binding = kubectl("describe", "rolebinding", "b")
    assert "User            ann" in binding
    assert "ServiceAccount  sa    default" in binding
    budget = _described(kubectl, "poddisruptionbudget", "p", "Allowed disruptions:  0")
    assert "Min available:  1" in budget
