from typing import Any

import pytest

from aliquot.emulator.authentication import Accepted, Anonymous
from aliquot.emulator.rbac import User
from aliquot.emulator.versions import Surface
from tests.emulator.api import PODS, Api, FixedClock, new_api, pod

RBAC = "/apis/rbac.authorization.k8s.io/v1"
REVIEW = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
REVIEWS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


async def who(api: Api, **headers: str) -> dict[str, Any]:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    answer = await api.ok("POST", REVIEWS, REVIEW, headers=named)
    found: dict[str, Any] = answer["status"]["userInfo"]
    return found


async def let_read_pods(api: Api, user: str) -> None:
    meta = {"name": "reader", "namespace": "default"}
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": meta, "rules": rules}
    await api.ok("POST", f"{RBAC}/namespaces/default/roles", role)
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": meta,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": user}],
    }
    await api.ok("POST", f"{RBAC}/namespaces/default/rolebindings", binding)


async def let_all(api: Api, user: str, rules: list[dict[str, Any]]) -> None:
    """In every namespace."""
    meta = {"name": user.replace(":", "-")}
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": meta,
        "rules": rules,
    }
    await api.ok("POST", f"{RBAC}/clusterroles", role)
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": meta,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": meta["name"]},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": user}],
    }
    await api.ok("POST", f"{RBAC}/clusterrolebindings", binding)


async def test_who_is_denied_is_kept_from_guessing_what_the_answer_is(api: Api) -> None:
    somebody = api.as_user("somebody")
    for path in ("/api/v1/nodes", "/metrics"):
        assert (await somebody.get(path))[0] == 403
        assert somebody.headers["x-content-type-options"] == "nosniff"
    await api.send("DELETE", "/api/v1/namespaces/default")
    assert "x-content-type-options" not in api.headers


async def test_everybody_who_is_known_is_authenticated(api: Api) -> None:
    assert await who(api.as_user("ada", "dev")) == {
        "username": "ada",
        "groups": ["dev", "system:authenticated"],
    }


async def test_nobody_may_see_that_it_is_well_and_no_more(api: Api) -> None:
    nobody = Api(api.server, "", ())
    assert (await nobody.get("/healthz"))[0] == 200
    status, answer = await nobody.get(PODS)
    assert (status, answer["message"]) == (
        403,
        'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" in the namespace '
        '"default"',
    )
    status, answer = await nobody.get("/nowhere")
    assert (status, answer["message"]) == (
        403,
        'forbidden: User "system:anonymous" cannot get path "/nowhere"',
    )
    await nobody.close()


@pytest.mark.parametrize("header", ["Bearer wrong", "bearer a.b.c", "Bearer " + "x" * 20_000])
async def test_a_token_that_is_no_good_is_refused_not_taken_for_nobody(api: Api, header: str) -> None:
    nobody = Api(api.server, "", ())
    status, answer = await nobody.send("GET", "/healthz", headers={"authorization": header})
    assert (status, answer["reason"], answer["message"]) == (401, "Unauthorized", "Unauthorized")
    await nobody.close()


async def test_static_tokens_name_their_users(clock: FixedClock) -> None:
    api = await new_api(clock, accepted=Accepted({"t0ken": User("robot", ("machines",))}))
    nobody = Api(api.server, "", ())
    found = await who(nobody, authorization="Bearer t0ken")
    assert found == {"username": "robot", "groups": ["machines", "system:authenticated"]}
    await api.close()
    await nobody.close()


async def test_roles_allow(api: Api) -> None:
    ada = api.as_user("ada")
    assert (await ada.get(PODS))[0] == 403
    await let_read_pods(api, "ada")
    assert (await ada.get(PODS))[0] == 200
    assert (await ada.get(f"{PODS}/nope"))[0] == 404
    assert (await ada.get("/api/v1/pods"))[0] == 403
    status, answer = await ada.send("DELETE", f"{PODS}/x")
    assert (status, answer["message"]) == (
        403,
        'pods "x" is forbidden: User "ada" cannot delete resource "pods" in API group "" in the namespace "default"',
    )
    await api.ok("DELETE", f"{RBAC}/namespaces/default/rolebindings/reader")
    assert (await ada.get(PODS))[0] == 403
    await ada.close()


