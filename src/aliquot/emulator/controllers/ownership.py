"""Which objects a controller holds: by its owner reference, taken on and given up by label.

An object has at most one controlling owner. A controller takes on orphans that its selector matches, and gives up
what it holds once the labels no longer match.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from aliquot.kube.api.meta import ObjectMeta, OwnerReference
from aliquot.kube.resources import Resource
from aliquot.kube.selectors import LabelSelector

OWNER_INDEX = "owner"
ORPHAN_INDEX = "orphan"


class HasMetadata(Protocol):
    @property
    def metadata(self) -> ObjectMeta: ...


T = TypeVar("T", bound=HasMetadata)


def controller_of(obj: HasMetadata) -> OwnerReference | None:
    return next((owner for owner in obj.metadata.owner_references or () if owner.controller), None)


def _controller_uid(obj: HasMetadata) -> Iterable[str]:
    owner = controller_of(obj)
    return (owner.uid,) if owner is not None else ()


def _orphaned_in(obj: HasMetadata) -> Iterable[str]:
    return (obj.metadata.namespace,) if controller_of(obj) is None else ()


INDEXES: Mapping[str, Callable[[HasMetadata], Iterable[str]]] = {
    OWNER_INDEX: _controller_uid,
    ORPHAN_INDEX: _orphaned_in,
}
"""By the uid of the controlling owner; objects without one by their namespace."""


def reference(resource: Resource, owner: HasMetadata) -> dict[str, Any]:
    """The owner reference by which `owner` controls what it makes."""
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": owner.metadata.name,
        "uid": owner.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


@dataclass(frozen=True, slots=True)
class Claim(Generic[T]):
    """`held` are the owner's own now; `adopt` may become its own, `release` are to be so no longer."""

    held: tuple[T, ...]
    adopt: tuple[T, ...]
    release: tuple[T, ...]


def claim(owner: HasMetadata, selector: LabelSelector, candidates: Iterable[T]) -> Claim[T]:
    """An owner that is being deleted takes nothing on and gives nothing up."""
    ending = owner.metadata.deletion_timestamp is not None
    held: list[T] = []
    adopt: list[T] = []
    release: list[T] = []
    for obj in candidates:
        holder = controller_of(obj)
        matches = not selector.empty and selector.matches(obj.metadata.labels)
        if holder is None:
            if matches and not ending and obj.metadata.deletion_timestamp is None:
                adopt.append(obj)
        elif holder.uid == owner.metadata.uid:
            if matches or ending:
                held.append(obj)
            else:
                release.append(obj)
    return Claim(tuple(held), tuple(adopt), tuple(release))


def adoption_patch(obj: HasMetadata, owner: dict[str, Any]) -> dict[str, Any]:
    return _owners_patch(obj, [*msgspec.to_builtins(obj.metadata.owner_references or ()), owner])


def release_patch(obj: HasMetadata, *owner_uids: str) -> dict[str, Any]:
    """Without the references to these owners. Conditional on the object being as it was seen."""
    kept = [owner for owner in obj.metadata.owner_references or () if owner.uid not in owner_uids]
    return _owners_patch(obj, msgspec.to_builtins(kept))


def newly_orphaned(old: HasMetadata | None, new: HasMetadata) -> bool:
    """Whether this change may have made `new` one that some controller would take on."""
    if controller_of(new) is not None:
        return False
    return old is None or controller_of(old) is not None or old.metadata.labels != new.metadata.labels


def _owners_patch(obj: HasMetadata, owners: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "metadata": {
            "ownerReferences": list(owners) or None,
            "resourceVersion": obj.metadata.resource_version,
        }
    }
