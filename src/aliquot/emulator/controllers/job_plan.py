"""What to do about a Job, from the Job, its pods and the time. Pure.

Every pod of a Job carries a finalizer until it has been counted. Counting is two steps, each safe to repeat: the
uid of an ended pod goes to `status.uncountedTerminatedPods` and its finalizer is taken away; once the finalizer is
seen to be gone, the uid leaves that list and the counter goes up, in one write. So no pod is counted twice or
forgotten, whoever dies in between.

An ended Job is ended in two steps too: first it is known how (`SuccessCriteriaMet`, `FailureTarget`) and its pods
are sent away, then, when none is left to count, it says so for good (`Complete`, `Failed`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aliquot.clock import rfc3339
from aliquot.emulator.controllers import conditions, indexes, pods
from aliquot.emulator.controllers.notices import Notice
from aliquot.emulator.controllers.types import Job, UncountedPods, WorkloadCondition
from aliquot.kube.api.core import Pod

TRACKING = "batch.kubernetes.io/job-tracking"

BURST = 500
_FIRST_BACKOFF_S = 10.0
_LONGEST_BACKOFF_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`status` is complete (None for fields to take away); it is written before pods are unpinned."""

    status: dict[str, Any]
    unpin: tuple[Pod, ...] = ()
    delete: tuple[Pod, ...] = ()
    create: tuple[int | None, ...] = ()
    """One pod for each; its completion index, None in a Job without."""
    again_s: float | None = None
    notices: tuple[Notice, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class _Ending:
    """How the Job ends: `interim` is known at once, `final` said when all pods are gone and counted."""

    interim: str
    final: str
    reason: str
    message: str


def is_finished(job: Job) -> bool:
    return any(conditions.is_true(job.status.conditions, kind) for kind in ("Complete", "Failed"))


def finished_at(job: Job) -> float | None:
    """Unix time, None while it has not ended."""
    for kind in ("Complete", "Failed"):
        found = conditions.find(job.status.conditions, kind)
        if found is not None and found.status == "True":
            return pods.seconds(found.last_transition_time)
    return None


def plan(job: Job, held: Sequence[Pod], now: float) -> Plan:
    """Not to be asked about a Job that is finished, or being deleted."""
    return _Planner(job, held, now).plan()


class _Planner:
    def __init__(self, job: Job, held: Sequence[Pod], now: float) -> None:
        self.job, self.spec, self.now = job, job.spec, now
        self.held = held
        self.indexed = job.spec.completion_mode == "Indexed"
        self.conditions = tuple(job.status.conditions or ())
        self.notices: list[Notice] = []
        self.uncounted, self.succeeded, self.failed = _count(job, held)
        self.completed = indexes.parse(job.status.completed_indexes)
        for pod in held:
            if pod.status.phase == "Succeeded" and (index := indexes.of_pod(pod)) is not None:
                self.completed.add(index)
        if self.indexed:
            self.completed = {index for index in self.completed if index < (self.spec.completions or 0)}
        self.active = [pod for pod in held if pods.is_active(pod)]
        self.terminating = [pod for pod in held if pods.is_terminating(pod)]

    @property
    def total_succeeded(self) -> int:
        return len(self.completed) if self.indexed else self.succeeded + len(self.uncounted.succeeded)

    @property
    def total_failed(self) -> int:
        return self.failed + len(self.uncounted.failed)

    def plan(self) -> Plan:
        start = self._start_time()
        ending = self._known_ending() or self._ending(start)
        if ending is not None:
            return self._end(ending, start)
        if self.spec.suspend:
            return self._finish(start, delete=tuple(self.active))
        create, delete, wait_s = self._staff()
        deadline_s = self._deadline_in_s(start)
        waits = [wait for wait in (wait_s, deadline_s) if wait is not None]
        return self._finish(start, create=create, delete=delete, again_s=min(waits, default=None))

    def _start_time(self) -> str | None:
        """Runs from when the Job is first seen unsuspended; a suspension starts it anew."""
        suspended = conditions.find(self.conditions, "Suspended")
        if self.spec.suspend:
            if suspended is None or suspended.status != "True":
                self._say("Suspended", "True", "JobSuspended", "Job suspended")
                self._tell(False, "Suspended", "Job suspended")
            return None
        start = self.job.status.start_time
        if suspended is not None and suspended.status == "True":
            self._say("Suspended", "False", "JobResumed", "Job resumed")
            self._tell(False, "Resumed", "Job resumed")
            start = None
        return start or rfc3339(self.now)

    def _known_ending(self) -> _Ending | None:
        for interim, final in (("SuccessCriteriaMet", "Complete"), ("FailureTarget", "Failed")):
            found = conditions.find(self.conditions, interim)
            if found is not None and found.status == "True":
                return _Ending(interim, final, found.reason, found.message)
        return None

    def _ending(self, start: str | None) -> _Ending | None:
        if self._over_backoff_limit():
            message = "Job has reached the specified backoff limit"
            return _Ending("FailureTarget", "Failed", "BackoffLimitExceeded", message)
        deadline_s = self._deadline_in_s(start)
        if deadline_s is not None and deadline_s <= 0:
            message = "Job was active longer than specified deadline"
            return _Ending("FailureTarget", "Failed", "DeadlineExceeded", message)
        if not self.spec.suspend and self._is_complete():
            message = "Reached expected number of succeeded pods"
            return _Ending("SuccessCriteriaMet", "Complete", "CompletionsReached", message)
        return None

    def _over_backoff_limit(self) -> bool:
        limit = self.spec.backoff_limit
        if self.total_failed > limit:
            return True
        if ((self.spec.template.get("spec") or {}).get("restartPolicy")) != "OnFailure":
            return False
        # Containers that restart in place are failures too.
        repeated = sum(
            pods.restarts(pod) for pod in self.active if pod.status.phase in ("Running", "Pending")
        )
        return repeated > 0 if limit == 0 else repeated >= limit

    def _is_complete(self) -> bool:
        if self.spec.completions is None:
            return self.total_succeeded > 0 and not self.active and not self.terminating
        return self.total_succeeded >= self.spec.completions

    def _deadline_in_s(self, start: str | None) -> float | None:
        if self.spec.active_deadline_seconds is None or start is None:
            return None
        return pods.seconds(start) + self.spec.active_deadline_seconds - self.now

    def _end(self, ending: _Ending, start: str | None) -> Plan:
        self._say(ending.interim, "True", ending.reason, ending.message)
        left = self.active or self.terminating or self.uncounted.succeeded or self.uncounted.failed
        if left:
            return self._finish(start, delete=tuple(self.active))
        self._say(ending.final, "True", ending.reason, ending.message)
        if ending.final == "Complete":
            self._tell(False, "Completed", "Job completed")
        else:
            self._tell(True, ending.reason, ending.message)
        completion = rfc3339(self.now) if ending.final == "Complete" else None
        return self._finish(start, completion=completion)

    def _staff(self) -> tuple[tuple[int | None, ...], tuple[Pod, ...], float | None]:
        """Pods to make and to delete, and the seconds to wait before more may be made."""
        wanted = self.spec.parallelism
        if self.spec.completions is not None:
            wanted = min(wanted, self.spec.completions - self.total_succeeded)
        elif self.total_succeeded > 0:
            # A work queue that has been emptied: those that run may end, no more are begun.
            wanted = len(self.active)
        surplus = len(self.active) - wanted
        if surplus > 0:
            return (), tuple(pods.in_order_of_deletion(self.active, {})[:surplus]), None
        lacking = -surplus
        if self.spec.pod_replacement_policy == "Failed":
            lacking -= len(self.terminating)
        if lacking <= 0:
            return (), (), None
        wait_s = backoff_s(self.held, self.now)
        if wait_s > 0:
            return (), (), wait_s
        return self._next(min(lacking, BURST)), (), None

    def _next(self, number: int) -> tuple[int | None, ...]:
        if not self.indexed:
            return (None,) * number
        taken = self.completed | {indexes.of_pod(pod) for pod in self.active}
        free = (index for index in range(self.spec.completions or 0) if index not in taken)
        return tuple(index for index, _ in zip(free, range(number), strict=False))

    def _finish(
        self,
        start: str | None,
        *,
        create: tuple[int | None, ...] = (),
        delete: tuple[Pod, ...] = (),
        again_s: float | None = None,
        completion: str | None = None,
    ) -> Plan:
        ready = sum(pods.is_ready(pod) for pod in self.active)
        status: dict[str, Any] = {
            "active": len(self.active) or None,
            "ready": ready,
            "terminating": len(self.terminating),
            "succeeded": self.succeeded or None,
            "failed": self.failed or None,
            "startTime": start,
            "completionTime": completion,
            "uncountedTerminatedPods": {
                "succeeded": list(self.uncounted.succeeded) or None,
                "failed": list(self.uncounted.failed) or None,
            },
            "conditions": conditions.to_json(self.conditions) or None,
        }
        if self.indexed:
            status["completedIndexes"] = indexes.format_indexes(self.completed) or None
        pinned = [
            pod
            for pod in self.held
            if pod.metadata.uid in (*self.uncounted.succeeded, *self.uncounted.failed) and is_pinned(pod)
        ]
        return Plan(
            status=status,
            unpin=tuple(pinned),
            delete=delete,
            create=create,
            again_s=again_s,
            notices=tuple(self.notices),
        )

    def _say(self, kind: str, value: str, reason: str, message: str) -> None:
        stamp = rfc3339(self.now)
        new = WorkloadCondition(
            type=kind, status=value, reason=reason, message=message, last_probe_time=stamp
        )
        self.conditions = conditions.put(self.conditions, new, self.now)

    def _tell(self, warning: bool, reason: str, message: str) -> None:
        self.notices.append(Notice(warning, reason, message))


def is_pinned(pod: Pod) -> bool:
    return TRACKING in (pod.metadata.finalizers or ())


def _count(job: Job, held: Sequence[Pod]) -> tuple[UncountedPods, int, int]:
    """The uids that wait to be counted from now on, and the counters as they are then."""
    before = job.status.uncounted_terminated_pods or UncountedPods()
    pinned = {pod.metadata.uid: pod for pod in held if is_pinned(pod)}
    succeeded = [uid for uid in before.succeeded if uid in pinned]
    failed = [uid for uid in before.failed if uid in pinned]
    known = {*before.succeeded, *before.failed}
    replaced = job.spec.pod_replacement_policy != "Failed"
    for uid, pod in pinned.items():
        if uid in known:
            continue
        if pod.status.phase == "Succeeded":
            succeeded.append(uid)
        elif pod.status.phase == "Failed" or (replaced and pod.metadata.deletion_timestamp is not None):
            failed.append(uid)
    counted_succeeded = sum(uid not in pinned for uid in before.succeeded)
    counted_failed = sum(uid not in pinned for uid in before.failed)
    return (
        UncountedPods(succeeded=tuple(succeeded), failed=tuple(failed)),
        job.status.succeeded + counted_succeeded,
        job.status.failed + counted_failed,
    )


def backoff_s(held: Sequence[Pod], now: float) -> float:
    """Seconds to wait before the next pod: 10 s after a failure, doubling with each since the last success."""
    ended = sorted((_ended_at(pod), pod.status.phase == "Failed") for pod in held if not pods.is_active(pod))
    streak = 0
    for _, failure in reversed(ended):
        if not failure:
            break
        streak += 1
    if not streak:
        return 0.0
    wait_s = min(_LONGEST_BACKOFF_S, _FIRST_BACKOFF_S * 2.0 ** min(streak - 1, 16))
    return max(0.0, ended[-1][0] + wait_s - now)


def _ended_at(pod: Pod) -> float:
    ends = [
        pods.seconds(status.state.terminated.finished_at)
        for status in pod.status.container_statuses or ()
        if status.state.terminated is not None
    ]
    if ends:
        return max(ends)
    ready = pods.condition(pod, "Ready")
    moved = pods.seconds(ready.last_transition_time) if ready is not None else 0.0
    return max(
        moved, pods.seconds(pod.metadata.deletion_timestamp), pods.seconds(pod.metadata.creation_timestamp)
    )
