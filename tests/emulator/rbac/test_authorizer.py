from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from aliquot.emulator import rbac
from aliquot.emulator.rbac import Attributes, Authorizer, Decision, User

DEV = User("system:serviceaccount:ns:dev", ("system:serviceaccounts", "system:authenticated"))
ROOT = User("root", ("system:masters", "system:authenticated"))
EVE = User("eve", ("system:authenticated",))


class Objects:
    """RBAC objects in memory: a Policy."""

    def __init__(self, *objects: Mapping[str, Any]) -> None:
        self._objects = list(objects)

    def add(self, obj: Mapping[str, Any]) -> None:
        self._objects.append(obj)

    def revision(self) -> int:
        return len(self._objects)

    def _kind(self, kind: str, namespace: str = "") -> list[Mapping[str, Any]]:
        return [
            obj
            for obj in self._objects
            if obj["kind"] == kind and obj["metadata"].get("namespace", "") == namespace
        ]

    def role(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        return next((obj for obj in self._kind("Role", namespace) if obj["metadata"]["name"] == name), None)

    def cluster_role(self, name: str) -> Mapping[str, Any] | None:
        return next((obj for obj in self._kind("ClusterRole") if obj["metadata"]["name"] == name), None)

    def cluster_roles(self) -> Iterable[Mapping[str, Any]]:
        return self._kind("ClusterRole")

    def role_bindings(self, namespace: str) -> Iterable[Mapping[str, Any]]:
        return self._kind("RoleBinding", namespace)

    def cluster_role_bindings(self) -> Iterable[Mapping[str, Any]]:
        return self._kind("ClusterRoleBinding")


def role(name: str, *rules: dict[str, Any], namespace: str = "", **labels: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "labels": labels}
    if namespace:
        metadata["namespace"] = namespace
    return {"kind": "Role" if namespace else "ClusterRole", "metadata": metadata, "rules": list(rules)}


def rule(verbs: str, resources: str, group: str = "", *names: str) -> dict[str, Any]:
    return {
        "apiGroups": [group],
        "resources": resources.split(","),
        "verbs": verbs.split(","),
        "resourceNames": list(names),
    }


def binding(name: str, to: str, *subjects: dict[str, str], namespace: str = "") -> dict[str, Any]:
    kind, _, role_name = to.partition("/")
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "metadata": metadata,
        "roleRef": {"kind": kind, "name": role_name},
        "subjects": list(subjects),
    }


def ask(verb: str, resource: str, namespace: str = "ns", *, group: str = "", name: str = "") -> Attributes:
    resource, _, subresource = resource.partition("/")
    return Attributes(
        verb=verb, resource=resource, subresource=subresource, namespace=namespace, group=group, name=name
    )


SA_DEV = {"kind": "ServiceAccount", "name": "dev", "namespace": "ns"}
READER = (
    role("reader", rule("get,list", "pods"), namespace="ns"),
    binding("reader", "Role/reader", SA_DEV, namespace="ns"),
)


def allowed(rules: dict[str, Any], asked: Attributes) -> bool:
    policy = Objects(role("r", rules), binding("b", "ClusterRole/r", {"kind": "User", "name": "eve"}))
    return Authorizer(policy).authorize(EVE, asked).allowed


