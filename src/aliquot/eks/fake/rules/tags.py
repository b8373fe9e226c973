"""Tags of clusters and of what belongs to them, by ARN."""

from collections.abc import Iterator
from typing import Any

from aliquot.eks.fake.refusals import Refused
from aliquot.eks.fake.world import World


def _tagged(world: World) -> Iterator[tuple[str, dict[str, str]]]:
    for cluster in world.clusters.values():
        yield cluster.told["arn"], cluster.told["tags"]
        for group in cluster.nodegroups.values():
            yield group.told["nodegroupArn"], group.told["tags"]
        for addon in cluster.addons.values():
            yield addon.told["addonArn"], addon.told["tags"]
        for profile in cluster.fargate.values():
            yield profile.told["fargateProfileArn"], profile.told["tags"]
        for entry in cluster.access.values():
            if "accessEntryArn" in entry:
                yield entry["accessEntryArn"], entry["tags"]
        for one in cluster.identities.values():
            yield one["associationArn"], one["tags"]


def _of(world: World, arn: str) -> dict[str, str]:
    for known, tags in _tagged(world):
        if known == arn:
            return tags
    raise Refused("NotFoundException", f"Resource was not found: {arn}")


def tag(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    _of(world, call["resourceArn"]).update(call["tags"])
    return {}


def untag(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    tags = _of(world, call["resourceArn"])
    for key in call["tagKeys"]:
        tags.pop(key, None)
    return {}


def list_tags(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    return {"tags": _of(world, call["resourceArn"])}
