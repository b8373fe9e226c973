"""Node a runs pod `here`, node b pod `there`; each refers to objects that bear its name."""

from typing import Any

import pytest

from aliquot.emulator.field_selectors import field_terms
from aliquot.emulator.rbac import Attributes, User
from tests.emulator.api import PODS, Api, pod

A = User("system:node:a", ("system:nodes", "system:authenticated"))
CLAIM = "resourceclaims.resource.k8s.io"


def refers(name: str) -> dict[str, Any]:
    """A pod's spec that refers to one object of each kind, named after what refers to it."""
    return {
        "serviceAccountName": f"{name}-account",
        "imagePullSecrets": [{"name": f"{name}-pull"}],
        "initContainers": [
            {
                "name": "init",
                "image": "i:1",
                "envFrom": [
                    {"secretRef": {"name": f"{name}-from"}},
                    {"configMapRef": {"name": f"{name}-from"}},
                ],
            }
        ],
        "containers": [
            {
                "name": "main",
                "image": "i:1",
                "env": [
                    {"name": "S", "valueFrom": {"secretKeyRef": {"name": f"{name}-env", "key": "k"}}},
                    {"name": "C", "valueFrom": {"configMapKeyRef": {"name": f"{name}-env", "key": "k"}}},
                ],
            }
        ],
        "volumes": [
            {"name": "s", "secret": {"secretName": f"{name}-volume"}},
            {"name": "c", "configMap": {"name": f"{name}-volume"}},
            {"name": "v", "persistentVolumeClaim": {"claimName": f"{name}-claim"}},
            {
                "name": "p",
                "projected": {
                    "sources": [
                        {"secret": {"name": f"{name}-projected"}},
                        {"configMap": {"name": f"{name}-projected"}},
                    ]
                },
            },
        ],
        "resourceClaims": [{"name": "r", "resourceClaimName": f"{name}-device"}],
    }


@pytest.fixture
async def site(api: Api) -> Api:
    for node, name in (("a", "here"), ("b", "there")):
        await api.ok(
            "POST", "/api/v1/nodes", {"kind": "Node", "apiVersion": "v1", "metadata": {"name": node}}
        )
        account = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": f"{name}-account"}}
        await api.ok("POST", "/api/v1/namespaces/default/serviceaccounts", account)
        await api.ok("POST", PODS, pod(name, nodeName=node, **refers(name)))
    return api


def ask(text: str, *, namespace: str = "default", selector: str = "") -> Attributes:
    """`get secrets/sub name` as a question; the group follows the resource (`leases.coordination.k8s.io`)."""
    verb, resource, name = (*text.split(), "")[:3]
    resource, _, subresource = resource.partition("/")
    plural, _, group = resource.partition(".")
    return Attributes(
        verb=verb,
        group=group,
        resource=plural,
        subresource=subresource,
        namespace=namespace,
        name=name,
        fields=tuple(field_terms(selector)),
    )


READABLE = [
    *(
        f"{kind} {{}}-{way}"
        for kind in ("secrets", "configmaps")
        for way in ("env", "from", "volume", "projected")
    ),
    "secrets {}-pull",
    "persistentvolumeclaims {}-claim",
    f"{CLAIM} {{}}-device",
    "serviceaccounts {}-account",
    "pods {}",
]


@pytest.mark.parametrize("what", READABLE)
async def test_a_kubelet_reads_what_its_pods_refer_to(site: Api, what: str) -> None:
    authorizer = site.server.authorizer
    assert authorizer.authorize(A, ask("get " + what.format("here"))).allowed
    for other in (ask("get " + what.format("there")), ask("get " + what.format("here"), namespace="other")):
        decision = authorizer.authorize(A, other)
        assert (decision.allowed, decision.reason) == (
            False,
            "no relationship found between node 'a' and this object",
        )


@pytest.mark.parametrize("what", READABLE)
async def test_it_reads_them_no_more_when_the_pod_is_gone(site: Api, what: str) -> None:
    authorizer = site.server.authorizer
    assert authorizer.authorize(A, ask("get " + what.format("here"))).allowed
    await site.ok("DELETE", f"{PODS}/here", {"gracePeriodSeconds": 0})
    assert not authorizer.authorize(A, ask("get " + what.format("here"))).allowed


NO_RELATION = "no relationship found between node 'a' and this object"
LEASES = "leases.coordination.k8s.io"


