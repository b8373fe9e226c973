"""Whether a queue may have what its job got: that can be more than the job asked for at the least, and is known with the place."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from msgspec import structs

from aliquot.scheduler.core.attempts import Bind, Fitting, Names, Shortfall
from aliquot.scheduler.core.jobs import JobSpec
from aliquot.scheduler.core.pending import Job, Pending
from aliquot.scheduler.core.pod import Amounts, PlacedPod, PodShape
from aliquot.scheduler.core.queues.currency import product_of
from aliquot.scheduler.core.queues.terms import model_of, of_model, together
from aliquot.scheduler.core.queues.tree import DEFAULT
from aliquot.scheduler.core.reasons import Kind, Reason

_MOST_TRIED = 8
"""Times that a place is looked for elsewhere, for one job."""
_FOR_NOW = {
    Kind.LARGER_THAN_LIMIT: Kind.OVER_LIMIT,
    Kind.LARGER_THAN_QUOTA: Kind.NON_PREEMPTIBLE_OVER_QUOTA,
}
"""It asked for less, and may get that another time."""


@dataclass(frozen=True, slots=True)
class Affording:
    """As things are in the session."""

    fitting: Fitting
    pending: Pending

    def refusal(self, job: Job, binds: Iterable[Bind]) -> Reason | None:
        """Why the job's queue may not have these places. That it may have what the job asked for has been seen to."""
        accounts = self.pending.accounts
        if not accounts.declared:
            return None
        total: Amounts = {}
        is_dearer = False
        for bind in binds:
            shape = bind.pod.shape
            got = accounts.got(shape, bind.placed)
            is_dearer = is_dearer or got is not None
            total = together(total, accounts.counted(shape) if got is None else got)
        found = accounts.refusal(job.spec, total) if is_dearer else None
        return None if found is None else structs.replace(found, kind=_FOR_NOW.get(found.kind, found.kind))

    def all_may(self, jobs: Iterable[tuple[JobSpec, Iterable[tuple[PodShape, PlacedPod]]]]) -> bool:
        """Whether the queues of these jobs may have these places beside each other."""
        accounts = self.pending.accounts
        if not accounts.declared:
            return True
        booked: list[tuple[str, Amounts, bool]] = []
        try:
            for spec, places in jobs:
                total: Amounts = {}
                for shape, placed in places:
                    total = together(total, accounts.held(shape, placed))
                if accounts.refusal(spec, total) is not None:
                    return False
                booked.append((spec.queue or DEFAULT, total, spec.preemptible))
                accounts.ledger.add(spec.queue or DEFAULT, total, preemptible=spec.preemptible)
            return True
        finally:
            for queue, amounts, preemptible in reversed(booked):
                accounts.ledger.remove(queue, amounts, preemptible=preemptible)

    def within(
        self, job: Job, mark: int, attempt: Callable[[Names], Sequence[Bind] | Shortfall]
    ) -> Sequence[Bind] | Shortfall:
        """Tried since `mark`, first on all nodes, then on those that may come cheaper. With a Shortfall the session is as at
        `mark`."""
        session = self.fitting.session
        closed: set[str] = set()
        names: Names = None
        first: Shortfall | None = None
        for _ in range(_MOST_TRIED):
            found = attempt(names)
            if isinstance(found, Shortfall):
                return first or found
            reason = self.refusal(job, found)
            if reason is None:
                return found
            session.undo(mark)
            shape = found[0].pod.shape
            first = first or Shortfall(shape, needed=len(found), reason=reason)
            closed |= self._dear(found, reason)
            names = [name for name in session.snapshot.nodes if name not in closed]
        return first or ()

    def _dear(self, binds: Sequence[Bind], reason: Reason) -> set[str]:
        """Nodes that are not tried again: where a pod counts most of what there is too much of, and all that have such GPUs where
        these are what there is too much of."""
        accounts, nodes = self.pending.accounts, self.fitting.session.snapshot.nodes
        resource = reason.bound.resource if reason.bound is not None else ""
        counts = [
            (accounts.held(bind.pod.shape, bind.placed).get(resource, 0), bind.placed.node) for bind in binds
        ]
        most = max(count for count, _ in counts)
        found = {name for count, name in counts if count == most}
        if model_of(resource):
            found |= {name for name, node in nodes.items() if of_model(product_of(node.facts)) == resource}
        return found
