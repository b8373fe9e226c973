"""Who is before a job in the line of its queue."""

from collections.abc import Iterator

from aliquot.scheduler.core.pending import Job, Pending
from aliquot.scheduler.core.policies import Rank
from aliquot.scheduler.core.queues.tree import DEFAULT


def line_up(pending: Pending, job: Job) -> list[Job]:
    """All that wait in its queue, in the order in which they are served, itself among them: those that lost members, then whole
    jobs, then extras. One line for all, where no queue is declared."""
    queue = job.spec.queue or DEFAULT
    one_line = not pending.accounts.declared
    ranked = sorted(
        (stage, rank)
        for stage, rank in _ranked(pending)
        if one_line or (pending.jobs[rank[-1]].spec.queue or DEFAULT) == queue
    )
    return [pending.jobs[rank[-1]] for _, rank in ranked]


def _ranked(pending: Pending) -> Iterator[tuple[int, Rank]]:
    for rank in pending.begun.values():
        yield (2 if pending.jobs[rank[-1]].lacks() == {} else 0), rank
    for line in pending.lines.values():
        for rank in line:
            yield 1, rank