@pytest.mark.parametrize(
    ("question", "allowed", "reason"),
    [
        (ask("list secrets here-env"), True, ""),
        (ask("watch configmaps here-env"), True, ""),
        (ask("list secrets"), False, "No Object name found"),
        (ask("list secrets here-env", namespace=""), False, "can only read namespaced object of this type"),
        (ask("update secrets here-env"), False, "can only read resources of this type"),
        (ask("get secrets/x here-env"), False, "cannot read subresource"),
        (
            ask("list persistentvolumeclaims here-claim"),
            False,
            "can only get individual resources of this type",
        ),
        (ask("patch persistentvolumeclaims/status here-claim"), True, ""),
        (ask("patch persistentvolumeclaims/status there-claim"), False, NO_RELATION),
        (ask("get persistentvolumeclaims/status here-claim"), False, "can only get/update/patch this type"),
        (ask("create serviceaccounts/token here-account"), True, ""),
        (ask("create serviceaccounts/token there-account"), False, NO_RELATION),
        (
            ask("create serviceaccounts/token"),
            False,
            "can only create tokens for individual service accounts",
        ),
        (
            ask("delete serviceaccounts here-account"),
            False,
            "can only create tokens for individual service accounts",
        ),
        (ask("create nodes", namespace=""), True, ""),
        (ask("patch nodes b", namespace=""), True, ""),  # admission refuses
        (ask("patch nodes/status a", namespace=""), True, ""),
        (ask("get nodes a", namespace=""), True, ""),
        (ask("get nodes b", namespace=""), False, "node 'a' cannot read 'b', only its own Node object"),
        (ask("list nodes", namespace=""), False, "node 'a' cannot read all nodes, only its own Node object"),
        (ask("delete nodes a", namespace=""), False, ""),
        (ask("get nodes/proxy a", namespace=""), False, ""),
        (ask("list pods", namespace="", selector="spec.nodeName=a"), True, ""),
        (ask("watch pods", namespace="", selector="spec.nodeName=a,status.phase!=Failed"), True, ""),
        (
            ask("watch pods", namespace="", selector="spec.nodeName!=a"),
            False,
            "can only list/watch pods with spec.nodeName field selector",
        ),
        (
            ask("watch pods", namespace="", selector="spec.nodeName=b"),
            False,
            "can only list/watch pods with spec.nodeName field selector",
        ),
        (ask("list pods", namespace=""), False, "can only list/watch pods with spec.nodeName field selector"),
        (ask("list pods here"), True, ""),
        (ask("list pods there"), False, NO_RELATION),
        (ask("patch pods/status there"), True, ""),  # admission refuses
        (ask("create pods/eviction there"), True, ""),  # admission refuses
        (ask("create pods/binding here"), False, ""),
        (ask("create pods/exec here"), False, ""),
        (ask("patch pods here"), False, ""),
        (ask(f"create {LEASES}", namespace="kube-node-lease"), True, ""),
        (ask(f"patch {LEASES} a", namespace="kube-node-lease"), True, ""),
        (
            ask(f"patch {LEASES} b", namespace="kube-node-lease"),
            False,
            "can only access node lease with the same name as the requesting node",
        ),
        (
            ask(f"list {LEASES}", namespace="kube-node-lease"),
            False,
            "can only get, create, update, patch, or delete a node lease",
        ),
        (ask(f"get {LEASES} a"), False, 'can only access leases in the "kube-node-lease" system namespace'),
        (ask("get csinodes.storage.k8s.io a", namespace=""), True, ""),
        (
            ask("get csinodes.storage.k8s.io b", namespace=""),
            False,
            "can only access CSINode with the same name as the requesting node",
        ),
        (ask("create resourceslices.resource.k8s.io", namespace=""), True, ""),
        (ask("get resourceslices.resource.k8s.io x", namespace=""), False, NO_RELATION),
        (ask("list resourceslices.resource.k8s.io", namespace="", selector="spec.nodeName=a"), True, ""),
        (
            ask("list resourceslices.resource.k8s.io", namespace=""),
            False,
            "can only list/watch/deletecollection resourceslices with nodeName field selector",
        ),
        (ask("list services", namespace=""), True, ""),
        (ask("create events"), True, ""),
        (ask("create certificatesigningrequests.certificates.k8s.io", namespace=""), True, ""),
        (ask("list deployments.apps"), False, ""),
        (ask("create rolebindings.rbac.authorization.k8s.io"), False, ""),
    ],
)
async def test_what_is_a_nodes_business(site: Api, question: Attributes, allowed: bool, reason: str) -> None:
    decision = site.server.authorizer.authorize(A, question)
    assert (decision.allowed, decision.reason) == (allowed, reason)


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        (User("system:node:a", ("system:authenticated",)), ""),
        (User("a", ("system:nodes",)), ""),
        (User("system:node:", ("system:nodes",)), 'unknown node for user "system:node:"'),
    ],
)
async def test_who_is_no_kubelet(site: Api, user: User, reason: str) -> None:
    decision = site.server.authorizer.authorize(user, ask("get secrets here-env"))
    assert (decision.allowed, decision.reason) == (False, reason)


