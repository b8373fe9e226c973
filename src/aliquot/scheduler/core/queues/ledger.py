"""Who holds how much: each queue, and each above it.

`add` and `remove` are each other's inverse, so a simulation undoes what it tried by calling the other one.
"""

from collections.abc import Mapping
from types import MappingProxyType

from aliquot.scheduler.core.pod import Amounts
from aliquot.scheduler.core.queues.terms import UNLIMITED
from aliquot.scheduler.core.queues.tree import ROOT, QueueTree
from aliquot.scheduler.core.reasons import Kind, QueueBound, Reason


class Ledger:
    def __init__(self, tree: QueueTree) -> None:
        self.tree = tree
        self._held: list[dict[str, int]] = [{} for _ in tree.nodes]
        self._kept: list[dict[str, int]] = [{} for _ in tree.nodes]
        """Of `_held`, by jobs that cannot be preempted."""
        self._direct: dict[tuple[str, bool], dict[str, int]] = {}
        """By queue as named, and whether it can be preempted: what is carried over into another tree."""

    def add(self, queue: str, amounts: Amounts, *, preemptible: bool) -> None:
        """Something was placed. A queue that takes no jobs may hold some of an earlier time: they count for the whole alone."""
        self._change(queue, amounts, 1, preemptible=preemptible)

    def remove(self, queue: str, amounts: Amounts, *, preemptible: bool) -> None:
        """What was added is gone."""
        self._change(queue, amounts, -1, preemptible=preemptible)

    def _change(self, queue: str, amounts: Amounts, sign: int, *, preemptible: bool) -> None:
        if not amounts:
            return
        path = self.tree.path(queue)
        books = [self._direct.setdefault((queue, preemptible), {}), *(self._held[index] for index in path)]
        if not preemptible:
            books += [self._kept[index] for index in path]
        for resource, amount in amounts.items():
            change = sign * amount
            if change:
                for book in books:
                    left = book.get(resource, 0) + change
                    if left:
                        book[resource] = left
                    else:
                        del book[resource]
        if not books[0]:
            del self._direct[queue, preemptible]

    def held(self, index: int) -> Amounts:
        """By the queue at that place in the tree and all below it; of the root: by everybody."""
        return self._held[index]

    def allocated(self, queue: str) -> Mapping[str, int]:
        """Raises KeyError for a queue that is unknown or closed."""
        return MappingProxyType(self._held[self.tree.node(queue).index])

    def allocated_non_preemptible(self, queue: str) -> Mapping[str, int]:
        """Raises KeyError for a queue that is unknown or closed."""
        return MappingProxyType(self._kept[self.tree.node(queue).index])

    def named(self, queue: str, *, preemptible: bool) -> Mapping[str, int]:
        """By jobs that name that queue, whether it is open or not."""
        return MappingProxyType(self._direct.get((queue, preemptible), {}))

    @property
    def total(self) -> Mapping[str, int]:
        return MappingProxyType(self._held[ROOT])

    def under(self, tree: QueueTree) -> "Ledger":
        """The same holdings in another tree."""
        ledger = Ledger(tree)
        for (queue, preemptible), amounts in self._direct.items():
            ledger.add(queue, amounts, preemptible=preemptible)
        return ledger

    def refusal(self, queue: str, amounts: Amounts, *, preemptible: bool) -> Reason | None:
        """Why the queue may not have that much more; None: it may.

        What will never do goes before what waiting may cure, and the queue itself before those above it.
        """
        found: Reason | None = None
        for node in self.tree.bounded(queue):
            held, kept = self._held[node.index], self._kept[node.index]
            for resource, asked in amounts.items():
                terms = node.spec.terms.get(resource)
                if terms is None or not asked:
                    continue
                if asked > terms.limit:
                    bound = QueueBound(node.name, resource, asked, held.get(resource, 0), terms.limit)
                    return Reason(Kind.LARGER_THAN_LIMIT, bound=bound)
                if found is None and held.get(resource, 0) + asked > terms.limit:
                    bound = QueueBound(node.name, resource, asked, held.get(resource, 0), terms.limit)
                    found = Reason(Kind.OVER_LIMIT, bound=bound)
                quota = UNLIMITED if preemptible or terms.quota is None else terms.quota
                if asked > quota:
                    bound = QueueBound(node.name, resource, asked, kept.get(resource, 0), quota)
                    return Reason(Kind.LARGER_THAN_QUOTA, bound=bound)
                if found is None and kept.get(resource, 0) + asked > quota:
                    bound = QueueBound(node.name, resource, asked, kept.get(resource, 0), quota)
                    found = Reason(Kind.NON_PREEMPTIBLE_OVER_QUOTA, bound=bound)
        return found
