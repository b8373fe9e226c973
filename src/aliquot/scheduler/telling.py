"""What those who wait are told, as often as is useful: at once when the reason is another, seldom when only its figures are."""

import math
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass

import structlog

from aliquot.kube.api.assignment import ASSIGNMENT_ANNOTATION
from aliquot.kube.api.core import Pod
from aliquot.kube.cache import Cache
from aliquot.kube.events import Recorder, Severity
from aliquot.kube.resources import PODS, key
from aliquot.scheduler.core.backfill.promises import Promise
from aliquot.scheduler.core.cycle import Blocked
from aliquot.scheduler.core.pending import Alike, Pending
from aliquot.scheduler.core.queues.tree import DEFAULT
from aliquot.scheduler.core.reasons import A_NODE_WOULD_HELP, Explanation, Kind, Reason
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.core.within_limits import within_limits
from aliquot.scheduler.pods import ignored_assignment
from aliquot.scheduler.reporter import HOLD_S, SCHEDULING_GATED, UNSCHEDULABLE, Notice, Reporter

_log = structlog.get_logger()

RETELL_S = 30.0
"""Reasons that change only in their figures are told no more often."""
EXPLAIN_S = 1.0
"""A shape that waits is explained no more often, but at once to a pod that is new."""
COUNT_S = HOLD_S / 2
"""Who is within its queue's limit is counted no more often, and before a pod is told the first word."""
_SELDOM = 20
"""Nor before so many times as long as it took."""
_WAITS_FOR_ROOM = A_NODE_WOULD_HELP | {Kind.RESERVED}
_GATED_MESSAGE = "Scheduling is blocked due to non-empty scheduling gates"
"""The API server's own words, so that there is nothing to write where it has said so."""


@dataclass(slots=True)
class _Told:
    """What the pods of jobs that are alike were told, and as of which version of the snapshot that was looked at last."""

    explanation: Explanation
    version: int
    looked_at: float
    told_at: float
    reason: Reason | None
    """Why no node was looked for: its queue is no matter of the snapshot."""
    stale: bool = False
    """The figures have changed since."""

    def overdue(self, now: float) -> bool:
        return self.stale and now >= self.told_at + RETELL_S


