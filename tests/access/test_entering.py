"""Which pods are stronger than what somebody was given, a row for each."""

import re
from typing import Any

import msgspec
import pytest

from aliquot.access.core.entering import Binding, Pod, Rights, Role, ServiceAccount, entered, too_strong
from aliquot.access.core.rules import Rule

GIVEN = (Rule(("",), ("pods",), ("get",), ("web",)), Rule(("",), ("pods/exec",), ("create",), ("web",)))


def pod(**spec: Any) -> Pod:
    container = {"name": "main", "image": "web:1", "securityContext": spec.pop("security", {})}
    spec = {"serviceAccountName": "web", "containers": [container], **spec}
    return msgspec.convert({"metadata": {"name": "web", "namespace": "shop"}, "spec": spec}, Pod)


def account(**annotations: str) -> ServiceAccount:
    found = {"metadata": {"name": "web", "namespace": "shop", "annotations": annotations or None}}
    return msgspec.convert(found, ServiceAccount)


def role(name: str, *rules: dict[str, Any], namespace: str = "") -> Role:
    return msgspec.convert({"metadata": {"name": name, "namespace": namespace}, "rules": rules}, Role)


def binding(
    role: str, kind: str, name: str, *, subject_in: str = "", namespace: str = "shop", of: str = "ClusterRole"
) -> Binding:
    return msgspec.convert(
        {
            "metadata": {"name": "b", "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": of, "name": role},
            "subjects": [{"kind": kind, "name": name, **({"namespace": subject_in} if subject_in else {})}],
        },
        Binding,
    )


READS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"], "resourceNames": ["web"]}
LISTS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}
ROLES = (
    role("reads", READS),
    role("lists", LISTS),
    role("all", {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}),
    role("metrics", {"nonResourceURLs": ["/metrics"], "verbs": ["get"]}),
    role("nothing"),
    role("lists", READS, namespace="shop"),
)

MAY_DO = [
    ("nothing at all", (), ""),
    ("what was given", (binding("reads", "ServiceAccount", "web", subject_in="shop"),), ""),
    ("a role of the namespace, not the cluster's of that name", (binding("lists", "ServiceAccount", "web", subject_in="shop", of="Role"),), ""),
    ("more", (binding("lists", "ServiceAccount", "web", subject_in="shop"),), "may get pods in namespace shop"),
    ("all", (binding("all", "ServiceAccount", "web", subject_in="shop"),), r"may \* \*\.\* in namespace shop"),
    ("the same, of a subject without a namespace", (binding("lists", "ServiceAccount", "web"),), "may get pods"),
    ("the same, elsewhere", (binding("reads", "ServiceAccount", "web", subject_in="shop", namespace="other"),), "named web in namespace other"),
    ("the same, everywhere", (binding("reads", "ServiceAccount", "web", subject_in="shop", namespace=""),), "named web in the whole cluster"),
    ("as a user", (binding("lists", "User", "system:serviceaccount:shop:web"),), "may get pods"),
    ("as one of its namespace", (binding("lists", "Group", "system:serviceaccounts:shop"),), "may get pods"),
    ("what everybody may", (binding("lists", "Group", "system:authenticated", namespace=""), binding("lists", "Group", "system:serviceaccounts", namespace="")), ""),
    ("what another may", (binding("all", "ServiceAccount", "web", subject_in="other"), binding("all", "ServiceAccount", "db", subject_in="shop")), ""),
    ("what another group may", (binding("all", "Group", "system:serviceaccounts:other"),), ""),
    ("what is not there", (binding("gone", "ServiceAccount", "web", subject_in="shop"),), ""),
    ("what says nothing", (binding("nothing", "ServiceAccount", "web", subject_in="shop", namespace=""),), ""),
    ("URLs", (binding("metrics", "ServiceAccount", "web", subject_in="shop", namespace=""),), "may get /metrics in the whole cluster"),
]  # fmt: skip


@pytest.mark.parametrize(("bindings", "why"), [row[1:] for row in MAY_DO], ids=[row[0] for row in MAY_DO])
def test_a_service_account_may_do_no_more_than_was_given(bindings: tuple[Binding, ...], why: str) -> None:
    found = too_strong(pod(), account(), Rights(bindings, ROLES), GIVEN, "shop")
    assert bool(found) == bool(why)
    if why:
        assert re.match(f"pod web runs as ServiceAccount web, which .*{why}", found), found


PODS = [
    ("an ordinary one", {}, ""),
    ("with a capability that all may have", {"security": {"capabilities": {"add": ["CHOWN"], "drop": ["ALL"]}}}, ""),
    ("with a volume of its own", {"volumes": [{"name": "tmp", "emptyDir": {}}]}, ""),
    ("privileged", {"security": {"privileged": True}}, "container main is privileged"),
    ("with the node's files", {"volumes": [{"name": "dev", "hostPath": {"path": "/dev"}}]}, "volume dev is a path of it"),
    ("with the node's files, said of none", {"volumes": [{"name": "dev", "hostPath": {}}]}, "volume dev is a path of it"),
    ("among the node's processes", {"hostPID": True}, "hostPID"),
    ("in the node's network", {"hostNetwork": True}, "hostNetwork"),
    ("in the node's memory", {"hostIPC": True}, "hostIPC"),
    ("as an administrator", {"security": {"capabilities": {"add": ["SYS_ADMIN"]}}}, "container main has SYS_ADMIN"),
    ("with all capabilities", {"security": {"capabilities": {"add": ["ALL"]}}}, "container main has ALL"),
    ("that sees /proc", {"security": {"procMount": "Unmasked"}}, "container main sees all of /proc"),
    ("that was privileged at its start", {"initContainers": [{"name": "i", "securityContext": {"privileged": True}}]}, "container i is privileged"),
    ("that somebody debugs", {"ephemeralContainers": [{"name": "e", "securityContext": {"privileged": True}}]}, "container e is privileged"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "why"), [row[1:] for row in PODS], ids=[row[0] for row in PODS])
def test_no_pod_is_root_on_its_node(spec: dict[str, Any], why: str) -> None:
    found = too_strong(pod(**spec), account(), Rights((), ()), GIVEN, "shop")
    assert found == (f"pod web is as good as root on its node: {why}" if why else "")


@pytest.mark.parametrize(
    "key",
    ["eks.amazonaws.com/role-arn", "iam.gke.io/gcp-service-account", "azure.workload.identity/client-id"],
)
def test_rights_in_the_cloud_are_rights(key: str) -> None:
    found = too_strong(pod(), account(**{key: "x"}), Rights((), ()), GIVEN, "shop")
    assert found == f"pod web runs as ServiceAccount web, which has rights in the cloud: {key}"
    assert not too_strong(pod(), account(team="shop"), Rights((), ()), GIVEN, "shop")


def test_whoever_says_no_service_account_runs_as_the_default_one() -> None:
    assert pod(serviceAccountName="").account == "default"


def test_which_pods_are_entered() -> None:
    rules = (
        *GIVEN,
        Rule(("",), ("pods/attach", "pods/log"), ("create",), ("web", "db")),
        Rule(("",), ("pods/log",), ("get",), ("other",)),
        Rule(("",), ("pods/exec",), ("create",)),
    )
    assert entered(rules) == ("web", "db")
