"""Finds a resource in AWS, as its `Look` says."""

from collections.abc import AsyncIterator, Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct

from aliquot.eks.aws.api import DENIED, Api, Failure
from aliquot.eks.provision.resources import CLUSTER_TAG, NAME_TAG, Look, Resource, at, resolved

Found = Mapping[str, Any]
"""What AWS tells of a resource."""


def unseen(failure: Failure) -> bool:
    """AWS does not tell yet of what the call names, or no longer."""
    return failure.code in _UNSEEN or ".NotFound" in failure.code


# Of some, EC2 says InvalidX.NotFound, of others InvalidX.NotFoundException.
_UNSEEN = frozenset({"NoSuchEntity", "NoSuchEntityException"})


class State(StrEnum):
    READY = "ready"
    ON_ITS_WAY = "on its way"
    FAILED = "failed"


class NotOurs(Exception):
    """One line: its name is taken."""


class Twice(Exception):
    """One line: two are there where one is wanted."""


class Standing(Struct, frozen=True):
    state: State
    status: str = ""
    why: str = ""


async def look(api: Api, resource: Resource, known: Mapping[str, Found], cluster: str) -> Found | None:
    """None: it is not there, or something is not that it needs. Raises Failure, NotOurs, Twice."""
    fitting = await matching(api, resource.look, known)
    if not fitting and resource.look.by_key_tags:
        return await _key(api, cluster, resource.key)
    if not fitting:
        return None
    if len(fitting) > 1 and not resource.look.where:
        named = ", ".join(sorted(_id(item) for item in fitting))
        raise Twice(
            f"{resource.title} of {cluster} is there {len(fitting)} times ({named}): delete all but one"
        )
    _refuse_of_others(resource.look, fitting[0], resource, cluster)
    ours: Found = fitting[0]
    return ours


async def matching(api: Api, spec: Look, known: Mapping[str, Found]) -> list[Any]:
    """All that the look finds. Raises Failure."""
    try:
        parameters = resolved(spec.parameters, known)
        where = resolved(spec.where, known)
    except KeyError:
        return []
    try:
        found = await _items(api, spec, parameters)
    except Failure as failure:
        # Not found by its id: AWS has told of it once, and here does not yet.
        if failure.code not in spec.absent and not unseen(failure):
            raise
        found = []
    return [
        item
        for item in found
        if all(at(item, path) == value for path, value in where.items())
        and not any(at(item, path) in values for path, values in spec.without.items())
    ]


def standing(spec: Look, found: Found) -> Standing:
    if not spec.status:
        return Standing(State.READY)
    status = str(at(found, spec.status))
    if status in spec.failed:
        return Standing(State.FAILED, status, _why(at(found, spec.why) if spec.why else None))
    return Standing(State.READY if status in spec.ready else State.ON_ITS_WAY, status)


def _why(told: Any) -> str:
    if isinstance(told, list):
        return "; ".join(f"{one.get('code', '')}: {one.get('message', '')}" for one in told)
    return str(told or "")


async def _items(api: Api, spec: Look, parameters: dict[str, Any]) -> list[Any]:
    if spec.paged:
        return [item async for item in api.pages(spec.service, spec.operation, spec.at, **parameters)]
    told = at(await api.call(spec.service, spec.operation, **parameters), spec.at)
    if told is None:
        return []
    return told if isinstance(told, list) else [told]


def _refuse_of_others(spec: Look, found: Found, resource: Resource, cluster: str) -> None:
    if not spec.tags:
        return
    told = at(found, spec.tags) or {}
    tags = told if isinstance(told, Mapping) else {one["Key"]: one["Value"] for one in told}
    if tags.get(CLUSTER_TAG) != cluster:
        raise NotOurs(
            f"{resource.title}: its name is taken by one that is not of this cluster (it has no tag {CLUSTER_TAG}={cluster}):"
            " delete that, or choose another name"
        )


def _id(item: Any) -> str:
    """Of what EC2 tells: the first member that is an id."""
    return next((str(value) for key, value in item.items() if key.endswith("Id") and key != "OwnerId"), "?")


async def _key(api: Api, cluster: str, key: str) -> Found | None:
    """Of KMS, by its tags: one whose maker died before it had its alias."""
    found = [one async for one in keys(api, cluster)]
    ours = [one for one in found if one["Tags"].get(NAME_TAG) == key]
    return ours[0] if ours else None


async def keys(api: Api, cluster: str, unread: list[str] | None = None) -> AsyncIterator[dict[str, Any]]:
    """All keys of the cluster that are not about to go, with their tags. `unread` gets those whose tags may not be read."""
    async for one in api.pages("kms", "ListKeys", "Keys"):
        assert isinstance(one, dict)
        try:
            told = [tag async for tag in api.pages("kms", "ListResourceTags", "Tags", KeyId=one["KeyId"])]
        except Failure as failure:
            if failure.code not in DENIED and failure.code != "NotFoundException":
                raise
            # A key of others may forbid it to all but them.
            if failure.code in DENIED and unread is not None:
                unread.append(one["KeyId"])
            continue
        tags = {tag["TagKey"]: tag["TagValue"] for tag in told if isinstance(tag, dict)}
        if tags.get(CLUSTER_TAG) != cluster:
            continue
        metadata = (await api.call("kms", "DescribeKey", KeyId=one["KeyId"]))["KeyMetadata"]
        if metadata["KeyState"] != "PendingDeletion":
            yield {**metadata, "Tags": tags}
