"""Managed node groups: made, told of, rolled, deleted."""

import math
from typing import Any

from aliquot.eks.fake.faults import Kind
from aliquot.eks.fake.known import LAST_AL2, number
from aliquot.eks.fake.refusals import in_use, not_now, wrong
from aliquot.eks.fake.rules import finding, limits, rolls, sizing, templates
from aliquot.eks.fake.rules.updating import begin
from aliquot.eks.fake.surroundings import Surroundings
from aliquot.eks.fake.world import Nodegroup, Roll, World, at


def create(world: World, call: dict[str, Any], now_s: float, around: Surroundings) -> dict[str, Any]:
    cluster = finding.active(world, call["clusterName"])
    name = call["nodegroupName"]
    names = {"clusterName": cluster.name, "nodegroupName": name}
    if name in cluster.nodegroups:
        raise in_use(f"NodeGroup already exists with name {name} and cluster name {cluster.name}", **names)
    limits.check(world, limits.GROUPS, len(cluster.nodegroups) + 1, "Nodegroup", **names)
    minor = call.get("version", cluster.minor)
    if number(minor) > number(cluster.minor):
        raise wrong(f"Nodegroup version {minor} is newer than cluster version {cluster.minor}", **names)
    templates.check_named(call, names)
    places = around.subnets(call["subnets"])
    template = around.template(call["launchTemplate"]) if "launchTemplate" in call else None
    templates.check(world, template, call, places, names)
    custom = template is not None and template.image
    ami_type = "CUSTOM" if custom else call.get("amiType", "AL2023_x86_64_STANDARD")
    _ami_exists(ami_type, minor, names)
    scaling = {"minSize": 1, "maxSize": 2, "desiredSize": 1, **call.get("scalingConfig", {})}
    sizing.check_scaling(scaling, names)
    limits.check(world, limits.NODES, scaling["maxSize"], "Nodes per nodegroup", **names)
    sizing.check_labels(call.get("labels", {}), names)
    sizing.check_taints(call.get("taints", []), names)
    settings = sizing.update_settings(
        {"maxUnavailable": 1, "updateStrategy": "DEFAULT"}, call.get("updateConfig", {}), names
    )
    release = custom or call.get("releaseVersion") or world.known.release(ami_type, minor)
    if not custom:
        _check_release(ami_type, minor, release, names)
    types = call.get("instanceTypes", ["t3.medium"])
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
    if template is None or not template.instance_type:
        told["instanceTypes"] = types
    if "launchTemplate" in call:
        told["launchTemplate"] = templates.told(call["launchTemplate"], template)
    else:
        told["diskSize"] = call.get("diskSize", 20)
    for key in ("nodeRepairConfig", "warmPoolConfig", "remoteAccess"):
        if key in call:
            told[key] = call[key]
    zones = [one.zone for one in places]
    group = Nodegroup(told=told, since_s=now_s, zones=zones, draw=templates.draw(types, template))
    fault = world.faults.take(Kind.FAIL, "CreateNodegroup")
    group.failing = fault.issue() if fault else None
    cluster.nodegroups[name] = group
    rolls.fill(world, group, minor, release, scaling["desiredSize"], now_s)
    return {"nodegroup": told}


def _ami_exists(ami_type: str, minor: str, names: dict[str, str]) -> None:
    if ami_type.startswith("AL2_") and number(minor) > LAST_AL2:
        raise wrong(f"AMI type {ami_type} is not supported for Kubernetes version {minor}", **names)


def _check_release(ami_type: str, minor: str, release: str, names: dict[str, str]) -> None:
    # Bottlerocket has versions of its own.
    if not ami_type.startswith("BOTTLEROCKET") and not release.startswith(f"{minor}."):
        raise wrong(
            f"Requested release version {release} is not valid for kubernetes version {minor}", **names
        )


def describe(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    cluster = finding.cluster(world, call["clusterName"])
    return {"nodegroup": finding.nodegroup(cluster, call["nodegroupName"]).told}


def list_nodegroups(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    return {"nodegroups": sorted(finding.cluster(world, call["clusterName"]).nodegroups)}


def delete(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    cluster = finding.cluster(world, call["clusterName"])
    group = finding.nodegroup(cluster, call["nodegroupName"])
    finding.idle_group(cluster, group, *finding.UPDATABLE, "CREATE_FAILED", "DELETE_FAILED")
    fault = world.faults.take(Kind.FAIL, "DeleteNodegroup")
    group.failing = fault.issue() if fault else None
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
    finding.idle_group(cluster, group, *finding.UPDATABLE)
    named = call.get("launchTemplate")
    if named and group.told.get("launchTemplate", {}).get("id", named.get("id")) != named.get(
        "id", group.told.get("launchTemplate", {}).get("id", named.get("id"))
    ):
        raise wrong(
            "A node group keeps its launch template: only another version of it can be taken", **names
        )
    template = around.template(named) if named else None
    custom = (template.image if template else "") or (
        group.told["releaseVersion"] if group.told["amiType"] == "CUSTOM" else ""
    )
    if custom and ("version" in call or "releaseVersion" in call):
        raise wrong("You cannot specify the field version or releaseVersion when using custom AMIs", **names)
    minor = call.get("version", cluster.minor if custom else group.told["version"])
    if number(minor) > number(cluster.minor):
        raise wrong(f"Nodegroup version {minor} is newer than cluster version {cluster.minor}", **names)
    if number(minor) < number(cluster.minor) - 3:
        raise wrong(f"Nodegroup version {minor} is too old for cluster version {cluster.minor}", **names)
    _ami_exists(group.told["amiType"], minor, names)
    release = custom or call.get("releaseVersion") or world.known.release(group.told["amiType"], minor)
    if not custom:
        _check_release(group.told["amiType"], minor, release, names)
    if (minor, release) == (group.told["version"], group.told["releaseVersion"]) and not named:
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
        template=templates.told(named, template) if named else None,
        strategy=strategy,
        unavailable=max(1, most),
        surge=max(2 * len(set(group.zones)), most) if strategy == "DEFAULT" else 0,
        force=bool(call.get("force")),
        draw_before=group.draw,
    )
    group.told["status"] = "UPDATING"
    if template is not None:
        group.draw = templates.draw(group.told.get("instanceTypes", ()), template)
    return answer
