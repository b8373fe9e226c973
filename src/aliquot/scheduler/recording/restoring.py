"""A recorded case as the cycle takes it, with nothing in any cache."""

from collections.abc import Sequence
from dataclasses import replace

from aliquot.partition.value import Valuation
from aliquot.partition.value_tables import ValueTable
from aliquot.scheduler.core.accounts import Accounts, Counted, Entry, Got, as_asked
from aliquot.scheduler.core.attempts import Bind
from aliquot.scheduler.core.backfill.promises import Promise
from aliquot.scheduler.core.backfill.runtimes import Estimate
from aliquot.scheduler.core.backfill.stage import Backfill
from aliquot.scheduler.core.facts import Devices, NodeFacts
from aliquot.scheduler.core.jobs import JobSpec
from aliquot.scheduler.core.keeping_worth import by_worth
from aliquot.scheduler.core.landings import Landings, StandIn
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.placement import starting
from aliquot.scheduler.core.pod import Amounts, PlacedPod, PodRequest, PodShape
from aliquot.scheduler.core.queues.history import History
from aliquot.scheduler.core.queues.line import Line
from aliquot.scheduler.core.queues.tariff import Tariff, prices_of
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.core.stale import Staleness
from aliquot.scheduler.core.victims import Guards
from aliquot.scheduler.core.worth import Worth
from aliquot.scheduler.recording import document
from aliquot.scheduler.recording.case import Case
from aliquot.scheduler.recording.document import Recording, Unreadable

_NO_SHAPE = PodShape("", (), {})
"""Of a pod that counts for nothing any more."""


class OtherPolicies(Exception):
    """One line: it was decided by policies that are not among ours."""


def restored(recording: Recording) -> Case:
    """Raises OtherPolicies; and Unreadable where parts refer to others that are not there, as in a file that was edited."""
    try:
        return _restored(recording)
    except (LookupError, ValueError) as error:
        raise Unreadable(f"it is damaged, its parts do not fit together: {error}") from error


def _restored(recording: Recording) -> Case:
    rankings = _rankings(recording.placing)
    backfill, guards = recording.backfill, recording.guards
    return Case(
        snapshot=_snapshot(recording),
        pending=_pending(recording),
        rankings=rankings,
        topologies=recording.topologies,
        limit=recording.limit,
        backfill=_backfill(backfill, recording.shapes) if backfill is not None else None,
        guards=_guards(guards, recording.shapes) if guards is not None else None,
        landings=_landings(recording) if recording.landings is not None else None,
        staleness=None
        if recording.stale_since is None
        else Staleness(since=recording.stale_since, hoped_for=recording.stale_hoped_for),
        now_s=recording.now_s,
        steady_s=recording.steady_s,
    )


def _snapshot(recording: Recording) -> Snapshot:
    snapshot = Snapshot()
    # Before the nodes: each of those is reckoned up once then.
    for pod in recording.pods:
        snapshot.set_pod(pod)
    for key, node in recording.ended.items():
        snapshot.end_pod(key, node)
    for one in recording.nodes:
        snapshot.set_facts(facts_of(one, recording))
    return snapshot


def facts_of(node: document.Node, recording: Recording) -> NodeFacts:
    return NodeFacts(
        name=node.name,
        labels=node.labels,
        taints=node.taints,
        unschedulable=node.unschedulable,
        allocatable=node.allocatable,
        devices=Devices(node.devices, node.links),
        gpus=tuple(replace(gpu, profiles=recording.profiles[position]) for gpu, position in node.gpus),
        classes=recording.classes[node.classes],
        packs_shares=node.packs_shares,
        packs_slices=node.packs_slices,
    )