async def test_a_mirror_pod_leads_to_nothing(site: Api) -> None:
    mirror = pod("mirror", nodeName="a", **refers("mirror"))
    mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    account = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "mirror-account"}}
    await site.ok("POST", "/api/v1/namespaces/default/serviceaccounts", account)
    await site.ok("POST", PODS, mirror)
    assert site.server.authorizer.authorize(A, ask("get pods mirror")).allowed
    assert not site.server.authorizer.authorize(A, ask("get secrets mirror-env")).allowed


async def test_a_refusal_says_why(site: Api) -> None:
    kubelet = site.as_user("system:node:a", "system:nodes")
    status, answer = await kubelet.get("/api/v1/nodes/b")
    assert (status, answer["message"]) == (
        403,
        'nodes "b" is forbidden: User "system:node:a" cannot get resource "nodes" in API group "" at the cluster scope: '
        "node 'a' cannot read 'b', only its own Node object",
    )
    assert (await kubelet.get("/api/v1/pods", fieldSelector="spec.nodeName=a"))[0] == 200
    assert (await kubelet.get("/api/v1/pods"))[0] == 403
    await kubelet.close()


async def test_roles_may_give_a_node_more(site: Api) -> None:
    meta = {"name": "nodes-read-nodes"}
    kind = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    rules = [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}]
    group = {"kind": "Group", "name": "system:nodes", "apiGroup": "rbac.authorization.k8s.io"}
    path = "/apis/rbac.authorization.k8s.io/v1"
    await site.ok(
        "POST", f"{path}/clusterroles", {**kind, "kind": "ClusterRole", "metadata": meta, "rules": rules}
    )
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": meta["name"]}
    binding = {
        **kind,
        "kind": "ClusterRoleBinding",
        "metadata": meta,
        "roleRef": reference,
        "subjects": [group],
    }
    await site.ok("POST", f"{path}/clusterrolebindings", binding)
    assert site.server.authorizer.authorize(A, ask("get nodes b", namespace="")).allowed


SELECTED = {"rawSelector": "spec.nodeName=a"}
LISTED = {"requirements": [{"key": "spec.nodeName", "operator": "In", "values": ["a"]}]}


@pytest.mark.parametrize(
    ("selector", "allowed"),
    [
        (SELECTED, True),
        (LISTED, True),
        ({"rawSelector": "spec.nodeName=b"}, False),
        ({"rawSelector": "spec.nodeName"}, False),
        ({"requirements": [{"key": "spec.nodeName", "operator": "NotIn", "values": ["a"]}]}, False),
        ({"requirements": [{"key": "spec.nodeName", "operator": "In", "values": ["a", "b"]}]}, False),
        (None, False),
    ],
)
async def test_a_review_may_ask_about_a_selection(
    site: Api, selector: dict[str, Any] | None, allowed: bool
) -> None:
    asked = {
        "verb": "list",
        "resource": "pods",
        "version": "v1",
        **({"fieldSelector": selector} if selector else {}),
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": A.name, "groups": list(A.groups), "resourceAttributes": asked},
    }
    answer = await site.ok("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    assert answer["status"]["allowed"] is allowed


async def test_a_review_says_a_selection_once(site: Api) -> None:
    asked = {"verb": "list", "resource": "pods", "fieldSelector": {**SELECTED, **LISTED}}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    }
    status, answer = await site.send("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    assert (status, answer["reason"]) == (422, "Invalid")


async def test_what_a_kubelet_may_do_is_not_listed_and_says_so(site: Api) -> None:
    kubelet = site.as_user(A.name, "system:nodes")
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": "default"},
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    status = (await kubelet.ok("POST", path, review))["status"]
    assert status["incomplete"] is True
    assert status["evaluationError"] == "node authorizer does not support user rule resolution"
    assert (await site.ok("POST", path, review))["status"]["incomplete"] is False
    await kubelet.close()
