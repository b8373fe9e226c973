from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from aliquot.emulator.node_access.restriction import forbidden_labels
from tests.emulator.api import MERGE, PODS, STRATEGIC, Api, FixedClock, new_api, pod

NODES = "/api/v1/nodes"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
TOKENS = "/api/v1/namespaces/default/serviceaccounts/default/token"


def node(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}


@pytest.fixture
async def api(clock: FixedClock) -> Any:
    """Overrides the one without a key of tokens."""
    made = await new_api(clock, token_key=ec.generate_private_key(ec.SECP256R1()))
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    await made.ok("POST", "/api/v1/namespaces/default/serviceaccounts", account)
    yield made
    await made.close()


@pytest.fixture
async def kubelet(api: Api) -> Any:
    """Of node a; node b is another."""
    found = api.as_user("system:node:a", "system:nodes")
    await found.ok("POST", NODES, node("a"))
    await api.ok("POST", NODES, node("b"))
    await api.ok("POST", PODS, pod("here", nodeName="a"))
    await api.ok("POST", PODS, pod("there", nodeName="b"))
    yield found
    await found.close()


@pytest.mark.parametrize(
    ("method", "path", "change", "kind", "refusal"),
    [
        ("PATCH", f"{NODES}/a", {"metadata": {"labels": {"nvidia.com/gpu": "yes"}}}, MERGE, ""),
        ("PATCH", f"{NODES}/a", {"metadata": {"labels": {"node.kubernetes.io/x": "1"}}}, MERGE, ""),
        ("PATCH", f"{NODES}/a/status", {"status": {"capacity": {"cpu": "1"}}}, STRATEGIC, ""),
        (
            "PATCH",
            f"{NODES}/a",
            {"metadata": {"labels": {"node-role.kubernetes.io/x": ""}}},
            MERGE,
            "is not allowed to modify labels: node-role.kubernetes.io/x",
        ),
        (
            "PATCH",
            f"{NODES}/a",
            {"metadata": {"labels": {"t.node-restriction.kubernetes.io/x": ""}}},
            MERGE,
            "is not allowed to modify labels",
        ),
        (
            "PATCH",
            f"{NODES}/a/status",
            {"metadata": {"labels": {"node-restriction.kubernetes.io/x": ""}}},
            MERGE,
            "is not allowed to modify labels",
        ),
        (
            "PATCH",
            f"{NODES}/a",
            {"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}},
            MERGE,
            'node "a" is not allowed to modify taints',
        ),
        (
            "PATCH",
            f"{NODES}/b",
            {"metadata": {"labels": {"x": "1"}}},
            MERGE,
            'node "a" is not allowed to modify node "b"',
        ),
        (
            "PATCH",
            f"{NODES}/b/status",
            {"status": {"capacity": {"cpu": "1"}}},
            STRATEGIC,
            'is not allowed to modify node "b"',
        ),
        ("PATCH", f"{PODS}/here/status", {"status": {"phase": "Running"}}, STRATEGIC, ""),
        (
            "PATCH",
            f"{PODS}/there/status",
            {"status": {"phase": "Failed"}},
            STRATEGIC,
            "can only update pod status for pods with spec.nodeName set to itself",
        ),
        (
            "PATCH",
            f"{PODS}/here/status",
            {"metadata": {"labels": {"x": "1"}}},
            STRATEGIC,
            'node "a" cannot update labels through pod status',
        ),
        (
            "PATCH",
            f"{PODS}/here/status",
            {"status": {"resourceClaimStatuses": [{"name": "r", "resourceClaimName": "c"}]}},
            STRATEGIC,
            "cannot update resource claim statues",
        ),
        ("DELETE", f"{PODS}/here", {}, "application/json", ""),
        (
            "DELETE",
            f"{PODS}/there",
            {},
            "application/json",
            'node "a" can only delete pods with spec.nodeName set to itself',
        ),
        (
            "POST",
            f"{PODS}/there/eviction",
            {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "there"}},
            "application/json",
            "node a can only evict pods with spec.nodeName set to itself",
        ),
        (
            "POST",
            f"{PODS}/here/eviction",
            {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "here"}},
            "application/json",
            "",
        ),
        (
            "POST",
            LEASES,
            {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "a"}},
            "application/json",
            "",
        ),
        (
            "POST",
            LEASES,
            {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "b"}},
            "application/json",
            "can only access node lease with the same name as the requesting node",
        ),
        ("POST", NODES, node("c"), "application/json", 'node "a" is not allowed to modify node "c"'),
    ],
)
async def test_what_a_kubelet_writes(
    kubelet: Api, method: str, path: str, change: dict[str, Any], kind: str, refusal: str
) -> None:
    status, answer = await kubelet.send(method, path, change, type=kind)
    if not refusal:
        assert status in (200, 201), answer
        return
    assert status == 403, answer
    assert refusal in answer["message"]


async def test_a_node_registers_with_labels_that_are_its_own_to_say(api: Api) -> None:
    kubelet = api.as_user("system:node:c", "system:nodes")
    status, answer = await kubelet.send(
        "POST", NODES, node("c", **{"node-role.kubernetes.io/control-plane": ""})
    )
    assert (status, answer["message"]) == (
        403,
        'nodes "c" is forbidden: node "c" is not allowed to set the following labels: '
        "node-role.kubernetes.io/control-plane",
    )
    await kubelet.ok("POST", NODES, node("c", **{"kubernetes.io/hostname": "c", "x.example/y": "z"}))
    await kubelet.close()


