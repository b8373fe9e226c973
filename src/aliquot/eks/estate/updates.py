"""What EKS tells of its *updates*: of a control plane, an add-on, a node group."""

import asyncio
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct

from aliquot.eks.aws.api import Api, Failure

_AT_EACH_END = 8
"""Updates that are looked at: what a run began is among them. EKS says nothing of the order it lists them in."""


class Progress(StrEnum):
    IN_PROGRESS = "InProgress"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    SUCCESSFUL = "Successful"


class SeenError(Struct, frozen=True):
    code: str
    message: str
    resources: tuple[str, ...] = ()


class SeenUpdate(Struct, frozen=True, kw_only=True):
    id: str
    type: str
    progress: Progress
    created_s: float
    parameters: dict[str, str] = {}
    errors: tuple[SeenError, ...] = ()


async def updates_of(api: Api, cluster: str, whose: dict[str, str]) -> tuple[SeenUpdate, ...]:
    """The newest, oldest first. `whose`: an add-on or a node group by name; empty: the cluster itself. Raises Failure."""
    ids = [str(one) async for one in api.pages("eks", "ListUpdates", "updateIds", name=cluster, **whose)]
    looked_at = dict.fromkeys((*ids[:_AT_EACH_END], *ids[-_AT_EACH_END:]))
    found = await asyncio.gather(*(_update(api, cluster, whose, id_) for id_ in looked_at))
    there = [one for one in found if one is not None]
    return tuple(sorted(there, key=lambda one: (one.created_s, one.id)))


async def _update(api: Api, cluster: str, whose: dict[str, str], id_: str) -> SeenUpdate | None:
    """None: it is forgotten."""
    try:
        answer = await api.call("eks", "DescribeUpdate", name=cluster, updateId=id_, **whose)
    except Failure as error:
        if error.code != "ResourceNotFoundException":
            raise
        return None
    return _seen(answer["update"])


def over(updates: tuple[SeenUpdate, ...]) -> tuple[str, ...]:
    """Ids of those that have come to an end."""
    return tuple(one.id for one in updates if one.progress is not Progress.IN_PROGRESS)


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
