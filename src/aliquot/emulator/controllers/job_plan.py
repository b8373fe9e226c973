"""What to do about a Job, from the Job, its pods and the time. Pure.

Every pod of a Job carries a finalizer until it has been counted. Counting is two steps, each safe to repeat: the
uid of an ended pod goes to `status.uncountedTerminatedPods` and its finalizer is taken away; once the finalizer is
seen to be gone, the uid leaves that list and the counter goes up, in one write. So no pod is counted twice or
forgotten, whoever dies in between.

An ended Job is ended in two steps too: first it is known how (`SuccessCriteriaMet`, `FailureTarget`) and its pods
are sent away, then, when none is left to count, it says so for good (`Complete`, `Failed`).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from aliquot.clock import rfc3339
from aliquot.emulator.controllers import conditions, index_failures, indexes, job_policies, pods
from aliquot.emulator.controllers.index_failures import Failures
from aliquot.emulator.controllers.job_policies import Action
from aliquot.emulator.controllers.notices import Notice
from aliquot.emulator.controllers.types import Job, UncountedPods, WorkloadCondition
from aliquot.kube.api.core import Pod

TRACKING = "batch.kubernetes.io/job-tracking"

BURST = 500
_FIRST_BACKOFF_S = 10.0
_LONGEST_BACKOFF_S = 600.0


@dataclass(frozen=True, slots=True)
class Birth:
    """A pod to make. `failures` are those of its index so far, where they are limited."""

    index: int | None = None
    """None in a Job without."""
    failures: Failures | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`status` is complete (None for fields to take away); it is written before pods are unpinned."""

    status: dict[str, Any]
    unpin: tuple[Pod, ...] = ()
    delete: tuple[Pod, ...] = ()
    create: tuple[Birth, ...] = ()
    again_s: float | None = None
    notices: tuple[Notice, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class _Ending:
    """How the Job ends: `interim` is known at once, `final` said when all pods are gone and counted."""

    interim: str
    final: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class _Tally:
    """Pods that wait to be counted, the counters as they are without them, and whose finalizers may go."""

    uncounted: UncountedPods
    succeeded: int
    failed: int
    unpin: tuple[Pod, ...]


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
        self.active = [pod for pod in held if pods.is_active(pod)]
        self.terminating = [pod for pod in held if pods.is_terminating(pod)]
        self.ended_badly = [pod for pod in held if is_pinned(pod) and _has_failed(job, pod)]
        self.verdicts = {
            pod.metadata.uid: job_policies.judge(job.spec.pod_failure_policy, pod) for pod in self.ended_badly
        }
        self.tally = self._count()
        self.completed = self._in_range(job.status.completed_indexes, "Succeeded")
        self.failed_indexes: set[int] = set()
        self.waiting: dict[int, Pod] = {}
        limit = job.spec.backoff_limit_per_index
        if self.indexed and limit is not None:
            self._judge_indexes(limit)

    def _in_range(self, known: str, phase: str = "") -> set[int]:
        """Completion indexes that are there: those known, and those of pods in a phase."""
        found = indexes.parse(known)
        found.update(
            index
            for pod in self.held
            if pod.status.phase == phase and (index := indexes.of_pod(pod)) is not None
        )
        return {index for index in found if index < (self.spec.completions or 0)} if self.indexed else found

    def _count(self, held_back: Collection[str] = (), ending: _Ending | None = None) -> _Tally:
        """`held_back` are uids of pods that are not to be counted yet. Once the Job ends, no pod that goes is waited for."""
        before = self.job.status.uncounted_terminated_pods or UncountedPods()
        pinned = {pod.metadata.uid: pod for pod in self.held if is_pinned(pod)}
        known = {*before.succeeded, *before.failed}
        succeeded = [uid for uid in before.succeeded if uid in pinned]
        failed = [uid for uid in before.failed if uid in pinned]
        unpin = [pinned[uid] for uid in (*succeeded, *failed)]
        for uid, pod in pinned.items():
            if uid in known or uid in held_back:
                continue
            if pod.status.phase == "Succeeded":
                unpin.append(pod)
                if not self.indexed:
                    # What an Indexed Job has done its indexes tell.
                    succeeded.append(uid)
            elif uid in self.verdicts:
                unpin.append(pod)
                if self.verdicts[uid].action is not Action.IGNORE:
                    failed.append(uid)
            elif ending is not None and pod.metadata.deletion_timestamp is not None:
                unpin.append(pod)
                if ending.final == "Failed":
                    failed.append(uid)
        return _Tally(
            uncounted=UncountedPods(succeeded=tuple(succeeded), failed=tuple(failed)),
            succeeded=self.job.status.succeeded + sum(uid not in pinned for uid in before.succeeded),
            failed=self.job.status.failed + sum(uid not in pinned for uid in before.failed),
            unpin=tuple(unpin),
        )

    def _judge_indexes(self, limit: int) -> None:
        self.failed_indexes = self._in_range(self.job.status.failed_indexes or "")
        for pod in self.ended_badly:
            index = indexes.of_pod(pod)
            if index is None or index in self.completed or index >= (self.spec.completions or 0):
                continue
            if index_failures.fails_its_index(pod, self.verdicts[pod.metadata.uid], limit):
                self.failed_indexes.add(index)
        running = {index for pod in self.active if (index := indexes.of_pod(pod)) is not None}
        settled = self.completed | self.failed_indexes | running
        self.waiting = index_failures.waiting(self.ended_badly, self.verdicts, limit, settled)

    @property
    def total_succeeded(self) -> int:
        if self.indexed:
            return len(self.completed)
        return self.tally.succeeded + len(self.tally.uncounted.succeeded)

    @property
    def total_failed(self) -> int:
        return self.tally.failed + len(self.tally.uncounted.failed)

    def plan(self) -> Plan:
        start = self._start_time()
        ending = self._known_ending() or self._ending(start)
        if ending is not None:
            return self._end(ending, start)
        # Whoever carries the number of failures on is not made yet: until then, their pods are not counted.
        self.tally = self._count({pod.metadata.uid for pod in self.waiting.values()})
        if self.spec.suspend:
            return self._finish(start, delete=tuple(self.active), unpin=_pinned(self.active))
        create, delete, wait_s = self._staff()
        deadline_s = self._deadline_in_s(start)
        waits = [wait for wait in (wait_s, deadline_s) if wait is not None]
        return self._finish(
            start, create=create, delete=delete, unpin=_pinned(delete), again_s=min(waits, default=None)
        )

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
        for pod in self.ended_badly:
            verdict = self.verdicts[pod.metadata.uid]
            if verdict.action is Action.FAIL_JOB:
                return _failure("PodFailurePolicy", verdict.message)
        if self._over_backoff_limit():
            return _failure("BackoffLimitExceeded", "Job has reached the specified backoff limit")
        deadline_s = self._deadline_in_s(start)
        if deadline_s is not None and deadline_s <= 0:
            return _failure("DeadlineExceeded", "Job was active longer than specified deadline")
        if self.failed_indexes:
            most = self.spec.max_failed_indexes
            if most is not None and len(self.failed_indexes) > most:
                message = "Job has exceeded the specified maximal number of failed indexes"
                return _failure("MaxFailedIndexesExceeded", message)
            if len(self.failed_indexes) + len(self.completed) >= (self.spec.completions or 0):
                return _failure("FailedIndexes", "Job has failed indexes")
        if self.indexed and (why := job_policies.success(self.spec.success_policy, self.completed)):
            return _Ending("SuccessCriteriaMet", "Complete", "SuccessPolicy", why)
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
        self.tally = self._count(ending=ending)
        uncounted = self.tally.uncounted
        left = self.active or self.terminating or uncounted.succeeded or uncounted.failed
        if left:
            return self._finish(start, delete=tuple(self.active))
        self._say(ending.final, "True", ending.reason, ending.message)
        if ending.final == "Complete":
            self._tell(False, "Completed", "Job completed")
        else:
            self._tell(True, ending.reason, ending.message)
        completion = rfc3339(self.now) if ending.final == "Complete" else None
        return self._finish(start, completion=completion)

    def _staff(self) -> tuple[tuple[Birth, ...], tuple[Pod, ...], float | None]:
        """Pods to make and to delete, and the seconds to wait before more may be made."""
        misplaced = self._misplaced()
        active = [pod for pod in self.active if pod not in misplaced]
        wanted = self.spec.parallelism
        if self.spec.completions is not None:
            left = self.spec.completions - self.total_succeeded - len(self.failed_indexes)
            wanted = min(wanted, left)
        elif self.total_succeeded > 0:
            # A work queue that has been emptied: those that run may end, no more are begun.
            wanted = len(active)
        surplus = len(active) - wanted
        if surplus > 0:
            return (), (*misplaced, *pods.in_order_of_deletion(active, {})[:surplus]), None
        lacking = -surplus
        if self.spec.pod_replacement_policy == "Failed":
            lacking -= len(self.terminating)
        if misplaced or lacking <= 0:
            return (), tuple(misplaced), None
        if not self.indexed:
            wait_s = backoff_s(self.held, self.now)
            return ((Birth(),) * min(lacking, BURST), (), None) if wait_s <= 0 else ((), (), wait_s)
        pending = self._pending(min(lacking, BURST))
        if self.spec.backoff_limit_per_index is not None:
            return self._independent(pending)
        wait_s = backoff_s(self.held, self.now)
        return (tuple(map(Birth, pending)), (), None) if wait_s <= 0 else ((), (), wait_s)

    def _misplaced(self) -> list[Pod]:
        """Active pods of an Indexed Job that do a work twice, or one that is not to be done."""
        if not self.indexed:
            return []
        seen = set(self.completed)
        misplaced: list[Pod] = []
        for pod in self.active:
            index = indexes.of_pod(pod)
            if index is None or index in seen or index >= (self.spec.completions or 0):
                misplaced.append(pod)
            else:
                seen.add(index)
        return misplaced

    def _pending(self, number: int) -> list[int]:
        """The first indexes that nobody works on."""
        taken = self.completed | self.failed_indexes | {indexes.of_pod(pod) for pod in self.active}
        if self.spec.pod_replacement_policy == "Failed":
            taken |= {indexes.of_pod(pod) for pod in self.terminating}
        free = (index for index in range(self.spec.completions or 0) if index not in taken)
        return list(islice(free, number))

    def _independent(self, pending: Sequence[int]) -> tuple[tuple[Birth, ...], tuple[Pod, ...], float | None]:
        """Each index waits for its own failures alone."""
        births: list[Birth] = []
        waits: list[float] = []
        for index in pending:
            last = self.waiting.get(index)
            failures = Failures()
            if last is not None:
                failures = index_failures.after(last, self.verdicts[last.metadata.uid])
                wait_s = _wait_s(failures.total, pods.ended_at(last), self.now)
                if wait_s > 0:
                    waits.append(wait_s)
                    continue
            births.append(Birth(index, failures))
        return tuple(births), (), min(waits, default=None)

    def _finish(
        self,
        start: str | None,
        *,
        create: tuple[Birth, ...] = (),
        delete: tuple[Pod, ...] = (),
        unpin: tuple[Pod, ...] = (),
        again_s: float | None = None,
        completion: str | None = None,
    ) -> Plan:
        ready = sum(pods.is_ready(pod) for pod in self.active)
        status: dict[str, Any] = {
            "active": len(self.active) or None,
            "ready": ready,
            "terminating": len(self.terminating),
            "succeeded": (len(self.completed) if self.indexed else self.tally.succeeded) or None,
            "failed": self.tally.failed or None,
            "startTime": start,
            "completionTime": completion,
            "uncountedTerminatedPods": {
                "succeeded": list(self.tally.uncounted.succeeded) or None,
                "failed": list(self.tally.uncounted.failed) or None,
            },
            "conditions": conditions.to_json(self.conditions) or None,
        }
        if self.indexed:
            status["completedIndexes"] = indexes.format_indexes(self.completed) or None
        if self.spec.backoff_limit_per_index is not None:
            status["failedIndexes"] = indexes.format_indexes(self.failed_indexes)
        return Plan(
            status=status,
            unpin=(*self.tally.unpin, *unpin),
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


def _pinned(deleted: Sequence[Pod]) -> tuple[Pod, ...]:
    """Whom a Job that goes on takes away by itself has not failed: it is let go before, so that nobody counts it."""
    return tuple(pod for pod in deleted if is_pinned(pod))


def _has_failed(job: Job, pod: Pod) -> bool:
    if pod.status.phase == "Failed":
        return True
    # One on its way out has failed too, unless the Job waits to see how it ends.
    replaced = job.spec.pod_replacement_policy != "Failed"
    return replaced and pod.metadata.deletion_timestamp is not None and pod.status.phase != "Succeeded"


def _failure(reason: str, message: str) -> _Ending:
    return _Ending("FailureTarget", "Failed", reason, message)


def backoff_s(held: Sequence[Pod], now: float) -> float:
    """Seconds to wait before the next pod: 10 s after a failure, doubling with each since the last success."""
    ended = sorted(
        (pods.ended_at(pod), pod.status.phase == "Failed") for pod in held if not pods.is_active(pod)
    )
    streak = 0
    for _, failure in reversed(ended):
        if not failure:
            break
        streak += 1
    if not streak:
        return 0.0
    return _wait_s(streak, ended[-1][0], now)


def _wait_s(failures: int, last: float, now: float) -> float:
    """Seconds left of the wait after so many failures in a row, the last of them at `last`."""
    wait_s = min(_LONGEST_BACKOFF_S, _FIRST_BACKOFF_S * 2.0 ** min(failures - 1, 16))
    return max(0.0, last + wait_s - now)
