"""How the jobs stand that others wait for, from the API.

A watch for each kind that can end, from the first time that anybody waits for a job. What has ended and is gone since is
remembered while somebody waits for it; see `sequels` for what outlives this process.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from aliquot.kube.api.core import Pod
from aliquot.kube.api.meta import ObjectMeta, Wire
from aliquot.kube.api.podgroup import PodGroup
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.resources import Resource, key
from aliquot.scheduler.grouping.ends import standing_of
from aliquot.scheduler.grouping.sequence import ENDED, Standing
from aliquot.scheduler.owner_chains import NotYet


class Ending(Wire, kw_only=True, frozen=True):
    """An object of which only its end matters."""

    metadata: ObjectMeta
    status: dict[str, Any] | None = None


def _resource(group: str, version: str, kind: str) -> Resource:
    return Resource(group, version, f"{kind.lower()}s", kind)


_KINDS: tuple[tuple[Resource, ...], ...] = (
    (_resource("batch", "v1", "Job"),),
    (_resource("jobset.x-k8s.io", "v1alpha2", "JobSet"),),
    *(
        (_resource("kubeflow.org", "v1", kind),)
        for kind in ("PyTorchJob", "TFJob", "XGBoostJob", "PaddleJob", "JAXJob")
    ),
    (_resource("kubeflow.org", "v2beta1", "MPIJob"), _resource("kubeflow.org", "v1", "MPIJob")),
    (_resource("trainer.kubeflow.org", "v1alpha1", "TrainJob"),),
    (_resource("ray.io", "v1", "RayJob"),),
    (_resource("argoproj.io", "v1alpha1", "Workflow"),),
    (_resource("tekton.dev", "v1", "PipelineRun"),),
    (_resource("tekton.dev", "v1", "TaskRun"),),
    (_resource("sparkoperator.k8s.io", "v1beta2", "SparkApplication"),),
    (_resource("workload.codeflare.dev", "v1beta2", "AppWrapper"),),
)
"""By which a job can be named, each with its older versions. Of several objects with one name the first of these counts."""


class Endings:
    """`changed` is called with `namespace/name` of a job that may stand otherwise now, None: of all. `is_awaited` tells whether
    anybody waits for it."""

    def __init__(
        self,
        client: Client,
        *,
        pods: Cache[Pod],
        pod_groups: Cache[PodGroup],
        changed: Callable[[str | None], None],
        is_awaited: Callable[[str], bool],
    ) -> None:
        self._client = client
        self._pods = pods
        self._pod_groups = pod_groups
        self._changed = changed
        self._is_awaited = is_awaited
        self._caches: list[Cache[Ending]] = []
        self._ended: dict[str, Standing] = {}
        """Of those that are gone."""
        self._wanted = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        stops = (self._pods.subscribe(self._pod_changed), self._pod_groups.subscribe(self._pod_group_changed))
        try:
            await self._wanted.wait()
            async with asyncio.TaskGroup() as tasks:
                for cache in self._caches:
                    tasks.create_task(cache.run(), name=f"endings of {cache.resource.name}")
                for cache in self._caches:
                    await cache.synced()
                self._changed(None)
        finally:
            for stop in stops:
                stop()

    def of(self, name: str) -> Standing:
        """Raises NotYet while that is not known."""
        if not self._caches:
            self._caches = [self._cache(*versions) for versions in _KINDS]
            self._wanted.set()
        if not (
            self._pods.is_synced and self._pod_groups.is_synced and all(one.is_synced for one in self._caches)
        ):
            raise NotYet
        return self._here(name) or self._ended.get(name, Standing.MISSING)

    def forget(self, name: str) -> None:
        """Nobody waits for it any more."""
        self._ended.pop(name, None)

    def _here(self, name: str) -> Standing | None:
        group = self._pod_groups.get(name)
        if group is not None:
            return standing_of("", {"phase": str(group.status.phase or "")})
        for cache in self._caches:
            found = cache.get(name)
            if found is not None:
                return standing_of(cache.resource.group, found.status or {})
        pod = self._pods.get(name)
        return _of_pod(pod) if pod is not None else None

    def _cache(self, resource: Resource, *older: Resource) -> Cache[Ending]:
        cache = Cache(self._client, resource, Ending, older=older, optional=True)
        cache.subscribe(lambda old, new: self._object_changed(resource.group, old, new))
        return cache

    def _object_changed(self, group: str, old: Ending | None, new: Ending | None) -> None:
        self._told(
            key(new or old),
            standing_of(group, old.status or {}) if old is not None else None,
            standing_of(group, new.status or {}) if new is not None else None,
        )

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        self._told(
            key(new or old),
            _of_pod(old) if old is not None else None,
            _of_pod(new) if new is not None else None,
        )

    def _pod_group_changed(self, old: PodGroup | None, new: PodGroup | None) -> None:
        before, after = (
            {"phase": str(one.status.phase or "")} if one is not None else None for one in (old, new)
        )
        self._told(key(new or old), _of(before), _of(after))

    def _told(self, name: str, before: Standing | None, after: Standing | None) -> None:
        if before is after or not self._is_awaited(name):
            return
        if after is None and before in ENDED:
            self._ended[name] = before
        elif after is not None:
            self._ended.pop(name, None)
        self._changed(name)


def _of_pod(pod: Pod) -> Standing:
    return standing_of("", {"phase": pod.status.phase})


def _of(status: Mapping[str, Any] | None) -> Standing | None:
    return None if status is None else standing_of("", status)