async def test_a_watch_of_one_name_needs_no_more_than_that(api: Api) -> None:
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"], "resourceNames": ["p"]}]
    meta = {"name": "one", "namespace": "default"}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": meta, "rules": rules}
    await let_read_pods(api, "bob")
    await api.ok("POST", f"{RBAC}/namespaces/default/roles", role)
    await api.ok(
        "POST",
        f"{RBAC}/namespaces/default/rolebindings",
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": meta,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "one"},
            "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "ada"}],
        },
    )
    ada = api.as_user("ada")
    assert (await ada.get(PODS, fieldSelector="metadata.name=p"))[0] == 200
    assert (await ada.get(PODS))[0] == 403
    await ada.close()


async def test_nobody_gives_out_rights_that_they_lack(api: Api) -> None:
    await let_read_pods(api, "ada")
    may_bind = [{"apiGroups": ["*"], "resources": ["rolebindings", "roles"], "verbs": ["create"]}]
    meta = {"name": "binder"}
    kind = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    await api.ok(
        "POST", f"{RBAC}/clusterroles", {**kind, "kind": "ClusterRole", "metadata": meta, "rules": may_bind}
    )
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole"}
    subject = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "ada"}
    binding = {**kind, "kind": "ClusterRoleBinding", "metadata": meta}
    await api.ok(
        "POST",
        f"{RBAC}/clusterrolebindings",
        {**binding, "roleRef": {**reference, "name": "binder"}, "subjects": [subject]},
    )
    ada = api.as_user("ada")
    up = {**kind, "kind": "RoleBinding", "metadata": {"name": "up"}, "subjects": [subject]}
    status, answer = await ada.send(
        "POST", f"{RBAC}/namespaces/default/rolebindings", {**up, "roleRef": {**reference, "name": "admin"}}
    )
    assert (status, answer["reason"]) == (403, "Forbidden")
    assert "attempting to grant RBAC permissions not currently held" in answer["message"]
    await ada.close()


async def test_who_may_can_act_as_another(api: Api) -> None:
    assert (await who(api, impersonate_user="ada"))["username"] == "ada"
    found = await who(api, impersonate_user="system:serviceaccount:ns:sa")
    assert found["groups"] == ["system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated"]
    found = await who(api, impersonate_user="ada", impersonate_group="dev", impersonate_extra_reason="why")
    assert found["groups"] == ["dev", "system:authenticated"]
    assert found["extra"] == {"reason": ["why"]}
    _, answer = await api.send("GET", PODS, headers={"impersonate-user": "system:anonymous"})
    assert 'User "system:anonymous" cannot list' in answer["message"]


@pytest.mark.parametrize(
    ("name", "group", "groups"),
    [
        ("ada", "system:authenticated", ["system:authenticated"]),
        ("system:serviceaccount:ns:sa", "dev", ["dev", "system:authenticated"]),
        ("system:serviceaccount:ns:Bad_", "", ["system:authenticated"]),
        ("system:serviceaccount:ns", "", ["system:authenticated"]),
        (
            "system:anonymous",
            "system:authenticated",
            ["system:authenticated", "system:unauthenticated"],
        ),
    ],
)
async def test_groups_of_who_is_acted_as(api: Api, name: str, group: str, groups: list[str]) -> None:
    headers = {"impersonate_user": name, **({"impersonate_group": group} if group else {})}
    assert (await who(api, **headers))["groups"] == groups


async def test_nobody_is_authenticated_who_is_said_not_to_be(api: Api) -> None:
    headers = {"impersonate-user": "bob", "impersonate-group": "system:unauthenticated"}
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    assert (await api.send("POST", path, review, headers=headers))[0] == 403


@pytest.mark.parametrize(
    ("header", "value", "shown"),
    [
        ("group", "g", 'UID:"", Groups:[]string{"g"}, Extra:map[string][]string(nil)'),
        ("uid", "u", 'UID:"u", Groups:[]string(nil), Extra:map[string][]string(nil)'),
        ("extra-a", "b", 'UID:"", Groups:[]string(nil), Extra:map[string][]string{"a":[]string{"b"}}'),
    ],
)
async def test_groups_are_of_a_user(api: Api, header: str, value: str, shown: str) -> None:
    status, answer = await api.send("GET", PODS, headers={f"impersonate-{header}": value})
    text = f'requested &user.DefaultInfo{{Name:"", {shown}}} without impersonating a user name'
    assert (status, answer["message"]) == (400, text)


async def test_who_may_not_cannot(api: Api) -> None:
    ada = api.as_user("ada")
    status, answer = await ada.send("GET", PODS, headers={"impersonate-user": "bob"})
    assert (status, answer["message"]) == (
        403,
        'users "bob" is forbidden: User "ada" cannot impersonate resource "users" in API group "" at the cluster scope',
    )
    status, answer = await ada.send("GET", PODS, headers={"impersonate-group": "system:masters"})
    assert status == 400
    await ada.close()


