"""The earliest start of a blocked job: what runs is taken away in the order in which it is expected to end, until it fits.

Amounts alone say quickly when it cannot fit yet. From where they would do on, it is really tried, in a session: on the nodes
that count, without those who will have ended and with those who were promised room there.
"""

from collections.abc import Collection, Iterator, Mapping
from heapq import merge
from itertools import groupby
from math import inf

from aliquot.scheduler.core.attempts import Fitting, Shortfall
from aliquot.scheduler.core.backfill.promises import Promise
from aliquot.scheduler.core.backfill.timetable import Timetable
from aliquot.scheduler.core.making import asks
from aliquot.scheduler.core.pending import Job
from aliquot.scheduler.core.pod import Amounts, PodShape
from aliquot.scheduler.core.queues.terms import together
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.reasons import CAPACITY
from aliquot.scheduler.core.session import Session
from aliquot.scheduler.core.snapshot import Snapshot

_EACH = 8
"""So many moments are tried one by one; after that ever more are passed over between two tries."""


def earliest(
    fitting: Fitting,
    job: Job,
    lacks: Mapping[str, int],
    timetable: Timetable,
    promises: Collection[Promise],
    *,
    now_s: float,
    runtime_s: float | None,
    before_s: float = inf,
) -> Promise | None:
    """None: not before `before_s`, as far as anything is known of when others end. The snapshot is left as it was."""
    snapshot = fitting.session.snapshot
    rooms = [_Room(shape, count, snapshot, fitting.rankings) for shape, count in _wanted(job, lacks)]
    others = [promise for promise in promises if promise.job.key != job.spec.key]
    lasts_s = inf if runtime_s is None else runtime_s
    tried = passed_over = 0
    skipped: float | None = None
    for moment_s, released in _moments(now_s, timetable, others):
        if moment_s >= before_s:
            break
        for key in released:
            pod = snapshot.pods.get(key)
            if pod is not None:
                for room in rooms:
                    room.release(pod.node, pod.request)
        if not all(room.enough for room in rooms):
            continue
        if others:
            promised = _promised(others, moment_s, moment_s + lasts_s)
            if not all(room.enough_beside(promised) for room in rooms):
                continue
        if passed_over:
            passed_over -= 1
            skipped = moment_s
            continue
        names = {name for room in rooms for name in room.nodes}
        promise = _tried(fitting, job, lacks, timetable, others, moment_s, moment_s + lasts_s, names)
        if promise is not None:
            return promise
        tried += 1
        passed_over = 0 if tried < _EACH else 1 << (tried - _EACH)
        skipped = None
    if skipped is None:
        return None
    names = {name for room in rooms for name in room.nodes}
    return _tried(fitting, job, lacks, timetable, others, skipped, skipped + lasts_s, names)


def _promised(promises: Collection[Promise], start_s: float, end_s: float) -> dict[str, Amounts]:
    """By node, to all together whose time overlaps that one: more than there are at any moment of it, perhaps."""
    found: dict[str, Amounts] = {}
    for promise in promises:
        if promise.overlaps(start_s, end_s):
            for bind in promise.binds:
                node = bind.placed.node
                found[node] = together(found.get(node, {}), bind.placed.request)
    return found


def _moments(
    now_s: float, timetable: Timetable, promises: Collection[Promise]
) -> Iterator[tuple[float, list[str]]]:
    """When room comes free, and which pods end then; the first is now."""
    promised = sorted((promise.end_s, "") for promise in promises if promise.end_s < inf)
    yield now_s, []
    for moment_s, ends in groupby(merge(timetable.ends, promised), key=lambda end: end[0]):
        if moment_s > now_s:
            yield moment_s, [key for _, key in ends if key]


def _tried(
    fitting: Fitting,
    job: Job,
    lacks: Mapping[str, int],
    timetable: Timetable,
    others: Collection[Promise],
    start_s: float,
    end_s: float,
    names: Collection[str],
) -> Promise | None:
    # Its own: who is taken away here is not evicted, and stays in the books.
    session = Session(fitting.session.snapshot)
    for name in sorted(names):
        for key in list(session.snapshot.pods_on(name)):
            if timetable.end_s(key) <= start_s:
                session.evict(key)
    for promise in others:
        if promise.overlaps(start_s, end_s):
            for bind in promise.binds:
                if bind.placed.node in names:
                    session.put(bind.placed)
    found = fitting.on(session).place_job(job, lacks, within=sorted(names))
    session.undo()
    if isinstance(found, Shortfall):
        return None
    return Promise(job.spec, start_s, end_s, tuple(found))


def _wanted(job: Job, lacks: Mapping[str, int]) -> list[tuple[PodShape, int]]:
    found: dict[str, tuple[PodShape, int]] = {}
    for leaf, count in lacks.items():
        for pod in job.first(leaf, count):
            shape = pod.shape
            found[shape.signature] = shape, found.get(shape.signature, (shape, 0))[1] + 1
    return list(found.values())


class _Room:
    """For how many pods of a shape there is room at the very most, node by node, by amounts alone."""

    def __init__(self, shape: PodShape, count: int, snapshot: Snapshot, rankings: Rankings) -> None:
        self._shape = shape
        self._count = count
        self._nodes = snapshot.nodes
        self._rejections = rankings.of(shape).rejections(snapshot)
        self._makes = snapshot.makes_devices and asks(shape)
        self._free: dict[str, dict[str, int] | None] = {}
        """Of the nodes looked at: what is free of each resource that counts; None: it will not do, however empty."""
        self._fits: dict[str, int] = {}
        self._total = 0
        for name, node in snapshot.nodes.items():
            # On the others there is no room before somebody ends.
            if name not in self._rejections or (self._makes and node.facts.makes_devices):
                self._look_at(name, {})

    @property
    def enough(self) -> bool:
        return self._total >= self._count

    def enough_beside(self, promised: Mapping[str, Amounts]) -> bool:
        """With that much less on each node."""
        total = self._total
        for name, amounts in promised.items():
            free = self._free.get(name)
            if free is not None and self._fits[name]:
                total -= self._fits[name] - self._fitting(free, amounts)
        return total >= self._count

    def _fitting(self, free: Amounts, without: Amounts) -> int:
        fits = self._count
        for resource, amount in free.items():
            fits = min(fits, (amount - without.get(resource, 0)) // self._shape.request[resource])
        return max(0, fits)

    @property
    def nodes(self) -> Iterator[str]:
        return (name for name, fits in self._fits.items() if fits)

    def release(self, name: str, amounts: Amounts) -> None:
        if name in self._nodes:
            self._look_at(name, amounts)

    def _look_at(self, name: str, released: Amounts) -> None:
        if name not in self._free:
            self._free[name] = self._free_now(name)
        free = self._free[name]
        if free is None:
            return
        for resource in free:
            free[resource] += released.get(resource, 0)
        fits = self._fitting(free, {})
        self._total += fits - self._fits.get(name, 0)
        self._fits[name] = fits

    def _free_now(self, name: str) -> dict[str, int] | None:
        node, request = self._nodes[name], self._shape.request
        rejected = self._rejections.get(name)
        made = self._makes and node.facts.makes_devices
        if rejected is not None and rejected.kind not in CAPACITY and not made:
            return None
        return {r: node.available(r) for r, n in request.items() if n and not (made and r in node.free)}
