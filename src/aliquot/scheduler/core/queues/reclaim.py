"""Which running job may be evicted for which waiting one.

What is placed has a claim to its place, which is one of three:

- `QUOTA`: it fits into its queue's quota;
- `SHARE`: it fits into its queue's fair share;
- `BORROWED`: neither; it has room that nobody else wanted.

Within a queue, room is claimed in this order: by jobs that cannot be preempted, then by priority, then by those placed
first. What does not fit is passed over, and what comes after it may. So in a queue of 4 a gang of 6 is on borrowed room,
however long it has run, and the job of 3 beside it is not. The pods that a job has beyond its minimum claim one by one, after
the rest of it and only where that has its claim.

*Reclaim* (of another queue): only for a better claim than the victim's, so never for borrowed room. By `QUOTA`, the victim's
queue has to be above its quota; by `SHARE`, it is above its fair share and keeps at least that. *Preempt* (in the same
queue): only for a higher priority, and a claim that is as good or better.

Why this ends
-------------
As long as nothing new happens (no job comes, ends or changes, no queue, no node), what queues are guaranteed and due is
constant. (Of what was had and of how long a job has waited only turns know, that is the order of steps. In claims they would
move shares with time: who was given room has had more, is due less, and gives it back, for ever.) Call
those that cannot be preempted the highest class, the others a class by priority. Fill each queue's guarantee in the order
above and count what fits, class by class from the highest: Q = (Q1, Q2, ...). Fill each queue's fair share in the same
way: S. Count all that is placed: P. Compared like words in a dictionary, (Q, S, P) grows with every step:

- Something of class c is placed in free room. It comes last in its class, so it can push out only what is of a lower one.
  Where it fits into the guarantee, Qc grows and nothing before Qc changes. Else it is passed over, and Q stays. In the same
  way S grows or stays. P grows.
- Evicting what was passed over changes nothing for the others.
- Reclaim by `QUOTA` evicts what has no `QUOTA`, then places what has: Q grows. Reclaim by `SHARE` evicts what fits into
  neither, then places what fits into its share: Q stays, S grows.
- Preempt by `QUOTA` evicts lower classes alone: Q grows, whatever they had. By `SHARE` it evicts nothing that has
  `QUOTA`: Q stays, S grows. On borrowed room it evicts borrowed room of lower classes: Q and S stay, P grows.
- To move others closer together is done only if all claims in their queues stay as they are with them as the last of their
  classes: Q, S and P stay. Then something is placed in free room.

There are finitely many jobs, so it cannot grow for ever. In particular nothing is reclaimed back: that would take a better
claim than the one that won. Every other condition (amounts along the tree, minimum run times, whether a node has room) only
forbids steps; which of the permitted ones is taken does not matter.

The claim of a job that waits is that of the amounts that it would be placed with: what a slice counts, and of which model, has
to be known by then.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from aliquot.scheduler.core.pod import Amounts
from aliquot.scheduler.core.queues.fair_share import Shares
from aliquot.scheduler.core.queues.ledger import Ledger
from aliquot.scheduler.core.queues.terms import primary
from aliquot.scheduler.core.queues.tree import QueueTree


class Claim(IntEnum):
    BORROWED = 0
    SHARE = 1
    QUOTA = 2


@dataclass(frozen=True, slots=True)
class Holding:
    """What is evicted or placed as one: the least that a job can do with, or one pod beyond that."""

    key: str
    job: str
    amounts: Amounts
    priority: int = 0
    preemptible: bool = True
    since_s: float = 0.0
    """When it was placed, each later than those before. For one that waits: now."""
    extra: bool = False
    """Beyond the least that `job` can do with. That has to be among the holdings too, if only with nothing."""

    @property
    def rank(self) -> tuple[bool, int, float, bool, str]:
        """The order in which room is claimed: the lowest first."""
        return self.preemptible, -self.priority, self.since_s, self.extra, self.key


def claims(shares: Shares, queue: str, holdings: Iterable[Holding]) -> Mapping[str, Claim]:
    """Of all that a leaf has, by key. For what waits: put it beside them. `shares`: here and below without a past."""
    index = shares.tree.node(queue).index
    ranked = sorted(holdings, key=lambda holding: holding.rank)
    within_share = _fitting(shares, index, ranked, Claim.SHARE)
    within_quota = _fitting(shares, index, ranked, Claim.QUOTA)
    return {
        holding.key: Claim.QUOTA
        if holding.key in within_quota
        else Claim.SHARE
        if holding.key in within_share
        else Claim.BORROWED
        for holding in ranked
    }


def _fitting(shares: Shares, index: int, ranked: Iterable[Holding], by: Claim) -> set[str]:
    found: set[str] = set()
    jobs: set[str] = set()
    used: dict[str, int] = {}
    for holding in ranked:
        if holding.extra and holding.job not in jobs:
            continue
        if _fits(shares, index, used, holding.amounts, by):
            for resource, amount in holding.amounts.items():
                used[resource] = used.get(resource, 0) + amount
            found.add(holding.key)
            jobs.add(holding.job)
    return found


def _fits(shares: Shares, index: int, used: Amounts, amounts: Amounts, by: Claim) -> bool:
    most = shares.guaranteed if by is Claim.QUOTA else shares.fair
    judged_by = primary(amounts)
    for resource, amount in amounts.items():
        if (
            amount
            and resource in most
            and used.get(resource, 0) + amount > most[resource][index]
            and (by is Claim.SHARE or shares.tree.binds(index, resource, judged_by))
        ):
            return False
    return True


@dataclass(frozen=True, slots=True)
class Party:
    """One side of an eviction."""

    queue: str
    amounts: Amounts
    claim: Claim
    priority: int = 0
    preemptible: bool = True


def may_reclaim(ledger: Ledger, shares: Shares, reclaimer: Party, victim: Party) -> bool:
    """Whether one queue's job may take the room of another's. `ledger`: without those that are evicted for it already, and
    without the reclaimer.

    Looked at are the queues on both paths below the first one that both have above them, in the resources that the reclaimer
    needs: its own stay within what it claims by, the others are above theirs. By `SHARE`, the topmost of these keeps its
    share; by `QUOTA` a gang that is partly on borrowed room may go all the same, or the guarantee were none.
    """
    if not victim.preemptible or reclaimer.claim <= victim.claim:
        return False
    ours, theirs = shares.tree.apart(reclaimer.queue, victim.queue)
    if not ours or not theirs:
        return False
    given = [
        resource
        for resource, amount in reclaimer.amounts.items()
        if amount and victim.amounts.get(resource) and resource in shares.fair
    ]
    by = reclaimer.claim
    if not all(_fits(shares, index, ledger.held(index), reclaimer.amounts, by) for index in ours):
        return False
    most = shares.guaranteed if by is Claim.QUOTA else shares.fair
    if not all(any(ledger.held(index).get(r, 0) > most[r][index] for r in given) for index in theirs):
        return False
    if by is Claim.QUOTA:
        return True
    top = theirs[-1]
    return any(ledger.held(top).get(r, 0) - victim.amounts[r] >= shares.fair[r][top] for r in given)


def may_preempt(preemptor: Party, victim: Party) -> bool:
    """Whether a job may take the room of another one of its queue."""
    return (
        preemptor.queue == victim.queue
        and victim.preemptible
        and victim.priority < preemptor.priority
        and victim.claim <= preemptor.claim
        and any(amount and victim.amounts.get(resource) for resource, amount in preemptor.amounts.items())
    )


def safe_until_s(
    tree: QueueTree, queue: str, since_s: float, own_s: float | None, *, by_another_queue: bool
) -> float:
    """Until when a job is not evicted: its own minimum run time, else its queue's."""
    if own_s is None:
        own_s = tree.reclaim_min_runtime_s(queue) if by_another_queue else tree.preempt_min_runtime_s(queue)
    return since_s + own_s
