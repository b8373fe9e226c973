"""Who owns whom, and what follows from it. Pure.

Kubernetes' rules: an object goes when none of its owners is there any more. An owner deleted in the foreground
waits for the dependents that block it; one deleted with orphans lets them go first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from aliquot.kube.api.meta import ObjectMeta, OwnerReference
from aliquot.kube.client import Propagation
from aliquot.kube.resources import Resource

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


@dataclass(frozen=True, slots=True)
class Ref:
    """One object: its kind and its key."""

    resource: Resource
    key: str

    def __str__(self) -> str:
        return f"{self.resource.name}/{self.resource.version} {self.key}"


class OwnerState(Enum):
    THERE = "there"
    ABSENT = "absent"
    WAITING = "waiting for its dependents to go"
    UNKNOWN = "of a kind that is not served"


@dataclass(frozen=True, slots=True)
class Keep:
    pass


@dataclass(frozen=True, slots=True)
class Disown:
    """Take away the references to these owners."""

    uids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Delete:
    propagation: Propagation


@dataclass(frozen=True, slots=True)
class Finish:
    """Take the garbage collector's finalizer away: nothing holds the object any more."""

    finalizer: str


@dataclass(frozen=True, slots=True)
class Orphan:
    """Take the owner's reference away from all dependents, then its finalizer."""


@dataclass(frozen=True, slots=True)
class AwaitDependents:
    """They are to be judged: their owner waits for them."""


Verdict: TypeAlias = Keep | Disown | Delete | Finish | Orphan | AwaitDependents


def judge(
    metadata: ObjectMeta, owners: Mapping[str, OwnerState], dependents: Sequence[ObjectMeta]
) -> Verdict:
    """What becomes of one object. `owners` is the state of each of its owners, by uid."""
    finalizers = metadata.finalizers or ()
    if metadata.deletion_timestamp is not None:
        if ORPHAN in finalizers:
            return Orphan()
        if FOREGROUND in finalizers:
            blocked = any(blocks(dependent, metadata.uid) for dependent in dependents)
            return AwaitDependents() if blocked else Finish(FOREGROUND)
        return Keep()
    states = [owners[reference.uid] for reference in metadata.owner_references or ()]
    if not states or OwnerState.UNKNOWN in states:
        return Keep()
    if OwnerState.THERE in states:
        gone = tuple(
            reference.uid
            for reference in metadata.owner_references or ()
            if owners[reference.uid] is not OwnerState.THERE
        )
        return Disown(gone) if gone else Keep()
    if OwnerState.WAITING in states and dependents:
        return Delete(Propagation.FOREGROUND)
    if ORPHAN in finalizers:
        return Delete(Propagation.ORPHAN)
    return Delete(Propagation.FOREGROUND if FOREGROUND in finalizers else Propagation.BACKGROUND)


def state_of(owner: ObjectMeta) -> OwnerState:
    """Of an owner that is there."""
    waits = owner.deletion_timestamp is not None and FOREGROUND in (owner.finalizers or ())
    return OwnerState.WAITING if waits else OwnerState.THERE


def blocks(dependent: ObjectMeta, owner_uid: str) -> bool:
    """Does it hold up an owner that is deleted in the foreground?"""
    return any(
        reference.uid == owner_uid and reference.block_owner_deletion
        for reference in dependent.owner_references or ()
    )


class Graph:
    """All objects, by uid, and the dependents of each owner, whether the owner is there or not."""

    def __init__(self) -> None:
        self._objects: dict[str, tuple[Ref, ObjectMeta]] = {}
        self._at: dict[Ref, str] = {}
        # Dicts for their order: the same history gives the same order of work.
        self._dependents: dict[str, dict[str, None]] = {}

    def put(self, ref: Ref, metadata: ObjectMeta) -> None:
        self.drop(metadata.uid)
        self._objects[metadata.uid] = (ref, metadata)
        self._at[ref] = metadata.uid
        for reference in metadata.owner_references or ():
            self._dependents.setdefault(reference.uid, {})[metadata.uid] = None

    def drop(self, uid: str) -> None:
        found = self._objects.pop(uid, None)
        if found is None:
            return
        if self._at.get(found[0]) == uid:
            del self._at[found[0]]
        for reference in found[1].owner_references or ():
            dependents = self._dependents.get(reference.uid)
            if dependents is not None:
                dependents.pop(uid, None)
                if not dependents:
                    del self._dependents[reference.uid]

    def find(self, uid: str) -> tuple[Ref, ObjectMeta] | None:
        return self._objects.get(uid)

    def at(self, ref: Ref) -> ObjectMeta | None:
        uid = self._at.get(ref)
        return self._objects[uid][1] if uid is not None else None

    def dependents(self, uid: str) -> Sequence[tuple[Ref, ObjectMeta]]:
        return [self._objects[dependent] for dependent in self._dependents.get(uid, ())]


def reaches(reference: OwnerReference, owner: Ref, namespace: str) -> bool:
    """Can an object in `namespace` be owned by `owner`, as its reference says? Not across namespaces."""
    owner_namespace, _, name = owner.key.rpartition("/")
    group = reference.api_version.rpartition("/")[0]
    return (owner.resource.group, owner.resource.kind, name) == (group, reference.kind, reference.name) and (
        not owner.resource.namespaced or owner_namespace == namespace
    )
