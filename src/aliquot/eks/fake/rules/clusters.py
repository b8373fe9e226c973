"""Clusters: made, told of, deleted; and the step of their control plane to the next minor, or back."""

import re
from typing import Any

from aliquot.eks.fake.faults import Kind
from aliquot.eks.fake.known import number
from aliquot.eks.fake.refusals import in_use, not_now, unready, wrong
from aliquot.eks.fake.rules import configuring, finding, insights, limits, placing, versions
from aliquot.eks.fake.rules.access import admit_creator
from aliquot.eks.fake.rules.updating import begin
from aliquot.eks.fake.surroundings import Surroundings
from aliquot.eks.fake.world import Cluster, World, at

ROLLBACK_S = 7 * 86400
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}")
ROLE = re.compile(r"arn:aws[\w-]*:iam::\d{12}:role/.+")

_AS_GIVEN = ("computeConfig", "storageConfig", "remoteNetworkConfig", *configuring.COMPONENTS)


def create(world: World, call: dict[str, Any], now_s: float, around: Surroundings) -> dict[str, Any]:
    name = call["name"]
    if not _NAME.fullmatch(name):
        raise wrong(f"The name {name!r} is not one of a cluster", clusterName=name)
    if name in world.clusters:
        raise in_use(f"Cluster already exists with name: {name}", clusterName=name)
    limits.check(world, limits.CLUSTERS, len(world.clusters) + 1, "Cluster", clusterName=name)
    if not ROLE.fullmatch(call["roleArn"]):
        raise wrong("Role ARN is not valid", clusterName=name)
    minor = versions.creatable(world, call.get("version"), now_s)
    vpc = dict(call["resourcesVpcConfig"])
    places = around.subnets(vpc.get("subnetIds", []))
    placing.two_zones(places, name)
    if len({one.vpc for one in places}) != 1:
        raise wrong("Subnets specified must belong to the same VPC", clusterName=name)
    placing.enough_addresses(places, name)
    configuring.encryption(call.get("encryptionConfig", []), name)
    access = {
        "authenticationMode": "CONFIG_MAP",
        "bootstrapClusterCreatorAdminPermissions": True,
        **call.get("accessConfig", {}),
    }
    if access["authenticationMode"] == "CONFIG_MAP" and not access["bootstrapClusterCreatorAdminPermissions"]:
        raise wrong(
            "bootstrapClusterCreatorAdminPermissions must be true if cluster authentication mode is set to CONFIG_MAP",
            clusterName=name,
        )
    vpc = {
        "endpointPublicAccess": True,
        "endpointPrivateAccess": False,
        "publicAccessCidrs": ["0.0.0.0/0"],
        "securityGroupIds": [],
        **vpc,
    }
    configuring.endpoint(vpc, name)
    world.fleet.control_plane(name, minor)
    endpoint, authority = world.fleet.endpoint(name)
    told: dict[str, Any] = {
        "name": name,
        "arn": world.arn("cluster", name),
        "createdAt": at(now_s),
        "version": minor,
        "endpoint": endpoint,
        "roleArn": call["roleArn"],
        "resourcesVpcConfig": {
            **vpc,
            "clusterSecurityGroupId": f"sg-{world.rng.getrandbits(68):017x}",
            "vpcId": places[0].vpc,
        },
        "kubernetesNetworkConfig": {
            "ipFamily": "ipv4",
            "serviceIpv4Cidr": "172.20.0.0/16",
            **call.get("kubernetesNetworkConfig", {}),
        },
        "logging": configuring.logging(call.get("logging", {})),
        "identity": {
            "oidc": {
                "issuer": f"https://oidc.eks.{world.region}.amazonaws.com/id/{world.rng.getrandbits(128):032X}"
            }
        },
        "status": "CREATING",
        "certificateAuthority": {"data": authority},
        "platformVersion": "eks.1",
        "tags": call.get("tags", {}),
        "encryptionConfig": call.get("encryptionConfig", []),
        "health": {"issues": []},
        "accessConfig": {"authenticationMode": access["authenticationMode"]},
        "upgradePolicy": call.get("upgradePolicy", {"supportType": "EXTENDED"}),
        "deletionProtection": call.get("deletionProtection", False),
        "zonalShiftConfig": call.get("zonalShiftConfig", {"enabled": False}),
        "controlPlaneScalingConfig": call.get("controlPlaneScalingConfig", {"tier": "standard"}),
    }
    told |= {key: call[key] for key in _AS_GIVEN if key in call}
    cluster = Cluster(
        told=told,
        born_minor=minor,
        due_s=now_s + world.durations.create_cluster,
        zones=frozenset(one.zone for one in places),
    )
    fault = world.faults.take(Kind.FAIL, "CreateCluster")
    cluster.failing = fault.issue() if fault else None
    world.clusters[name] = cluster
    if access["bootstrapClusterCreatorAdminPermissions"]:
        admit_creator(world, cluster, now_s)
    return {"cluster": told}


