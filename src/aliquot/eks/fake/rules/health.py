"""What a cluster or a part of it says is wrong with it."""

from collections.abc import Mapping
from typing import Any

from aliquot.eks.fake.faults import Illness
from aliquot.eks.fake.world import Addon, Cluster, Nodegroup, Profile, World


def set_issue(told: dict[str, Any], code: str, message: str, resources: list[str]) -> None:
    """In place of what it said by that code before."""
    clear_issue(told, code)
    told["health"]["issues"].append({"code": code, "message": message, "resourceIds": resources})


def clear_issue(told: dict[str, Any], code: str) -> None:
    told["health"] = {"issues": [one for one in told["health"]["issues"] if one["code"] != code]}


def advance(world: World, cluster: Cluster, now_s: float) -> None:
    """What was asked to be ill is so while it lasts. Of a node group, its own rule says that it is degraded."""
    for one in list(world.faults.ill):
        told = _told(cluster, one)
        if told is None or now_s < one.from_s:
            continue
        if one.until_s is None or now_s < one.until_s:
            set_issue(told, one.code, one.message, list(one.resource_ids))
        else:
            clear_issue(told, one.code)
            world.faults.ill.remove(one)
    for addon in cluster.addons.values():
        if addon.told["status"] in ("ACTIVE", "DEGRADED"):
            addon.told["status"] = "DEGRADED" if addon.told["health"]["issues"] else "ACTIVE"


def _told(cluster: Cluster, one: Illness) -> dict[str, Any] | None:
    """None: it is of another cluster, or not there."""
    name, _, part = one.of.partition("/")
    if name != cluster.name:
        return None
    if not part:
        return cluster.told
    kind, _, of = part.partition("/")
    parts: dict[str, Mapping[str, Nodegroup | Addon | Profile]] = {
        "nodegroup": cluster.nodegroups,
        "addon": cluster.addons,
        "fargate": cluster.fargate,
    }
    found = parts[kind].get(of)
    return None if found is None else found.told
