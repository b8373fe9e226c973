"""The ClusterRoles and ClusterRoleBindings that every new cluster has (data: `data/rbac.json`)."""

import json
from functools import cache
from importlib import resources
from typing import Any

from aliquot.emulator.rbac.authorizer import aggregate
from aliquot.emulator.rbac.rules import Rule

_API_VERSION = "rbac.authorization.k8s.io/v1"
_GROUP = "rbac.authorization.k8s.io"


@cache
def bootstrap_rules(role: str) -> tuple[Rule, ...]:
    """Of a ClusterRole as every new cluster has it."""
    row = next(row for row in _data()["clusterRoles"] if row["name"] == role)
    return tuple(Rule.of(rule) for rule in row["rules"])


def bootstrap_objects() -> list[dict[str, Any]]:
    """Complete objects to create, without server-set metadata; aggregated roles come with their rules filled in."""
    data = _data()
    roles = [_role(row) for row in data["clusterRoles"]]
    for role in roles:
        if "aggregationRule" in role:
            role["rules"] = aggregate(role, roles)
    return [*roles, *(_binding(row) for row in data["clusterRoleBindings"])]


def _data() -> dict[str, Any]:
    file = resources.files("aliquot.emulator") / "data" / "rbac.json"
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def _metadata(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": row["name"],
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults", **row.get("labels", {})},
        "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
    }


def _role(row: dict[str, Any]) -> dict[str, Any]:
    role: dict[str, Any] = {"apiVersion": _API_VERSION, "kind": "ClusterRole", "metadata": _metadata(row)}
    if "aggregate" in row:
        chosen = [{"matchLabels": labels} for labels in row["aggregate"]]
        role["aggregationRule"] = {"clusterRoleSelectors": chosen}
    role["rules"] = row.get("rules", [])
    return role


def _binding(row: dict[str, Any]) -> dict[str, Any]:
    subjects = [
        subject if subject["kind"] == "ServiceAccount" else {"apiGroup": _GROUP, **subject}
        for subject in row["subjects"]
    ]
    binding = {
        "apiVersion": _API_VERSION,
        "kind": "ClusterRoleBinding",
        "metadata": _metadata(row),
        "roleRef": {"apiGroup": _GROUP, "kind": "ClusterRole", "name": row.get("role", row["name"])},
    }
    return {**binding, "subjects": subjects} if subjects else binding
