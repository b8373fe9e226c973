"""Asks AWS how things are that an act is about."""

from collections.abc import Mapping
from typing import Any

from aliquot.eks.aws.api import Api, Failure
from aliquot.eks.upgrade.acts import Act, AddonBuild, ControlPlane, Seen
from aliquot.eks.upgrade.updates import Progress, SeenError, SeenUpdate

_NEWEST = 8
"""Updates that are looked at: what this run began is among them."""


async def look(api: Api, act: Act) -> Seen:
    """Raises Failure."""
    if isinstance(act, ControlPlane):
        cluster = (await api.call("eks", "DescribeCluster", name=act.cluster))["cluster"]
        return Seen(
            status=cluster["status"],
            version=cluster["version"],
            updates=await updates_of(api, act.cluster, {}),
        )
    if isinstance(act, AddonBuild):
        whose = {"addonName": act.name}
        addon = (await api.call("eks", "DescribeAddon", clusterName=act.cluster, **whose))["addon"]
        return Seen(
            status=addon["status"],
            version=addon["addonVersion"],
            updates=await updates_of(api, act.cluster, whose),
        )
    whose = {"nodegroupName": act.name}
    group = (await api.call("eks", "DescribeNodegroup", clusterName=act.cluster, **whose))["nodegroup"]
    return Seen(
        status=group["status"],
        version=group["version"],
        release=group.get("releaseVersion", ""),
        template_version=str(group.get("launchTemplate", {}).get("version", "")),
        updates=await updates_of(api, act.cluster, whose),
    )


async def updates_of(api: Api, cluster: str, whose: dict[str, str]) -> tuple[SeenUpdate, ...]:
    """The newest, oldest first. `whose`: an add-on or a node group by name; empty: the cluster itself. Raises Failure."""
    ids = [str(one) async for one in api.pages("eks", "ListUpdates", "updateIds", name=cluster, **whose)]
    found = []
    for id_ in ids[-_NEWEST:]:
        try:
            found.append(
                _seen(
                    (await api.call("eks", "DescribeUpdate", name=cluster, updateId=id_, **whose))["update"]
                )
            )
        except Failure as error:
            if error.code != "ResourceNotFoundException":
                raise
    return tuple(sorted(found, key=lambda one: (one.created_s, one.id)))


def _seen(update: Mapping[str, Any]) -> SeenUpdate:
    return SeenUpdate(
        id=update["id"],
        type=update["type"],
        progress=Progress(update["status"]),
        created_s=update["createdAt"].timestamp(),
        parameters={one["type"]: one["value"] for one in update.get("params", ())},
        errors=tuple(
            SeenError(
                one.get("errorCode", "Unknown"),
                one.get("errorMessage", ""),
                tuple(one.get("resourceIds", ())),
            )
            for one in update.get("errors", ())
        ),
    )
