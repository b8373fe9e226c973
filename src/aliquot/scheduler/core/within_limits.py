"""For which of the jobs that wait for room a new node would be of use, as far as their queues go.

A job is held against its queue's limit by itself, as one that could begin now. If nodes came for all that wait, the limit would
be reached before the last had its turn, and its node would stand empty. So they are gone through as if there were room for all.
"""

from bisect import bisect_left
from collections.abc import Iterable
from heapq import heapify, heappop, heappush

from aliquot.scheduler.core.accounts import Accounts
from aliquot.scheduler.core.jobs import JobSpec
from aliquot.scheduler.core.pending import Alike, Pending
from aliquot.scheduler.core.pod import Amounts
from aliquot.scheduler.core.queues.line import Rank
from aliquot.scheduler.core.queues.tree import DEFAULT


def within_limits(pending: Pending, lines: Iterable[Alike]) -> dict[Alike, frozenset[str]]:
    """Of each of these lines whose queue is bounded at all, the jobs that it could take, who ranks first going first. In time
    proportional to how often the turn goes from one line to another: of jobs that are alike none follows one that is beyond."""
    accounts = pending.accounts
    if not accounts.declared:
        return {}
    heads: list[tuple[Rank, int, int, Alike, Amounts]] = []
    found: dict[Alike, int] = {}
    for number, alike in enumerate(lines):
        ranks = pending.ranks_of(alike)
        if ranks and accounts.tree.bounded(pending.jobs[ranks[0][-1]].spec.queue or DEFAULT):
            found[alike] = 0
            asked = pending.asked(pending.jobs[ranks[0][-1]])
            heads.append((ranks[0], number, 0, alike, asked))
    heapify(heads)
    taken: list[tuple[str, Amounts, bool]] = []
    try:
        while heads:
            rank, number, position, alike, asked = heappop(heads)
            ranks, spec = pending.ranks_of(alike), pending.jobs[rank[-1]].spec
            # All of it that are before the first of another line, at once.
            end = bisect_left(ranks, heads[0][0], position + 1) if heads else len(ranks)
            count = _fitting(accounts, spec, asked, end - position)
            if count:
                amounts = {resource: count * amount for resource, amount in asked.items()}
                taken.append((spec.queue or DEFAULT, amounts, spec.preemptible))
                accounts.ledger.add(spec.queue or DEFAULT, amounts, preemptible=spec.preemptible)
                found[alike] += count
            if position + count == end < len(ranks):
                heappush(heads, (ranks[end], number, end, alike, asked))
    finally:
        for queue, held, preemptible in reversed(taken):
            accounts.ledger.remove(queue, held, preemptible=preemptible)
    return {
        alike: frozenset(rank[-1] for rank in pending.ranks_of(alike)[:count])
        for alike, count in found.items()
    }


def _fitting(accounts: Accounts, spec: JobSpec, asked: Amounts, most: int) -> int:
    """How many such jobs the queue may have now beside each other."""

    def refused(count: int) -> bool:
        amounts = {resource: count * amount for resource, amount in asked.items()}
        return accounts.refusal(spec, amounts) is not None

    if not refused(most):
        return most
    return bisect_left(range(1, most), True, key=refused)
