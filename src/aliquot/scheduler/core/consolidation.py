"""Room for a job that finds none only because what is free is in pieces: others move closer together.

Whoever is evicted for it is placed elsewhere in the same breath, all of the pods or nobody: so it takes no claim to do it. It has
bounds instead: who is moved has run for a while, is made anew by itself, and what is moved and lost is little beside what
the job gets.

Why this does not go on for ever: see `queues.reclaim`. A move is done only if the claims in the queues of those who move
stay as they are, although who moves is from then on the last in its class, and only if these queues may have what all get
where they go. So of (Q, S, P) nothing gets less, and one of
them grows with the job.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

from aliquot.scheduler.core.affording import Affording
from aliquot.scheduler.core.attempts import Bind, Fitting, Names, Shortfall
from aliquot.scheduler.core.backfill.stage import Stage
from aliquot.scheduler.core.landings import KEPT_S, StandIn, stand_in_key
from aliquot.scheduler.core.making import asks
from aliquot.scheduler.core.movable import Movable
from aliquot.scheduler.core.pending import Job, Pending
from aliquot.scheduler.core.pod import Amounts
from aliquot.scheduler.core.preemption import Made
from aliquot.scheduler.core.queues.terms import together
from aliquot.scheduler.core.room import Room
from aliquot.scheduler.core.victims import Everybody, Guards


class Consolidation:
    """Of one pass."""

    def __init__(
        self, fitting: Fitting, pending: Pending, stage: Stage | None, guards: Guards, now_s: float
    ) -> None:
        self._fitting = fitting
        self._session = fitting.session
        self._pending = pending
        self._stage = stage
        # Asked for many times, and read anew each time.
        self._guards = replace(guards, anew=cache(guards.anew))
        self._now_s = now_s

    def room_for(self, job: Job, lacks: Mapping[str, int], everybody: Everybody) -> Made | None:
        """None: nobody is moved for it, and the session is as it was."""
        if not self._is_enough(job, lacks):
            return None
        asked = self._pending.amounts(job, lacks)
        movable = Movable(self._fitting, everybody, job, asked, self._guards, self._now_s)
        if not any(movable.may_go(unit) for unit in movable.units if not unit.going):
            return None
        mark = self._session.checkpoint()
        closer = _Closer(self._fitting, self._pending, movable)
        found = self._fitting.place_job(job, lacks, room=closer)
        if isinstance(found, Shortfall):
            return None
        moved = movable.moved()
        if not moved or not closer.land():
            self._session.undo(mark)
            return None
        lands = {key: self._session.snapshot.pods[stand_in_key(key)].node for key in moved}
        nodes = {bind.placed.node for bind in found} | set(lands.values())
        kept = self._stage is None or self._stage.is_kept(nodes, job)
        stand_ins = [self._stand_in(key, node, movable) for key, node in lands.items()]
        if not kept or not self._may_all(job, found, stand_ins) or not movable.claims_stay():
            self._session.undo(mark)
            return None
        gone = movable.gone()
        return Made(found, gone, everybody.lost({pod.key for pod in gone}), stand_ins)

    def _may_all(self, job: Job, binds: Sequence[Bind], stand_ins: Sequence[StandIn]) -> bool:
        """Whether the queues may have what the job gets, and those who are moved."""
        by_job: dict[str, list[StandIn]] = {}
        for one in stand_ins:
            by_job.setdefault(one.job.key, []).append(one)
        pods = self._session.snapshot.pods
        places = [
            (ones[0].job, [(one.pod.shape, pods[one.pod.key]) for one in ones]) for ones in by_job.values()
        ]
        found = [(bind.pod.shape, bind.placed) for bind in binds]
        return Affording(self._fitting, self._pending).all_may([(job.spec, found), *places])

    def _is_enough(self, job: Job, lacks: Mapping[str, int]) -> bool:
        """Whether all that is free might do, were it in one place."""
        snapshot = self._session.snapshot
        wanted: Amounts = {}
        for leaf, count in lacks.items():
            for pod in job.first(leaf, count):
                if not (snapshot.makes_devices and asks(pod.shape)):
                    wanted = together(wanted, pod.shape.request)
        nodes = snapshot.nodes.values()
        return all(sum(max(0, node.available(r)) for node in nodes) >= n for r, n in wanted.items())

    def _stand_in(self, key: str, node: str, movable: Movable) -> StandIn:
        job = self._pending.job_of(key)
        assert job is not None
        return StandIn(job.spec, key, job.placed[key], movable.stand_in(key), node, self._now_s + KEPT_S)


class _Closer(Room):
    """Room on nodes whose pods find another place."""

    def __init__(self, fitting: Fitting, pending: Pending, movable: Movable) -> None:
        super().__init__(fitting.session, fitting.rankings, movable)
        self._fitting = fitting
        self._affording = Affording(fitting, pending)
        self._pending = pending
        self._movable = movable

    def settles(self) -> bool:
        self.give_back()
        # They land for good once all of the job has its place: where is best depends on the rest of it.
        mark = self._session.checkpoint()
        settles = self._movable.is_little() and self.land()
        self._session.undo(mark)
        return settles

    def land(self) -> bool:
        """Whether all that have gone have another place now, the jobs that take most first."""
        by_job: dict[str, list[str]] = {}
        for key in self._movable.moved():
            job = self._pending.job_of(key)
            assert job is not None
            by_job.setdefault(job.spec.key, []).append(key)
        taking = sorted(by_job.items(), key=lambda one: self._movable.amount(one[1]), reverse=True)
        return all(self._lands(self._pending.jobs[name], keys) for name, keys in taking)

    def _lands(self, job: Job, keys: Sequence[str]) -> bool:
        evicted = self._session.evicted
        again = Job(
            job.spec,
            placed={key: leaf for key, leaf in job.placed.items() if key not in evicted},
            succeeded=dict(job.succeeded),
            leaving=dict(job.leaving),
        )
        for key in keys:
            again.wait(self._movable.stand_in(key), job.placed[key])

        def attempt(names: Names) -> Sequence[Bind] | Shortfall:
            return self._fitting.place_job(again, again.here, within=names)

        return not isinstance(self._affording.within(again, self._session.checkpoint(), attempt), Shortfall)
