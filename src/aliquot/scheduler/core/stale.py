"""Gangs that fell below their minimum, and when what is left of them goes: it is of no use by itself, and holds its room.

A gang that has yet to reach its minimum has not fallen. Whoever can take a missing member's place is placed before: what is
below at the end of a pass found no way back in it. While a member that is on its way out still has time to end by itself,
the grace does not run: its successor may be made only then.

Since when is in memory, on a clock that nobody sets: who starts anew counts anew.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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


class Staleness:
    """`was_whole` tells, by a job's key, whether it is known to have been at its minimum before we looked. `since`: by job, as
    somebody else saw it on the same clock."""

    def __init__(
        self,
        was_whole: Callable[[str], bool] = lambda job: False,
        *,
        since: Mapping[str, float] | None = None,
    ) -> None:
        self.was_whole = was_whole
        self._since = dict(since or {})

    @property
    def since(self) -> Mapping[str, float]:
        """By job, from when its grace runs."""
        return self._since

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
                    since_s = min(self._since.get(key, steady_s), steady_s)
                found.append(_judged(job, left, session, guards, since_s, steady_s))
        # Who was evicted, and is not gone yet, may be refused it after all.
        leaving = {key: since_s for key, since_s in self._since.items() if _is_leaving(pending.jobs.get(key))}
        self._since = leaving | {fallen.job.key: fallen.since_s for fallen in found}
        return found


def _is_leaving(job: Job | None) -> bool:
    return job is not None and bool(job.placed) and not job.has_begun


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
