"""One pass over those who wait: decisions out, and what was decided kept in the snapshot.

Highest rank first; jobs that lost members before all others, extras last. A job that finds no room does not hold up those
behind it. Within a pass room only shrinks, so the first of those that are alike answers for the rest of them. Only rules
between pods may open a node when another pod is placed: a job that waits under such a one is looked at again once the
others are through.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from msgspec import Struct, structs

from aliquot.scheduler.core.affording import Affording
from aliquot.scheduler.core.attempts import Bind, Fitting, Shortfall, why_no_node
from aliquot.scheduler.core.backfill.promises import Promise
from aliquot.scheduler.core.backfill.stage import Backfill, Stage
from aliquot.scheduler.core.consolidation import Consolidation
from aliquot.scheduler.core.jobs import JobSpec, extras, least_pods
from aliquot.scheduler.core.landings import Landings, StandIn
from aliquot.scheduler.core.lost import Lost
from aliquot.scheduler.core.pending import Alike, Job, Pending
from aliquot.scheduler.core.pod import PlacedPod
from aliquot.scheduler.core.preemption import Made, Preemption
from aliquot.scheduler.core.queues.words import told
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.reasons import Explanation, Kind, Reason
from aliquot.scheduler.core.serving import ByQueue, Head, OneLine, Serving
from aliquot.scheduler.core.session import Session
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.core.stale import Fallen, Staleness
from aliquot.scheduler.core.topology import Topology
from aliquot.scheduler.core.turns import Turns
from aliquot.scheduler.core.victims import Everybody, Guards

_NO_GUARDS = Guards()
_MOST_HELPED = 8
"""Kinds of jobs that room is made for in one pass, in the order in which they were served."""


class Decision(Struct, frozen=True, gc=False):
    """Pods of one job that go together: all of them are bound, or none."""

    job: JobSpec
    binds: tuple[Bind, ...]
    after: tuple[PlacedPod, ...] = ()
    """Pods that have to be gone first. Those that are not terminating are to be evicted."""
    lost: Mapping[str, Lost] = {}
    """By pod of those, what its job loses; not of those that go anyway."""
    stand_ins: tuple[StandIn, ...] = ()
    """Of those that are moved: room is kept for them elsewhere."""
    fallen: Fallen | None = None
    """Nothing is bound: these pods are all that is left of a gang, and go as it is below its minimum."""


class Blocked(Struct, frozen=True, gc=False):
    """A job that found no room, for all that are like it."""

    job: JobSpec
    alike: Alike
    shortfall: Shortfall


class Outcome(Struct, frozen=True, gc=False):
    decisions: tuple[Decision, ...]
    """Now assumed in the snapshot and no longer pending."""
    blocked: tuple[Blocked, ...]
    """Their pods are still pending; `why` says what for."""
    more: bool
    """The limit was reached: call again."""
    promises: tuple[Promise, ...] = ()
    """To jobs that are blocked: where and when they start at the latest."""
    fallen: tuple[Fallen, ...] | None = None
    """Gangs below their minimum; None: nobody looked."""

    @property
    def binds(self) -> tuple[Bind, ...]:
        return tuple(bind for decision in self.decisions for bind in decision.binds)


def run(
    snapshot: Snapshot,
    pending: Pending,
    rankings: Rankings,
    topologies: Mapping[str, Topology] | None = None,
    *,
    limit: int | None = None,
    backfill: Backfill | None = None,
    guards: Guards | None = None,
    landings: Landings | None = None,
    staleness: Staleness | None = None,
    now_s: float = 0.0,
    steady_s: float = 0.0,
) -> Outcome:
    """Decide on jobs until `limit` pods are placed. When a policy raises, nothing has changed.

    `backfill`: keep promises to jobs that are blocked, and make them; without it nobody waits for another's sake.
    `guards`: room is made for those who find none, by evicting others; without them nobody is evicted.
    `landings`: or by moving others closer together, whose room is kept there.
    `staleness`: what is left of gangs that stay below their minimum goes last of all.
    `now_s` is by the wall clock, `steady_s` by one that nobody sets.
    """
    with Session(snapshot, pending.accounts, (guards or _NO_GUARDS).budgets_of) as session:
        fitting = Fitting(session, rankings, topologies or {})
        stage = Stage(backfill, fitting, pending, now_s) if backfill is not None else None
        one = _Pass(fitting, pending, stage, landings, now_s)
        try:
            more = one.run(limit)
            if guards is not None and not more:
                one.make_room(guards)
                if staleness is not None:
                    one.give_up(staleness, guards, steady_s)
        except BaseException:
            one.take_back()
            raise
    promises = tuple(backfill.promises.values()) if backfill is not None else ()
    return Outcome(tuple(one.decisions), tuple(one.blocked), more, promises, one.fallen)


def why(
    snapshot: Snapshot,
    pending: Pending,
    blocked: Blocked,
    rankings: Rankings,
    topologies: Mapping[str, Topology] | None = None,
) -> Explanation:
    """Why the job finds no room, as things are now. Of a gang: what the first of its pods that found no node lacks, with the
    others on theirs."""
    shortfall = blocked.shortfall
    if shortfall.reason is not None:
        return Explanation(shortfall.reason.kind, told(shortfall.reason), bound=shortfall.reason.bound)
    job = pending.jobs.get(blocked.job.key)
    if job is None or not (lacks := _sought(job)):
        return why_no_node(snapshot, shortfall.shape, rankings)
    beside_others = bool(shortfall.level and job.placed)
    if shortfall.needed == 1 and not beside_others:
        return why_no_node(snapshot, shortfall.shape, rankings)
    session = Session(snapshot)
    found = Fitting(session, rankings, topologies or {}).place_job(job, lacks, telling=True)
    if not isinstance(found, Shortfall):
        session.undo()
        return Explanation(Kind.FULL, "there is room by now")
    if found.told is None:
        reason = found.reason or Reason(Kind.FULL)
        return Explanation(reason.kind, reason.detail)
    if found.needed == 1:
        message = f"it has to be in one {found.level} with the others of its job: {found.told.message}"
        return Explanation(found.told.kind, message, found.told.detail)
    where = f" in one {found.level}" if found.level else ""
    message = (
        f"{found.placed} of {found.needed} pods find a node{where}, and all are needed: {found.told.message}"
    )
    return Explanation(found.told.kind, message, found.told.detail)


def _sought(job: Job) -> Mapping[str, int] | None:
    """The pods that a place is looked for together, by leaf."""
    lacks = job.lacks()
    if lacks == {} and job.spec.root is not None:
        return next(iter(extras(job.spec.root, job.there, job.here)), None)
    return lacks


@dataclass(frozen=True, slots=True)
class _Closed:
    """One to whom another pod may open a node."""

    head: Head
    extras: bool
    blocked: Blocked
    decisions: int
    """How many had been made when it found none."""


class _Pass:
    def __init__(
        self, fitting: Fitting, pending: Pending, stage: Stage | None, landings: Landings | None, now_s: float
    ) -> None:
        self._stage = stage
        self._landings = landings
        self._kept = dict(landings.kept) if landings is not None else {}
        self._now_s = now_s
        self._fitting = fitting
        self._session = fitting.session
        self._pending = pending
        self._affording = Affording(fitting, pending)
        self._room = 0.0
        """For how many pods there is room before the limit."""
        self._extras: list[Head] = []
        self._closed: list[_Closed] = []
        self._passed_over: set[Alike] = set()
        """Of which one was blocked, and others behind it were asked."""
        self.decisions: list[Decision] = []
        self.blocked: list[Blocked] = []
        self.fallen: tuple[Fallen, ...] | None = None

    def run(self, limit: int | None) -> bool:
        """Whether the limit was reached."""
        self._room = inf if limit is None else limit
        if self._stage is not None:
            self._serve_due(self._stage)
        if self._landings is not None:
            self._serve_moved(self._landings)
        self._turns = Turns(self._pending)
        self._lines = self._turns.lines
        broken: list[Head] = []
        for alike, rank in self._pending.begun.items():
            extra = self._pending.jobs[rank[-1]].lacks() == {}
            (self._extras if extra else broken).append((rank, alike, 0))
        whole = [(line[0], alike, 0) for alike, line in self._lines.items()]
        return (
            self._serve(broken)
            or self._serve(whole)
            or self._serve(self._take_extras(), extras=True)
            or self._serve_reopened()
        )

    def _take_extras(self) -> list[Head]:
        extras, self._extras = self._extras, []
        return extras

    def _serve_reopened(self) -> bool:
        """Look again at those to whom what was placed since may have opened a node, as long as that is so for any."""
        while again := [closed for closed in self._closed if closed.decisions < len(self.decisions)]:
            self._closed = [closed for closed in self._closed if closed.decisions == len(self.decisions)]
            told_again = {id(closed.blocked) for closed in again}
            self.blocked = [blocked for blocked in self.blocked if id(blocked) not in told_again]
            self._extras += [closed.head for closed in again if closed.extras]
            whole = [closed.head for closed in again if not closed.extras]
            if self._serve(whole) or self._serve(self._take_extras(), extras=True):
                return True
        return False

    def _serve(self, heads: Iterable[Head], *, extras: bool = False) -> bool:
        """One head after the other. Whether the limit was reached before all were looked at."""
        accounts = self._pending.accounts
        turns: Serving = ByQueue(heads, self._turns) if accounts.declared else OneLine(heads)
        while (head := turns.next()) is not None:
            if self._room <= 0:
                return True
            rank, alike, position = head
            job = self._pending.jobs[rank[-1]]
            found = self._tried(job, extras=extras)
            if isinstance(found, Shortfall):
                if alike not in self._passed_over:
                    self.blocked.append(Blocked(job.spec, alike, found))
                    if found.shape.rules.may_open:
                        self._closed.append(_Closed(head, extras, self.blocked[-1], len(self.decisions)))
                turns.served(None if extras else self._behind(head, job, found))
                continue
            self._decide(job, found)
            after: Head | None = None
            if extras:
                after = (rank, alike, 0) if found and job.waiting else None
            else:
                if job.waiting:
                    self._extras.append((rank, (rank[-1],), 0))
                line = self._lines.get(alike, ())
                if position + 1 < len(line):
                    after = (line[position + 1], alike, position + 1)
            turns.served(after)
        return False

    def _tried(self, job: Job, *, extras: bool) -> Sequence[Bind] | Shortfall:
        if self._stage is None:
            return self._extra(job) if extras else self._whole(job)
        if (reason := self._stage.closed) is not None:
            return self._refused(job, reason)
        mark = self._session.checkpoint()
        found = self._extra(job) if extras else self._whole(job)
        if isinstance(found, Shortfall):
            return found
        admitted = self._stage.admit(job, found, mark)
        if admitted is found or isinstance(admitted, Shortfall):
            return admitted
        # Elsewhere than was seen to be within limits.
        reason = self._affording.refusal(job, admitted)
        if reason is not None:
            self._session.undo(mark)
            return self._refused(job, reason)
        return admitted

    def _behind(self, head: Head, job: Job, shortfall: Shortfall) -> Head | None:
        """Who of those that are alike is served after one that is blocked. As a rule nobody: they find no room either."""
        if self._stage is None:
            return None
        self._stage.blocked(job, shortfall)
        _, alike, position = head
        line = self._lines.get(alike, ())
        later = self._stage.behind(line, position, shortfall)
        if later is None:
            return None
        self._passed_over.add(alike)
        return line[later], alike, later

    def _serve_due(self, stage: Stage) -> None:
        """Jobs whose time has come as it was promised."""
        for promise in stage.begin():
            job = self._pending.jobs[promise.job.key]
            lacks = job.lacks()
            if not lacks or self._beyond_its_queue(job, lacks) is not None:
                stage.drop(promise)
                continue
            mark = self._session.checkpoint()
            if (binds := stage.kept(job, promise)) is None:
                continue
            if self._affording.refusal(job, binds) is None:
                self._decide(job, binds)
            else:
                self._session.undo(mark)
                stage.drop(promise)

    def _serve_moved(self, landings: Landings) -> None:
        """Jobs that are there again after they were moved."""

        def may(job: Job, counts: Mapping[str, int]) -> bool:
            return self._beyond_its_queue(job, counts) is None

        def may_have(job: Job, binds: Sequence[Bind]) -> bool:
            return self._affording.refusal(job, binds) is None

        for job, binds in landings.served(self._fitting, self._pending, may, may_have, self._now_s):
            self._decide(job, binds)

    def take_back(self) -> None:
        """What was decided: the session is undone by then."""
        if self._landings is not None:
            self._landings.kept = self._kept
        for decision in self.decisions:
            for bind in decision.binds:
                self._pending.put(bind.pod, decision.job, bind.leaf)
            for pod in decision.after:
                self._pending.keep(pod.key)
        if self._stage is not None:
            self._stage.take_back()

    def _whole(self, job: Job) -> Sequence[Bind] | Shortfall:
        spec = job.spec
        lacks = job.lacks()
        reason = job.refusal or self._pending.accounts.closed(spec)
        if reason is None and lacks is None and spec.root is not None:
            reason = members_missing(least_pods(spec.root), sum(job.here.values()) + sum(job.there.values()))
        if reason is None and lacks is not None:
            reason = self._beyond_its_queue(job, lacks)
        if reason is not None or lacks is None:
            return self._refused(job, reason)
        return self._within_limits(job, lacks)

    def _extra(self, job: Job) -> Sequence[Bind] | Shortfall:
        assert job.spec.root is not None
        first: Shortfall | None = None
        for unit in extras(job.spec.root, job.there, job.here):
            reason = self._beyond_its_queue(job, unit)
            if reason is not None:
                return self._refused(job, reason)
            found = self._within_limits(job, unit)
            if not isinstance(found, Shortfall):
                return found
            first = first or found
        return first or ()

    def _within_limits(self, job: Job, lacks: Mapping[str, int]) -> Sequence[Bind] | Shortfall:
        place = self._fitting.place_job
        if self._pending.accounts.declared:
            mark = self._session.checkpoint()
            found = self._affording.within(job, mark, lambda names: place(job, lacks, within=names))
        else:
            found = place(job, lacks)
        if isinstance(found, Shortfall) and found.reason is None:
            return structs.replace(found, reason=_whatever_room(job, lacks))
        return found

    def make_room(self, guards: Guards) -> None:
        """For the first of those who found none: by moving others, else by evicting them."""
        on = self._fitting, self._pending, self._stage, guards, self._now_s
        consolidation = Consolidation(*on) if self._landings is not None else None
        preemption = Preemption(*on)
        everybody: Everybody | None = None
        blocked, self.blocked = self.blocked, []
        tried = 0
        for one in blocked:
            reserved = self._is_reserved(one.shortfall)
            if (one.shortfall.reason is not None and not reserved) or tried == _MOST_HELPED:
                self.blocked.append(one)
                continue
            tried += 1
            for job in self._alike(one):
                lacks, made = job.lacks(), None
                if lacks and self._beyond_its_queue(job, lacks) is None:
                    everybody = everybody or Everybody(self._session, self._pending, self._now_s)
                    if consolidation is not None and not reserved:
                        made = consolidation.room_for(job, lacks, everybody)
                    made = made or preemption.room_for(job, lacks, everybody, reserved=reserved)
                if made is None:
                    self.blocked.append(structs.replace(one, job=job.spec))
                    break
                # Who could go is looked at anew.
                everybody = None
                self._decide(job, made.binds, made)

    def _is_reserved(self, shortfall: Shortfall) -> bool:
        """There is room, and others were promised it: these may have to give way. In a strict line nobody does."""
        closed = self._stage is not None and self._stage.closed is not None
        return shortfall.reason is not None and shortfall.reason.kind is Kind.RESERVED and not closed

    def _alike(self, blocked: Blocked) -> Iterator[Job]:
        """The job, and after it the others of its line."""
        yield self._pending.jobs[blocked.job.key]
        for rank in self._lines.get(blocked.alike, ()):
            job = self._pending.jobs[rank[-1]]
            if job.waiting and not job.has_begun:
                yield job

    def give_up(self, staleness: Staleness, guards: Guards, steady_s: float) -> None:
        """What is left of gangs that fell below their minimum and found no way back in time."""
        found = staleness.look(self._session, self._pending, guards, now_s=self._now_s, steady_s=steady_s)
        for fallen in found:
            if fallen.goes:
                self._decide(self._pending.jobs[fallen.job.key], (), fallen=fallen)
        self.fallen = tuple(found)

    def _decide(
        self,
        job: Job,
        binds: Sequence[Bind],
        made: Made | None = None,
        fallen: Fallen | None = None,
    ) -> None:
        if made is not None:
            after, lost, stand_ins = tuple(made.after), made.lost, tuple(made.stand_ins)
            decision = Decision(job.spec, tuple(binds), after, lost, stand_ins)
        else:
            left = fallen.left if fallen is not None else ()
            decision = Decision(job.spec, tuple(binds), left, fallen=fallen)
        self.decisions.append(decision)
        if self._landings is not None:
            self._landings.keep(decision.stand_ins)
        self._room -= len(binds)
        for pod in decision.after:
            self._pending.evict(pod.key)
        for bind in binds:
            self._pending.hold(bind.pod, job.spec, bind.leaf, placed=bind.placed)
        if self._stage is not None:
            self._stage.decided(job, binds)

    def _beyond_its_queue(self, job: Job, lacks: Mapping[str, int]) -> Reason | None:
        accounts = self._pending.accounts
        return accounts.refusal(job.spec, self._pending.amounts(job, lacks)) if accounts.declared else None

    def _refused(self, job: Job, reason: Reason | None) -> Shortfall:
        pods = next(iter(job.waiting.values()))
        return Shortfall(next(iter(pods.values())).shape, reason=reason)


def _whatever_room(job: Job, lacks: Mapping[str, int]) -> Reason | None:
    """Why one of these pods is not placed whatever room there is: then it is not for want of room that the job waits."""
    shapes = (pod.shape for leaf, count in lacks.items() for pod in job.first(leaf, count))
    return next((shape.refusal for shape in shapes if shape.refusal is not None), None)


def members_missing(least: int, have: int) -> Reason:
    return Reason(
        Kind.MEMBERS,
        f"{have} of the {least} pods that it takes exist; the others have to be made first",
    )
