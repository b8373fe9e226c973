"""Gangs that fell below their minimum, and when what is left of them goes: it is of no use by itself, and holds its room.

A gang that has yet to reach its minimum has not fallen. Whoever can take a missing member's place is placed before: what is
below at the end of a pass found no way back in it. While a member that is on its way out still has time to end by itself,
the grace does not run: its successor may be made only then.

Since when is in memory, on a clock that nobody sets: who starts anew counts anew.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

from aliquot.scheduler.core.jobs import JobSpec, lacking
from aliquot.scheduler.core.pending import Job, Pending
from aliquot.scheduler.core.pod import PlacedPod
from aliquot.scheduler.core.session import Session
from aliquot.scheduler.core.victims import Guards

_ANY_NUMBER = 1 << 40


@dataclass(frozen=True, slots=True)
class Fallen:
    """A gang below its minimum. Times are of the steady clock."""

    job: JobSpec
    lacks: Mapping[str, int]
    """How many more pods of which leaf it takes."""
    waiting: int
    """Pods of it that wait."""
    left: tuple[PlacedPod, ...]
    """Pods of it that have a node and are not on their way out."""
    since_s: float
    """Later than now, where one of it still has time to end by itself."""
    due_s: float
    """When it is evicted; inf: never."""
    kept: str = ""
    """Why it is not evicted although it is due."""
    goes: bool = False
    """It is evicted now."""
    is_hoped_for: bool = False
    """What it lacked was decided on, and may be refused there once more: all is as it was when it was looked at last."""


class Staleness:
    """`was_whole` tells, by a job's key, whether it is known to have been at its minimum before we looked. `since`: by job, as
    somebody else saw it on the same clock."""

    def __init__(
        self,
        was_whole: Callable[[str], bool] = lambda job: False,
        *,
        since: Mapping[str, float] | None = None,
        hoped_for: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self.was_whole = was_whole
        self._since = dict(since or {})
        self._hoped_for = dict(hoped_for or {})
        self._last: dict[str, Fallen] = {}
        """Of what is told alone: nothing is decided by it."""

    @property
    def since(self) -> Mapping[str, float]:
        """By job, from when its grace runs."""
        return self._since

    @property
    def hoped_for(self) -> Mapping[str, tuple[str, ...]]:
        """By job that would be whole with them, the pods that were decided on and were not seen to have their node."""
        return self._hoped_for

    def look(
        self, session: Session, pending: Pending, guards: Guards, *, now_s: float, steady_s: float
    ) -> list[Fallen]:
        """All that have fallen, at the end of a pass. Those that go are evicted in the session."""
        found = []
        for key in sorted(pending.below):
            job = pending.jobs[key]
            left = _left(job, session)
            if left and not job.was_whole:
                job.was_whole = self.was_whole(key)
            if left and job.was_whole:
                has_s = max(job.leaving.values(), default=now_s) - now_s
                if has_s > 0:
                    # One that was evicted a moment ago: until when it has is not known yet.
                    since_s = steady_s + (has_s if has_s < inf else 0.0)
                else:
                    if self._came(key, session):
                        self._since.pop(key, None)
                    since_s = min(self._since.get(key, steady_s), steady_s)
                found.append(_judged(job, left, session, guards, since_s, steady_s))
        return [*found, *self._keep(found, session, pending)]

    def _keep(self, found: Sequence[Fallen], session: Session, pending: Pending) -> list[Fallen]:
        """Since when, also of those of which it may yet turn out that they did not get what they lack: these are returned."""
        since, hoped_for = {}, []
        fallen = {one.job.key: one for one in found}
        for key, since_s in self._since.items():
            job = pending.jobs.get(key)
            if job is None or key in fallen:
                continue
            pods = _hoped_for(job, session)
            if pods:
                self._hoped_for[key] = pods
                if key in self._last:
                    hoped_for.append(replace(self._last[key], kept="", is_hoped_for=True))
            if pods or _is_leaving(job):
                since[key] = since_s
        self._since = since | {key: one.since_s for key, one in fallen.items()}
        self._hoped_for = {key: pods for key, pods in self._hoped_for.items() if key in self._since}
        self._last = {one.job.key: one for one in (*found, *hoped_for) if not one.goes}
        return hoped_for

    def _came(self, job: str, session: Session) -> bool:
        """Whether it got what it had lacked: then it fell anew."""
        pods = session.snapshot.pods
        hoped_for = self._hoped_for.pop(job, ())
        return bool(hoped_for) and all(key in pods and not pods[key].assumed for key in hoped_for)


def _is_leaving(job: Job) -> bool:
    """What was left of it was evicted, and is not gone yet: that may be refused after all."""
    return bool(job.placed) and not job.has_begun


def _hoped_for(job: Job, session: Session) -> tuple[str, ...]:
    pods = session.snapshot.pods
    return tuple(key for key in job.placed if key in pods and pods[key].assumed)


def _left(job: Job, session: Session) -> tuple[PlacedPod, ...]:
    """None where something was decided on a moment ago: that is let come true first."""
    pods = [
        pod
        for key in job.placed
        if key not in job.leaving and (pod := session.snapshot.pods.get(key)) is not None
    ]
    return () if any(pod.assumed for pod in pods) else tuple(pods)


def _judged(
    job: Job, left: tuple[PlacedPod, ...], session: Session, guards: Guards, since_s: float, steady_s: float
) -> Fallen:
    assert job.spec.root is not None
    lacks = lacking(job.spec.root, job.there, {leaf.name: _ANY_NUMBER for leaf in job.spec.root.leaves})
    due_s = inf if job.spec.stale_after_s is None else since_s + job.spec.stale_after_s
    keys = [pod.key for pod in left]
    kept = guards.refusal(keys, session.disrupted) if steady_s >= due_s else ""
    goes = steady_s >= due_s and not kept
    if goes:
        for key in keys:
            session.evict(key)
    waiting = sum(job.here.values())
    return Fallen(job.spec, lacks or {}, waiting, left, since_s, due_s, kept, goes)


def missing(one: Fallen) -> str:
    """In words: who, and whether anybody waits to take the place."""
    more = sum(one.lacks.values())
    of = [f"{count} of {leaf}" for leaf, count in one.lacks.items() if leaf]
    which = f" ({', '.join(of)})" if of else ""
    if not one.waiting:
        made = "and none has been made"
    elif one.waiting >= more:
        made = f"and {'waits' if more == 1 else 'wait'} for room"
    else:
        made = f"of which {one.waiting} {'has' if one.waiting == 1 else 'have'} been made"
    return f"{more} more {'pod is' if more == 1 else 'pods are'} needed{which}, {made}"