@pytest.mark.parametrize(
    ("identity", "on", "as_whom", "verb", "status"),
    [
        ("impersonate:user-info users bob", "user-info:list", "bob", "GET", 200),
        ("impersonate:user-info users bob", "user-info:get", "bob", "GET", 403),
        ("impersonate:user-info users eve", "user-info:list", "bob", "GET", 403),
        ("impersonate:user-info users bob", "user-info:list", "bob", "DELETE", 403),
        (
            "impersonate:serviceaccount serviceaccounts sa",
            "serviceaccount:list",
            "system:serviceaccount:default:sa",
            "GET",
            200,
        ),
        (
            "impersonate:serviceaccount serviceaccounts sa",
            "serviceaccount:list",
            "system:serviceaccount:default:x",
            "GET",
            403,
        ),
        (
            "impersonate:user-info serviceaccounts sa",
            "user-info:list",
            "system:serviceaccount:default:sa",
            "GET",
            403,
        ),
        ("impersonate:arbitrary-node nodes n1", "arbitrary-node:list", "system:node:n1", "GET", 200),
        ("impersonate:arbitrary-node nodes n1", "arbitrary-node:list", "system:node:n2", "GET", 403),
        ("impersonate:user-info users system:node:n1", "user-info:list", "system:node:n1", "GET", 403),
    ],
)
async def test_who_may_act_as_another_in_one_thing_alone(
    api: Api, identity: str, on: str, as_whom: str, verb: str, status: int
) -> None:
    right, resource, name = identity.split()
    rules = [
        {
            "apiGroups": ["authentication.k8s.io"],
            "resources": [resource],
            "verbs": [right],
            "resourceNames": [name],
        },
        {"apiGroups": [""], "resources": ["pods"], "verbs": [f"impersonate-on:{on}"]},
    ]
    await let_all(api, "ada", rules)
    await let_all(api, as_whom, [{"apiGroups": [""], "resources": ["pods"], "verbs": ["*"]}])
    ada = api.as_user("ada")
    assert (await ada.send(verb, PODS, headers={"impersonate-user": as_whom}))[0] == status
    await ada.close()


async def test_before_1_36_there_was_only_the_broad_right(clock: FixedClock) -> None:
    api = await new_api(clock, surface=Surface("1.35"))
    right = [
        {
            "apiGroups": ["*"],
            "resources": ["*"],
            "verbs": ["impersonate:user-info", "impersonate-on:user-info:list"],
        }
    ]
    await let_all(api, "ada", right)
    ada = api.as_user("ada")
    assert (await ada.send("GET", PODS, headers={"impersonate-user": "bob"}))[0] == 403
    await ada.close()
    await api.close()


async def test_nobody_in_particular_can_be_shut_out(clock: FixedClock) -> None:
    api = await new_api(clock, accepted=Accepted(anonymous=Anonymous(True, ("/livez",))))
    nobody = Api(api.server, "", ())
    assert (await nobody.get("/livez"))[0] == 200
    assert (await nobody.get("/healthz"))[0] == 401
    await nobody.close()
    await api.close()


async def test_can_i(api: Api) -> None:
    await let_read_pods(api, "ada")
    ada = api.as_user("ada")
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    for verb, allowed in (("list", True), ("delete", False)):
        spec = {"resourceAttributes": {"verb": verb, "resource": "pods", "namespace": "default"}}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec}
        assert (await ada.ok("POST", path, review))["status"]["allowed"] is allowed
    empty = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {}}
    assert (await ada.send("POST", path, empty))[0] == 422
    rules = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": "default"},
    }
    listed = await ada.ok("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", rules)
    assert any("pods" in rule["resources"] for rule in listed["status"]["resourceRules"])
    await ada.close()


async def test_a_new_cluster_has_what_every_cluster_has(api: Api) -> None:
    namespaces = (await api.get("/api/v1/namespaces"))[1]["items"]
    assert [one["metadata"]["name"] for one in namespaces] == [
        "default",
        "kube-node-lease",
        "kube-public",
        "kube-system",
    ]
    assert (await api.get(f"{RBAC}/clusterroles/cluster-admin"))[0] == 200
    assert (await api.get("/api/v1/namespaces/default/services/kubernetes"))[1]["spec"][
        "clusterIP"
    ] == "10.96.0.1"


async def test_a_second_start_changes_nothing(api: Api) -> None:
    await api.ok("POST", PODS, pod())
    revision = api.server.store.revision
    await api.server.start()
    assert api.server.store.revision == revision
