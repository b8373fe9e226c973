"""Updates: how each begins, what becomes of it, and who may call it off."""

import json
from typing import Any

from aliquot.eks.fake.faults import Kind
from aliquot.eks.fake.refusals import not_now, wrong
from aliquot.eks.fake.rules import finding
from aliquot.eks.fake.world import Cluster, Update, World

_FAIL_AFTER = 0.5
"""A failure shows halfway."""


def begin(
    world: World,
    cluster: Cluster,
    operation: str,
    type_: str,
    params: dict[str, Any],
    now_s: float,
    *,
    due_s: float | None,
    changes: dict[str, Any] | None = None,
    of: str = "",
) -> dict[str, Any]:
    update = Update(
        id=world.id(),
        type=type_,
        params=[
            {"type": key, "value": value if isinstance(value, str) else json.dumps(value)}
            for key, value in params.items()
        ],
        created_s=now_s,
        of=of,
        due_s=due_s,
        changes=changes or {},
    )
    fault = world.faults.take(Kind.FAIL, operation)
    if fault is not None:
        update.errors = [
            {"errorCode": fault.code, "errorMessage": fault.message, "resourceIds": list(fault.resource_ids)}
        ]
        update.due_s = now_s + ((due_s or now_s + world.durations.evict_most) - now_s) * _FAIL_AFTER
    cluster.updates[update.id] = update
    if not of:
        cluster.told["status"] = "UPDATING"
    return {"update": finding.told(update)}


def advance(world: World, cluster: Cluster, now_s: float) -> None:
    """Updates of the cluster itself, and of its add-ons, that are due."""
    for update in cluster.updates.values():
        if update.status != "InProgress" or update.due_s is None or update.due_s > now_s:
            continue
        update.status = "Failed" if update.errors else "Successful"
        if update.of:
            continue
        cluster.told["status"] = "ACTIVE"
        if update.status == "Successful":
            _done(world, cluster, update, now_s)


def _done(world: World, cluster: Cluster, update: Update, now_s: float) -> None:
    before = cluster.minor
    cluster.told.update(update.changes)
    if update.type == "VersionUpdate":
        cluster.upgraded_s, cluster.upgraded_from = update.due_s, before
        cluster.by_itself = update.by_itself
    elif update.type == "VersionRollback":
        cluster.upgraded_s, cluster.upgraded_from = None, ""
    if cluster.minor != before:
        world.fleet.control_plane(cluster.name, cluster.minor)


def describe(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    cluster = finding.cluster(world, call["name"])
    return {"update": finding.told(finding.update(cluster, call["updateId"], _of(call)))}


def list_updates(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    cluster = finding.cluster(world, call["name"])
    if "nodegroupName" in call:
        finding.nodegroup(cluster, call["nodegroupName"])
    if "addonName" in call:
        finding.addon(cluster, call["addonName"])
    return {"updateIds": [one.id for one in cluster.updates.values() if one.of == _of(call)]}


def cancel(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    """Of a rollback under Auto Mode, before its control plane is reached."""
    cluster = finding.cluster(world, call["name"])
    update = finding.update(cluster, call["updateId"], "")
    if update.status != "InProgress":
        raise not_now(f"Update {update.id} is {update.status}", clusterName=cluster.name)
    if update.type != "VersionRollback" or not cluster.told.get("computeConfig", {}).get("enabled"):
        raise not_now("Only a rollback of a cluster of Auto Mode can be cancelled", clusterName=cluster.name)
    update.status, update.cancelled = "Cancelled", {"status": "Successful", "reason": "asked for"}
    cluster.told["status"] = "ACTIVE"
    return {"update": finding.told(update)}


def _of(call: dict[str, Any]) -> str:
    if "nodegroupName" in call and "addonName" in call:
        raise wrong("Give a node group or an add-on, not both")
    return (
        f"nodegroup/{call['nodegroupName']}"
        if "nodegroupName" in call
        else (f"addon/{call['addonName']}" if "addonName" in call else "")
    )
