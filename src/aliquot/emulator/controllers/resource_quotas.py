"""ResourceQuotas: what is used of each, in its status, for people to read. Admission does not wait for it."""

import asyncio
import random
from collections.abc import Iterable, Mapping
from typing import Any

from aliquot.emulator.controllers import pods
from aliquot.emulator.controllers.kinds import Kinds
from aliquot.emulator.controllers.status import as_json, status_differs
from aliquot.emulator.controllers.types import MetadataOnly, ResourceQuota
from aliquot.emulator.kinds import resource_lists
from aliquot.emulator.kinds.resource_lists import Amounts
from aliquot.emulator.quota import usage
from aliquot.emulator.registry import SERVICES
from aliquot.kube import errors
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.controller import Controller
from aliquot.kube.resources import RESOURCEQUOTAS, Resource, key

RESYNC_S = 300.0
_UNKNOWN_KIND_AGAIN_S = 60.0
_READ_WHOLE = frozenset([SERVICES, usage.DEVICE_CLAIMS])
"""Kinds of which more than their number counts, and that nobody else follows."""


class ResourceQuotas:
    """`shared` are caches that follow some of the kinds anyway. A kind that some quota counts is followed from then on."""

    def __init__(
        self,
        client: Client,
        rng: random.Random,
        quotas: Cache[ResourceQuota],
        shared: Mapping[Resource, Cache[Any]],
        kinds: Kinds,
    ) -> None:
        self._client = client
        self._quotas = quotas
        self._kinds = kinds
        self._shared = {resource.name: cache for resource, cache in shared.items()}
        self._followed: dict[str, Cache[Any]] = {}
        self._sizes: dict[str, int] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self.controller = Controller("resourcequota", self.reconcile, rng=rng, workers=2)
        self.controller.watch(quotas)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as self._tasks:
            self._followed.clear()
            self._tasks.create_task(self.controller.run(), name="resource quotas")

    async def reconcile(self, name: str) -> float | None:
        quota = self._quotas.get(name)
        if quota is None:
            self._sizes.pop(name, None)
            return None
        hard = quota.spec.hard or {}
        shown = as_json(quota)
        used: Amounts = dict.fromkeys(hard, "0")
        again_s, size = RESYNC_S, 0
        for storage in sorted(usage.tracked(hard)):
            cache = await self._cache(storage)
            if cache is None:
                again_s = _UNKNOWN_KIND_AGAIN_S
                continue
            names = usage.named(storage, hard)
            for obj in _of(cache, quota.metadata.namespace):
                size += 1
                found = as_json(obj)
                if usage.covers(shown, storage, found):
                    counted = usage.usage(storage, found)
                    used = resource_lists.add(
                        used, {key: value for key, value in counted.items() if key in names}
                    )
        self._sizes[name] = size
        await self._write(quota, dict(hard), used)
        return again_s

    async def _write(self, quota: ResourceQuota, hard: Amounts, used: Amounts) -> None:
        status: dict[str, Any] = {"hard": hard, "used": used}
        if not status_differs(status, quota.status):
            return
        for field, before in (("hard", quota.status.hard), ("used", quota.status.used)):
            gone = set(before or ()) - set(status[field])
            status[field] = {**status[field], **dict.fromkeys(gone)}
        metadata = quota.metadata
        patch = {"metadata": {"resourceVersion": metadata.resource_version}, "status": status}
        try:
            await self._client.patch(
                RESOURCEQUOTAS, metadata.name, patch, metadata.namespace, subresource="status"
            )
        except errors.NotFound:
            return

    # ---- what counts -------------------------------------------------------------------------------------

    async def _cache(self, storage: str) -> Cache[Any] | None:
        """Of the objects stored under a name, in step with the server; None when there is no such kind."""
        cache = self._followed.get(storage)
        if cache is None:
            cache = self._shared.get(storage)
            if cache is None:
                cache = self._started(storage)
            if cache is None:
                return None
            self._followed[storage] = cache
            cache.subscribe(lambda old, new: self._changed(storage, old, new))
        await cache.synced()
        return cache

    def _started(self, storage: str) -> Cache[Any] | None:
        resource = next((one for one in self._kinds.all() if one.name == storage and one.namespaced), None)
        if resource is None or self._tasks is None:
            return None
        cache: Cache[Any] = Cache(self._client, resource, dict if storage in _READ_WHOLE else MetadataOnly)
        self._tasks.create_task(cache.run(), name=f"quota {storage}")
        return cache

    def _changed(self, storage: str, old: Any, new: Any) -> None:
        namespace = _namespace(new if new is not None else old)
        for quota in self._quotas.values():
            if quota.metadata.namespace == namespace and storage in usage.tracked(quota.spec.hard or {}):
                name = key(quota)
                self.controller.enqueue_after(name, pods.gather_s(self._sizes.get(name, 0)))


def _of(cache: Cache[Any], namespace: str) -> Iterable[Any]:
    return [obj for obj in cache.values() if _namespace(obj) == namespace]


def _namespace(obj: Any) -> str:
    return str(obj["metadata"]["namespace"] if isinstance(obj, dict) else obj.metadata.namespace)
