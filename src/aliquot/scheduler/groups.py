"""Which job a pod is in, kept up with the API: group objects, owners and priority classes in, memberships out.

A kind that the cluster does not serve is a closed door. It is looked for again every few minutes, for it may come.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec
import structlog

from aliquot.kube.api.core import ObjectReference, Pod, PriorityClass
from aliquot.kube.api.podgroup import PodGroup
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.resources import PODGROUPS, PRIORITYCLASSES, key
from aliquot.scheduler.core.jobs import JobSpec
from aliquot.scheduler.endings import Endings
from aliquot.scheduler.grouping.doors import GroupObjects, coscheduling, kai, upstream, volcano
from aliquot.scheduler.grouping.drawn import Refused
from aliquot.scheduler.grouping.membership import Membership, joined, membership
from aliquot.scheduler.grouping.owners import Owner
from aliquot.scheduler.grouping.sequence import After, Standing, waits
from aliquot.scheduler.owner_chains import OWNER, STATUS, NotYet, OwnerChains

T = TypeVar("T")

Need: TypeAlias = tuple[str, str]
"""Something that a membership rests on: a kind, and which of it."""

_log = structlog.get_logger()

_PARENT = "parent"
_DOOR = ""
"""Needed of a kind: whether it is served."""
_END = "end"
"""Needed of a job, by its name: how it stands."""
_ORDER = "order"
"""Needed of a job, by its name: what it begins after."""


@dataclass(slots=True)
class _Asked:
    """A pod that somebody asked about, and what was found."""

    pod: Pod
    own: Membership | None
    """As the pod by itself has it; None: not known yet."""
    needs: frozenset[Need]


@dataclass(frozen=True, slots=True, eq=False)
class _Spelling:
    """A JobSpec that is told from others without a look at all of its tree, which may have thousands of leaves."""

    spec: JobSpec

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Spelling) and self.spec == other.spec

    def __hash__(self) -> int:
        return hash((self.spec.queue, self.spec.priority, self.spec.created_s))


@dataclass(slots=True)
class _Job:
    spec: JobSpec
    """As all of its pods have it."""
    members: dict[str, JobSpec] = field(default_factory=dict)
    """As each of them has it."""
    spelled: Counter[_Spelling] = field(default_factory=Counter)
    """How many have it so."""


class _Shelf(Generic[T]):
    """What the cluster has of a kind of group objects; who looks is noted."""

    def __init__(self, cache: Cache[T], needs: Callable[[Need], None]) -> None:
        self._cache = cache
        self._needs = needs

    @property
    def is_open(self) -> bool:
        self._needs((self._cache.resource.name, _DOOR))
        if not self._cache.is_synced:
            raise NotYet
        # Objects of a kind that is no longer shown to us are taken to be as they were.
        return self._cache.is_served or len(self._cache) > 0

    def get(self, key: str) -> T | None:
        self._needs((self._cache.resource.name, key))
        return self._cache.get(key)

    def inside(self, key: str) -> Iterable[T]:
        self._needs((self._cache.resource.name, _members_of(key)))
        return self._cache.indexed(_PARENT, key)


class Groups:
    """Answers `membership` for pods of `pods`, and tells subscribers the keys of those for whom the answer is another.

    Caches that are passed in are shared and run by their owner; those left out are its own. A pod is remembered from when it was
    asked about until it is gone. `run` may be called once.
    """

    def __init__(
        self,
        client: Client,
        *,
        rng: random.Random,
        pods: Cache[Pod],
        pod_groups: Cache[PodGroup] | None = None,
        priority_classes: Cache[PriorityClass] | None = None,
    ) -> None:
        self._pods = pods
        # An empty cache is false: ask for None.
        self.pod_groups = (
            Cache(client, PODGROUPS, PodGroup, optional=True) if pod_groups is None else pod_groups
        )
        self._priorities = (
            Cache(client, PRIORITYCLASSES, PriorityClass, optional=True)
            if priority_classes is None
            else priority_classes
        )
        by_parent = {_PARENT: _parent_of}
        self.upstream_groups = Cache(
            client,
            upstream.PODGROUPS,
            upstream.PodGroup,
            older=upstream.OLDER_PODGROUPS,
            optional=True,
            indexes=by_parent,
        )
        self.composites = Cache(
            client, upstream.COMPOSITES, upstream.PodGroup, optional=True, indexes=by_parent
        )
        others: tuple[Cache[Any], ...] = (
            self.upstream_groups,
            self.composites,
            Cache(client, coscheduling.PODGROUPS, coscheduling.PodGroup, optional=True),
            Cache(client, kai.PODGROUPS, kai.PodGroup, optional=True),
            Cache(client, volcano.PODGROUPS, volcano.PodGroup, optional=True),
        )
        self._caches: tuple[Cache[Any], ...] = (self.pod_groups, self._priorities, *others)
        self._own_caches = [
            cache for cache in self._caches if cache is not pod_groups and cache is not priority_classes
        ]
        self._objects = GroupObjects(
            _Shelf(self.pod_groups, self._need), *(_Shelf(cache, self._need) for cache in others)
        )
        self._chains = OwnerChains(
            client,
            rng=rng,
            pods=pods,
            changed=self._need_changed,
            is_needed=lambda uid: (OWNER, uid) in self._needed_by,
        )
        self._endings = Endings(
            client,
            pods=pods,
            pod_groups=self.pod_groups,
            changed=self._ending_changed,
            is_awaited=lambda name: (_END, name) in self._needed_by,
        )
        self._orders: dict[str, dict[str, tuple[After, ...]]] = {}
        """By the name of a job, by its pod, what it begins after."""
        self._ordered: dict[str, tuple[str, ...]] = {}
        """Pods that are in there, and by which names of a job."""
        self._asked: dict[str, _Asked] = {}
        self._jobs: dict[str, _Job] = {}
        self._needed_by: dict[Need, dict[str, None]] = {}
        self._needs: set[Need] = set()
        """Of the pod that is being looked at."""
        # In order: what is told is then the same in each run.
        self._to_look_at: dict[str, None] = {}
        self._to_tell: dict[str, None] = {}
        self._is_due = False
        self._subscribers: list[Callable[[tuple[str, ...]], None]] = []

    async def run(self) -> None:
        """Until cancelled."""
        stops = [cache.subscribe(self._listener(cache)) for cache in self._caches]
        stops += [cache.subscribe_served(self._door_listener(cache)) for cache in self._caches]
        stops.append(self._pods.subscribe(self._pod_changed))
        try:
            async with asyncio.TaskGroup() as tasks:
                for cache in self._own_caches:
                    tasks.create_task(cache.run(), name=f"cache {cache.resource.name}")
                for cache in self._caches:
                    tasks.create_task(self._tell_when_synced(cache), name=f"synced {cache.resource.name}")
                tasks.create_task(self._endings.run(), name="endings")
                await self._chains.run()
        finally:
            for stop in stops:
                stop()

    def membership(self, pod: Pod) -> Membership | None:
        """None while what it rests on is being read: subscribers hear when it is there."""
        name = key(pod)
        asked = self._asked.get(name)
        if asked is None or not _says_the_same(asked.pod, pod):
            asked = self._look(name, pod)
        if asked.own is None or asked.own.job.root is None:
            return asked.own
        spec = self._jobs[asked.own.job.key].spec
        return asked.own if spec is asked.own.job else replace(asked.own, job=spec)

    def met(self, pod: str) -> tuple[str, ...]:
        """Names of the jobs that the pod's job was to begin after, and that have ended as they were to."""
        asked = self._asked.get(pod)
        if asked is None or asked.own is None or asked.own.job.waits is not None:
            return ()
        return tuple(one.name.partition("/")[2] for one in asked.own.after)

    def source_of(self, job: str) -> ObjectReference | None:
        """What makes the job of several pods with that key: a group, or a workload."""
        known = self._jobs.get(job)
        asked = self._asked.get(next(iter(known.members), "")) if known is not None else None
        return asked.own.source if asked is not None and asked.own is not None else None

    def owner(self, pod: Pod) -> Owner | None:
        """What controls the pod, as far as it has been read."""
        return self._chains.first(pod)

    def above(self, group: upstream.PodGroup) -> Sequence[upstream.PodGroup]:
        """The composites that a group of Kubernetes' own is in, from its parent up; none where they lead nowhere."""
        try:
            return upstream.above(group, self._objects.composite_pod_groups)
        except (Refused, NotYet):
            return ()

    def subscribe(self, changed: Callable[[tuple[str, ...]], None]) -> Callable[[], None]:
        """Returns the function that ends it."""
        self._subscribers.append(changed)

        def unsubscribe() -> None:
            if changed in self._subscribers:
                self._subscribers.remove(changed)

        return unsubscribe

    # Looking at one pod.

    def _look(self, name: str, pod: Pod) -> _Asked:
        self._needs = set()
        own: Membership | None
        try:
            own = membership(pod, lambda: self._chains.of(pod, self._need), self._objects, self._class_of)
        except NotYet:
            own = None
        if own is not None and own.by_status:
            self._need((STATUS, own.source.uid))
        before = self._asked.get(name)
        own = self._in_sequence(name, pod, own)
        after = self._asked[name] = _Asked(pod, own, frozenset(self._needs))
        self._keep_needs(name, before.needs if before is not None else frozenset(), after.needs)
        left = _job_of(before.own) if before is not None else ""
        if left and left != _job_of(own):
            self._leave(left, name)
        if own is not None and own.job.root is not None:
            self._join(own.job, name)
        return after

    def _in_sequence(self, name: str, pod: Pod, own: Membership | None) -> Membership | None:
        """With what its job has to wait for, as others stand now."""
        if own is None or not own.after:
            self._keep_order(name, (), ())
            return own
        try:
            names = self._names_of(pod, own)
            self._keep_order(name, names, own.after)
            reason = waits(names, own.after, self._standing, self._after)
        except NotYet:
            return None
        return replace(own, job=msgspec.structs.replace(own.job, waits=reason))

    def _names_of(self, pod: Pod, own: Membership) -> tuple[str, ...]:
        """What others may call its job: what makes it, and what owns the pod. Raises NotYet."""
        owners = (owner.metadata.name for owner in self._chains.of(pod, self._need))
        return tuple(dict.fromkeys(f"{own.source.namespace}/{one}" for one in (own.source.name, *owners)))

    def _standing(self, job: str) -> Standing:
        self._need((_END, job))
        return self._endings.of(job)

    def _after(self, job: str) -> Iterable[After]:
        """Nothing, where one of its pods has a node: it has begun."""
        self._need((_ORDER, job))
        orders = self._orders.get(job, {})
        if any((pod := self._pods.get(name)) is not None and pod.spec.node_name for name in orders):
            return ()
        return {one for after in orders.values() for one in after}

    def _keep_order(self, name: str, jobs: tuple[str, ...], after: tuple[After, ...]) -> None:
        """The pod is of the job with these names, which begins after others."""
        before = self._ordered.get(name, ())
        if before == jobs and all(self._orders[job].get(name) == after for job in jobs):
            return
        for job in before:
            left = self._orders[job]
            del left[name]
            if not left:
                del self._orders[job]
        for job in jobs:
            self._orders.setdefault(job, {})[name] = after
        if jobs:
            self._ordered[name] = jobs
        else:
            self._ordered.pop(name, None)
        for job in dict.fromkeys((*before, *jobs)):
            self._need_changed((_ORDER, job))

    def _ending_changed(self, job: str | None) -> None:
        """None: of all."""
        jobs = [job] if job is not None else [name for kind, name in self._needed_by if kind == _END]
        for one in jobs:
            self._need_changed((_END, one))

    def _need(self, need: Need) -> None:
        self._needs.add(need)

    def _class_of(self, name: str) -> PriorityClass | None:
        self._need((PRIORITYCLASSES.name, name))
        if not self._priorities.is_synced:
            self._need((PRIORITYCLASSES.name, _DOOR))
            raise NotYet
        return self._priorities.get(name)

    def _keep_needs(self, name: str, before: frozenset[Need], after: frozenset[Need]) -> None:
        for need in after - before:
            self._needed_by.setdefault(need, {})[name] = None
        for need in before - after:
            left = self._needed_by[need]
            left.pop(name, None)
            if not left:
                del self._needed_by[need]
                if need[0] == OWNER:
                    self._chains.forget(need[1])
                elif need[0] == _END:
                    self._endings.forget(need[1])

    def _join(self, spec: JobSpec, name: str) -> None:
        job = self._jobs.setdefault(spec.key, _Job(spec))
        before = job.members.get(name)
        if before == spec:
            return
        job.members[name] = spec
        job.spelled[_Spelling(spec)] += 1
        if before is not None and self._is_last(job, before):
            self._agree(job, _of_all(job), but=name)
        else:
            self._agree(job, joined(job.spec, spec), but=name)

    def _leave(self, job_key: str, name: str) -> None:
        job = self._jobs[job_key]
        is_last = self._is_last(job, job.members.pop(name))
        if not job.members:
            del self._jobs[job_key]
        elif is_last:
            self._agree(job, _of_all(job), but=name)

    @staticmethod
    def _is_last(job: _Job, spec: JobSpec) -> bool:
        """One less of its pods has it so; whether that was the last."""
        spelling = _Spelling(spec)
        job.spelled[spelling] -= 1
        if job.spelled[spelling]:
            return False
        del job.spelled[spelling]
        return True

    def _agree(self, job: _Job, spec: JobSpec, *, but: str) -> None:
        if spec != job.spec:
            job.spec = spec
            self._to_tell |= {name: None for name in job.members if name != but}
            self._come_back()

    # Hearing of changes.

    def _listener(self, cache: Cache[T]) -> Callable[[T | None, T | None], None]:
        def changed(old: T | None, new: T | None) -> None:
            if old is not None and new is not None and _object_says_the_same(old, new):
                return
            self._need_changed((cache.resource.name, key(new if new is not None else old)))
            for one in (old, new):
                if isinstance(one, upstream.PodGroup):
                    for parent in _parent_of(one):
                        self._need_changed((cache.resource.name, _members_of(parent)))

        return changed

    def _door_listener(self, cache: Cache[Any]) -> Callable[[], None]:
        return lambda: self._need_changed((cache.resource.name, _DOOR))

    async def _tell_when_synced(self, cache: Cache[Any]) -> None:
        await cache.synced()
        self._door_listener(cache)()

    def _need_changed(self, need: Need) -> None:
        if names := self._needed_by.get(need):
            self._to_look_at |= names
            self._come_back()

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        if new is None:
            assert old is not None
            asked = self._asked.pop(key(old), None)
            if asked is not None:
                self._keep_order(key(old), (), ())
                self._keep_needs(key(old), asked.needs, frozenset())
                if job := _job_of(asked.own):
                    self._leave(job, key(old))

    def _come_back(self) -> None:
        """All that comes in one turn of the loop is looked at together."""
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._look_again)

    def _look_again(self) -> None:
        self._is_due = False
        names, self._to_look_at = self._to_look_at, {}
        for name in names:
            asked = self._asked.get(name)
            if asked is not None:
                before = asked.own
                if self._look(name, asked.pod).own != before:
                    self._to_tell[name] = None
        told, self._to_tell = tuple(self._to_tell), {}
        if told:
            for subscriber in tuple(self._subscribers):
                try:
                    subscriber(told)
                except Exception:
                    _log.exception("subscriber failed", pods=len(told))


