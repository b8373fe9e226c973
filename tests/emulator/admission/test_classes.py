"""Classes of pods, of priorities and of ingresses, as users meet them; and nodes, which begin as not ready."""

import re
from typing import Any

import pytest

from tests.emulator.api import MERGE, PODS, Api, pod

RUNTIMES = "/apis/node.k8s.io/v1/runtimeclasses"
PRIORITIES = "/apis/scheduling.k8s.io/v1/priorityclasses"
INGRESS_CLASSES = "/apis/networking.k8s.io/v1/ingressclasses"
INGRESSES = "/apis/networking.k8s.io/v1/namespaces/default/ingresses"


async def runtime(api: Api, **fields: Any) -> None:
    body = {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": "kata"},
        "handler": "kata",
    }
    await api.ok("POST", RUNTIMES, {**body, **fields})


async def test_a_runtime_class_adds_its_overhead_and_its_places(api: Api) -> None:
    toleration = {"key": "kata", "operator": "Exists"}
    await runtime(
        api,
        overhead={"podFixed": {"cpu": "250m"}},
        scheduling={"nodeSelector": {"runtime": "kata"}, "tolerations": [toleration]},
    )
    made = await api.ok("POST", PODS, pod(runtimeClassName="kata", nodeSelector={"zone": "a"}))
    assert made["spec"]["overhead"] == {"cpu": "250m"}
    assert made["spec"]["nodeSelector"] == {"zone": "a", "runtime": "kata"}
    assert made["spec"]["tolerations"].count(toleration) == 1
    same = pod("q", runtimeClassName="kata", overhead={"cpu": "0.25"})
    await api.ok("POST", PODS, same)


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"runtimeClassName": "gone"}, 'pod rejected: RuntimeClass "gone" not found'),
        ({"runtimeClassName": "kata", "overhead": {"cpu": "1"}}, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"),
        ({"overhead": {"cpu": "1"}}, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"),
        ({"runtimeClassName": "kata", "nodeSelector": {"runtime": "other"}}, "conflict: runtimeClass.scheduling.nodeSelector[runtime] = kata; pod.spec.nodeSelector[runtime] = other"),
    ],
)  # fmt: skip
async def test_pods_that_do_not_fit_their_runtime_class(api: Api, spec: dict[str, Any], why: str) -> None:
    await runtime(
        api, overhead={"podFixed": {"cpu": "250m"}}, scheduling={"nodeSelector": {"runtime": "kata"}}
    )
    status, answer = await api.send("POST", PODS, pod(**spec))
    assert (status, answer["message"]) == (403, f'pods "p" is forbidden: {why}')


def priority(name: str, **fields: Any) -> dict[str, Any]:
    kind = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass"}
    return {**kind, "metadata": {"name": name}, "value": 5, **fields}


async def test_there_is_one_default_priority(api: Api) -> None:
    await api.ok("POST", PRIORITIES, priority("a", globalDefault=True))
    await api.ok("POST", PRIORITIES, priority("b"))
    why = "PriorityClass a is already marked as default. Only one default can exist"
    status, answer = await api.send("POST", PRIORITIES, priority("c", globalDefault=True))
    assert (status, answer["message"]) == (403, f'priorityclasses.scheduling.k8s.io "c" is forbidden: {why}')
    status, _ = await api.send("PATCH", f"{PRIORITIES}/b", {"globalDefault": True}, type=MERGE)
    assert status == 403
    await api.ok("PATCH", f"{PRIORITIES}/a", {"description": "x", "globalDefault": True}, type=MERGE)


async def test_a_priority_that_was_filled_in_need_not_be_repeated(api: Api) -> None:
    await api.ok("POST", PRIORITIES, priority("high"))
    made = await api.ok("POST", PODS, pod(priorityClassName="high"))
    assert made["spec"].pop("priority") == 5
    del made["spec"]["preemptionPolicy"]
    made["metadata"]["labels"] = {"a": "b"}
    assert (await api.ok("PUT", f"{PODS}/p", made))["spec"]["priority"] == 5


async def test_an_ingress_is_of_the_default_class(api: Api) -> None:
    known = {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "spec": {"controller": "a/b"}}
    default = {"ingressclass.kubernetes.io/is-default-class": "true"}
    await api.ok("POST", INGRESS_CLASSES, {**known, "metadata": {"name": "other"}})
    await api.ok("POST", INGRESS_CLASSES, {**known, "metadata": {"name": "main", "annotations": default}})
    backend = {"service": {"name": "s", "port": {"number": 80}}}
    body = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": {"defaultBackend": backend}}
    made = await api.ok("POST", INGRESSES, {**body, "metadata": {"name": "i"}})
    assert made["spec"]["ingressClassName"] == "main"
    named = {
        **body,
        "metadata": {"name": "j"},
        "spec": {"defaultBackend": backend, "ingressClassName": "other"},
    }
    assert (await api.ok("POST", INGRESSES, named))["spec"]["ingressClassName"] == "other"


async def test_a_new_node_is_not_ready(api: Api) -> None:
    body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}
    made = await api.ok("POST", "/api/v1/nodes", body)
    assert made["spec"]["taints"] == [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]
    # Who takes it away, as the node controller does, is not contradicted.
    await api.ok("PATCH", "/api/v1/nodes/n", {"spec": {"taints": None}}, type=MERGE)
    assert "taints" not in (await api.get("/api/v1/nodes/n"))[1]["spec"]


async def test_pods_pull_with_the_secrets_of_their_account(api: Api) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a"}}
    secrets = [{"name": "registry"}]
    await api.ok(
        "POST", "/api/v1/namespaces/default/serviceaccounts", {**account, "imagePullSecrets": secrets}
    )
    assert (await api.ok("POST", PODS, pod(serviceAccountName="a")))["spec"]["imagePullSecrets"] == secrets
    own = pod("q", serviceAccountName="a", imagePullSecrets=[{"name": "mine"}])
    assert (await api.ok("POST", PODS, own))["spec"]["imagePullSecrets"] == [{"name": "mine"}]


async def test_pods_of_an_account_that_are_alike_stay_alike(api: Api) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a"}}
    await api.ok("POST", "/api/v1/namespaces/default/serviceaccounts", account)
    one, other, third = [
        (await api.ok("POST", PODS, pod(name, serviceAccountName=user)))["spec"]
        for name, user in (("p", "a"), ("q", "a"), ("r", "default"))
    ]
    assert one == other
    assert re.fullmatch("kube-api-access-[a-z0-9]{5}", one["volumes"][0]["name"])
    assert one["volumes"][0]["name"] != third["volumes"][0]["name"]
