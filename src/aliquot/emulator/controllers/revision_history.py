"""The templates that a StatefulSet or DaemonSet had, each kept as a ControllerRevision, numbered in order of use.

The name ends in a hash of the template: to make the same one twice is refused by name. A template that is used
again moves to the end of the history.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from aliquot.emulator.controllers import ownership, revisions
from aliquot.emulator.controllers.owned_pods import PodOwner
from aliquot.emulator.controllers.ownership import ORPHAN_INDEX, OWNER_INDEX
from aliquot.emulator.controllers.types import ControllerRevision
from aliquot.kube import errors, selectors
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.resources import CONTROLLERREVISIONS, Resource

HASH_LABEL = "controller.kubernetes.io/hash"
POD_LABEL = "controller-revision-hash"


def data(template: Mapping[str, Any]) -> dict[str, Any]:
    """What a revision keeps: a strategic merge patch that puts the template back."""
    return {"spec": {"template": {**template, "$patch": "replace"}}}


def template_of(revision: ControllerRevision) -> dict[str, Any]:
    kept = ((revision.data or {}).get("spec") or {}).get("template") or {}
    return {name: value for name, value in kept.items() if name != "$patch"}


def in_order(found: Iterable[ControllerRevision]) -> list[ControllerRevision]:
    """Oldest use first."""
    return sorted(
        found, key=lambda one: (one.revision, one.metadata.creation_timestamp or "", one.metadata.name)
    )


def equal(revision: ControllerRevision, template: Mapping[str, Any]) -> bool:
    return revisions.same_template(template_of(revision), template)


def surplus(
    held: Sequence[ControllerRevision], live: Collection[str], limit: int
) -> list[ControllerRevision]:
    """Revisions beyond the history that is kept, oldest first. `live` are the names of those in use."""
    idle = [found for found in in_order(held) if found.metadata.name not in live]
    return idle[: max(0, len(idle) - limit)]


Owner = TypeVar("Owner", bound=PodOwner)


class RevisionHistory(Generic[Owner]):
    """`cache` has `ownership.INDEXES`."""

    def __init__(
        self,
        client: Client,
        resource: Resource,
        cache: Cache[ControllerRevision],
        *,
        hash_label: str = HASH_LABEL,
    ) -> None:
        self._client = client
        self._resource = resource
        self._cache = cache
        self._hash_label = hash_label

    async def claim(self, owner: Owner) -> list[ControllerRevision]:
        """The owner's revisions, oldest first, orphans that it selects among them."""
        namespace = owner.metadata.namespace
        candidates = [
            *self._cache.indexed(OWNER_INDEX, owner.metadata.uid),
            *self._cache.indexed(ORPHAN_INDEX, namespace),
        ]
        claim = ownership.claim(owner, selectors.from_object(owner.spec.selector), candidates)
        held = list(claim.held)
        reference = ownership.reference(self._resource, owner)
        for found in claim.adopt:
            patch = ownership.adoption_patch(found, reference)
            held.append(
                await self._client.patch(
                    CONTROLLERREVISIONS, found.metadata.name, patch, namespace, into=ControllerRevision
                )
            )
        return in_order(held)

    async def of(
        self, owner: Owner, template: Mapping[str, Any], held: list[ControllerRevision], collisions: int
    ) -> tuple[ControllerRevision, int]:
        """The revision of `template`, made or renumbered where need be and put into `held`; and the collisions by now."""
        number = held[-1].revision + 1 if held else 1
        same = [found for found in held if equal(found, template)]
        if same and same[-1] is held[-1]:
            return same[-1], collisions
        if same:
            old = same[-1]
            patch = {
                "metadata": {"resourceVersion": old.metadata.resource_version},
                "revision": number,
            }
            moved = await self._client.patch(
                CONTROLLERREVISIONS, old.metadata.name, patch, old.metadata.namespace, into=ControllerRevision
            )
            held.remove(old)
        else:
            moved, collisions = await self._create(owner, template, number, collisions)
        held.append(moved)
        return moved, collisions

    async def _create(
        self, owner: Owner, template: Mapping[str, Any], number: int, collisions: int
    ) -> tuple[ControllerRevision, int]:
        namespace = owner.metadata.namespace
        labels = (template.get("metadata") or {}).get("labels") or {}
        while True:
            digest = revisions.template_hash(template, collisions)
            name = f"{owner.metadata.name}-{digest}"
            body = {
                "metadata": {
                    "name": name,
                    "namespace": namespace,
                    "labels": {**labels, self._hash_label: digest},
                    "annotations": owner.metadata.annotations or {},
                    "ownerReferences": [ownership.reference(self._resource, owner)],
                },
                "data": data(template),
                "revision": number,
            }
            try:
                made = await self._client.create(
                    CONTROLLERREVISIONS, body, namespace, into=ControllerRevision
                )
                return made, collisions
            except errors.AlreadyExists:
                there = await self._client.get(CONTROLLERREVISIONS, name, namespace, into=ControllerRevision)
                holder = ownership.controller_of(there)
                if holder is not None and holder.uid == owner.metadata.uid and equal(there, template):
                    return there, collisions
                collisions += 1

    async def truncate(self, held: Sequence[ControllerRevision], live: Collection[str], limit: int) -> None:
        for found in surplus(held, live, limit):
            try:
                await self._client.delete(
                    CONTROLLERREVISIONS,
                    found.metadata.name,
                    found.metadata.namespace,
                    uid=found.metadata.uid,
                )
            except errors.NotFound:
                continue
