"""kubectl auth, and being somebody else."""

import json

import pytest

from tests.e2e.commands import Kubectl

pytestmark = pytest.mark.e2e


@pytest.fixture
def ann(kubectl: Kubectl) -> tuple[str, ...]:
    """The flags of one who may look at pods and their logs, as one of a group."""
    kubectl("create", "role", "looks", "--verb=get,list", "--resource=pods,pods/log")
    kubectl("create", "rolebinding", "looks", "--role=looks", "--group=lookers")
    return ("--as=ann", "--as-group=lookers", "--as-group=system:authenticated")


def test_can_i(kubectl: Kubectl, ann: tuple[str, ...]) -> None:
    def can(*asked: str) -> tuple[int, str]:
        result = kubectl.run("auth", "can-i", *asked, *ann)
        return result.code, result.out.strip().split(" ")[0]

    assert can("list", "pods") == (0, "yes")
    assert can("get", "pods", "--subresource=log") == (0, "yes")
    assert can("get", "pods/x") == (0, "yes")
    assert can("delete", "pods") == (1, "no")
    assert can("list", "pods", "-n", "kube-system") == (1, "no")
    assert can("get", "/version") == (0, "yes")
    assert can("get", "/logs") == (1, "no")
    assert kubectl.run("auth", "can-i", "delete", "pods", "--quiet", *ann).out == ""
    rules = kubectl("auth", "can-i", "--list", *ann)
    assert [row.split() for row in rules.splitlines() if row.startswith("pods/log")] == [
        ["pods/log", "[]", "[]", "[get", "list]"]
    ]
    assert kubectl("auth", "can-i", "*", "*").strip() == "yes"


def test_who_i_am(kubectl: Kubectl, ann: tuple[str, ...]) -> None:
    table = kubectl("auth", "whoami", *ann)
    assert "Username    ann\n" in table
    assert "[lookers system:authenticated]" in table
    assert json.loads(kubectl("auth", "whoami", "-o", "json"))["kind"] == "SelfSubjectReview"


def test_what_may_not_be_done_is_refused_by_name(kubectl: Kubectl, ann: tuple[str, ...]) -> None:
    kubectl("get", "pods", *ann)
    refused = kubectl.refused("get", "secrets", *ann)
    assert refused == (
        'Error from server (Forbidden): secrets is forbidden: User "ann" cannot list resource "secrets" in API group "" '
        f'in the namespace "{kubectl.namespace}"\n'
    )
    more = kubectl.refused("create", "role", "more", "--verb=delete", "--resource=pods", *ann)
    assert 'User "ann" cannot create resource "roles"' in more


def test_reconcile(kubectl: Kubectl) -> None:
    def role(*verbs: str) -> str:
        rule = {"apiGroups": [""], "resources": ["pods"], "verbs": list(verbs)}
        metadata = {"name": "r", "namespace": kubectl.namespace}
        api = "rbac.authorization.k8s.io/v1"
        return json.dumps({"apiVersion": api, "kind": "Role", "metadata": metadata, "rules": [rule]})

    reconcile = ("auth", "reconcile", "-f", "-")
    assert "r reconciled (dry run)" in kubectl(*reconcile, "--dry-run=client", stdin=role("get"))
    assert kubectl.run("get", "role", "r").code == 1
    kubectl(*reconcile, stdin=role("get", "list"))
    kubectl(*reconcile, stdin=role("get"))
    assert len(kubectl.json("get", "role", "r")["rules"]) == 1
    kubectl(*reconcile, "--remove-extra-permissions", stdin=role("get"))
    assert kubectl.json("get", "role", "r")["rules"][0]["verbs"] == ["get"]
