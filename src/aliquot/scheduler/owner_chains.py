"""Who owns a pod, from the API: kinds whose word changes are followed by a watch for each kind in use, others are read once for
each owner, however many pods it has.

A watch may trail that of the pods, and what a pod names may be gone: an owner that is not among the followed ones is read once
too. What an owner last said holds until its pods have gone.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from aliquot.kube import errors
from aliquot.kube.api.core import Pod
from aliquot.kube.api.meta import ObjectMeta, OwnerReference
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.controller import Controller
from aliquot.kube.resources import PODS, Resource
from aliquot.scheduler.grouping.owners import OWNER_KINDS, Owner, OwnerKind, Reading, owner_reference

OWNER = "owner"
"""What a chain needs: an owner, by its uid."""
STATUS = "status"
"""And its status, by its uid."""
FOLLOWED = "followed"
"""And a kind that is followed, by its resource's name."""

_READERS = 8
_AGAIN_S = 300.0
"""Between two looks at an owner that we may not see."""
_HIGHEST = 12


class NotYet(Exception):
    """It is being read; whoever asked is told when it is there."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    resource: Resource
    kind: OwnerKind
    namespace: str
    reference: OwnerReference


class OwnerChains:
    """`changed` is called with what has become known or is another: `(OWNER, uid)`, `(STATUS, uid)`,
    `(FOLLOWED, name)`. `is_needed` says whether
    anybody still needs the owner with that uid."""

    def __init__(
        self,
        client: Client,
        *,
        rng: random.Random,
        pods: Cache[Pod],
        changed: Callable[[tuple[str, str]], None],
        is_needed: Callable[[str], bool],
    ) -> None:
        self._client = client
        self._pods = pods
        self._changed = changed
        self._is_needed = is_needed
        self._followed: dict[Resource, Cache[Any]] = {}
        self._wanted: dict[str, _Wanted] = {}
        self._read: dict[str, Owner] = {}
        """Those that were read by themselves, and those that are gone, as they were."""
        self._reading = Controller("pod-owners", self._look, rng=rng, workers=_READERS)
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Until cancelled."""
        stop = self._pods.subscribe(lambda old, new: self._followed_changed(PODS, old, new))
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                tasks.create_task(self._tell_when_synced(self._pods), name=f"synced {PODS.name}")
                for cache in self._followed.values():
                    self._start(tasks, cache)
                await self._reading.run()
        finally:
            self._tasks = None
            stop()

    def of(self, pod: Pod, needs: Callable[[tuple[str, str]], None]) -> list[Owner]:
        """From the pod's up. `needs` is told what the answer rests on. Raises NotYet."""
        owners: list[Owner] = []
        metadata = pod.metadata
        # A chain that bites its own tail ends somewhere.
        while len(owners) < _HIGHEST and (reference := owner_reference(metadata)) is not None:
            owner = self._owner(reference, pod.metadata.namespace, needs)
            owners.append(owner)
            metadata = owner.metadata
        return owners

    def first(self, pod: Pod) -> Owner | None:
        """What controls the pod, of the kinds that are followed; None: it is not known (yet)."""
        reference = owner_reference(pod.metadata)
        if reference is None:
            return None
        group, _, version = reference.api_version.rpartition("/")
        kind = OWNER_KINDS.get((group, reference.kind))
        if kind is None or kind.reading is not Reading.FOLLOWED:
            return None
        resource = kind.resource(version)
        found = self._follow(resource, kind).get(f"{pod.metadata.namespace}/{reference.name}")
        if found is None or found.metadata.uid != reference.uid:
            return None
        return _owner(resource, found.metadata, found)

    def forget(self, uid: str) -> None:
        """Nobody needs that owner any more."""
        self._wanted.pop(uid, None)
        self._read.pop(uid, None)

    def _owner(
        self, reference: OwnerReference, namespace: str, needs: Callable[[tuple[str, str]], None]
    ) -> Owner:
        group, _, version = reference.api_version.rpartition("/")
        kind = OWNER_KINDS.get((group, reference.kind))
        if kind is None or kind.reading is Reading.NEVER:
            return _unread(reference, namespace)
        needs((OWNER, reference.uid))
        resource = kind.resource(version)
        if kind.reading is Reading.FOLLOWED:
            cache = self._follow(resource, kind)
            found = cache.get(f"{namespace}/{reference.name}")
            if found is not None and found.metadata.uid == reference.uid:
                return _owner(resource, found.metadata, found)
            needs((FOLLOWED, resource.name))
            if not cache.is_synced:
                raise NotYet
            if not cache.is_served and reference.uid not in self._read:
                return _unread(reference, namespace, _not_shown(resource))
        read = self._read.get(reference.uid)
        if read is None:
            self._wanted[reference.uid] = _Wanted(resource, kind, namespace, reference)
            self._reading.enqueue(reference.uid)
            raise NotYet
        return read

    def _follow(self, resource: Resource, kind: OwnerKind) -> Cache[Any]:
        if resource == PODS:
            return self._pods
        cache = self._followed.get(resource)
        if cache is None:
            cache = self._followed[resource] = Cache(self._client, resource, kind.into, optional=True)
            cache.subscribe(lambda old, new: self._followed_changed(resource, old, new))
            cache.subscribe_served(lambda: self._changed((FOLLOWED, resource.name)))
            if self._tasks is not None:
                self._start(self._tasks, cache)
        return cache

    def _start(self, tasks: asyncio.TaskGroup, cache: Cache[Any]) -> None:
        tasks.create_task(cache.run(), name=f"cache {cache.resource.name}")
        tasks.create_task(self._tell_when_synced(cache), name=f"synced {cache.resource.name}")

    async def _tell_when_synced(self, cache: Cache[Any]) -> None:
        await cache.synced()
        self._changed((FOLLOWED, cache.resource.name))

    def _followed_changed(self, resource: Resource, old: Any, new: Any) -> None:
        if new is None:
            if self._is_needed(old.metadata.uid):
                self._read[old.metadata.uid] = _owner(resource, old.metadata, old)
            return
        uid = new.metadata.uid
        if not self._is_needed(uid):
            return
        if old is None or not _says_the_same(old, new):
            self._changed((OWNER, uid))
        elif not isinstance(new, Pod) and getattr(old, "status", None) != getattr(new, "status", None):
            self._changed((STATUS, uid))

    async def _look(self, uid: str) -> float | None:
        """Raises ApiError, and is called again then."""
        wanted = self._wanted.get(uid)
        if wanted is None:
            return None
        again_s: float | None = None
        try:
            obj = await self._client.get(wanted.resource, wanted.reference.name, wanted.namespace)
            owner = _decoded(wanted, obj)
        except errors.NotFound:
            owner = _unread(wanted.reference, wanted.namespace, "it is gone")
        except (errors.Forbidden, errors.Unauthorized):
            owner = _unread(wanted.reference, wanted.namespace, _not_shown(wanted.resource))
            again_s = _AGAIN_S
        if uid in self._wanted and self._read.get(uid) != owner:
            self._read[uid] = owner
            self._changed((OWNER, uid))
        return again_s


