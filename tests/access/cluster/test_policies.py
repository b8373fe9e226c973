"""Who is refused what, by the emulator's admission: each policy compiles there, and each row is one request."""

import copy
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from aliquot.access.cluster import grants, policies
from aliquot.access.cluster.grants import Part
from aliquot.access.cluster.naming import AGENT, ENDS_AT, ENDS_BY, LABEL, NAMESPACE, SENTINEL, account_user
from aliquot.clock import rfc3339_milli
from aliquot.kube import roles
from aliquot.kube.resources import JOBS, SECRETS, SERVICEACCOUNTS, Resource
from tests.access.cluster.world import DRAIN, NODES, POD_LOGS, RESTART, START_S, grant_id, spec
from tests.emulator.api import MERGE, Api, FixedClock, new_api

Json = dict[str, Any]
Change = Callable[[Json], None]

AGENT_USER = account_user(AGENT, roles.NAMESPACE)
SENTINEL_USER = account_user(SENTINEL, roles.NAMESPACE)
GRANT_USER = account_user(f"aliquot-bg-{grant_id(9)}")
ADMIN = "ada"
NAME = f"aliquot-bg-{grant_id(1)}"
OWN_ROLE = spec(role="", rules=(RESTART,))
WIDE = spec(namespace="", role=NODES.name, rules=NODES.rules)
WIDE_OWN = spec(namespace="", role="", rules=(DRAIN,))
RBAC = "/apis/rbac.authorization.k8s.io/v1"


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api() -> AsyncIterator[Api]:
    """With all rights for everybody: what is refused, policies refuse."""
    made = await new_api(FixedClock())
    for namespace in (NAMESPACE, roles.NAMESPACE, "shop"):
        await made.ok("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    for one in policies.objects([POD_LOGS.name, NODES.name]):
        plural = "validatingadmissionpolicies"
        if one["kind"].endswith("Binding"):
            plural = "validatingadmissionpolicybindings"
        await made.ok("POST", f"/apis/{one['apiVersion']}/{plural}", one)
    yield made
    await made.close()


def as_user(api: Api, user: str) -> Api:
    return api.as_user(user, "system:masters", "system:authenticated")


def path(resource: Resource, namespace: str | None, name: str = "") -> str:
    return resource.path(namespace) + (f"/{name}" if name else "")


def piece(part: Part, of: Any = None) -> tuple[Resource, str | None, Json]:
    """What the agent would create."""
    of = of or spec()
    found = next(one for one in grants.pieces(of) if one.part is part)
    body = copy.deepcopy(grants.to_create(found, of, "00000000-0000-4000-8000-000000000000", START_S))
    return found.resource, found.namespace, body


async def created(api: Api, user: str, part: Part, of: Any = None, change: Change | None = None) -> str:
    """Empty: it would be. Else why not."""
    resource, namespace, body = piece(part, of)
    if change is not None:
        change(body)
    status, answer = await as_user(api, user).send("POST", path(resource, namespace), body, dryRun="All")
    return "" if status == 201 else str(answer["message"])


GOOD = [
    *((part, spec()) for part in Part if part is not Part.ROLE),
    *((part, OWN_ROLE) for part in Part),
    *((part, WIDE) for part in Part if part not in (Part.ROLE, Part.ACCESS_TIMER)),
    *((part, WIDE_OWN) for part in Part if part is not Part.ACCESS_TIMER),
]


@pytest.mark.parametrize(("part", "of"), GOOD)
async def test_what_the_agent_makes_is_let_in_from_the_agent_alone(api: Api, part: Part, of: Any) -> None:
    assert await created(api, AGENT_USER, part, of) == ""
    for other in (ADMIN, SENTINEL_USER, GRANT_USER, "system:kube-controller-manager"):
        assert "break-glass" in await created(api, other, part, of)


def meta(key: str, value: Any) -> Change:
    def change(body: Json) -> None:
        body["metadata"][key] = value

    return change


def annotate(key: str, value: str | None) -> Change:
    def change(body: Json) -> None:
        if value is None:
            del body["metadata"]["annotations"][key]
        else:
            body["metadata"]["annotations"][key] = value

    return change


def put(where: str, value: Any) -> Change:
    def change(body: Json) -> None:
        *parents, last = where.split(".")
        at: Any = body
        for key in parents:
            at = at[int(key) if key.isdigit() else key]
        if value is None:
            del at[last]
        else:
            at[last] = value

    return change


OTHER = {"kind": "ServiceAccount", "name": "default", "namespace": NAMESPACE}
OURS = {"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}
CLUSTER_ADMIN = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
JOB_OWNER = {"apiVersion": "batch/v1", "kind": "Job", "name": NAME, "uid": "u"}
FAR = rfc3339_milli(START_S + policies.LONGEST_S + 3600)
BAD: list[tuple[str, Part, Any, Change, str]] = [
    ("another name", Part.IDENTITY_TIMER, None, meta("name", "aliquot-bg-other"), "same grant"),
    ("no label", Part.BINDING, None, meta("labels", {}), "same grant"),
    ("a label that is no id", Part.SECRET, None, meta("labels", {LABEL: "x"}), "same grant"),
    ("no end", Part.BINDING, None, annotate(ENDS_AT, None), "within its cap"),
    ("no cap", Part.BINDING, None, annotate(ENDS_BY, None), "within its cap"),
    ("an end that is no time", Part.BINDING, None, annotate(ENDS_AT, "soon"), "within its cap"),
    ("an end in local time", Part.BINDING, None, annotate(ENDS_AT, "2026-01-01T01:00:00+00:00"), "within its cap"),
    ("a month 13", Part.BINDING, None, annotate(ENDS_AT, "2026-13-01T01:00:00Z"), "denied request"),
    ("an end that has passed", Part.BINDING, None, annotate(ENDS_AT, "2025-12-31T23:00:00Z"), "within its cap"),
    ("an end after its cap", Part.BINDING, None, annotate(ENDS_AT, rfc3339_milli(START_S + 7300)), "within its cap"),
    ("a cap too far", Part.BINDING, None, annotate(ENDS_BY, FAR), "within its cap"),
    ("a finalizer", Part.SECRET, None, meta("finalizers", ["example.com/stay"]), "no finalizer"),
    ("two subjects", Part.BINDING, None, put("subjects", [OURS, OTHER]), "and to nothing else"),
    ("another subject", Part.BINDING, None, put("subjects", [OTHER]), "and to nothing else"),
    ("no subject", Part.BINDING, None, put("subjects", None), "and to nothing else"),
    ("a user", Part.BINDING, None, put("subjects", [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": NAME}]), "and to nothing else"),
    ("another role", Part.BINDING, None, put("roleRef", CLUSTER_ADMIN), "template's ClusterRole"),
    ("another role, cluster-wide", Part.BINDING, WIDE, put("roleRef", CLUSTER_ADMIN), "template's ClusterRole"),
    ("another's role", Part.BINDING, OWN_ROLE, put("roleRef.name", "admin"), "template's ClusterRole"),
    ("no owner", Part.BINDING, None, meta("ownerReferences", []), "owned by its timer"),
    ("another owner", Part.BINDING, None, put("metadata.ownerReferences.0.name", "other"), "owned by its timer"),
    ("an owner that stays", Part.BINDING, None, put("metadata.ownerReferences.0.kind", "ConfigMap"), "owned by its timer"),
    ("two owners", Part.BINDING, None, meta("ownerReferences", [JOB_OWNER, {**JOB_OWNER, "kind": "CronJob", "uid": "v"}]), "owned by its timer"),
    ("a Role without owner", Part.ROLE, OWN_ROLE, meta("ownerReferences", []), "owned by its timer"),
    ("everything", Part.ROLE, OWN_ROLE, put("rules.0.verbs", ["*"]), "lists what it allows"),
    ("all resources", Part.ROLE, OWN_ROLE, put("rules.0.resources", ["*"]), "lists what it allows"),
    ("all groups", Part.ROLE, WIDE_OWN, put("rules.0.apiGroups", ["*"]), "lists what it allows"),
    ("the right to impersonate", Part.ROLE, WIDE_OWN, put("rules.0.verbs", ["impersonate"]), "lists what it allows"),
    ("no rules", Part.ROLE, OWN_ROLE, put("rules", []), "lists what it allows"),
    ("URLs", Part.ROLE, WIDE_OWN, put("rules", [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]), "lists what it allows"),
    ("made of others", Part.ROLE, WIDE_OWN, put("aggregationRule", {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}), "not made of others"),
    ("a pod", Part.ACCESS_TIMER, None, put("spec.parallelism", 1), "no pods"),
    ("pods by default", Part.ACCESS_TIMER, None, put("spec.parallelism", None), "no pods"),
    ("two completions", Part.ACCESS_TIMER, None, put("spec.completions", 2), "no pods"),
    ("stays when it has run out", Part.ACCESS_TIMER, None, put("spec.ttlSecondsAfterFinished", 60), "no pods"),
    ("stays for ever", Part.ACCESS_TIMER, None, put("spec.ttlSecondsAfterFinished", None), "no pods"),
    ("suspended", Part.IDENTITY_TIMER, None, put("spec.suspend", True), "no pods"),
    ("another's controller", Part.IDENTITY_TIMER, None, put("spec.managedBy", "example.com/never"), "no pods"),
    ("no deadline", Part.ACCESS_TIMER, None, put("spec.activeDeadlineSeconds", None), "run out by"),
    ("a late deadline", Part.ACCESS_TIMER, None, put("spec.activeDeadlineSeconds", 3700), "run out by"),
    ("an owned timer", Part.ACCESS_TIMER, None, meta("ownerReferences", [JOB_OWNER]), "owned by nobody"),
    ("an account without owner", Part.ACCOUNT, None, meta("ownerReferences", []), "owned by its timer"),
    ("a Secret without owner", Part.SECRET, None, meta("ownerReferences", []), "owned by its timer"),
    ("a Secret with data", Part.SECRET, None, put("data", {"a": "YQ=="}), "empty"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("part", "of", "change", "told"), [row[1:] for row in BAD], ids=[row[0] for row in BAD]
)
async def test_nor_does_the_agent_make_anything_else(
    api: Api, part: Part, of: Any, change: Change, told: str
) -> None:
    assert told in await created(api, AGENT_USER, part, of, change)


async def test_a_token_secret_is_refused_in_our_namespace(api: Api) -> None:
    resource, namespace, body = piece(Part.SECRET)
    body["type"] = "kubernetes.io/service-account-token"
    body["metadata"]["annotations"]["kubernetes.io/service-account.name"] = NAME
    status, answer = await as_user(api, AGENT_USER).send(
        "POST", path(resource, namespace), body, dryRun="All"
    )
    assert (status, "empty" in answer["message"]) == (403, True)


def bound(name: str, kind: str, subject: Json, role: str = "view") -> Json:
    return {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [subject],
    }


GROUP = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group"}
USER = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User"}
REQUESTS: list[tuple[str, str, str, str, Any, bool]] = [
    ("binds a grant's account", ADMIN, "POST", f"{RBAC}/namespaces/shop/rolebindings", bound("mine", "RoleBinding", OURS), False),
    ("binds it cluster-wide", ADMIN, "POST", f"{RBAC}/clusterrolebindings", bound("mine", "ClusterRoleBinding", OURS), False),
    ("binds it as a user", ADMIN, "POST", f"{RBAC}/clusterrolebindings", bound("mine", "", {**USER, "name": account_user(NAME)}), False),
    ("binds all of them", ADMIN, "POST", f"{RBAC}/clusterrolebindings", bound("mine", "", {**GROUP, "name": f"system:serviceaccounts:{NAMESPACE}"}), False),
    ("binds others", ADMIN, "POST", f"{RBAC}/clusterrolebindings", bound("mine", "", {**GROUP, "name": "dev"}), True),
    ("takes our prefix", ADMIN, "POST", f"{RBAC}/clusterrolebindings", bound("aliquot-bg-x", "", {**GROUP, "name": "dev"}), False),
    ("a pod at home", ADMIN, "POST", f"/api/v1/namespaces/{NAMESPACE}/pods", {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "b"}]}}, False),
    ("a pod elsewhere", ADMIN, "POST", "/api/v1/namespaces/shop/pods", {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "b"}]}}, True),
    ("an account at home", ADMIN, "POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", {"metadata": {"name": "mine"}}, False),
    ("the default account at home", ADMIN, "POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", {"metadata": {"name": "default"}}, True),
    ("a Secret at home", ADMIN, "POST", f"/api/v1/namespaces/{NAMESPACE}/secrets", {"metadata": {"name": "mine"}}, False),
    ("a Secret elsewhere", ADMIN, "POST", "/api/v1/namespaces/shop/secrets", {"metadata": {"name": "mine"}}, True),
    ("the agent: a Job", AGENT_USER, "POST", "/apis/batch/v1/namespaces/shop/jobs", {"metadata": {"name": "mine"}, "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "b"}]}}}}, False),
    ("the agent: a binding", AGENT_USER, "POST", f"{RBAC}/clusterrolebindings", bound("mine", "", {**GROUP, "name": "dev"}), False),
    ("the agent: its heartbeat", AGENT_USER, "POST", f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases", {"metadata": {"name": "aliquot-access-broker"}, "spec": {}}, True),
    ("the agent: an event", AGENT_USER, "POST", f"/api/v1/namespaces/{NAMESPACE}/events", {"metadata": {"name": "e", "namespace": NAMESPACE}, "involvedObject": {"namespace": NAMESPACE}}, True),
    ("the agent: another lease", AGENT_USER, "POST", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases", {"metadata": {"name": "mine"}, "spec": {}}, False),
    ("the sentinel: a ConfigMap", SENTINEL_USER, "POST", "/api/v1/namespaces/shop/configmaps", {"metadata": {"name": "mine"}}, False),
    ("the sentinel: an event", SENTINEL_USER, "POST", f"/api/v1/namespaces/{NAMESPACE}/events", {"metadata": {"name": "e", "namespace": NAMESPACE}, "involvedObject": {"namespace": NAMESPACE}}, True),
    ("a grant: a role", GRANT_USER, "POST", f"{RBAC}/namespaces/shop/roles", {"metadata": {"name": "mine"}, "rules": []}, False),
    ("a grant: a webhook", GRANT_USER, "POST", "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", {"metadata": {"name": "mine"}}, False),
    ("a grant: an API of its own", GRANT_USER, "POST", "/apis/apiregistration.k8s.io/v1/apiservices", {"metadata": {"name": "v1.example.com"}, "spec": {"group": "example.com", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1, "service": {"name": "s", "namespace": "shop"}}}, False),
    ("a grant: an account", GRANT_USER, "POST", "/api/v1/namespaces/shop/serviceaccounts", {"metadata": {"name": "mine"}}, False),
    ("a grant: a token", GRANT_USER, "POST", "/api/v1/namespaces/shop/serviceaccounts/default/token", {"spec": {}}, False),
    ("a grant: a namespace's labels", GRANT_USER, "PATCH", "/api/v1/namespaces/shop", {"metadata": {"labels": {"a": "b"}}}, True),
    ("a grant: our namespace's labels", GRANT_USER, "PATCH", f"/api/v1/namespaces/{NAMESPACE}", {"metadata": {"labels": {"a": "b"}}}, False),
    ("a grant: the end of our namespace", GRANT_USER, "DELETE", f"/api/v1/namespaces/{NAMESPACE}", {}, False),
    ("a grant: the end of a broken API", GRANT_USER, "DELETE", "/apis/apiregistration.k8s.io/v1/apiservices/v1.example.org", {}, True),
    ("a grant: in our namespace", GRANT_USER, "POST", f"/api/v1/namespaces/{roles.NAMESPACE}/configmaps", {"metadata": {"name": "mine"}}, False),
    ("a grant: at home", GRANT_USER, "POST", f"/api/v1/namespaces/{NAMESPACE}/configmaps", {"metadata": {"name": "mine"}}, False),
    ("a grant: what it is for", GRANT_USER, "POST", "/api/v1/namespaces/shop/configmaps", {"metadata": {"name": "mine"}}, True),
]  # fmt: skip


@pytest.mark.parametrize(
    ("user", "method", "where", "body", "allowed"),
    [row[1:] for row in REQUESTS],
    ids=[row[0] for row in REQUESTS],
)
async def test_requests_of_others(
    api: Api, user: str, method: str, where: str, body: Json, allowed: bool
) -> None:
    kind = MERGE if method == "PATCH" else "application/json"
    if method == "DELETE":
        body = {**body, "dryRun": ["All"]}
        service = {"group": "example.org", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1}
        broken = {"metadata": {"name": "v1.example.org"}, "spec": service}
        await api.send("POST", "/apis/apiregistration.k8s.io/v1/apiservices", broken)
    status, answer = await as_user(api, user).send(method, where, body, type=kind, dryRun="All")
    assert (status in (200, 201)) is allowed, answer
    assert allowed or "aliquot-break-glass" in answer["message"]


@pytest_asyncio.fixture(loop_scope="module")
async def grant(api: Api) -> AsyncIterator[Api]:
    """All objects of one grant are there, as the agent made them; what is done to them is undone."""
    agent = as_user(api, AGENT_USER)
    uids: dict[Part | None, str] = {None: ""}
    for found in grants.pieces(OWN_ROLE):
        body = grants.to_create(found, OWN_ROLE, uids[found.owner], START_S)
        made = await agent.ok("POST", path(found.resource, found.namespace), body)
        uids[found.part] = made["metadata"]["uid"]
    yield api
    for found in grants.pieces(OWN_ROLE):
        where = path(found.resource, found.namespace, found.name)
        await agent.send("DELETE", where, {"propagationPolicy": "Background"})


CHANGES: list[tuple[str, Part, Json, bool]] = [
    ("its end", Part.BINDING, {"metadata": {"annotations": {ENDS_AT: rfc3339_milli(START_S + 7200)}}}, True),
    ("its end, past its cap", Part.BINDING, {"metadata": {"annotations": {ENDS_AT: rfc3339_milli(START_S + 7201)}}}, False),
    ("its cap", Part.BINDING, {"metadata": {"annotations": {ENDS_BY: rfc3339_milli(START_S + 7201)}}}, False),
    ("its label", Part.BINDING, {"metadata": {"labels": {LABEL: grant_id(2)}}}, False),
    ("another label", Part.BINDING, {"metadata": {"labels": {"a": "b"}}}, False),
    ("its subjects", Part.BINDING, {"subjects": [OTHER]}, False),
    ("its owner", Part.BINDING, {"metadata": {"ownerReferences": None}}, False),
    ("a finalizer", Part.SECRET, {"metadata": {"finalizers": ["example.com/stay"]}}, False),
    ("its rules", Part.ROLE, {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}, False),
    ("its deadline, with its end", Part.ACCESS_TIMER, {"metadata": {"annotations": {ENDS_AT: rfc3339_milli(START_S + 7200)}}, "spec": {"activeDeadlineSeconds": 7200}}, True),
    ("its deadline alone", Part.ACCESS_TIMER, {"spec": {"activeDeadlineSeconds": 7200}}, False),
    ("suspended", Part.ACCESS_TIMER, {"spec": {"suspend": True}}, False),
    ("with pods", Part.ACCESS_TIMER, {"spec": {"parallelism": 1}}, False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("part", "patch", "allowed"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES]
)
async def test_nothing_but_its_end_changes_and_by_the_agent_alone(
    grant: Api, part: Part, patch: Json, allowed: bool
) -> None:
    resource, namespace, _ = piece(part, OWN_ROLE)
    where = path(resource, namespace, NAME)
    for user, lets in ((ADMIN, False), (AGENT_USER, allowed)):
        status, answer = await as_user(grant, user).send("PATCH", where, patch, type=MERGE, dryRun="All")
        assert (status == 200) is lets, answer


async def test_only_its_controller_says_how_a_timer_is(grant: Api) -> None:
    where = path(JOBS, "shop", NAME) + "/status"
    patch = {"status": {"terminating": 0}}
    for user, status in ((ADMIN, 403), (AGENT_USER, 403), *((one, 200) for one in policies.CONTROLLERS)):
        assert (await as_user(grant, user).send("PATCH", where, patch, type=MERGE, dryRun="All"))[0] == status


@pytest.mark.parametrize(
    ("options", "allowed"),
    [
        ({}, False),
        ({"propagationPolicy": "Orphan"}, False),
        ({"orphanDependents": True}, False),
        ({"propagationPolicy": "Background"}, True),
        ({"propagationPolicy": "Foreground"}, True),
    ],
)
async def test_a_timer_never_goes_alone(grant: Api, options: Json, allowed: bool) -> None:
    for user in (ADMIN, AGENT_USER, SENTINEL_USER):
        where = path(JOBS, "shop", NAME)
        body = {**options, "dryRun": ["All"]}
        assert ((await as_user(grant, user).send("DELETE", where, body))[0] == 200) is allowed
        if "propagationPolicy" in options:
            asked = await as_user(grant, user).send("DELETE", where, dryRun="All", **options)
            assert (asked[0] == 200) is allowed


async def test_anybody_with_the_right_ends_a_grant_and_the_sentinel_nothing_else(grant: Api) -> None:
    for resource, namespace in (
        (SECRETS, NAMESPACE),
        (SERVICEACCOUNTS, NAMESPACE),
        (roles.ROLE_BINDINGS, "shop"),
    ):
        for user in (ADMIN, AGENT_USER, SENTINEL_USER):
            asked = await as_user(grant, user).send("DELETE", path(resource, namespace, NAME), dryRun="All")
            assert asked[0] == 200
    await grant.send("POST", f"{RBAC}/clusterrolebindings", bound("theirs", "", {**GROUP, "name": "dev"}))
    for user, status in ((ADMIN, 200), (AGENT_USER, 403), (SENTINEL_USER, 403)):
        where = f"{RBAC}/clusterrolebindings/theirs"
        assert (await as_user(grant, user).send("DELETE", where, dryRun="All"))[0] == status


TOKENS: list[tuple[str, str, Json, bool]] = [
    ("short and bound", AGENT_USER, {"expirationSeconds": 600}, True),
    ("by another", ADMIN, {"expirationSeconds": 600}, False),
    ("long", AGENT_USER, {"expirationSeconds": 3601}, False),
    ("that becomes a year", AGENT_USER, {"expirationSeconds": 3607}, False),
    ("bound to nothing", AGENT_USER, {"expirationSeconds": 600, "boundObjectRef": None}, False),
    ("bound to another", AGENT_USER, {"boundObjectRef": {"kind": "Secret", "apiVersion": "v1", "name": "x"}}, False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("user", "given", "allowed"), [row[1:] for row in TOKENS], ids=[row[0] for row in TOKENS]
)
async def test_tokens(grant: Api, user: str, given: Json, allowed: bool) -> None:
    where = path(SERVICEACCOUNTS, NAMESPACE, NAME) + "/token"
    bound_to = {"kind": "Secret", "apiVersion": "v1", "name": NAME}
    status, answer = await as_user(grant, user).send(
        "POST", where, {"spec": {"boundObjectRef": bound_to, **given}}
    )
    # Without a key for tokens the server can give none; what is let in comes that far.
    assert ("no key for tokens" in answer["message"]) is allowed, answer
    assert status == 500 if allowed else "aliquot-break-glass-tokens" in answer["message"]
