"""How the jobs stand that others wait for, from the API.

A watch for each kind that can end, from the first time that anybody waits for a job. What has ended and is gone since is
remembered while somebody waits for it; see `sequels` for what outlives this process.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from aliquot.kube.api.core import Pod
from aliquot.kube.api.meta import ObjectMeta, Wire
from aliquot.kube.api.podgroup import PodGroup
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.resources import Resource, key
from aliquot.scheduler.core.jobs import least_pods
from aliquot.scheduler.grouping.doors import own
from aliquot.scheduler.grouping.drawn import Refused
from aliquot.scheduler.grouping.ends import groups_of, standing_of
from aliquot.scheduler.grouping.owners import owner_reference
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
        """Of those that are gone, and of groups all of whose pods have ended: pods go one by one."""
        self._grouped: dict[str, dict[str, Pod]] = {}
        """Pods by the group that they name, and by their key."""
        self._tried_again: dict[str, set[str]] = {}
        """By the workload that makes pods anew, the groups that go on with it."""
        self._wanted = asyncio.Event()
        self._stops: list[Callable[[], None]] = []

    async def run(self) -> None:
        """Until cancelled."""
        try:
            await self._wanted.wait()
            async with asyncio.TaskGroup() as tasks:
                for cache in self._caches:
                    tasks.create_task(cache.run(), name=f"endings of {cache.resource.name}")
                for cache in self._caches:
                    await cache.synced()
                self._changed(None)
        finally:
            for stop in self._stops:
                stop()
            self._stops.clear()

    def of(self, name: str) -> Standing:
        """Raises NotYet while that is not known."""
        if not self._caches:
            self._caches = [self._cache(*versions) for versions in _KINDS]
            self._stops.append(self._pods.subscribe(self._pod_changed))
            self._stops.append(self._pod_groups.subscribe(self._pod_group_changed))
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
        """A workload knows better than the group of its pods whether it will try again, and that better than a pod."""
        for cache in self._caches:
            found = cache.get(name)
            if found is not None:
                return standing_of(cache.resource.group, found.status or {})
        group = self._of_group(name)
        if group is not None:
            return group
        pod = self._pods.get(name)
        return _of_pod(pod) if pod is not None else None

    def _of_group(self, name: str) -> Standing | None:
        """By its pods. What its status says, or what is remembered, counts from when they have ended until another goes on."""
        group, pods = self._pod_groups.get(name), self._grouped.get(name, {}).values()
        if any(_of_pod(pod) not in ENDED for pod in pods):
            self._ended.pop(name, None)
            return Standing.RUNNING
        if group is None and not pods:
            return None
        standing = self._ended.get(name)
        if standing is None and group is not None and (said := _of_status(group)) in ENDED:
            standing = said
        if standing is None and pods:
            succeeded = sum(_of_pod(pod) is Standing.SUCCEEDED for pod in pods)
            least = _least(group) if group is not None else len(pods)
            standing = Standing.SUCCEEDED if succeeded >= least else Standing.FAILED
        if standing is None:
            return Standing.RUNNING
        if standing is Standing.FAILED and any(self._is_tried_again(pod, name) for pod in pods):
            return Standing.RUNNING
        self._ended[name] = standing
        return standing

    def _is_tried_again(self, pod: Pod, group: str) -> bool:
        """Whether what made the pod goes on; then its end will be heard of."""
        owner = owner_reference(pod.metadata)
        if owner is None:
            return False
        name = f"{pod.metadata.namespace}/{owner.name}"
        for cache in self._caches:
            found = cache.get(name)
            if found is not None and found.metadata.uid == owner.uid:
                if standing_of(cache.resource.group, found.status or {}) in ENDED:
                    return False
                self._tried_again.setdefault(name, set()).add(group)
                return True
        return False

    def _cache(self, resource: Resource, *older: Resource) -> Cache[Ending]:
        cache = Cache(self._client, resource, Ending, older=older, optional=True)
        cache.subscribe(lambda old, new: self._object_changed(resource.group, old, new))
        return cache

    def _object_changed(self, group: str, old: Ending | None, new: Ending | None) -> None:
        name = key(new or old)
        before, after = (
            standing_of(group, one.status or {}) if one is not None else None for one in (old, new)
        )
        self._told(name, before, after)
        if before is not after:
            for waiting in self._tried_again.pop(name, ()):
                self._changed(waiting)

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        name = key(new or old)
        before, after = (_of_pod(one) if one is not None else None for one in (old, new))
        self._told(name, before, after)
        left = set(groups_of(old)) if old is not None else set[str]()
        joined = set(groups_of(new)) if new is not None else set[str]()
        for group in left - joined:
            pods = self._grouped[group]
            del pods[name]
            if not pods:
                del self._grouped[group]
        if new is not None:
            for group in joined:
                self._grouped.setdefault(group, {})[name] = new
        if before is not after or left != joined:
            for group in left | joined:
                if self._is_awaited(group):
                    self._changed(group)

    def _pod_group_changed(self, old: PodGroup | None, new: PodGroup | None) -> None:
        before, after = (_of_status(one) if one is not None else None for one in (old, new))
        self._told(key(new or old), before, after)

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


def _of_status(group: PodGroup) -> Standing:
    return standing_of("", {"phase": str(group.status.phase or "")})


def _least(group: PodGroup) -> int:
    try:
        return least_pods(own.root_of(group))
    except Refused:
        return 1
