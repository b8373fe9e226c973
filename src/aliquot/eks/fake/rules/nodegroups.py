"""Managed node groups: made, told of, rolled, deleted."""

import math
from typing import Any

from aliquot.eks.fake.known import LAST_AL2, number
from aliquot.eks.fake.refusals import in_use, not_now, wrong
from aliquot.eks.fake.rules import finding, rolls, sizing
from aliquot.eks.fake.rules.updating import begin
from aliquot.eks.fake.surroundings import Surroundings
from aliquot.eks.fake.world import Nodegroup, Roll, World, at


def create(world: World, call: dict[str, Any], now_s: float, around: Surroundings) -> dict[str, Any]:
    cluster = finding.active(world, call["clusterName"])
    name = call["nodegroupName"]
    names = {"clusterName": cluster.name, "nodegroupName": name}
    if name in cluster.nodegroups:
        raise in_use(f"NodeGroup already exists with name {name} and cluster name {cluster.name}", **names)
    minor = call.get("version", cluster.minor)
    if number(minor) > number(cluster.minor):
        raise wrong(f"Nodegroup version {minor} is newer than cluster version {cluster.minor}", **names)
    ami_type = call.get("amiType", "AL2023_x86_64_STANDARD")
    _ami_exists(ami_type, minor, names)
    template = call.get("launchTemplate")
    if template and ("diskSize" in call or "remoteAccess" in call):
        raise wrong("Disk size and remote access are of the launch template, where there is one", **names)
    if call.get("capacityType") == "CAPACITY_BLOCK" and len(call.get("instanceTypes", ["?"])) > 1:
        raise wrong("A node group of a capacity block is of one instance type", **names)
    if template and ("id" in template) == ("name" in template):
        raise wrong("Name a launch template by its id or its name", **names)
    scaling = {"minSize": 1, "maxSize": 2, "desiredSize": 1, **call.get("scalingConfig", {})}
    sizing.check_scaling(scaling, names)
    sizing.check_labels(call.get("labels", {}), names)
    sizing.check_taints(call.get("taints", []), names)
    settings = sizing.update_settings(
        {"maxUnavailable": 1, "updateStrategy": "DEFAULT"}, call.get("updateConfig", {}), names
    )
    places = around.subnets(call["subnets"])
    if call.get("capacityType") == "CAPACITY_BLOCK" and not template:
        raise wrong("Capacity blocks are taken by a launch template that names their reservation", **names)
    release = call.get("releaseVersion") or world.known.release(ami_type, minor)
    told: dict[str, Any] = {
        "nodegroupName": name,
        "nodegroupArn": world.arn("nodegroup", cluster.name, name, world.id()),
        "clusterName": cluster.name,
        "version": minor,
        "releaseVersion": release,
        "createdAt": at(now_s),
        "modifiedAt": at(now_s),
        "status": "CREATING",
        "capacityType": call.get("capacityType", "ON_DEMAND"),
        "scalingConfig": scaling,
        "instanceTypes": call.get("instanceTypes", ["t3.medium"]),
        "subnets": call["subnets"],
        "amiType": ami_type,
        "nodeRole": call["nodeRole"],
        "labels": call.get("labels", {}),
        "taints": call.get("taints", []),
        "resources": {"autoScalingGroups": [{"name": f"eks-{name}-{world.id()}"}]},
        "health": {"issues": []},
        "updateConfig": settings,
        "tags": call.get("tags", {}),
    }
    for key in ("launchTemplate", "nodeRepairConfig", "warmPoolConfig", "remoteAccess"):
        if key in call:
            told[key] = call[key]
    if not template:
        told["diskSize"] = call.get("diskSize", 20)
    group = Nodegroup(told=told, since_s=now_s, zones=[one.zone for one in places])
    cluster.nodegroups[name] = group
    for _ in range(scaling["desiredSize"]):
        rolls.launch(world, group, minor, release, now_s)
    return {"nodegroup": told}


def _ami_exists(ami_type: str, minor: str, names: dict[str, str]) -> None:
    if ami_type.startswith("AL2_") and number(minor) > LAST_AL2:
        raise wrong(f"AMI type {ami_type} is not supported for Kubernetes version {minor}", **names)


def describe(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    cluster = finding.cluster(world, call["clusterName"])
    return {"nodegroup": finding.nodegroup(cluster, call["nodegroupName"]).told}


def list_nodegroups(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    return {"nodegroups": sorted(finding.cluster(world, call["clusterName"]).nodegroups)}


def delete(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    cluster = finding.cluster(world, call["clusterName"])
    group = finding.nodegroup(cluster, call["nodegroupName"])
    finding.idle_group(cluster, group)
    group.told["status"] = "DELETING"
    group.since_s = now_s
    for node in group.nodes.values():
        world.fleet.cordon(node.machine)
        world.fleet.drain(node.machine, force=False)
        node.draining_s = now_s
    return {"nodegroup": group.told}


def update_version(world: World, call: dict[str, Any], now_s: float, around: Surroundings) -> dict[str, Any]:
    cluster = finding.active(world, call["clusterName"])
    name = call["nodegroupName"]
    group = finding.nodegroup(cluster, name)
    names = {"clusterName": cluster.name, "nodegroupName": name}
    finding.idle_group(cluster, group)
    minor = call.get("version", group.told["version"])
    if number(minor) > number(cluster.minor):
        raise wrong(f"Nodegroup version {minor} is newer than cluster version {cluster.minor}", **names)
    if number(minor) < number(cluster.minor) - 3:
        raise wrong(f"Nodegroup version {minor} is too old for cluster version {cluster.minor}", **names)
    _ami_exists(group.told["amiType"], minor, names)
    release = call.get("releaseVersion") or world.known.release(group.told["amiType"], minor)
    if not release.startswith(f"{minor}."):
        raise wrong(
            f"Requested release version {release} is not valid for kubernetes version {minor}", **names
        )
    template = call.get("launchTemplate")
    if (minor, release) == (group.told["version"], group.told["releaseVersion"]) and not template:
        raise wrong(f"Nodegroup is already at version {minor} and release {release}", **names)
    if min(one.free for one in around.subnets(group.told["subnets"])) < 1:
        raise not_now("InsufficientFreeAddresses: the subnets have no free addresses", **names)
    params = {"Version": minor, "ReleaseVersion": release}
    answer = begin(
        world,
        cluster,
        "UpdateNodegroupVersion",
        "VersionUpdate",
        params,
        now_s,
        due_s=None,
        of=f"nodegroup/{name}",
    )
    config = group.told["updateConfig"]
    most = config.get("maxUnavailable") or math.ceil(
        len(group.nodes) * config.get("maxUnavailablePercentage", 1) / 100
    )
    strategy = config.get("updateStrategy", "DEFAULT")
    group.roll = Roll(
        update=answer["update"]["id"],
        minor=minor,
        release=release,
        template=template,
        strategy=strategy,
        unavailable=max(1, most),
        surge=max(2 * len(set(group.zones)), most) if strategy == "DEFAULT" else 0,
        force=bool(call.get("force")),
        began_s=now_s,
    )
    group.told["status"] = "UPDATING"
    return answer
