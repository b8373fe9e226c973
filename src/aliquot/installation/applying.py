"""Puts the objects into a cluster: by server-side apply, in order; then what an earlier version had and this one has not goes."""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass

from aliquot.admission.installation import VERSIONS, forget_webhook
from aliquot.installation import kinds
from aliquot.installation.differences import differences, told
from aliquot.installation.kinds import KINDS, resource_of
from aliquot.installation.labels import INSTALLED, Json
from aliquot.kube import crds, errors
from aliquot.kube.client import Client, Propagation
from aliquot.kube.resources import DEPLOYMENTS, NAMESPACES, Resource, key
from aliquot.kube.roles import ADMISSION

FIELD_MANAGER = "aliquot-install"


@dataclass(frozen=True, slots=True)
class Change:
    what: str
    """`created`, `changed`, `unchanged`, `removed`."""
    kind: str
    key: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.key}: {self.what}" + (f" ({self.detail})" if self.detail else "")


async def apply(
    client: Client, objects: Sequence[Json], *, policy: Json | None, dry_run: bool
) -> AsyncIterator[Change]:
    """Definitions first, and they are served before anything else is there. Safe to repeat, and to stop anywhere. Raises
    ApiError, NotEstablished."""
    for definition in crds.ALL:
        yield await _apply(client, definition, dry_run=dry_run)
    if not dry_run:
        await crds.install(client)
    for one in objects:
        yield await _apply(client, one, dry_run=dry_run)
    async for change in _prune(client, objects, dry_run=dry_run):
        yield change
    if policy is not None:
        yield await _apply(client, policy, dry_run=dry_run)


async def _apply(client: Client, obj: Json, *, dry_run: bool) -> Change:
    resource, name = resource_of(obj), key(obj)
    metadata = obj["metadata"]
    try:
        before = await client.get(resource, metadata["name"], metadata.get("namespace"))
    except errors.NotFound:
        before = None
    try:
        after = await client.apply(resource, obj, field_manager=FIELD_MANAGER, force=True, dry_run=dry_run)
    except errors.NotFound:
        # Its namespace, or its kind, is among what is not there yet.
        if not dry_run:
            raise
        return Change("created", resource.kind, name)
    if before is None:
        return Change("created", resource.kind, name)
    found = differences(before, after)
    return Change("changed" if found else "unchanged", resource.kind, name, told(found))


async def _prune(client: Client, objects: Sequence[Json], *, dry_run: bool) -> AsyncIterator[Change]:
    kept = {(resource_of(one).name, key(one)) for one in objects}
    mutating = {one["apiVersion"] for one in objects if one["kind"] == "MutatingAdmissionPolicy"}
    if mutating and not dry_run:
        await forget_webhook(client)
    async for resource, obj in installed(client):
        name = key(obj)
        if resource is NAMESPACES or (resource.name, name) in kept:
            continue
        if not dry_run:
            if resource is DEPLOYMENTS and obj["metadata"]["name"] == ADMISSION["metadata"]["name"]:
                await forget_webhook(client)
            await delete(client, resource, obj)
        yield Change("removed", resource.kind, name)


async def installed(
    client: Client, selector: str = INSTALLED, served: Collection[Resource] = KINDS
) -> AsyncIterator[tuple[Resource, Json]]:
    """All that carries the labels, the last applied first."""
    everything = (*served, *(one for version in VERSIONS for one in kinds.mutating(version)))
    seen = set()
    for resource in reversed(everything):
        try:
            found = await client.list(resource, label_selector=selector)
        except errors.NotFound:
            continue
        for obj in found.items:
            if (uid := obj["metadata"]["uid"]) not in seen:
                seen.add(uid)
                yield resource, obj


async def delete(client: Client, resource: Resource, obj: Json) -> None:
    metadata = obj["metadata"]
    try:
        await client.delete(
            resource,
            metadata["name"],
            metadata.get("namespace"),
            propagation=Propagation.BACKGROUND,
            uid=metadata["uid"],
        )
    except errors.NotFound:
        return