@pytest.mark.parametrize(
    ("rules", "asked", "expected"),
    [
        (rule("get", "pods"), ask("get", "pods"), True),
        (rule("get", "pods"), ask("list", "pods"), False),
        (rule("get", "pods"), ask("get", "pods", ""), True),
        (rule("get", "pods"), ask("get", "pods", group="apps"), False),
        (rule("get", "pods"), ask("get", "pods/log"), False),
        (rule("get", "pods/log"), ask("get", "pods/log"), True),
        (rule("get", "pods/log"), ask("get", "pods"), False),
        (rule("get", "*/log"), ask("get", "pods/log"), True),
        (rule("get", "*/log"), ask("get", "pods/status"), False),
        (rule("get", "*"), ask("get", "pods/log"), True),
        (rule("*", "pods"), ask("deletecollection", "pods"), True),
        (rule("get", "pods", "*"), ask("get", "pods", group="metrics.k8s.io"), True),
        (rule("get", "pods", "", "a", "b"), ask("get", "pods", name="b"), True),
        (rule("get", "pods", "", "a"), ask("get", "pods", name="c"), False),
        (rule("list", "pods", "", "a"), ask("list", "pods"), False),
        ({"verbs": ["get"], "nonResourceURLs": ["/healthz"]}, Attributes(verb="get", path="/healthz"), True),
        ({"verbs": ["get"], "nonResourceURLs": ["/api*"]}, Attributes(verb="get", path="/apis/x"), True),
        ({"verbs": ["get"], "nonResourceURLs": ["*"]}, Attributes(verb="get", path="/x"), True),
        ({"verbs": ["get"], "nonResourceURLs": ["/api"]}, Attributes(verb="get", path="/apis"), False),
        ({"verbs": ["get"], "nonResourceURLs": ["*"]}, ask("get", "pods"), False),
        (rule("get", "*", "*"), Attributes(verb="get", path="/x"), False),
    ],
)
def test_one_rule(rules: dict[str, Any], asked: Attributes, expected: bool) -> None:
    assert allowed(rules, asked) is expected


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ({"kind": "User", "name": "system:serviceaccount:ns:dev"}, True),
        ({"kind": "Group", "name": "system:serviceaccounts"}, True),
        ({"kind": "ServiceAccount", "name": "dev", "namespace": "ns"}, True),
        ({"kind": "ServiceAccount", "name": "dev"}, True),
        ({"kind": "ServiceAccount", "name": "dev", "namespace": "other"}, False),
        ({"kind": "User", "name": "dev"}, False),
    ],
)
def test_subjects(subject: dict[str, str], expected: bool) -> None:
    policy = Objects(READER[0], binding("b", "Role/reader", subject, namespace="ns"))
    assert Authorizer(policy).authorize(DEV, ask("get", "pods")).allowed is expected


def test_role_binding_holds_in_its_namespace_alone() -> None:
    authorizer = Authorizer(Objects(*READER))
    assert authorizer.authorize(DEV, ask("list", "pods", "ns")).allowed
    assert not authorizer.authorize(DEV, ask("list", "pods", "default")).allowed
    assert not authorizer.authorize(DEV, ask("list", "pods", "")).allowed


def test_allowed_reason_names_the_binding() -> None:
    decision = Authorizer(Objects(*READER)).authorize(DEV, ask("get", "pods"))
    assert decision.reason == (
        'RBAC: allowed by RoleBinding "reader/ns" of Role "reader" to ServiceAccount "dev/ns"'
    )


def test_masters_may_do_everything() -> None:
    assert Authorizer(Objects()).authorize(ROOT, ask("delete", "nodes", "")).allowed


@pytest.mark.parametrize(
    ("said", "allowed", "reason"),
    [
        (
            [None],
            True,
            'RBAC: allowed by RoleBinding "reader/ns" of Role "reader" to ServiceAccount "dev/ns"',
        ),
        ([Decision(True, "mine")], True, "mine"),
        ([Decision(False, "not mine"), Decision(True, "his")], True, "his"),
        (
            [Decision(False, "not mine")],
            True,
            'RBAC: allowed by RoleBinding "reader/ns" of Role "reader" to ServiceAccount "dev/ns"',
        ),
    ],
)
def test_others_may_be_asked_before_the_roles(
    said: list[Decision | None], allowed: bool, reason: str
) -> None:
    authorizer = Authorizer(Objects(*READER), earlier=[lambda user, asked, one=one: one for one in said])  # type: ignore[misc]
    assert authorizer.authorize(DEV, ask("get", "pods")) == Decision(allowed, reason)


def test_everybodys_reasons_for_a_refusal_are_told() -> None:
    policy = Objects(READER[1])
    authorizer = Authorizer(policy, earlier=[lambda user, asked: Decision(False, "not mine")])
    assert authorizer.authorize(DEV, ask("get", "pods")).reason == (
        'not mine\nRBAC: role.rbac.authorization.k8s.io "reader" not found'
    )


def test_a_new_binding_counts_at_once() -> None:
    policy = Objects(READER[0])
    authorizer = Authorizer(policy)
    assert not authorizer.authorize(DEV, ask("get", "pods")).allowed
    policy.add(READER[1])
    assert authorizer.authorize(DEV, ask("get", "pods")).allowed


