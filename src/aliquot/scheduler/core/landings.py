"""Room that is kept for pods that were moved, until they are made anew.

Each has a stand-in, which has its room and is to everybody a pod like others. Once the pod is there again it takes that place,
before anybody else is served. A stand-in that nobody comes for is gone after a while.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct

from aliquot.scheduler.core.attempts import Bind, Fitting
from aliquot.scheduler.core.jobs import JobSpec
from aliquot.scheduler.core.pending import Job, Pending
from aliquot.scheduler.core.pod import PodRequest
from aliquot.scheduler.core.snapshot import Snapshot

KEPT_S = 600.0
"""As long as is waited for one that was evicted to end."""
_NO_POD = "~"
"""No pod's name has it."""

May: TypeAlias = Callable[[Job, Mapping[str, int]], bool]
"""Whether a job may have so many of its waiting pods placed, by leaf."""

MayHave: TypeAlias = Callable[[Job, Sequence[Bind]], bool]
"""Whether it may have what it got."""


class StandIn(Struct, frozen=True, gc=False):
    job: JobSpec
    moved: str
    """Key of the pod."""
    leaf: str
    pod: PodRequest
    """As it is made anew, under the key of the stand-in."""
    node: str
    until_s: float


def stand_in_key(pod: str) -> str:
    return pod + _NO_POD


class Landings:
    """Kept from pass to pass."""

    def __init__(self) -> None:
        self.kept: dict[str, StandIn] = {}
        """By the key of the pod that was moved."""

    def keep(self, stand_ins: Sequence[StandIn]) -> None:
        for one in stand_ins:
            self.kept[one.moved] = one

    def stays(self, pod: str, snapshot: Snapshot) -> None:
        """The pod does not go after all: it needs no other place."""
        stand_in = self.kept.pop(pod, None)
        if stand_in is not None:
            snapshot.remove_pod(stand_in.pod.key)

    def served(
        self, fitting: Fitting, pending: Pending, may: May, may_have: MayHave, now_s: float
    ) -> Iterator[tuple[Job, Sequence[Bind]]]:
        """Jobs whose pods are there again, placed in the session. Each is decided on before the next is asked for. Of those that
        may not have what they got, others have used what their queue may: they wait with the others, and nothing is kept for them."""
        for stand_ins in self._by_job():
            late = [one for one in stand_ins if one.until_s <= now_s]
            self._drop(late, fitting)
            job, pairs = _found([one for one in stand_ins if one.until_s > now_s], pending)
            if job is None or not pairs or not _is_enough(job, pairs, may):
                continue
            for one, _ in pairs:
                del self.kept[one.moved]
            for one, _ in pairs:
                fitting.session.take_out(one.pod.key)
            mark = fitting.session.checkpoint()
            binds = _take(pairs, fitting)
            if binds is None or not may_have(job, binds):
                fitting.session.undo(mark)
                continue
            yield job, binds

    def _by_job(self) -> Sequence[list[StandIn]]:
        found: dict[str, list[StandIn]] = {}
        for one in self.kept.values():
            found.setdefault(one.job.key, []).append(one)
        return list(found.values())

    def _drop(self, stand_ins: Sequence[StandIn], fitting: Fitting) -> None:
        for one in stand_ins:
            del self.kept[one.moved]
            fitting.session.take_out(one.pod.key)


_Pairs: TypeAlias = list[tuple[StandIn, PodRequest]]


def _found(stand_ins: Sequence[StandIn], pending: Pending) -> tuple[Job | None, _Pairs]:
    """The job, and which of its waiting pods come for which of these."""
    if not stand_ins:
        return None, []
    spec = stand_ins[0].job
    if spec.root is None:
        return _found_alone(stand_ins[0], pending)
    job = pending.jobs.get(spec.key)
    if job is None:
        return None, []
    waiting = {leaf: job.first(leaf, count) for leaf, count in job.here.items()}
    pairs = []
    for one in stand_ins:
        pods = waiting.get(one.leaf, [])
        pod = next((pod for pod in pods if pod.shape.signature == one.pod.shape.signature), None)
        if pod is not None:
            pods.remove(pod)
            pairs.append((one, pod))
    return job, pairs


def _found_alone(stand_in: StandIn, pending: Pending) -> tuple[Job | None, _Pairs]:
    """A pod that is a job of its own comes back under another name."""
    as_before = Job(stand_in.job)
    as_before.wait(stand_in.pod, "")
    line = pending.lines.get(as_before.alike(), ())
    for rank in line:
        job = pending.jobs[rank[-1]]
        (pod,) = job.waiting[""].values()
        if pod.owner == stand_in.pod.owner:
            return job, [(stand_in, pod)]
    return None, []


def _is_enough(job: Job, pairs: _Pairs, may: May) -> bool:
    counts = Counter(one.leaf for one, _ in pairs)
    lacks = job.lacks()
    return lacks is not None and all(counts[leaf] >= n for leaf, n in lacks.items()) and may(job, counts)


def _take(pairs: _Pairs, fitting: Fitting) -> list[Bind] | None:
    """None: the room is not there any more."""
    binds = []
    for one, pod in pairs:
        bind = fitting.place(pod, (one.node,))
        if bind is None:
            return None
        binds.append(Bind(pod, bind.placed, one.leaf))
    return binds
