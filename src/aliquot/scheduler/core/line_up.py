"""Who is before a job in the line of its queue."""

from collections.abc import Iterator

from aliquot.scheduler.core.pending import Job, Pending
from aliquot.scheduler.core.queues.line import Rank
from aliquot.scheduler.core.queues.tree import DEFAULT
from aliquot.scheduler.core.serving import UsersTurns


def line_up(pending: Pending, job: Job) -> list[Job]:
    """All that wait in its queue, in the order in which they are served, itself among them: those that lost members, then whole
    jobs, then extras. Users stand as they do now: who is given something may stand behind others then. One line for all, where no
    queue is declared."""
    accounts = pending.accounts
    if not accounts.declared:
        return [pending.jobs[rank[-1]] for _, rank in sorted(_ranked(pending))]
    queue = job.spec.queue or DEFAULT
    mine = [
        (stage, rank, accounts.user(spec))
        for stage, rank in _ranked(pending)
        if ((spec := pending.jobs[rank[-1]].spec).queue or DEFAULT) == queue
    ]
    turns = UsersTurns(pending, queue, {user for _, _, user in mine})
    in_turn = sorted((stage, turns.turn(rank, user)) for stage, rank, user in mine)
    return [pending.jobs[turn[-1]] for _, turn in in_turn]


def _ranked(pending: Pending) -> Iterator[tuple[int, Rank]]:
    for rank in pending.begun.values():
        yield (2 if pending.jobs[rank[-1]].lacks() == {} else 0), rank
    for line in pending.lines.values():
        for rank in line:
            yield 1, rank
