"""Who may be evicted for a job, in units that go together: what a job needs at the least, or one pod that it has beyond.

What is on its way out anyway comes first and harms nobody. Then the worst claim to its place goes, the lowest priority,
and of equals who has lost least by it: who came last.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import inf
from typing import TypeAlias

from aliquot.scheduler.core.accounts import Accounts
from aliquot.scheduler.core.jobs import JobSpec, surplus
from aliquot.scheduler.core.lost import NOTHING_LOST, Lost, last_checkpoint_s, lost_by
from aliquot.scheduler.core.pending import Job, Pending
from aliquot.scheduler.core.pod import Amounts, PlacedPod, PodRequest
from aliquot.scheduler.core.queues.fair_share import Shares
from aliquot.scheduler.core.queues.reclaim import (
    Claim,
    Holding,
    Party,
    claims,
    may_preempt,
    may_reclaim,
    safe_until_s,
)
from aliquot.scheduler.core.queues.terms import together
from aliquot.scheduler.core.queues.tree import DEFAULT
from aliquot.scheduler.core.session import Session

Cost: TypeAlias = tuple[int, int, tuple[float, float]]
"""Less is better: the claim that is lost, the priority, the work that is lost (GPUs, then CPUs, times seconds)."""


CHEAPEST: Cost = (-1, 0, (0.0, 0.0))
"""Of whoever goes anyway."""


@dataclass(frozen=True, slots=True)
class Guards:
    """What keeps pods where they are, beside the rules of queues."""

    kept: Callable[[str], str] = lambda pod: ""
    """Why a pod is not evicted, by its key; empty: it may be."""
    budgets_of: Callable[[str], Sequence[str]] = lambda pod: ()
    """The PodDisruptionBudgets that it is under."""
    allowed: Mapping[str, int] = field(default_factory=dict)
    """Budget to how many of its pods may be disrupted now."""
    anew: Callable[[str], PodRequest | None] = lambda pod: None
    """A pod as it is made again when it is evicted; None: it is not, or its job takes harm by it."""
    loses_work: Callable[[str], bool] = lambda pod: True
    """Whether what a pod has done until now is lost with it."""

    def refusal(self, pods: Iterable[str], disrupted: Mapping[str, int]) -> str:
        """Why these may not go; empty: they may. `disrupted`: by budget, how many go already."""
        spent: Counter[str] = Counter()
        for pod in pods:
            if why := self.kept(pod):
                return f"pod {pod} stays: {why}"
            for budget in self.budgets_of(pod):
                spent[budget] += 1
                if disrupted.get(budget, 0) + spent[budget] > self.allowed.get(budget, 0):
                    return f"pod {pod} stays: PodDisruptionBudget {budget} does not let it go"
        return ""


@dataclass(frozen=True, slots=True)
class Unit:
    pods: tuple[str, ...]
    queue: str
    spec: JobSpec | None
    """None: it is going already."""
    holding: Holding
    claim: Claim = Claim.BORROWED
    lost: Lost = NOTHING_LOST
    needs: tuple[str, ...] = ()
    """Pods without which these are of no use: of an extra, the least of its job."""

    @property
    def going(self) -> bool:
        return self.spec is None

    @property
    def cost(self) -> Cost:
        return CHEAPEST if self.going else (self.claim, self.holding.priority, self.lost.cost)


class Everybody:
    """All that could go, as things are in the session. Looked at once for all jobs that wait, until somebody does go."""

    def __init__(self, session: Session, pending: Pending, now_s: float) -> None:
        self._session = session
        self._pending = pending
        self.accounts: Accounts = pending.accounts
        self._now_s = now_s

    @cached_property
    def units(self) -> list[Unit]:
        found = [
            Unit((pod.key,), "", None, Holding(pod.key, pod.key, {}))
            for pod in self._session.snapshot.pods.values()
            if pod.terminating
        ]
        for queue, units in self._by_queue.items():
            claimed = self.claims(queue, [unit.holding for unit in units])
            found += [
                replace(unit, claim=claimed[unit.holding.key]) for unit in units if unit.holding.preemptible
            ]
        return found

    def may_go(self, unit: Unit, job: JobSpec, guards: Guards) -> bool | None:
        """Whether it goes for the job, for whatever reason and wherever to; None: that is still open."""
        pods = self._session.snapshot.pods
        # What was decided a moment ago may be written by now or not: it is let come true first.
        if any(key not in pods or pods[key].assumed for key in unit.pods):
            return False
        if unit.spec is None:
            return not any(guards.kept(key) for key in unit.pods)
        return None if job.evicts and unit.spec.key != job.key else False

    def holdings(self, queue: str) -> list[Holding]:
        return [unit.holding for unit in self._by_queue.get(queue, ())]

    def lost(self, gone: Collection[str]) -> dict[str, Lost]:
        """By pod, what its job loses with all that go of it. Of those that were not on their way out before."""
        by_job: dict[str, Lost] = {}
        job_of: dict[str, str] = {}
        for unit in self.units:
            if unit.spec is not None and all(key in gone for key in unit.pods):
                by_job[unit.spec.key] = by_job.get(unit.spec.key, NOTHING_LOST) + unit.lost
                job_of |= dict.fromkeys(unit.pods, unit.spec.key)
        return {pod: by_job[job] for pod, job in job_of.items()}

    def claims(self, queue: str, holdings: list[Holding]) -> Mapping[str, Claim]:
        if queue in self.accounts.tree and self.accounts.tree.refusal(queue) is None:
            return claims(self.shares, queue, holdings)
        return {holding.key: Claim.BORROWED for holding in holdings}

    def newcomer(self, spec: JobSpec, asked: Amounts) -> Party:
        """A job that waits, with the claim that it would have."""
        queue = spec.queue or DEFAULT
        its = Holding(spec.key + "?", spec.key, asked, spec.priority, spec.preemptible, since_s=inf)
        claimed = self.claims(queue, [*self.holdings(queue), its])
        return Party(queue, asked, claimed[its.key], spec.priority, spec.preemptible)

    @cached_property
    def shares(self) -> Shares:
        return self.accounts.shares()

    @cached_property
    def _by_queue(self) -> Mapping[str, list[Unit]]:
        found: dict[str, list[Unit]] = {}
        for job in self._pending.jobs.values():
            if job.placed:
                for unit in self._units_of(job):
                    found.setdefault(unit.queue, []).append(unit)
        return found

    def _units_of(self, job: Job) -> list[Unit]:
        pods = [
            (pod, leaf)
            for key, leaf in job.placed.items()
            if (pod := self._session.snapshot.pods.get(key)) is not None and not pod.terminating
        ]
        saved_s = last_checkpoint_s((pod for pod, _ in pods), self._now_s)
        if job.spec.root is None:
            return [self._unit(job.spec, [pod], saved_s, extra=False) for pod, _ in pods]
        there = Counter((*(leaf for _, leaf in pods), *job.succeeded.values()))
        spare = surplus(job.spec.root, there)
        over, least = [], []
        # Extras: who came last.
        for pod, leaf in sorted(pods, key=lambda one: (one[0].since_s, one[0].key), reverse=True):
            if spare.get(leaf, 0) > 0:
                spare[leaf] -= 1
                over.append(pod)
            else:
                least.append(pod)
        needs = tuple(pod.key for pod in least)
        units = [replace(self._unit(job.spec, [pod], saved_s, extra=True), needs=needs) for pod in over]
        if least:
            # Without its minimum the job has no use for extras: they go with it.
            units.append(self._unit(job.spec, least, saved_s, extra=False, with_it=[*least, *over]))
        return units

    def _unit(
        self,
        spec: JobSpec,
        pods: list[PlacedPod],
        saved_s: float,
        *,
        extra: bool,
        with_it: list[PlacedPod] | None = None,
    ) -> Unit:
        """`saved_s`: when the job last wrote its work down. `with_it`: all that go, where that is not `pods` alone."""
        amounts: Amounts = {}
        lost = NOTHING_LOST
        for pod in pods:
            entry = self.accounts.entry(pod.key)
            amounts = together(amounts, entry.claimed if entry is not None else {})
            lost += lost_by(pod, entry.amounts if entry is not None else {}, saved_s, self._now_s)
        first = min(pods, key=lambda pod: (pod.since_s, pod.key))
        holding = Holding(
            first.key if extra or spec.root is None else spec.key,
            spec.key,
            amounts,
            spec.priority,
            spec.preemptible,
            first.since_s,
            extra,
        )
        keys = tuple(pod.key for pod in (with_it or pods))
        return Unit(keys, spec.queue or DEFAULT, spec, holding, lost=lost)


class Victims:
    """Of one job that waits: who of everybody may go for it. That is asked anew for each, since it depends on who went before."""

    def __init__(
        self, session: Session, everybody: Everybody, job: Job, asked: Amounts, guards: Guards, now_s: float
    ) -> None:
        self._session = session
        self._everybody = everybody
        self._accounts = everybody.accounts
        self._job = job
        self._asked = asked
        self._guards = guards
        self._now_s = now_s
        self._queue = job.spec.queue or DEFAULT

    @property
    def units(self) -> list[Unit]:
        return self._everybody.units

    def may_go(self, unit: Unit) -> bool:
        """As things are in the session."""
        at_once = self._everybody.may_go(unit, self._job.spec, self._guards)
        if at_once is not None:
            return at_once
        assert unit.spec is not None
        pods = self._session.snapshot.pods
        other = unit.queue != self._queue
        victim = Party(unit.queue, unit.holding.amounts, unit.claim, unit.holding.priority)
        since_s = min(pods[key].since_s for key in unit.pods)
        safe_s = safe_until_s(
            self._accounts.tree, unit.queue, since_s, unit.spec.minimum_runtime_s, by_another_queue=other
        )
        allowed = (
            may_reclaim(self._accounts.claimed, self._everybody.shares, self._party, victim)
            if other
            else may_preempt(self._party, victim)
        )
        # Without a minimum the clocks of others do not matter.
        ran_enough = safe_s == since_s or safe_s <= self._now_s
        return allowed and ran_enough and not self._guards.refusal(unit.pods, self._session.disrupted)

    @cached_property
    def _party(self) -> Party:
        return self._everybody.newcomer(self._job.spec, self._asked)

    def would_give_way(self, spec: JobSpec, asked: Amounts) -> bool:
        """Whether another job that waits could be evicted for this one, if it were given what it asks for."""
        victim = self._everybody.newcomer(spec, asked)
        if victim.queue == self._queue:
            return may_preempt(self._party, victim)
        ledger = self._accounts.claimed
        ledger.add(victim.queue, victim.amounts, preemptible=victim.preemptible)
        try:
            return may_reclaim(ledger, self._everybody.shares, self._party, victim)
        finally:
            ledger.remove(victim.queue, victim.amounts, preemptible=victim.preemptible)