def advance(world: World, cluster: Cluster, now_s: float) -> None:
    if cluster.due_s is not None and cluster.due_s <= now_s:
        if cluster.told["status"] == "DELETING":
            del world.clusters[cluster.name]
            world.fleet.delete(cluster.name)
            return
        if cluster.failing is not None:
            cluster.told |= {"status": "FAILED", "health": {"issues": [cluster.failing]}}
            cluster.due_s = None
        elif world.fleet.serves(cluster.name):
            cluster.told["status"] = "ACTIVE"
            cluster.due_s = None
    if cluster.told["status"] == "ACTIVE" and not _in_progress(cluster):
        _upgrade_by_itself(world, cluster, now_s)


def _in_progress(cluster: Cluster) -> bool:
    return any(one.status == "InProgress" and not one.of for one in cluster.updates.values())


def _upgrade_by_itself(world: World, cluster: Cluster, now_s: float) -> None:
    """What AWS does when a minor's support is over: its standard support, where the policy is STANDARD. The control plane
    alone goes on, whatever its nodes are."""
    known = world.known.minor(cluster.minor)
    following = world.known.minor(f"1.{number(cluster.minor) + 1}")
    if known is None or following is None:
        return
    status = known.status(at(now_s - world.durations.upgrade_by_itself).date())
    standard = cluster.told["upgradePolicy"]["supportType"] == "STANDARD"
    if status != "UNSUPPORTED" and not (standard and status == "EXTENDED_SUPPORT"):
        return
    changes = {"version": following.minor, "platformVersion": "eks.1"}
    answer = begin(
        world,
        cluster,
        "UpdateClusterVersion",
        "VersionUpdate",
        {"Version": following.minor, "PlatformVersion": "eks.1"},
        now_s,
        due_s=now_s + world.durations.update_cluster,
        changes=changes,
    )
    cluster.updates[answer["update"]["id"]].by_itself = status == "UNSUPPORTED"


