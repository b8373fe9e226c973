"""What the agent, the sentinel and the credentials of grants may do in a cluster. No more than they use.

The agent may bind the ClusterRoles of templates, each by its name, and never `escalate`: a role of a grant's own it can make
only of rules that it holds itself. So it holds those of templates with parameters, and no others. RBAC has no words for "only
objects with this name" where they are created: `policies` says it, and the agent has no rights over those.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from aliquot.access.cluster.grants import policy_rules
from aliquot.access.cluster.naming import AGENT, HEARTBEAT, NAMESPACE, SENTINEL
from aliquot.access.core.rules import Rule
from aliquot.kube.resources import NAMESPACES, SERVICEACCOUNTS
from aliquot.kube.roles import NAMESPACE as INSTALLED_IN
from aliquot.kube.roles import NAMESPACE_OBJECT as INSTALLED_IN_OBJECT
from aliquot.kube.roles import binding, local_role, role, rule

_RBAC = "rbac.authorization.k8s.io"
HELD = f"{AGENT}-held"
"""The ClusterRole with what the agent holds for no other reason than that it may be given on."""


@dataclass(frozen=True, slots=True)
class TemplateRole:
    """A ClusterRole that is there before the first grant of its template."""

    name: str
    rules: tuple[Rule, ...]


def objects(
    template_roles: Sequence[TemplateRole] = (), held: Sequence[Rule] = (), *, token_reviews: bool = False
) -> tuple[dict[str, Any], ...]:
    """`held`: the rules of templates with parameters, without names: those are not known yet. `token_reviews`: whether the agent may
    ask whose a token is, for an installation whose people this cluster knows."""
    agent, at_home = _agent([one.name for one in template_roles])
    sentinel, sentinel_at_home = _sentinel()
    account = {"kind": "ServiceAccount", "name": AGENT, "namespace": INSTALLED_IN}
    return (
        INSTALLED_IN_OBJECT,
        {"apiVersion": "v1", "kind": NAMESPACES.kind, "metadata": {"name": NAMESPACE}},
        *(
            {
                "apiVersion": "v1",
                "kind": SERVICEACCOUNTS.kind,
                "metadata": {"name": name, "namespace": INSTALLED_IN},
            }
            for name in (AGENT, SENTINEL)
        ),
        *({**role(one.name), "rules": policy_rules(one.rules)} for one in template_roles),
        *_bound(AGENT, agent),
        *(_bound(AGENT, {**role(HELD), "rules": policy_rules(nameless(held))}) if held else ()),
        *_bound(AGENT, at_home),
        *((binding("system:auth-delegator", account, name=f"{AGENT}-reviews"),) if token_reviews else ()),
        *_bound(SENTINEL, sentinel),
        *_bound(SENTINEL, sentinel_at_home),
    )


def nameless(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """The same, whatever the name, each once."""
    return tuple(dict.fromkeys(Rule(one.api_groups, one.resources, one.verbs) for one in rules))


def _agent(template_roles: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    everywhere = [
        rule("get list create patch delete", _RBAC, "roles rolebindings clusterroles clusterrolebindings"),
        rule("get list create patch delete", "batch", "jobs"),
        # Whose account a pod has that somebody is to be let into.
        rule("get", "", "pods serviceaccounts"),
    ]
    if template_roles:
        # Without names it would be any role at all.
        everywhere.append(rule("bind", _RBAC, "clusterroles", names=" ".join(template_roles)))
    return role(AGENT, *everywhere), local_role(
        AGENT,
        rule("get list create patch delete", "", "serviceaccounts secrets"),
        rule("create", "", "serviceaccounts/token"),
        rule("create", "coordination.k8s.io", "leases"),
        rule("get patch", "coordination.k8s.io", "leases", names=HEARTBEAT),
        # What the sentinel tells.
        rule("create patch list", "", "events"),
        namespace=NAMESPACE,
    )


def _sentinel() -> tuple[dict[str, Any], dict[str, Any]]:
    return role(
        SENTINEL,
        rule("list delete", _RBAC, "roles rolebindings clusterroles clusterrolebindings"),
        rule("list delete", "batch", "jobs"),
    ), local_role(
        SENTINEL,
        rule("list delete", "", "serviceaccounts secrets"),
        rule("get", "coordination.k8s.io", "leases", names=HEARTBEAT),
        rule("create patch", "", "events"),
        namespace=NAMESPACE,
    )


def _bound(account: str, one: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    subject = {"kind": "ServiceAccount", "name": account, "namespace": INSTALLED_IN}
    metadata = one["metadata"]
    if one["kind"] == "ClusterRole":
        return one, binding(metadata["name"], subject)
    return one, {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": dict(metadata),
        "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": metadata["name"]},
        "subjects": [subject],
    }