def _pending(recording: Recording) -> Pending:
    shapes = recording.shapes
    had = recording.history
    history = History(had.half_life_s, had.now_s) if had is not None else None
    accounts = Accounts(recording.queues, _counted(recording), history, _got(recording))
    accounts.declare(recording.queues, recording.unreadable)
    for name, amounts in recording.offered.items():
        accounts.offer(name, amounts)
    pending = Pending(Line(recording.ageing_s), accounts)
    there = {pod.key: pod for pod in recording.pods}
    for job in recording.jobs:
        for one in job.placed:
            shape = _NO_SHAPE if one.booked is None else shapes[one.booked.shape]
            pod = PodRequest(one.key, "", shape)
            pending.hold(pod, job.spec, one.leaf, leaves_by_s=one.leaves_by_s, placed=there.get(one.key))
            if one.booked is None:
                accounts.forget(one.key)
            else:
                booked = one.booked
                accounts.restore(one.key, _entry(booked, shape, there.get(one.key), accounts))
        for key, leaf in job.succeeded:
            pending.succeed(key, job.spec, leaf)
        for leaf, pods in job.waiting:
            for waiting in pods:
                pending.put(_request(waiting, shapes), job.spec, leaf)
        pending.jobs[job.spec.key].was_whole = job.was_whole
    if had is not None and history is not None:
        # What is held was booked again on the way.
        history.resume(had.books, had.past)
    return pending


def _entry(booked: document.Booked, shape: PodShape, place: PlacedPod | None, accounts: Accounts) -> Entry:
    asked = accounts.counted(shape)
    varies = place is not None and accounts.got(shape, place) is not None
    differs = None if booked.amounts == asked else asked
    return Entry(booked.queue, shape, booked.amounts, booked.preemptible, booked.user, differs, place, varies)


def _counted(recording: Recording) -> Counted:
    by_signature = {
        shape.signature: amounts for shape, amounts in zip(recording.shapes, recording.counts, strict=True)
    }

    def counted(shape: PodShape) -> Amounts:
        return by_signature.get(shape.signature, {})

    return counted


def _got(recording: Recording) -> Got:
    if not recording.by_place:
        return as_asked
    nodes = {one.name: facts_of(one, recording) for one in recording.nodes}
    return Tariff(nodes, prices_of(nodes)).got


def _request(pod: document.Waiting, shapes: Sequence[PodShape]) -> PodRequest:
    return PodRequest(pod.key, pod.uid, shapes[pod.shape], pod.priority, pod.created_s, pod.kin, pod.owner)


def _rankings(placing: document.Placing) -> Rankings:
    if placing.placement is None:
        raise OtherPolicies("it was decided by policies that are not among those of this aliquot")
    policies = starting(placing.placement)
    if placing.worth is not None:
        terms = placing.worth
        worth = Worth(dict(terms.demand), dict(terms.supply), terms.most_gpus)
        policies = by_worth(policies, worth, terms.units)
    tables: list[ValueTable] = []
    for board in placing.boards:
        if board.table not in tables:
            tables.append(board.table)
    valuation = Valuation(tables)
    for board in placing.boards:
        valuation.use(board.profiles, board.table)
    return Rankings(policies, valuation)


def _backfill(state: document.BackfillState, shapes: Sequence[PodShape]) -> Backfill:
    backfill = Backfill(state.style, estimate=_estimate(state))
    backfill.most = state.most
    backfill.timetable.resume(state.runs)
    for one in state.promises:
        binds = tuple(Bind(_request(bind.pod, shapes), bind.placed, bind.leaf) for bind in one.binds)
        backfill.promises[one.job.key] = Promise(one.job, one.start_s, one.end_s, binds)
    backfill.may_be_earlier = state.may_be_earlier
    backfill.to_look_at = list(state.to_look_at)
    return backfill


def _estimate(state: document.BackfillState) -> Estimate:
    def estimate(spec: JobSpec) -> float | None:
        return state.estimates.get(spec.key, spec.max_runtime_s)

    return estimate


def _guards(state: document.GuardState, shapes: Sequence[PodShape]) -> Guards:
    anew = {key: _request(pod, shapes) for key, pod in state.anew.items()}
    return Guards(
        lambda pod: state.kept.get(pod, ""),
        lambda pod: state.budgets_of.get(pod, ()),
        state.allowed,
        anew.get,
        frozenset(state.loses_work).__contains__,
    )


def _landings(recording: Recording) -> Landings:
    landings = Landings()
    landings.keep(
        [
            StandIn(one.job, one.moved, one.leaf, _request(one.pod, recording.shapes), one.node, one.until_s)
            for one in recording.landings or ()
        ]
    )
    return landings
