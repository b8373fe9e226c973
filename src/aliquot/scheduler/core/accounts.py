"""What queues hold, want and are due: kept in step with what is placed and what waits.

Where no queue is declared there is nothing to divide, and nothing is asked.

A pod that waits counts for what it asks, by the least that it could get. One that has a place counts for what it got: by that
limits are kept, and what was had is told. Its claim to the place stays that of what it asked for: a claim that moved with the
place would be another one when it is evicted, and whoever won by it could lose by it again.

What is due comes in two kinds. By `shares` jobs claim their places: it moves with what is asked, held and declared alone. By
`turns` they are served: there, with a `history`, what was had before counts too.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from aliquot.scheduler.core.jobs import JobSpec
from aliquot.scheduler.core.pod import Amounts, DeviceChoice, PlacedPod, PodShape
from aliquot.scheduler.core.queues.fair_share import Past, Shares, fair_shares
from aliquot.scheduler.core.queues.history import NOBODY, History
from aliquot.scheduler.core.queues.ledger import Ledger
from aliquot.scheduler.core.queues.line import dominant
from aliquot.scheduler.core.queues.terms import QueueSpec
from aliquot.scheduler.core.queues.tree import DEFAULT, QueueTree
from aliquot.scheduler.core.reasons import Reason

Counted: TypeAlias = Callable[[PodShape], Amounts]
"""What a pod of the shape counts for before it is placed, in the currency of queues."""

Got: TypeAlias = Callable[[PodShape, PlacedPod], Amounts | None]
"""What such a pod counts for with its place; None: the same, wherever it is."""


class Entry(Struct, frozen=True, gc=False):
    """A pod, in the books of its queue."""

    queue: str
    shape: PodShape
    amounts: Amounts
    """What it holds; of one that waits: what it asks for."""
    preemptible: bool = True
    user: str = NOBODY
    asked: Amounts | None = None
    """What it asked for, where it holds something else."""
    place: PlacedPod | None = None
    varies: bool = False
    """Whether what it holds depends on its place, as things are."""

    @property
    def claimed(self) -> Amounts:
        """By what its claim to its place is judged."""
        return self.amounts if self.asked is None else self.asked


def nothing(shape: PodShape) -> Amounts:
    return {}


def as_asked(shape: PodShape, placed: PlacedPod) -> None:
    return None


class Accounts:
    def __init__(
        self,
        specs: Iterable[QueueSpec] = (),
        counted: Counted = nothing,
        history: History | None = None,
        got: Got = as_asked,
    ) -> None:
        """`history`: without one, neither what was had before nor whose a job is counts in turns."""
        self.counted = counted
        self.got = got
        self.history = history
        self.ledger = Ledger(QueueTree())
        """What is held."""
        self._claimed: Ledger | None = None
        """As `ledger`, by what was asked for; kept from when the two first differ."""
        self.declared = False
        self.specs: Sequence[QueueSpec] = ()
        """As they were declared, those that are closed as well."""
        self._placed: dict[str, Entry] = {}
        self._waiting: dict[str, Entry] = {}
        self._wanted: dict[str, dict[str, int]] = {}
        """By queue, what those that wait ask for."""
        self._on: dict[str, set[str]] = {}
        """By node, pods that count by what they have there."""
        self._offered: dict[str, Amounts] = {}
        """By node."""
        self._capacity: dict[str, int] = {}
        self.declare(specs)

    @property
    def tree(self) -> QueueTree:
        return self.ledger.tree

    @property
    def claimed(self) -> Ledger:
        """As `ledger`, by what was asked for: what claims are judged by."""
        return self.ledger if self._claimed is None else self._claimed

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
        tree = QueueTree(self.specs, unreadable)
        self.ledger = self.ledger.under(tree)
        if self._claimed is not None:
            self._claimed = self._claimed.under(tree)

    def price(self, counted: Counted, got: Got = as_asked) -> None:
        """From now on a pod counts so much: those that are there too."""
        self.counted, self.got = counted, got
        for key, entry in list(self._waiting.items()):
            self._wait(key, replace(entry, amounts=counted(entry.shape)))
        for key, entry in list(self._placed.items()):
            self._book_again(key, entry)

    def look_again(self, node: str) -> None:
        """What pods have there may count otherwise by now."""
        for key in list(self._on.get(node, ())):
            self._book_again(key, self._placed[key])

    def entry(self, key: str) -> Entry | None:
        """Of a pod that is placed."""
        return self._placed.get(key)

    def is_booked(self, key: str, placed: PlacedPod | None) -> bool:
        """Whether what the pod has there is what is in the books."""
        entry = self._placed.get(key)
        if entry is None:
            return False
        return placed is None or (
            entry.place is not None
            and (not entry.varies or entry.place is placed or _has_of(entry.place) == _has_of(placed))
        )

    def wait(self, key: str, spec: JobSpec, shape: PodShape) -> None:
        """The pod asks for what its shape counts."""
        self._wait(key, self._entry(spec, shape))

    def place(self, key: str, spec: JobSpec, shape: PodShape, placed: PlacedPod | None = None) -> None:
        """The pod holds what it got; without `placed`: what its shape counts."""
        queue, asked = spec.queue or DEFAULT, self.counted(shape)
        self.restore(key, self._booked(queue, shape, asked, spec.preemptible, spec.user, placed))

    def held(self, shape: PodShape, placed: PlacedPod) -> Amounts:
        """What such a pod would hold there."""
        got = self.got(shape, placed)
        return self.counted(shape) if got is None else got

    def _book_again(self, key: str, entry: Entry) -> None:
        asked = self.counted(entry.shape)
        self.restore(
            key, self._booked(entry.queue, entry.shape, asked, entry.preemptible, entry.user, entry.place)
        )

    def _booked(
        self,
        queue: str,
        shape: PodShape,
        asked: Amounts,
        preemptible: bool,
        user: str,
        place: PlacedPod | None,
    ) -> Entry:
        got = None if place is None else self.got(shape, place)
        if got is None:
            return Entry(queue, shape, asked, preemptible, user, place=place)
        return Entry(queue, shape, got, preemptible, user, None if got == asked else asked, place, True)

    def restore(self, key: str, entry: Entry) -> None:
        """The pod holds what it held before."""
        self.forget(key)
        if self._claimed is None and entry.asked is not None:
            self._claimed = self.ledger.under(self.tree)
        self._placed[key] = entry
        if entry.varies and entry.place is not None:
            self._on.setdefault(entry.place.node, set()).add(key)
        self.ledger.add(entry.queue, entry.amounts, preemptible=entry.preemptible)
        if self._claimed is not None:
            self._claimed.add(entry.queue, entry.claimed, preemptible=entry.preemptible)
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
            if self._claimed is not None:
                self._claimed.remove(placed.queue, placed.claimed, preemptible=placed.preemptible)
            if placed.varies and placed.place is not None:
                here = self._on[placed.place.node]
                here.discard(key)
                if not here:
                    del self._on[placed.place.node]
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
            wanted = dict(self.claimed.allocated(queue))
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


def _has_of(placed: PlacedPod) -> tuple[str, tuple[DeviceChoice, ...]]:
    return placed.node, placed.devices
