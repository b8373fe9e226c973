"""Room for a job that finds none, where others may be evicted for it: who is evicted is gone in the session, and what the job
gets is taken in it.

What others were promised stays theirs. But a promise is worth no more than a place: one to a job that could be evicted for this
one, if it ran, does not count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aliquot.scheduler.core.affording import Affording
from aliquot.scheduler.core.attempts import Bind, Fitting, Names, Shortfall
from aliquot.scheduler.core.backfill.stage import Stage
from aliquot.scheduler.core.jobs import JobSpec
from aliquot.scheduler.core.landings import StandIn
from aliquot.scheduler.core.lost import Lost
from aliquot.scheduler.core.pending import Job, Pending
from aliquot.scheduler.core.pod import PlacedPod
from aliquot.scheduler.core.room import Room
from aliquot.scheduler.core.victims import Everybody, Guards, Victims


@dataclass(frozen=True, slots=True)
class Made:
    """Room that was made for a job."""

    binds: Sequence[Bind]
    after: Sequence[PlacedPod]
    """Who is gone for it."""
    lost: Mapping[str, Lost]
    """By pod of those, what its job loses."""
    stand_ins: Sequence[StandIn] = ()
    """Of those that are moved."""


class Preemption:
    """Of one pass."""

    def __init__(
        self, fitting: Fitting, pending: Pending, stage: Stage | None, guards: Guards, now_s: float
    ) -> None:
        self._stage = stage
        self._fitting = fitting
        self._session = fitting.session
        self._pending = pending
        self._affording = Affording(fitting, pending)
        self._guards = guards
        self._now_s = now_s

    def room_for(
        self, job: Job, lacks: Mapping[str, int], everybody: Everybody, *, reserved: bool
    ) -> Made | None:
        """None: nobody is evicted for it, and the session is as it was. `reserved`: there is room, which others were promised."""
        asked = self._pending.amounts(job, lacks)
        victims = Victims(self._session, everybody, job, asked, self._guards, self._now_s)
        if not reserved and not any(victims.may_go(unit) for unit in victims.units):
            return None
        before = set(self._session.evicted)
        found = self._tried(job, lacks, victims)
        if isinstance(found, Shortfall):
            return None
        after = {key: pod for key, pod in self._session.evicted.items() if key not in before}
        return Made(found, tuple(after.values()), everybody.lost(after))

    def _tried(self, job: Job, lacks: Mapping[str, int], victims: Victims) -> Sequence[Bind] | Shortfall:
        mark = self._session.checkpoint()

        def on(names: Names = None) -> Sequence[Bind] | Shortfall:
            room = Room(self._session, self._fitting.rankings, victims)
            found = self._fitting.place_job(job, lacks, within=names, room=room)
            if isinstance(found, Shortfall):
                return found
            room.give_back()
            if (reason := self._affording.refusal(job, found)) is not None:
                self._session.undo(mark)
                return Shortfall(found[0].pod.shape, needed=len(found), reason=reason)
            return found

        def gives_way(other: JobSpec) -> bool:
            waiting = self._pending.jobs[other.key]
            return victims.would_give_way(other, self._pending.amounts(waiting, waiting.lacks() or {}))

        found = on()
        if self._stage is None or isinstance(found, Shortfall):
            return found
        return self._stage.admit(job, found, mark, on=on, gives_way=gives_way)
