"""EC2: placement groups."""

from typing import Any

from aliquot.eks.fake.beside import filters
from aliquot.eks.fake.refusals import Refused
from aliquot.eks.fake.world import World

_FILTERS = {
    "group-name": lambda one: one["GroupName"],
    "group-arn": lambda one: one["GroupArn"],
    "state": lambda one: one["State"],
    "strategy": lambda one: one["Strategy"],
}


def create(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    name, strategy = call.get("GroupName", ""), call.get("Strategy", "cluster")
    if not 0 < len(name) <= 255:
        raise Refused("MissingParameter", "The request must contain the parameter groupName")
    if name in world.market.placement_groups:
        raise Refused("InvalidPlacementGroup.Duplicate", f"The Placement Group '{name}' already exists.")
    if "PartitionCount" in call and strategy != "partition":
        raise Refused("InvalidParameterCombination", "PartitionCount goes with strategy partition alone")
    told = {
        "GroupName": name,
        "State": "available",
        "Strategy": strategy,
        "GroupId": f"pg-{world.rng.getrandbits(68):017x}",
        "GroupArn": f"arn:aws:ec2:{world.region}:{world.account}:placement-group/{name}",
        "Tags": filters.as_tags(filters.asked_tags(call, "placement-group")),
    }
    if strategy == "partition":
        told["PartitionCount"] = call.get("PartitionCount", 2)
    if strategy == "spread":
        told["SpreadLevel"] = call.get("SpreadLevel", "rack")
    world.market.placement_groups[name] = told
    return {"PlacementGroup": told}


def describe(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    told = list(world.market.placement_groups.values())
    for key, asked in (("GroupName", call.get("GroupNames")), ("GroupId", call.get("GroupIds"))):
        if asked is None:
            continue
        missing = [one for one in asked if one not in {group[key] for group in told}]
        if missing:
            raise Refused("InvalidPlacementGroup.Unknown", f"The Placement Group '{missing[0]}' is unknown.")
        told = [group for group in told if group[key] in asked]
    return {"PlacementGroups": filters.chosen(told, call.get("Filters", []), _FILTERS)}


def delete(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    name = call["GroupName"]
    if name not in world.market.placement_groups:
        raise Refused("InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown.")
    groups = [group for cluster in world.clusters.values() for group in cluster.nodegroups.values()]
    if any(group.nodes and group.draw.placement_group == name for group in groups):
        raise Refused(
            "InvalidPlacementGroup.InUse", f"The placement group '{name}' is in use and may not be deleted."
        )
    del world.market.placement_groups[name]
    return {}