def describe(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    return {"cluster": finding.cluster(world, call["name"]).told}


def list_clusters(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    return {"clusters": sorted(world.clusters)}


def delete(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    cluster = finding.cluster(world, call["name"])
    if cluster.told["status"] == "DELETING":
        return {"cluster": cluster.told}
    if cluster.told["status"] == "CREATING":
        raise in_use(f"Cluster {cluster.name} is being created", clusterName=cluster.name)
    if cluster.told["deletionProtection"]:
        raise not_now(
            "Cannot delete a cluster that has deletion protection enabled", clusterName=cluster.name
        )
    if cluster.nodegroups:
        raise in_use("Cluster has nodegroups attached", clusterName=cluster.name)
    if cluster.fargate:
        raise in_use("Cluster has Fargate profiles attached", clusterName=cluster.name)
    for update in cluster.updates.values():
        if update.status == "InProgress":
            raise in_use(f"Cluster has update {update.id} in progress", clusterName=cluster.name)
    cluster.told["status"] = "DELETING"
    cluster.due_s = now_s + world.durations.delete_cluster
    return {"cluster": cluster.told}


def update_version(world: World, call: dict[str, Any], now_s: float, around: Surroundings) -> dict[str, Any]:
    cluster = finding.idle(world, call["name"])
    name, to, force = cluster.name, call.get("version", ""), bool(call.get("force"))
    known = world.known.minor(to)
    if known is None or known.status(at(now_s).date()) is None:
        raise wrong("unsupported Kubernetes version", clusterName=name)
    if to == cluster.minor:
        raise wrong(f"Cluster is already at version {to}", clusterName=name)
    if number(to) == number(cluster.minor) - 1:
        return _roll_back(world, cluster, call, now_s, around)
    if "rollbackConfig" in call:
        raise wrong("rollbackConfig goes with a rollback alone", clusterName=name)
    if number(to) != number(cluster.minor) + 1:
        raise wrong(
            f"Unsupported Kubernetes minor version update from {cluster.minor} to {to}", clusterName=name
        )
    behind = sorted(
        group.told["nodegroupName"]
        for group in cluster.nodegroups.values()
        if (world.groups_must_match and group.told["version"] != cluster.minor)
        or number(group.told["version"]) < number(to) - 3
    )
    if behind:
        raise not_now(
            f"Nodegroups {', '.join(behind)} must be updated to match cluster version {cluster.minor} before updating cluster version",
            clusterName=name,
        )
    placing.enough_addresses(around.subnets(cluster.told["resourcesVpcConfig"]["subnetIds"]), name)
    if world.insights_block and not force:
        failing = insights.failing(world, cluster, "UPGRADE_READINESS", to, now_s)
        if failing:
            raise unready(failing, name)
    return begin(
        world,
        cluster,
        "UpdateClusterVersion",
        "VersionUpdate",
        {"Version": to, "PlatformVersion": "eks.1"},
        now_s,
        due_s=now_s + world.durations.update_cluster,
        changes={"version": to, "platformVersion": "eks.1"},
    )


def _roll_back(
    world: World, cluster: Cluster, call: dict[str, Any], now_s: float, around: Surroundings
) -> dict[str, Any]:
    to, name = call["version"], cluster.name
    reason = no_way_back(world, cluster, now_s)
    if reason:
        raise not_now(f"Cluster {name} cannot be rolled back: {reason}", clusterName=name)
    timeout = call.get("rollbackConfig", {}).get("timeoutMinutes", 720)
    if not 120 <= timeout <= 10080:
        raise wrong("rollbackConfig.timeoutMinutes has to be between 120 and 10080", clusterName=name)
    known = world.known.minor(to)
    status = None if known is None else known.status(at(now_s).date())
    if status not in ("STANDARD_SUPPORT", "EXTENDED_SUPPORT"):
        raise wrong(f"unsupported Kubernetes version {to}", clusterName=name)
    if status == "EXTENDED_SUPPORT" and cluster.told["upgradePolicy"]["supportType"] != "EXTENDED":
        raise not_now(
            f"Version {to} is in extended support: the upgrade policy has to be EXTENDED", clusterName=name
        )
    failing = insights.failing(world, cluster, "ROLLBACK_READINESS", to, now_s)
    if failing and not call.get("force"):
        raise unready(failing, name)
    placing.enough_addresses(around.subnets(cluster.told["resourcesVpcConfig"]["subnetIds"]), name)
    return begin(
        world,
        cluster,
        "UpdateClusterVersion",
        "VersionRollback",
        {"Version": to, "PlatformVersion": "eks.1"},
        now_s,
        due_s=now_s + world.durations.update_cluster,
        changes={"version": to, "platformVersion": "eks.1"},
    )


def no_way_back(world: World, cluster: Cluster, now_s: float) -> str:
    """Why, even by force; empty: there is one."""
    if cluster.upgraded_s is None or not cluster.upgraded_from:
        born = cluster.minor == cluster.born_minor
        return f"it was created at {cluster.minor}" if born else "it has been rolled back already"
    if cluster.by_itself:
        return "it was upgraded at the end of its extended support"
    if now_s - cluster.upgraded_s > ROLLBACK_S:
        return "it was upgraded more than 7 days ago"
    return ""