def test_a_binding_to_a_missing_role_is_named() -> None:
    authorizer = Authorizer(Objects(READER[1]))
    decision = authorizer.authorize(DEV, ask("get", "pods"))
    assert decision.reason == 'RBAC: role.rbac.authorization.k8s.io "reader" not found'
    assert rbac.forbidden(DEV, ask("get", "pods", name="x"), decision.reason).message == (
        'pods "x" is forbidden: User "system:serviceaccount:ns:dev" cannot get resource "pods" in API group "" in the '
        'namespace "ns": RBAC: role.rbac.authorization.k8s.io "reader" not found'
    )


AGGREGATED: dict[str, Any] = {
    **role("monitoring"),
    "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"to": "monitoring"}}]},
}


def test_aggregated_roles_gather_by_label() -> None:
    pods = role("pods", rule("get", "pods"), to="monitoring")
    nodes = role("nodes", rule("get", "nodes"), to="other")
    policy = Objects(
        AGGREGATED, pods, nodes, binding("b", "ClusterRole/monitoring", {"kind": "User", "name": "eve"})
    )
    authorizer = Authorizer(policy)
    assert authorizer.authorize(EVE, ask("get", "pods")).allowed
    assert not authorizer.authorize(EVE, ask("get", "nodes", "")).allowed


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            ask("list", "secrets"),
            'secrets is forbidden: User "eve" cannot list resource "secrets" in API group "" in the namespace "ns"',
        ),
        (
            ask("delete", "pods", name="x"),
            'pods "x" is forbidden: User "eve" cannot delete resource "pods" in API group "" in the namespace "ns"',
        ),
        (
            ask("create", "rolebindings", group="rbac.authorization.k8s.io"),
            'rolebindings.rbac.authorization.k8s.io is forbidden: User "eve" cannot create resource "rolebindings" in '
            'API group "rbac.authorization.k8s.io" in the namespace "ns"',
        ),
        (
            ask("get", "pods/log", name="x"),
            'pods "x" is forbidden: User "eve" cannot get resource "pods/log" in API group "" in the namespace "ns"',
        ),
        (
            ask("list", "nodes", ""),
            'nodes is forbidden: User "eve" cannot list resource "nodes" in API group "" at the cluster scope',
        ),
        (Attributes(verb="get", path="/metrics"), 'forbidden: User "eve" cannot get path "/metrics"'),
    ],
)
def test_forbidden_texts(asked: Attributes, message: str) -> None:
    refusal = rbac.forbidden(EVE, asked)
    assert (refusal.code, refusal.reason, refusal.message) == (403, "Forbidden", message)


def admin_in_ns(*extra: Mapping[str, Any]) -> Authorizer:
    """DEV is `admin` in ns."""
    bound = binding("admin", "ClusterRole/admin", SA_DEV, namespace="ns")
    return Authorizer(Objects(*rbac.bootstrap_objects(), bound, *extra))


def test_bootstrap_roles_stand_as_in_a_new_cluster() -> None:
    objects = rbac.bootstrap_objects()
    names = {(obj["kind"], obj["metadata"]["name"]) for obj in objects}
    assert ("ClusterRole", "cluster-admin") in names
    assert ("ClusterRoleBinding", "system:node") in names
    admin = next(obj for obj in objects if obj["metadata"]["name"] == "admin")
    assert rule("get,list,watch", "pods")["resources"][0] in {
        found for one in admin["rules"] for found in one["resources"]
    }


@pytest.mark.parametrize(
    ("obj", "granted"),
    [
        (role("r", rule("get", "pods"), namespace="ns"), True),
        (role("r", rule("get", "nodes"), namespace="ns"), False),
        (role("r", rule("*", "pods"), namespace="ns"), False),
        (binding("b", "ClusterRole/view", SA_DEV, namespace="ns"), True),
        (binding("b", "ClusterRole/cluster-admin", SA_DEV, namespace="ns"), False),
    ],
)
def test_nobody_grants_more_than_they_hold(obj: dict[str, Any], granted: bool) -> None:
    assert (rbac.escalation(admin_in_ns(), DEV, obj) is None) is granted
    assert rbac.escalation(admin_in_ns(), ROOT, obj) is None


def test_escalation_text_of_a_role() -> None:
    refusal = rbac.escalation(admin_in_ns(), DEV, role("r", rule("get,list", "nodes"), namespace="ns"))
    assert refusal is not None
    assert refusal.message == (
        'roles.rbac.authorization.k8s.io "r" is forbidden: user "system:serviceaccount:ns:dev" '
        '(groups=["system:serviceaccounts" "system:authenticated"]) is attempting to grant RBAC permissions not '
        'currently held:\n{APIGroups:[""], Resources:["nodes"], Verbs:["get" "list"]}'
    )


