"""What agent, sentinel and grants can do, as `kubectl auth can-i` would hear it, and that the agent cannot make more than it holds."""

import copy
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from aliquot.access.cluster import grants
from aliquot.access.cluster import roles as ours
from aliquot.access.cluster.grants import Part
from aliquot.access.cluster.naming import AGENT, HEARTBEAT, NAMESPACE, SENTINEL, account_user
from aliquot.access.core.rules import Rule
from aliquot.kube import roles
from tests.access.cluster.world import HELD, NODES, POD_LOGS, RESTART, START_S, TEMPLATES, spec
from tests.emulator.api import Api, FixedClock, new_api

pytestmark = pytest.mark.asyncio(loop_scope="module")

RBAC = "rbac.authorization.k8s.io"
SYSTEM = roles.NAMESPACE
PLURALS = {
    "Namespace": "namespaces",
    "ServiceAccount": "serviceaccounts",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api() -> AsyncIterator[Api]:
    """The rights of an installation, and no policies: what is refused, RBAC refuses."""
    made = await new_api(FixedClock())
    await made.ok("POST", "/api/v1/namespaces", {"metadata": {"name": "shop"}})
    for one in ours.objects(TEMPLATES, HELD):
        place = one["metadata"].get("namespace")
        group = one["apiVersion"]
        root = f"/apis/{group}" if "/" in group else "/api/v1"
        where = (
            f"{root}/namespaces/{place}/{PLURALS[one['kind']]}" if place else f"{root}/{PLURALS[one['kind']]}"
        )
        await made.ok("POST", where, one)
    yield made
    await made.close()


def account(api: Api, name: str) -> Api:
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{SYSTEM}", "system:authenticated")
    return api.as_user(account_user(name, SYSTEM), *groups)


CAN: list[tuple[str, str, str, str, str, str, bool]] = [
    (AGENT, "create", RBAC, "rolebindings", "shop", "", True),
    (AGENT, "create", RBAC, "clusterrolebindings", "", "", True),
    (AGENT, "create", "batch", "jobs", "shop", "", True),
    (AGENT, "bind", RBAC, "clusterroles", "", POD_LOGS.name, True),
    (AGENT, "bind", RBAC, "clusterroles", "shop", NODES.name, True),
    (AGENT, "bind", RBAC, "clusterroles", "", "cluster-admin", False),
    (AGENT, "bind", RBAC, "clusterroles", "", "", False),
    (AGENT, "bind", RBAC, "roles", "shop", "any", False),
    (AGENT, "escalate", RBAC, "clusterroles", "", POD_LOGS.name, False),
    (AGENT, "escalate", RBAC, "roles", "shop", "any", False),
    (AGENT, "deletecollection", RBAC, "rolebindings", "shop", "", False),
    (AGENT, "update", RBAC, "rolebindings", "shop", "any", False),
    (AGENT, "impersonate", "", "users", "", "ada", False),
    (AGENT, "create", "", "serviceaccounts/token", NAMESPACE, "any", True),
    (AGENT, "create", "", "serviceaccounts/token", "kube-system", "any", False),
    (AGENT, "create", "", "serviceaccounts/token", SYSTEM, AGENT, False),
    (AGENT, "get", "", "secrets", NAMESPACE, "any", True),
    (AGENT, "get", "", "secrets", "shop", "any", False),
    (AGENT, "list", "", "secrets", "", "", False),
    (AGENT, "create", "", "pods", "shop", "", False),
    (AGENT, "patch", "apps", "deployments", "shop", "web", True),
    (AGENT, "patch", "apps", "statefulsets", "shop", "web", False),
    (AGENT, "patch", "coordination.k8s.io", "leases", NAMESPACE, HEARTBEAT, True),
    (AGENT, "patch", "coordination.k8s.io", "leases", "kube-system", "kube-scheduler", False),
    *(
        (who, verb, "admissionregistration.k8s.io", "validatingadmissionpolicies", "", "any", False)
        for who in (AGENT, SENTINEL)
        for verb in ("get", "create", "patch", "update", "delete")
    ),
    *((SENTINEL, verb, RBAC, "rolebindings", "shop", "any", verb in ("list", "delete"))
      for verb in ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")),
    *((SENTINEL, verb, "", "secrets", NAMESPACE, "any", verb in ("list", "delete"))
      for verb in ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")),
    (SENTINEL, "delete", "", "secrets", "shop", "any", False),
    (SENTINEL, "delete", "", "pods", "shop", "any", False),
    (SENTINEL, "delete", "batch", "jobs", "shop", "any", True),
    (SENTINEL, "create", "", "serviceaccounts/token", NAMESPACE, "any", False),
    (SENTINEL, "get", "coordination.k8s.io", "leases", NAMESPACE, HEARTBEAT, True),
    (SENTINEL, "patch", "coordination.k8s.io", "leases", NAMESPACE, HEARTBEAT, False),
]  # fmt: skip


@pytest.mark.parametrize("row", CAN, ids=lambda row: " ".join(str(one) for one in row))
async def test_can(api: Api, row: tuple[str, str, str, str, str, str, bool]) -> None:
    who, verb, group, resource, namespace, name, allowed = row
    plural, _, sub = resource.partition("/")
    asked = {
        "verb": verb,
        "group": group,
        "resource": plural,
        "subresource": sub,
        "namespace": namespace,
        "name": name,
    }
    review = {"spec": {"resourceAttributes": asked}}
    answer = await account(api, who).ok(
        "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review
    )
    assert answer["status"]["allowed"] is allowed


SECRETS = Rule(("",), ("secrets",), ("get",), ("db",))


@pytest.mark.parametrize(
    ("rules", "made"),
    [
        ((RESTART,), True),
        ((SECRETS,), False),
        ((RESTART, SECRETS), False),
        ((Rule(("apps",), ("deployments",), ("delete",), ("web",)),), False),
    ],
)
async def test_the_agent_makes_roles_of_what_it_holds_and_of_nothing_else(
    api: Api, rules: tuple[Rule, ...], made: bool
) -> None:
    of = spec(role="", rules=rules)
    found = next(one for one in grants.pieces(of) if one.part is Part.ROLE)
    body = copy.deepcopy(grants.to_create(found, of, "u", START_S))
    path = f"/apis/{RBAC}/v1/namespaces/shop/roles"
    status, answer = await account(api, AGENT).send("POST", path, body, dryRun="All")
    assert (status == 201) is made
    assert made or "attempting to grant RBAC permissions not currently held" in answer["message"]


@pytest.mark.parametrize(("role", "made"), [(POD_LOGS.name, True), ("view", False), ("cluster-admin", False)])
async def test_the_agent_binds_the_roles_of_templates_and_no_others(api: Api, role: str, made: bool) -> None:
    of = spec(role=role)
    found = next(one for one in grants.pieces(of) if one.part is Part.BINDING)
    body = grants.to_create(found, of, "u", START_S)
    path = f"/apis/{RBAC}/v1/namespaces/shop/rolebindings"
    status, _ = await account(api, AGENT).send("POST", path, body, dryRun="All")
    assert (status == 201) is made


async def test_without_templates_the_agent_may_bind_nothing() -> None:
    agent = next(
        one for one in ours.objects() if one["kind"] == "ClusterRole" and one["metadata"]["name"] == AGENT
    )
    assert all("bind" not in rule["verbs"] for rule in agent["rules"])
    assert all(set(rule["verbs"]).isdisjoint({"escalate", "*"}) for rule in agent["rules"])