def _of_all(job: _Job) -> JobSpec:
    return reduce(joined, (spelling.spec for spelling in job.spelled))


def _job_of(found: Membership | None) -> str:
    """Key of the job of several pods that it is in; empty where there is none."""
    return found.job.key if found is not None and found.job.root is not None else ""


def _says_the_same(old: Pod, new: Pod) -> bool:
    """All that a membership reads of a pod."""
    return old is new or (
        old.metadata.uid == new.metadata.uid
        and old.metadata.labels == new.metadata.labels
        and old.metadata.annotations == new.metadata.annotations
        and old.metadata.owner_references == new.metadata.owner_references
        and old.spec.scheduling_group == new.spec.scheduling_group
        and old.spec.priority == new.spec.priority
        and old.spec.preemption_policy == new.spec.preemption_policy
    )


def _object_says_the_same(old: Any, new: Any) -> bool:
    """But for what we wrote ourselves: its status."""
    if isinstance(new, PriorityClass):
        return bool(old.value == new.value and old.preemption_policy == new.preemption_policy)
    return bool(
        old.spec == new.spec
        and old.metadata.labels == new.metadata.labels
        and old.metadata.annotations == new.metadata.annotations
    )


def _parent_of(group: upstream.PodGroup) -> tuple[str, ...]:
    parent = group.spec.parent_composite_pod_group_name
    return (f"{group.metadata.namespace}/{parent}",) if parent else ()


def _members_of(parent: str) -> str:
    return f"in {parent}"
