"""For which of the jobs that wait for room a new node would be of use, as far as their queues go.

A job is held against its queue's limit by itself, as one that could begin now. If nodes came for all that wait, the limit would
be reached before the last had its turn, and its node would stand empty. So they are gone through as if there were room for all.
"""

from collections.abc import Iterable
from heapq import heapify, heappop, heapreplace

from aliquot.scheduler.core.pending import Alike, Pending
from aliquot.scheduler.core.queues.tree import DEFAULT


def within_limits(pending: Pending, lines: Iterable[Alike]) -> dict[Alike, frozenset[str]]:
    """Of each of these lines whose queue is bounded at all, the jobs that it could take, who ranks first going first. In time
    proportional to those: of jobs that are alike none follows one that is beyond."""
    accounts = pending.accounts
    if not accounts.declared:
        return {}
    heads = []
    found: dict[Alike, set[str]] = {}
    for number, alike in enumerate(lines):
        ranks = pending.ranks_of(alike)
        if ranks and accounts.tree.bounded(pending.jobs[ranks[0][-1]].spec.queue or DEFAULT):
            found[alike] = set()
            asked = pending.asked(pending.jobs[ranks[0][-1]])
            heads.append((ranks[0], number, 0, alike, asked))
    heapify(heads)
    taken = []
    try:
        while heads:
            rank, number, position, alike, asked = heads[0]
            spec = pending.jobs[rank[-1]].spec
            if accounts.refusal(spec, asked) is not None:
                heappop(heads)
                continue
            queue = spec.queue or DEFAULT
            accounts.ledger.add(queue, asked, preemptible=spec.preemptible)
            taken.append((queue, asked, spec.preemptible))
            found[alike].add(rank[-1])
            ranks, position = pending.ranks_of(alike), position + 1
            if position < len(ranks):
                heapreplace(heads, (ranks[position], number, position, alike, asked))
            else:
                heappop(heads)
    finally:
        for queue, asked, preemptible in reversed(taken):
            accounts.ledger.remove(queue, asked, preemptible=preemptible)
    return {alike: frozenset(jobs) for alike, jobs in found.items()}
