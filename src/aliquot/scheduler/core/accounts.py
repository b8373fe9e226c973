"""What queues hold, want and are due: kept in step with what is placed and what waits.

Where no queue is declared there is nothing to divide, and nothing is asked.

What is due comes in two kinds. By `shares` jobs claim their places: it moves with what is asked, held and declared alone. By
`turns` they are served: there, with a `history`, what was had before counts too.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from aliquot.scheduler.core.jobs import JobSpec
from aliquot.scheduler.core.pod import Amounts, PodShape
from aliquot.scheduler.core.queues.fair_share import Past, Shares, fair_shares
from aliquot.scheduler.core.queues.history import NOBODY, History
from aliquot.scheduler.core.queues.ledger import Ledger
from aliquot.scheduler.core.queues.line import dominant
from aliquot.scheduler.core.queues.terms import QueueSpec
from aliquot.scheduler.core.queues.tree import DEFAULT, QueueTree
from aliquot.scheduler.core.reasons import Reason

Counted: TypeAlias = Callable[[PodShape], Amounts]
"""What a pod of the shape counts for, in the currency of queues."""


class Entry(Struct, frozen=True, gc=False):
    """A pod, in the books of its queue."""

    queue: str
    shape: PodShape
    amounts: Amounts
    preemptible: bool = True
    user: str = NOBODY


def nothing(shape: PodShape) -> Amounts:
    return {}


class Accounts:
    def __init__(
        self,
        specs: Iterable[QueueSpec] = (),
        counted: Counted = nothing,
        history: History | None = None,
    ) -> None:
        """`history`: without one, neither what was had before nor whose a job is counts in turns."""
        self.counted = counted
        self.history = history
        self.ledger = Ledger(QueueTree())
        self.declared = False
        self.specs: Sequence[QueueSpec] = ()
        """As they were declared, those that are closed as well."""
        self._placed: dict[str, Entry] = {}
        self._waiting: dict[str, Entry] = {}
        self._wanted: dict[str, dict[str, int]] = {}
        """By queue, what those that wait ask for."""
        self._offered: dict[str, Amounts] = {}
        """By node."""
        self._capacity: dict[str, int] = {}
        self.declare(specs)

    @property
    def tree(self) -> QueueTree:
        return self.ledger.tree

    @property
    def wanted(self) -> Mapping[str, Amounts]:
        """By queue as named, what those that wait ask for."""
        return self._wanted

    @property
    def offered(self) -> Mapping[str, Amounts]:
        """By node, what it has to divide."""
        return self._offered

    def declare(
        self, specs: Iterable[QueueSpec], unreadable: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """These are the queues from now on, beside those whose spec could not be read, which take no jobs."""
        self.specs = tuple(specs)
        self.unreadable = unreadable
        self.declared = bool(self.specs or unreadable)
        self.ledger = self.ledger.under(QueueTree(self.specs, unreadable))

    def price(self, counted: Counted) -> None:
        """From now on a pod counts so much: those that are there too."""
        self.counted = counted
        waiting, placed = self._waiting, self._placed
        for key, entry in list(waiting.items()):
            self._wait(key, replace(entry, amounts=counted(entry.shape)))
        for key, entry in list(placed.items()):
            self.restore(key, replace(entry, amounts=counted(entry.shape)))

    def entry(self, key: str) -> Entry | None:
        """Of a pod that is placed."""
        return self._placed.get(key)

    def wait(self, key: str, spec: JobSpec, shape: PodShape) -> None:
        """The pod asks for what its shape counts."""
        self._wait(key, self._entry(spec, shape))

    def place(self, key: str, spec: JobSpec, shape: PodShape) -> None:
        """The pod holds what its shape counts."""
        self.restore(key, self._entry(spec, shape))

    def restore(self, key: str, entry: Entry) -> None:
        """The pod holds what it held before."""
        self.forget(key)
        self._placed[key] = entry
        self.ledger.add(entry.queue, entry.amounts, preemptible=entry.preemptible)
        if self.history is not None:
            self.history.hold(entry.queue, entry.user, entry.amounts)

    def _wait(self, key: str, entry: Entry) -> None:
        self.forget(key)
        self._waiting[key] = entry
        self._want(entry, 1)

    def _entry(self, spec: JobSpec, shape: PodShape) -> Entry:
        return Entry(spec.queue or DEFAULT, shape, self.counted(shape), spec.preemptible, spec.user)

    def had(self, queue: str, user: str) -> float:
        """The largest part of what the cluster has of anything that the user of the queue had of late."""
        had = self.history.had(queue, user) if self.history is not None else None
        return self.part(had) if had else 0.0

    def given(self, amounts: Amounts) -> float:
        """How much more `had` a user is by a job of so much."""
        return 0.0 if self.history is None else self.part(amounts) * self.history.soon

    def part(self, amounts: Amounts) -> float:
        """Of what the cluster has: the largest of any one resource."""
        return dominant(amounts, self._capacity)

    def forget(self, key: str) -> None:
        """It neither asks nor holds."""
        waiting = self._waiting.pop(key, None)
        if waiting is not None:
            self._want(waiting, -1)
        placed = self._placed.pop(key, None)
        if placed is not None:
            self.ledger.remove(placed.queue, placed.amounts, preemptible=placed.preemptible)
            if self.history is not None:
                self.history.hold(placed.queue, placed.user, placed.amounts, -1)

    def closed(self, spec: JobSpec) -> Reason | None:
        """Why the job's queue takes no jobs at all."""
        return self.tree.refusal(spec.queue or DEFAULT) if self.declared or spec.queue else None

    def refusal(self, spec: JobSpec, amounts: Amounts) -> Reason | None:
        """Why the job may not have so much more now."""
        return self.ledger.refusal(spec.queue or DEFAULT, amounts, preemptible=spec.preemptible)

    def offer(self, node: str, amounts: Amounts) -> None:
        """What a node has to divide; nothing where it is gone."""
        for resource, amount in self._offered.pop(node, {}).items():
            self._capacity[resource] -= amount
        if amounts:
            self._offered[node] = amounts
        for resource, amount in amounts.items():
            self._capacity[resource] = self._capacity.get(resource, 0) + amount

    def shares(self) -> Shares:
        """What queues are due, and claim their places by."""
        return self._shares(None)

    def turns(self) -> Shares:
        """What queues are due with what they have had, as of the last look at it."""
        return self._shares(None if self.history is None else self.history.past)

    def _shares(self, past: Past | None) -> Shares:
        requested: dict[str, dict[str, int]] = {}
        for queue in self.tree.leaves:
            wanted = dict(self.ledger.allocated(queue))
            for resource, amount in self._wanted.get(queue, {}).items():
                wanted[resource] = wanted.get(resource, 0) + amount
            if wanted:
                requested[queue] = wanted
        return fair_shares(self.tree, requested, self._capacity, past)

    def _want(self, entry: Entry, sign: int) -> None:
        if not entry.amounts:
            return
        wanted = self._wanted.setdefault(entry.queue, {})
        for resource, amount in entry.amounts.items():
            left = wanted.get(resource, 0) + sign * amount
            if left:
                wanted[resource] = left
            else:
                wanted.pop(resource, None)
        if not wanted:
            del self._wanted[entry.queue]