class Telling:
    """`why` explains a job that is blocked, as things are now.

    Of PodScheduled the reason is `Unschedulable` where a new node would help, since autoscalers buy one for whoever has that
    reason. Else it is the kind of what is in the way.
    """

    def __init__(
        self,
        *,
        snapshot: Snapshot,
        pending: Pending,
        pods: Cache[Pod],
        reporter: Reporter,
        recorder: Recorder,
        why: Callable[[Blocked], Explanation],
    ) -> None:
        self._snapshot = snapshot
        self._pending = pending
        self._pods = pods
        self._reporter = reporter
        self._recorder = recorder
        self._why = why
        self._told: dict[Alike, _Told] = {}
        self._promised: dict[str, float] = {}
        """By job, when it starts at the latest."""
        self._within: dict[Alike, frozenset[str]] = {}
        """Where the queue is bounded, the jobs that it could take if there were room for all."""
        self._count_at = -math.inf
        self._listeners: list[Callable[[str], None]] = []

    def subscribe(self, listener: Callable[[str], None]) -> None:
        """Called with the key of a pod that was told something else."""
        self._listeners.append(listener)

    def blocked(self, blocked: Collection[Blocked], now: float) -> float:
        """Returns when there is more to tell. `now`: of a clock that never goes back."""
        again_at = math.inf
        for one in blocked:
            told = self._told.get(one.alike)
            keys = self._pending.newcomers(one.alike)
            if told is None:
                told = self._told[one.alike] = _Told(
                    self._why(one), self._snapshot.version, now, now, one.shortfall.reason
                )
                if one.job.root is not None and told.explanation.kind is not Kind.MEMBERS:
                    # While members were missing the first of them were told so.
                    keys = self._keys(one.alike)
            elif self._is_due(told, one, now) and self._looked_again(told, one, now):
                keys = self._keys(one.alike)
            if told.version != self._snapshot.version:
                again_at = min(again_at, told.looked_at + EXPLAIN_S)
            elif told.stale:
                again_at = min(again_at, told.told_at + RETELL_S)
            for name in keys:
                self._tell(name, one.alike, told.explanation)
                self._pod_told(name)
        return again_at

    def all_blocked(self, blocked: Collection[Blocked], clock: Callable[[], float]) -> float:
        """Nobody but these waits any more. Returns when there is more to tell. `clock`: one that never goes back."""
        waits = {one.alike for one in blocked}
        self._told = {alike: told for alike, told in self._told.items() if alike in waits}
        began = clock()
        if began < self._count_at:
            return self._count_at
        before, self._within = self._within, within_limits(self._pending, self._waiting_for_room(blocked))
        ended = clock()
        self._count_at = ended + max(COUNT_S, _SELDOM * (ended - began))
        for alike in before.keys() | self._within.keys():
            if (told := self._told.get(alike)) is None:
                continue
            was, now_is = before.get(alike), self._within.get(alike)
            if was == now_is:
                continue
            for job in self._pending.jobs_of(alike):
                if was is None or now_is is None or (job.spec.key in was) != (job.spec.key in now_is):
                    for pods in job.waiting.values():
                        for name in pods:
                            self._tell(name, alike, told.explanation)
        return math.inf

    def promises(self, promises: Collection[Promise]) -> None:
        before, self._promised = self._promised, {one.job.key: one.start_s for one in promises}
        for name in before.keys() | self._promised.keys():
            job = self._pending.jobs.get(name)
            if job is not None and before.get(name) != self._promised.get(name):
                for pods in job.waiting.values():
                    # They name one group: the first is enough.
                    self._pod_told(next(iter(pods)))

    def gated(self, pod: Pod) -> None:
        self._reporter.tell(key(pod), Notice(pod.metadata.uid, SCHEDULING_GATED, _GATED_MESSAGE))

    def ignored_assignment(self, name: str) -> None:
        """A decision was made without the pod's assignment, if it has one that counts as none."""
        pod = self._pods.get(name)
        if pod is not None and (why := ignored_assignment(pod)):
            _log.warning("assignment counts as none", pod=name, why=why)
            message = f"the annotation {ASSIGNMENT_ANNOTATION} counts as none: {why}"
            self._recorder.event(PODS, pod, Severity.WARNING, "AssignmentIgnored", message)

    def explained(self, name: str) -> Explanation | None:
        """What the pod was told last."""
        job = self._pending.job_of(name)
        alike = self._pending.alike_of(job.spec.key) if job is not None else None
        told = self._told.get(alike) if alike is not None else None
        return told.explanation if told is not None else None

    def start_of(self, job: str) -> float | None:
        """When it was promised to start at the latest."""
        return self._promised.get(job)

    def waiting(self) -> Counter[tuple[str, str]]:
        """How many pods wait, by queue and by the kind of reason that they were told; empty: none yet."""
        found: Counter[tuple[str, str]] = Counter()
        for alike in (*self._pending.lines, *self._pending.begun):
            told = self._told.get(alike)
            kind = told.explanation.kind if told is not None else ""
            for job in self._pending.jobs_of(alike):
                found[job.spec.queue or DEFAULT, kind] += sum(map(len, job.waiting.values()))
        return found

    def _is_due(self, told: _Told, one: Blocked, now: float) -> bool:
        """To look again at why."""
        if told.version != self._snapshot.version:
            return now >= told.looked_at + EXPLAIN_S
        return told.reason != one.shortfall.reason or told.overdue(now)

    def _looked_again(self, told: _Told, one: Blocked, now: float) -> bool:
        """Whether there is something else to tell."""
        latest = self._why(one)
        told.version, told.looked_at, told.reason = self._snapshot.version, now, one.shortfall.reason
        told.stale = latest != told.explanation
        if latest.kind is told.explanation.kind and not told.overdue(now):
            return False
        if latest.kind is not told.explanation.kind:
            self._count_at = now
        told.explanation, told.told_at, told.stale = latest, now, False
        return True

    def _waiting_for_room(self, blocked: Collection[Blocked]) -> list[Alike]:
        return [
            one.alike
            for one in blocked
            if one.shortfall.reason is None or one.shortfall.reason.kind in _WAITS_FOR_ROOM
        ]

    def _tell(self, name: str, alike: Alike, explanation: Explanation) -> None:
        reason, message = explanation.kind.value, str(explanation)
        if explanation.kind in A_NODE_WOULD_HELP:
            within, job = self._within.get(alike), self._pending.job_of(name)
            if within is None or (job is not None and job.spec.key in within):
                reason = UNSCHEDULABLE
            else:
                reason = Kind.OVER_LIMIT.value
                message += "; with those before it in the line its queue would have all that it may have"
        self._reporter.tell(name, Notice(self._pending.pods[name].uid, reason, message))

    def _keys(self, alike: Alike) -> list[str]:
        return [pod.key for pod in self._pending.pods_of(alike)]

    def _pod_told(self, name: str) -> None:
        for listener in self._listeners:
            listener(name)
