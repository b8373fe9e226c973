"""Fargate profiles, and the nodes that their pods get: each of the minor that its cluster had when the pod came."""

import re
from typing import Any

from aliquot.eks.fake.faults import Kind
from aliquot.eks.fake.fleet import Machine, Pod
from aliquot.eks.fake.refusals import in_use, wrong
from aliquot.eks.fake.rules import finding, limits
from aliquot.eks.fake.rules.clusters import ROLE
from aliquot.eks.fake.surroundings import Surroundings
from aliquot.eks.fake.world import Cluster, Profile, World, at

MOST_SELECTORS = 5
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,62}")


def create(world: World, call: dict[str, Any], now_s: float, around: Surroundings) -> dict[str, Any]:
    cluster = finding.active(world, call["clusterName"])
    name = call["fargateProfileName"]
    names = {"clusterName": cluster.name, "fargateProfileName": name}
    if not _NAME.fullmatch(name) or name.startswith("eks-"):
        raise wrong(f"The Fargate profile name {name!r} is not valid", **names)
    if name in cluster.fargate:
        raise in_use("A Fargate Profile already exists with this name in this cluster.", **names)
    _one_at_a_time(cluster, "create", name)
    limits.check(world, limits.PROFILES, len(cluster.fargate) + 1, "Fargate profile", **names)
    if not ROLE.fullmatch(call["podExecutionRoleArn"]):
        raise wrong("Pod execution role ARN is not valid", **names)
    _selectors(call.get("selectors", []), names)
    subnets = call.get("subnets") or cluster.told["resourcesVpcConfig"]["subnetIds"]
    places = around.subnets(subnets)
    if "subnets" not in call:
        places = [one for one in places if not one.public]
    for one in places:
        if one.public:
            raise wrong(f"Subnet {one.id} provided in Fargate Profile is not a private subnet", **names)
        if one.vpc != cluster.told["resourcesVpcConfig"]["vpcId"]:
            raise wrong(f"Subnet {one.id} is not of the cluster's VPC", **names)
    if not places:
        raise wrong("The cluster has no private subnets for the Fargate Profile", **names)
    told = {
        "fargateProfileName": name,
        "fargateProfileArn": world.arn("fargateprofile", cluster.name, name, world.id()),
        "clusterName": cluster.name,
        "createdAt": at(now_s),
        "podExecutionRoleArn": call["podExecutionRoleArn"],
        "subnets": [one.id for one in places],
        "selectors": call["selectors"],
        "status": "CREATING",
        "tags": call.get("tags", {}),
        "health": {"issues": []},
    }
    profile = Profile(
        told=told,
        due_s=now_s + world.durations.fargate_profile,
        zones=sorted({one.zone for one in places}),
    )
    fault = world.faults.take(Kind.FAIL, "CreateFargateProfile")
    profile.failing = fault.issue() if fault else None
    cluster.fargate[name] = profile
    return {"fargateProfile": told}


def _one_at_a_time(cluster: Cluster, verb: str, name: str) -> None:
    for other, profile in cluster.fargate.items():
        if profile.told["status"] in ("CREATING", "DELETING"):
            raise in_use(
                f"Cannot {verb} Fargate Profile {name} because cluster {cluster.name} currently has Fargate profile "
                f"{other} in status {profile.told['status']}",
                clusterName=cluster.name,
                fargateProfileName=name,
            )


def _selectors(selectors: list[dict[str, Any]], names: dict[str, str]) -> None:
    if not selectors:
        raise wrong("Fargate Profile must have at least one selector", **names)
    if len(selectors) > MOST_SELECTORS:
        raise wrong(f"Fargate Profile can have at most {MOST_SELECTORS} selectors", **names)
    for one in selectors:
        if not one.get("namespace"):
            raise wrong("Each selector of a Fargate Profile must have a namespace", **names)


def describe(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    cluster = finding.cluster(world, call["clusterName"])
    return {"fargateProfile": finding.profile(cluster, call["fargateProfileName"]).told}


def list_profiles(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    return {"fargateProfileNames": sorted(finding.cluster(world, call["clusterName"]).fargate)}


def delete(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    cluster = finding.cluster(world, call["clusterName"])
    name = call["fargateProfileName"]
    profile = finding.profile(cluster, name)
    if profile.told["status"] == "DELETING":
        return {"fargateProfile": profile.told}
    _one_at_a_time(cluster, "delete", name)
    profile.told["status"] = "DELETING"
    profile.due_s = now_s + world.durations.fargate_profile
    return {"fargateProfile": profile.told}


def advance(world: World, cluster: Cluster, now_s: float) -> None:
    for name, profile in list(cluster.fargate.items()):
        if profile.due_s is None or profile.due_s > now_s:
            continue
        profile.due_s = None
        if profile.told["status"] == "DELETING":
            del cluster.fargate[name]
        elif profile.failing is not None:
            profile.told |= {"status": "CREATE_FAILED", "health": {"issues": [profile.failing]}}
        else:
            profile.told["status"] = "ACTIVE"
    _pods(world, cluster)


def _pods(world: World, cluster: Cluster) -> None:
    """A pod that comes gets a node; one that goes, or whose profile goes, takes its node along."""
    pods = {(pod.namespace, pod.name): pod for pod in world.fleet.pods(cluster.name)}
    for key, machine in list(cluster.fargate_nodes.items()):
        profile = cluster.fargate.get(machine.profile)
        if key not in pods or profile is None or profile.told["status"] == "DELETING":
            world.fleet.terminate(cluster.fargate_nodes.pop(key))
    for key, pod in pods.items():
        profile_name = _profile_of(cluster, pod)
        if key in cluster.fargate_nodes or not profile_name:
            continue
        cluster.fargate_nodes[key] = machine = _machine(world, cluster, profile_name, pod)
        world.fleet.launch(machine)


def _profile_of(cluster: Cluster, pod: Pod) -> str:
    """The first by name whose selectors have it, as EKS chooses; empty: none."""
    for name, profile in sorted(cluster.fargate.items()):
        for one in profile.told["selectors"] if profile.told["status"] == "ACTIVE" else ():
            if one["namespace"] == pod.namespace and one.get("labels", {}).items() <= pod.labels.items():
                return name
    return ""


def _machine(world: World, cluster: Cluster, profile: str, pod: Pod) -> Machine:
    id_ = f"{world.rng.getrandbits(40):010x}"
    return Machine(
        name=f"fargate-{id_}",
        instance_id=f"fargate-{id_}",
        cluster=cluster.name,
        nodegroup="",
        profile=profile,
        pod=(pod.namespace, pod.name),
        zone=world.rng.choice(cluster.fargate[profile].zones),
        instance_type="",
        ami_type="",
        minor=cluster.minor,
        release="",
        labels={"eks.amazonaws.com/compute-type": "fargate"},
        taints=(("eks.amazonaws.com/compute-type", "fargate", "NoSchedule"),),
    )
