"""Garbage collection: the shell around `ownership_graph`.

It watches the metadata of every kind. An object whose owner cannot be found here is not touched before the server
itself says that the owner is not there: caches of different kinds are not of the same moment.
"""

import asyncio
import random
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from aliquot.emulator.controllers import kinds, ownership
from aliquot.emulator.controllers.kinds import Crd, Kinds
from aliquot.emulator.controllers.ownership import HasMetadata
from aliquot.emulator.controllers.ownership_graph import (
    ORPHAN,
    AwaitDependents,
    Delete,
    Disown,
    Finish,
    Graph,
    Orphan,
    OwnerState,
    Ref,
    judge,
    reaches,
    state_of,
)
from aliquot.emulator.controllers.types import MetadataOnly
from aliquot.emulator.versions import STANDARD, Surface
from aliquot.kube import errors
from aliquot.kube.api.meta import ObjectMeta, OwnerReference
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.controller import Controller
from aliquot.kube.resources import EVENTS, Resource, split_key
from aliquot.kube.resources import key as key_of

_ABSENT_REMEMBERED = 1000
_UNKNOWN_KIND_AGAIN_S = 60.0


class Garbage:
    """`shared` are caches that follow some of the kinds anyway; the others get a cache of their metadata."""

    def __init__(
        self,
        client: Client,
        rng: random.Random,
        crds: Cache[Crd],
        shared: Mapping[Resource, Cache[Any]],
        surface: Surface = STANDARD,
    ) -> None:
        self._client = client
        self._crds = crds
        self._kinds = Kinds(crds, surface)
        self._shared = dict(shared)
        self._graph = Graph()
        self._refs: dict[str, Ref] = {}
        self._absent: OrderedDict[str, None] = OrderedDict()
        self.controller = Controller("garbage", self.reconcile, rng=rng, workers=4)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            synced = []
            for resource in self._kinds.built_in:
                if resource == EVENTS:
                    # Nobody owns them, and there are many.
                    continue
                cache: Cache[Any] | None = self._shared.get(resource)
                if cache is None:
                    cache = Cache(self._client, resource, MetadataOnly)
                    tasks.create_task(cache.run(), name=f"garbage {resource.name}")
                self._follow(resource, cache)
                synced.append(cache)
            for cache in synced:
                await cache.synced()
            tasks.create_task(self._follow_custom(), name="garbage custom kinds")
            tasks.create_task(self.controller.run(), name="garbage")

    def _follow(self, resource: Resource, cache: Cache[Any]) -> None:
        def changed(old: HasMetadata | None, new: HasMetadata | None) -> None:
            self._changed(resource, old, new)

        cache.subscribe(changed)

    async def _follow_custom(self) -> None:
        """A cache for each custom kind, for as long as it is served."""
        running: dict[Resource, tuple[Cache[MetadataOnly], asyncio.Task[None]]] = {}
        moved = asyncio.Event()
        unsubscribe = self._crds.subscribe(lambda old, new: moved.set())
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    moved.clear()
                    wanted = {
                        resource: None
                        for crd in sorted(self._crds.values(), key=lambda found: found.metadata.name)
                        if (resource := kinds.custom(crd)) is not None
                    }
                    for resource in [resource for resource in running if resource not in wanted]:
                        cache, task = running.pop(resource)
                        task.cancel()
                        self._forget(cache)
                    for resource in wanted:
                        if resource not in running:
                            cache = Cache(self._client, resource, MetadataOnly)
                            self._follow(resource, cache)
                            task = tasks.create_task(cache.run(), name=f"garbage {resource.name}")
                            running[resource] = (cache, task)
                    await moved.wait()
        finally:
            unsubscribe()

    def _forget(self, cache: Cache[MetadataOnly]) -> None:
        """Of a kind that is no longer served so. Whether its objects are gone is for the server to say."""
        for found in list(cache.values()):
            self._graph.drop(found.metadata.uid)
            self._wake_dependents(found.metadata.uid)

    def _changed(self, resource: Resource, old: HasMetadata | None, new: HasMetadata | None) -> None:
        if new is not None:
            ref = Ref(resource, key_of(new))
            self._graph.put(ref, new.metadata)
            self._absent.pop(new.metadata.uid, None)
            if self._needs_judgement(new.metadata):
                self._enqueue(ref)
            if old is not None and old.metadata.owner_references != new.metadata.owner_references:
                self._wake_owners(old.metadata)
            if state_of(new.metadata) is OwnerState.WAITING:
                self._wake_dependents(new.metadata.uid)
        elif old is not None:
            self._graph.drop(old.metadata.uid)
            self._note_absent(old.metadata.uid)
            self._wake_dependents(old.metadata.uid)
            self._wake_owners(old.metadata)

    @staticmethod
    def _needs_judgement(metadata: ObjectMeta) -> bool:
        if metadata.deletion_timestamp is not None:
            return bool(metadata.finalizers)
        return bool(metadata.owner_references)

    def _wake_dependents(self, uid: str) -> None:
        for ref, _ in self._graph.dependents(uid):
            self._enqueue(ref)

    def _wake_owners(self, metadata: ObjectMeta) -> None:
        """An owner that waits in the foreground may have waited for this one."""
        for reference in metadata.owner_references or ():
            found = self._graph.find(reference.uid)
            if found is not None and found[1].deletion_timestamp is not None:
                self._enqueue(found[0])

    def _enqueue(self, ref: Ref) -> None:
        name = str(ref)
        self._refs[name] = ref
        self.controller.enqueue(name)

    def _note_absent(self, uid: str) -> None:
        self._absent[uid] = None
        while len(self._absent) > _ABSENT_REMEMBERED:
            self._absent.popitem(last=False)

    async def reconcile(self, name: str) -> float | None:
        ref = self._refs[name]
        found = self._graph.at(ref)
        if found is None:
            self._refs.pop(name, None)
            return None
        metadata = found
        owners = {}
        if metadata.deletion_timestamp is None:
            for reference in metadata.owner_references or ():
                owners[reference.uid] = await self._state(reference, metadata.namespace)
        dependents = self._graph.dependents(metadata.uid)
        match judge(metadata, owners, [found for _, found in dependents]):
            case Disown(uids):
                await self._disown(ref, metadata, uids)
            case Delete(propagation):
                namespace, object_name = split_key(ref.key)
                try:
                    await self._client.delete(
                        ref.resource,
                        object_name,
                        namespace or None,
                        propagation=propagation,
                        uid=metadata.uid,
                        resource_version=metadata.resource_version,
                    )
                except errors.NotFound:
                    return None
            case Finish(finalizer):
                await self._finish(ref, metadata, finalizer)
            case Orphan():
                for dependent, found in dependents:
                    await self._disown(dependent, found, (metadata.uid,))
                await self._finish(ref, metadata, ORPHAN)
            case AwaitDependents():
                for dependent, _ in dependents:
                    self._enqueue(dependent)
        return _UNKNOWN_KIND_AGAIN_S if OwnerState.UNKNOWN in owners.values() else None

    async def _state(self, reference: OwnerReference, namespace: str) -> OwnerState:
        known = self._graph.find(reference.uid)
        if known is not None:
            there = reaches(reference, known[0], namespace)
            return state_of(known[1]) if there else OwnerState.ABSENT
        if reference.uid in self._absent:
            return OwnerState.ABSENT
        resource = self._kinds.find(reference.api_version, reference.kind)
        if resource is None:
            return OwnerState.UNKNOWN
        if resource.namespaced and not namespace:
            # A cluster-scoped object cannot be owned by a namespaced one.
            return OwnerState.ABSENT
        try:
            owner = await self._client.get(
                resource, reference.name, namespace if resource.namespaced else None, into=MetadataOnly
            )
        except errors.NotFound:
            self._note_absent(reference.uid)
            return OwnerState.ABSENT
        if owner.metadata.uid != reference.uid:
            self._note_absent(reference.uid)
            return OwnerState.ABSENT
        return state_of(owner.metadata)

    async def _disown(self, ref: Ref, metadata: ObjectMeta, uids: Sequence[str]) -> None:
        obj = MetadataOnly(metadata=metadata)
        patch = ownership.release_patch(obj, *uids)
        await self._patch(ref, patch)

    async def _finish(self, ref: Ref, metadata: ObjectMeta, finalizer: str) -> None:
        left = [found for found in metadata.finalizers or () if found != finalizer]
        version = metadata.resource_version
        await self._patch(ref, {"metadata": {"finalizers": left or None, "resourceVersion": version}})

    async def _patch(self, ref: Ref, patch: Mapping[str, Any]) -> None:
        namespace, name = split_key(ref.key)
        try:
            await self._client.patch(ref.resource, name, patch, namespace or None)
        except errors.NotFound:
            return
