"""A case as plain data. What cannot change is taken as it is; what a cycle changes is copied, so that the document stays true."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Generic, TypeVar

from aliquot.gpu.driver import InstanceProfile
from aliquot.kube.api.gpuclass import GPUClassSpec
from aliquot.partition.gpus import GpuFacts
from aliquot.scheduler.core import devices, pending
from aliquot.scheduler.core.accounts import as_asked
from aliquot.scheduler.core.attempts import Bind
from aliquot.scheduler.core.backfill.stage import Backfill
from aliquot.scheduler.core.facts import NodeFacts
from aliquot.scheduler.core.keeping_worth import KeepingWorth
from aliquot.scheduler.core.landings import Landings
from aliquot.scheduler.core.placement import Placement, starting
from aliquot.scheduler.core.pod import PodRequest, PodShape
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.queues.history import History
from aliquot.scheduler.core.queues.line import BY_PRIORITY_THEN_AGE
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.core.victims import Guards
from aliquot.scheduler.recording import document
from aliquot.scheduler.recording.case import Case
from aliquot.scheduler.recording.document import Recording

_Thing = TypeVar("_Thing")

_NO_CLASSES: Mapping[str, GPUClassSpec] = {}
_MOST_KEPT = 1000
"""Kinds of boards and versions of the GPUClasses."""


class _Once(Generic[_Thing]):
    """Things by position, each once. Told apart by identity: that is quick, and one too many does no harm."""

    def __init__(self) -> None:
        self.things: list[_Thing] = []
        self._positions: dict[int, int] = {}

    def position(self, thing: _Thing) -> int:
        found = self._positions.get(id(thing))
        if found is None:
            found = self._positions[id(thing)] = len(self.things)
            self.things.append(thing)
        return found


class Nodes:
    """As documents, kept from one cycle to the next: few of them are other ones by then."""

    def __init__(self) -> None:
        self.profiles: _Once[tuple[InstanceProfile, ...]] = _Once()
        self.classes: _Once[Mapping[str, GPUClassSpec]] = _Once()
        self._known: dict[str, tuple[NodeFacts, document.Node]] = {}

    def of(self, snapshot: Snapshot) -> tuple[document.Node, ...]:
        if len(self.profiles.things) + len(self.classes.things) > _MOST_KEPT:
            # All that there ever were; many of them are no more.
            self.profiles, self.classes, self._known = _Once(), _Once(), {}
        known, self._known = self._known, {}
        for name, state in snapshot.nodes.items():
            before = known.get(name)
            same = before is not None and before[0] is state.reported
            self._known[name] = (
                before if before is not None and same else (state.reported, self._node(state.reported))
            )
        return tuple(node for _, node in self._known.values())

    def _node(self, facts: NodeFacts) -> document.Node:
        return document.Node(
            facts.name,
            facts.labels,
            facts.taints,
            facts.unschedulable,
            facts.allocatable,
            facts.devices.all,
            facts.devices.links,
            tuple(self._gpu(gpu) for gpu in facts.gpus),
            self.classes.position(facts.classes or _NO_CLASSES),
            facts.packs_shares,
            facts.packs_slices,
        )

    def _gpu(self, gpu: GpuFacts) -> tuple[GpuFacts, int]:
        return replace(gpu, profiles=()), self.profiles.position(gpu.profiles)


def captured(case: Case, nodes: Nodes | None = None) -> Recording:
    """Before the cycle, or after one that failed. `nodes`: as they were recorded before."""
    return _Capture(case, nodes or Nodes()).recording()


class _Capture:
    def __init__(self, case: Case, nodes: Nodes) -> None:
        self._case = case
        self._nodes = nodes
        self._shapes: _Once[PodShape] = _Once()

    def recording(self) -> Recording:
        case, snapshot, accounts = self._case, self._case.snapshot, self._case.pending.accounts
        nodes = self._nodes.of(snapshot)
        jobs = tuple(self._job(job) for job in case.pending.jobs.values())
        backfill = self._backfill(case.backfill) if case.backfill is not None else None
        guards = self._guards(case.guards) if case.guards is not None else None
        landings = self._landings(case.landings) if case.landings is not None else None
        return Recording(
            now_s=case.now_s,
            limit=case.limit,
            nodes=nodes,
            pods=tuple(snapshot.pods.values()),
            ended=dict(snapshot.ended),
            jobs=jobs,
            shapes=tuple(self._shapes.things),
            counts=tuple(accounts.counted(shape) for shape in self._shapes.things),
            profiles=tuple(self._nodes.profiles.things),
            classes=tuple(self._nodes.classes.things),
            queues=tuple(accounts.specs),
            offered=dict(accounts.offered),
            history=_history(accounts.history) if accounts.history is not None else None,
            topologies=dict(case.topologies),
            placing=_placing(case.rankings),
            backfill=backfill,
            ageing_s=case.pending.order.ageing_s,
            unreadable=dict(accounts.unreadable),
            by_place=accounts.got is not as_asked,
            guards=guards,
            landings=landings,
            steady_s=case.steady_s,
            stale_since=dict(case.staleness.since) if case.staleness is not None else None,
            stale_hoped_for=dict(case.staleness.hoped_for) if case.staleness is not None else {},
        )

    def _waiting(self, pod: PodRequest) -> document.Waiting:
        position = self._shapes.position(pod.shape)
        return document.Waiting(pod.key, pod.uid, position, pod.priority, pod.created_s, pod.kin, pod.owner)

    def _job(self, job: pending.Job) -> document.Job:
        return document.Job(
            spec=job.spec,
            waiting=tuple(
                (leaf, tuple(map(self._waiting, pods.values()))) for leaf, pods in job.waiting.items()
            ),
            placed=tuple(self._placed(job, key, leaf) for key, leaf in job.placed.items()),
            succeeded=tuple(job.succeeded.items()),
            was_whole=job.was_whole or self._was_whole(job),
        )

    def _was_whole(self, job: pending.Job) -> bool:
        """As the cycle would ask."""
        staleness = self._case.staleness
        return staleness is not None and job.is_below and staleness.was_whole(job.spec.key)

    def _placed(self, job: pending.Job, key: str, leaf: str) -> document.Placed:
        entry = self._case.pending.accounts.entry(key)
        if entry is None:
            return document.Placed(key, leaf, job.leaving.get(key), None)
        position = self._shapes.position(entry.shape)
        booked = document.Booked(entry.queue, position, entry.amounts, entry.preemptible, entry.user)
        return document.Placed(key, leaf, job.leaving.get(key), booked)

    def _backfill(self, backfill: Backfill) -> document.BackfillState:
        estimates = {}
        for job in self._case.pending.jobs.values():
            if job.waiting:
                runtime_s = backfill.estimate(job.spec)
                if runtime_s != job.spec.max_runtime_s:
                    estimates[job.spec.key] = runtime_s
        return document.BackfillState(
            style=backfill.style,
            most=backfill.most,
            runs=tuple(replace(run, pods=set(run.pods)) for run in backfill.timetable.runs),
            promises=tuple(
                document.Promised(one.job, one.start_s, one.end_s, tuple(map(self._bind, one.binds)))
                for one in backfill.promises.values()
            ),
            may_be_earlier=backfill.may_be_earlier,
            to_look_at=tuple(backfill.to_look_at),
            estimates=estimates,
        )

    def _guards(self, guards: Guards) -> document.GuardState:
        kept: dict[str, str] = {}
        budgets_of: dict[str, tuple[str, ...]] = {}
        anew: dict[str, document.Waiting] = {}
        # Those that wait too: a simulation goes on from here.
        for pod in (*self._case.snapshot.pods, *self._case.pending.pods):
            if why := guards.kept(pod):
                kept[pod] = why
            if budgets := guards.budgets_of(pod):
                budgets_of[pod] = tuple(budgets)
            if self._case.landings is not None and (again := guards.anew(pod)) is not None:
                anew[pod] = self._waiting(again)
        loses_work = tuple(pod for pod in anew if guards.loses_work(pod))
        return document.GuardState(kept, budgets_of, dict(guards.allowed), anew, loses_work)

    def _landings(self, landings: Landings) -> tuple[document.StandingIn, ...]:
        return tuple(
            document.StandingIn(one.job, one.moved, one.leaf, self._waiting(one.pod), one.node, one.until_s)
            for one in landings.kept.values()
        )

    def _bind(self, bind: Bind) -> document.PlacedBind:
        return document.PlacedBind(self._waiting(bind.pod), bind.placed, bind.leaf)


def _history(history: History) -> document.HistoryState:
    return document.HistoryState(history.half_life_s, history.now_s, history.past.used, tuple(history.books))


def _placing(rankings: Rankings) -> document.Placing:
    policies = rankings.policies
    boards = tuple(document.Valued(profiles, table) for profiles, table in rankings.valuation.learned())
    keeping = next((score for score in policies.by_room if isinstance(score, KeepingWorth)), None)
    worth = None
    if keeping is not None:
        of = keeping.worth
        worth = document.WorthTerms(
            tuple(of.demand.items()), tuple(of.supply.items()), of.most_gpus, dict(keeping.units)
        )
    return document.Placing(_placement(policies, keeping), worth, boards)


def _placement(policies: Policies, keeping: KeepingWorth | None) -> Placement | None:
    plain = replace(
        policies,
        # How jobs wait is told apart from where they go.
        order=BY_PRIORITY_THEN_AGE,
        by_room=tuple(score for score in policies.by_room if score is not keeping),
        choose=devices.assign
        if keeping is not None and policies.choose == keeping.assign
        else policies.choose,
    )
    if keeping is not None:
        return Placement.WORTH if plain == starting(Placement.WORTH) else None
    return next((one for one in (Placement.PACK, Placement.SPREAD) if plain == starting(one)), None)