def _says_the_same(old: Any, new: Any) -> bool:
    """All that is read of an owner but its status: of a pod what every object has, of others what is wanted too."""
    return bool(
        old.metadata.labels == new.metadata.labels
        and old.metadata.annotations == new.metadata.annotations
        and old.metadata.owner_references == new.metadata.owner_references
        and (isinstance(new, Pod) or getattr(old, "spec", None) == getattr(new, "spec", None))
    )


def _decoded(wanted: _Wanted, obj: dict[str, Any]) -> Owner:
    if obj["metadata"].get("uid") != wanted.reference.uid:
        return _unread(wanted.reference, wanted.namespace, "it is gone, and another has its name")
    try:
        body = msgspec.convert(obj, wanted.kind.into)
    except msgspec.ValidationError as error:
        return _unread(wanted.reference, wanted.namespace, str(error))
    return _owner(wanted.resource, body.metadata, body)


def _owner(resource: Resource, metadata: ObjectMeta, body: Any) -> Owner:
    return Owner(resource.group, resource.version, resource.kind, metadata, body)


def _unread(reference: OwnerReference, namespace: str, problem: str = "") -> Owner:
    group, _, version = reference.api_version.rpartition("/")
    metadata = ObjectMeta(name=reference.name, namespace=namespace, uid=reference.uid)
    return Owner(group, version, reference.kind, metadata, problem=problem)


def _not_shown(resource: Resource) -> str:
    return (
        f"the API server does not show it to the scheduler, whose role needs get, list and watch of {resource.name} "
        "(deploy/roles.yaml)"
    )
