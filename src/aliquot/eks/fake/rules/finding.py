"""Clusters and what belongs to them, by name; or the refusal that EKS has for it."""

from typing import Any

from aliquot.eks.fake.refusals import in_use, not_found, not_now
from aliquot.eks.fake.world import Addon, Cluster, Nodegroup, Profile, Update, World, at


def cluster(world: World, name: str) -> Cluster:
    if name not in world.clusters:
        raise not_found("cluster", name, clusterName=name)
    return world.clusters[name]


def active(world: World, name: str) -> Cluster:
    found = cluster(world, name)
    if found.told["status"] not in ("ACTIVE", "UPDATING"):
        raise not_now(f"Cluster {name} is not in ACTIVE status: {found.told['status']}", clusterName=name)
    return found


def idle(world: World, name: str) -> Cluster:
    """Of which nothing is being updated: EKS does one thing to a cluster at a time."""
    found = active(world, name)
    for update in found.updates.values():
        if update.status == "InProgress" and not update.of:
            raise in_use(f"Cluster {name} currently has update {update.id} in progress", clusterName=name)
    return found


def nodegroup(of: Cluster, name: str) -> Nodegroup:
    if name not in of.nodegroups:
        raise not_found("node group", name, clusterName=of.name, nodegroupName=name)
    return of.nodegroups[name]


UPDATABLE = ("ACTIVE", "DEGRADED")
"""Status of node groups that may be updated."""


def idle_group(of: Cluster, group: Nodegroup, *statuses: str) -> None:
    """Raises Refused where something is being done to it, or it is of no such status."""
    name = group.told["nodegroupName"]
    names = {"clusterName": of.name, "nodegroupName": name}
    if group.told["status"] not in statuses:
        raise in_use(f"Nodegroup {name} is in status {group.told['status']}", **names)
    for update in of.updates.values():
        if update.of == f"nodegroup/{name}" and update.status == "InProgress":
            raise in_use(f"Nodegroup {name} currently has update {update.id} in progress", **names)


def addon(of: Cluster, name: str) -> Addon:
    if name not in of.addons:
        raise not_found("addon", name, clusterName=of.name, addonName=name)
    return of.addons[name]


def profile(of: Cluster, name: str) -> Profile:
    if name not in of.fargate:
        raise not_found("Fargate Profile", name, clusterName=of.name, fargateProfileName=name)
    return of.fargate[name]


def update(of: Cluster, id_: str, belongs_to: str) -> Update:
    found = of.updates.get(id_)
    if found is None or found.of != belongs_to:
        raise not_found("update", id_, clusterName=of.name)
    return found


def told(found: Update) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "id": found.id,
        "status": found.status,
        "type": found.type,
        "params": found.params,
        "createdAt": at(found.created_s),
        "errors": found.errors,
    }
    if found.cancelled is not None:
        answer["cancellation"] = found.cancelled
    return answer