@pytest.mark.parametrize(
    ("label", "allowed"),
    [
        ("app", True),
        ("example.com/app", True),
        ("kubernetes.io/hostname", True),
        ("topology.kubernetes.io/zone", True),
        ("node.kubernetes.io/anything", True),
        ("a.kubelet.kubernetes.io/anything", True),
        ("kubernetes.io/anything", False),
        ("k8s.io/anything", False),
        ("a.k8s.io/anything", False),
        ("notk8s.io/anything", True),
        ("node-restriction.kubernetes.io/anything", False),
        ("a.node-restriction.kubernetes.io/anything", False),
    ],
)
def test_labels(label: str, allowed: bool) -> None:
    for new, old in (({label: "1"}, {}), ({}, {label: "1"}), ({label: "1"}, {label: "2"})):
        assert forbidden_labels(new, old) == ([] if allowed else [label])
    assert forbidden_labels({label: "1"}, {label: "1"}) == []


async def uid_of(api: Api, path: str) -> str:
    return str((await api.ok("GET", path))["metadata"]["uid"])


@pytest.mark.parametrize(
    ("name", "changes", "audiences", "refusal"),
    [
        ("here", {}, [], ""),
        ("here", {}, ["vault"], 'audience "vault" not found in pod spec volume'),
        ("here", {}, ["a", "b"], "node may only request 0 or 1 audiences"),
        ("here", {"uid": ""}, [], "without a uid"),
        ("here", {"uid": "another"}, [], "does not match the UID in record"),
        ("here", {"kind": "Secret"}, [], "node requested token not bound to a pod"),
        ("there", {}, [], "node requested token bound to a pod scheduled on a different node"),
    ],
)
async def test_tokens_for_its_pods_alone(
    api: Api, kubelet: Api, name: str, changes: dict[str, str], audiences: list[str], refusal: str
) -> None:
    bound = {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": await uid_of(api, f"{PODS}/{name}")}
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": audiences, "boundObjectRef": {**bound, **changes}},
    }
    status, answer = await kubelet.send("POST", TOKENS, request)
    if not refusal:
        assert status == 201, answer
        return
    assert status == 403
    assert refusal in answer["message"]


async def test_an_administrator_may_name_further_audiences(api: Api, kubelet: Api) -> None:
    kind = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    path = "/apis/rbac.authorization.k8s.io/v1"
    rules = [{"apiGroups": [""], "resources": ["vault"], "verbs": ["request-serviceaccounts-token-audience"]}]
    role = {**kind, "kind": "ClusterRole", "metadata": {"name": "audience"}, "rules": rules}
    await api.ok("POST", f"{path}/clusterroles", role)
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "audience"}
    group = {"kind": "Group", "name": "system:nodes", "apiGroup": "rbac.authorization.k8s.io"}
    binding = {**kind, "kind": "ClusterRoleBinding", "metadata": {"name": "audience"}, "roleRef": reference}
    await api.ok("POST", f"{path}/clusterrolebindings", {**binding, "subjects": [group]})
    bound = {"apiVersion": "v1", "kind": "Pod", "name": "here", "uid": await uid_of(api, f"{PODS}/here")}
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": ["vault"], "boundObjectRef": bound},
    }
    await kubelet.ok("POST", TOKENS, request)


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({}, ""),
        ({"annotations": {}}, "can only create mirror pods"),
        ({"nodeName": "b"}, "can only create pods with spec.nodeName set to itself"),
        ({"owners": []}, "can only create pods with an owner reference set to itself"),
        ({"owner": {"name": "b"}}, "can only create pods with an owner reference set to itself"),
        ({"owner": {"controller": False}}, "with a controller owner reference"),
        ({"owner": {"blockOwnerDeletion": True}}, "must not set blockOwnerDeletion"),
        ({"owner": {"uid": "another"}}, "UID mismatch"),
        ({"serviceAccountName": "default"}, "reference a service account"),
        ({"volumes": [{"name": "s", "secret": {"secretName": "s"}}]}, "reference secrets"),
        ({"volumes": [{"name": "s", "configMap": {"name": "s"}}]}, "reference configmaps"),
        ({"volumes": [{"name": "s", "persistentVolumeClaim": {"claimName": "s"}}]}, "persistentvolumeclaims"),
    ],
)
async def test_mirror_pods(kubelet: Api, changes: dict[str, Any], refusal: str) -> None:
    own = await uid_of(kubelet, f"{NODES}/a")
    owner = {"apiVersion": "v1", "kind": "Node", "name": "a", "uid": own, "controller": True}
    owner |= changes.pop("owner", {})
    metadata = {
        "annotations": changes.pop("annotations", {"kubernetes.io/config.mirror": "x"}),
        "ownerReferences": changes.pop("owners", [owner]),
    }
    mirror = pod("mirror", **{"nodeName": "a", **changes})
    mirror["metadata"] |= metadata
    status, answer = await kubelet.send("POST", PODS, mirror)
    if not refusal:
        assert status == 201, answer
        return
    assert status == 403, answer
    assert refusal in answer["message"]


async def test_others_are_not_restricted(api: Api) -> None:
    await api.ok("POST", NODES, node("c", **{"node-restriction.kubernetes.io/x": "1"}))