def test_escalation_text_of_a_binding() -> None:
    refusal = rbac.escalation(
        admin_in_ns(), DEV, binding("up", "ClusterRole/cluster-admin", SA_DEV, namespace="ns")
    )
    assert refusal is not None
    assert refusal.message.endswith(
        'not currently held:\n{APIGroups:["*"], Resources:["*"], Verbs:["*"]}\n{NonResourceURLs:["*"], Verbs:["*"]}'
    )


def test_binding_to_a_role_that_is_not_there() -> None:
    refusal = rbac.escalation(admin_in_ns(), DEV, binding("b", "ClusterRole/nope", SA_DEV, namespace="ns"))
    assert refusal is not None
    assert (refusal.code, refusal.message) == (404, 'clusterroles.rbac.authorization.k8s.io "nope" not found')


@pytest.mark.parametrize(
    ("verb", "resource", "obj"),
    [
        ("escalate", "roles", role("r", rule("get", "nodes"), namespace="ns")),
        ("bind", "clusterroles", binding("b", "ClusterRole/cluster-admin", SA_DEV, namespace="ns")),
    ],
)
def test_escalate_and_bind_lift_the_check(verb: str, resource: str, obj: dict[str, Any]) -> None:
    group = "rbac.authorization.k8s.io"
    extra = (role("x", rule(verb, resource, group)), binding("x", "ClusterRole/x", SA_DEV))
    assert rbac.escalation(admin_in_ns(*extra), DEV, obj) is None


def test_an_update_that_grants_nothing_new() -> None:
    old = role("r", rule("get", "nodes"), namespace="ns")
    relabelled = {**old, "metadata": {**old["metadata"], "labels": {"a": "b"}}}
    assert rbac.escalation(admin_in_ns(), DEV, relabelled, old) is None
    bound = binding("b", "ClusterRole/cluster-admin", SA_DEV, namespace="ns")
    unpinned = {**bound, "metadata": {**bound["metadata"], "finalizers": []}}
    assert rbac.escalation(admin_in_ns(), DEV, unpinned, bound) is None


def self_review(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec}


def test_self_access_review() -> None:
    authorizer = Authorizer(Objects(*READER))
    pods = {"verb": "list", "resource": "pods", "namespace": "ns"}
    answer = rbac.access_review(authorizer, DEV, self_review(resourceAttributes=pods))
    assert answer["status"]["allowed"] is True
    answer = rbac.access_review(authorizer, DEV, self_review(resourceAttributes={**pods, "verb": "delete"}))
    assert answer["status"] == {"allowed": False}
    answer = rbac.access_review(
        authorizer, DEV, self_review(nonResourceAttributes={"verb": "get", "path": "/"})
    )
    assert answer["status"]["allowed"] is False


def test_access_review_of_somebody_else() -> None:
    review = {
        "kind": "SubjectAccessReview",
        "spec": {
            "user": DEV.name,
            "resourceAttributes": {"verb": "list", "resource": "pods", "namespace": "ns"},
        },
    }
    answer = rbac.access_review(Authorizer(Objects(*READER)), ROOT, review)
    assert answer["status"]["allowed"] is True


def test_rules_review_lists_what_the_user_holds() -> None:
    health = role("health", {"verbs": ["get"], "nonResourceURLs": ["/healthz"]})
    bound = binding("health", "ClusterRole/health", {"kind": "Group", "name": "system:authenticated"})
    policy = Objects(*READER, health, bound, binding("gone", "Role/gone", SA_DEV, namespace="ns"))
    answer = rbac.rules_review(Authorizer(policy), DEV, {"spec": {"namespace": "ns"}})
    assert answer["status"] == {
        "resourceRules": [{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}],
        "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/healthz"]}],
        "incomplete": True,
        "evaluationError": 'role.rbac.authorization.k8s.io "gone" not found',
    }


def test_identity_review() -> None:
    user = User("eve", ("a",), "7", {"scopes": ("x",)})
    assert rbac.identity_review(user, {"kind": "SelfSubjectReview"})["status"] == {
        "userInfo": {"username": "eve", "uid": "7", "groups": ["a"], "extra": {"scopes": ["x"]}}
    }
