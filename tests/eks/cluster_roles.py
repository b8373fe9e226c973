"""The ClusterRoles that users are shown, and whether they allow something: asked of the emulator's own rules."""

from pathlib import Path
from typing import Any

import yaml

from aliquot.emulator.rbac.rules import Attributes, Rule
from aliquot.kube.client import Client
from aliquot.kube.resources import Resource

_EXAMPLES = Path(__file__).parents[2] / "examples" / "eks"
_GROUP = "rbac.authorization.k8s.io"
_KINDS = {
    "ClusterRole": Resource(_GROUP, "v1", "clusterroles", "ClusterRole", namespaced=False),
    "ClusterRoleBinding": Resource(
        _GROUP, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False
    ),
    "Role": Resource(_GROUP, "v1", "roles", "Role"),
    "RoleBinding": Resource(_GROUP, "v1", "rolebindings", "RoleBinding"),
}
PLANNER, UPGRADER = "planner", "upgrader"
PLANNERS, UPGRADERS = "aliquot-planners", "aliquot-upgraders"


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((_EXAMPLES / f"{name}-clusterrole.yaml").read_text()))


def rules(*names: str) -> list[tuple[str, Rule]]:
    """With the namespace in which each is good; empty: in all."""
    return [
        (one["metadata"].get("namespace", ""), Rule.of(rule))
        for name in names
        for one in documents(name)
        for rule in one.get("rules", ())
    ]


def allows(held: list[tuple[str, Rule]], verb: str, group: str, resource: str, namespace: str = "") -> bool:
    plural, _, sub = resource.partition("/")
    asked = Attributes(verb=verb, group=group, resource=plural, subresource=sub, namespace=namespace)
    return any(rule.allows(asked) for where, rule in held if where in ("", namespace))


async def apply(admin: Client, *names: str) -> None:
    for name in names:
        for one in documents(name):
            await admin.create(_KINDS[one["kind"]], one)
