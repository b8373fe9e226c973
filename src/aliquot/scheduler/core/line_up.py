"""Who is before a job in the line of its queue."""

from collections.abc import Iterator

from aliquot.scheduler.core.pending import Job, Pending
from aliquot.scheduler.core.queues.line import Rank
from aliquot.scheduler.core.queues.tree import DEFAULT
from aliquot.scheduler.core.turns import Turns


def line_up(pending: Pending, job: Job) -> list[Job]:
    """All that wait in its queue, in the order in which they are served, itself among them: those that lost members, then whole
    jobs, then extras. One line for all, where no queue is declared."""
    accounts = pending.accounts
    if not accounts.declared:
        return [pending.jobs[rank[-1]] for _, rank in sorted(_ranked(pending))]
    queue = job.spec.queue or DEFAULT
    turns = Turns(pending).of(queue)
    stages: dict[int, list[Rank]] = {}
    for stage, rank in sorted(_ranked(pending)):
        if (pending.jobs[rank[-1]].spec.queue or DEFAULT) == queue:
            stages.setdefault(stage, []).append(rank)
    found = []
    for _, ranks in sorted(stages.items()):
        jobs = [pending.jobs[rank[-1]] for rank in ranks]
        parts = [accounts.given(pending.asked(one)) for one in jobs]
        found += turns.in_turn(zip(ranks, parts, strict=True))
    return [pending.jobs[rank[-1]] for rank in found]


def _ranked(pending: Pending) -> Iterator[tuple[int, Rank]]:
    for rank in pending.begun.values():
        yield (2 if pending.jobs[rank[-1]].lacks() == {} else 0), rank
    for line in pending.lines.values():
        for rank in line:
            yield 1, rank
