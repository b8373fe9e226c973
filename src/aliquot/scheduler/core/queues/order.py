"""Which queue is served next: from the root down, at each level the sibling that is furthest from what it is due.

Two siblings, each with the job that it would place next, are compared by, in this order:

1. one that holds no more than its fair share goes before one that holds more;
2. one whose job still fits into its quota goes before one that would borrow;
3. the higher priority;
4. one that is due anything of what its job asks for goes before one that is due nothing;
5. the smaller dominant share once its job is placed, then without it. A share is what the queue holds as a part of what it
   is due; the dominant one is the largest over all resources;
6. the larger fair share of what the job is judged by;
7. the older one, then the first name.

Each of these is of one queue alone, so an order of siblings is a heap. When something is placed or ends, only the queues
from that leaf to the root are looked at anew.
"""

import heapq
from collections.abc import Mapping
from math import inf
from typing import TypeAlias

from aliquot.scheduler.core.pod import Amounts
from aliquot.scheduler.core.queues.fair_share import Shares
from aliquot.scheduler.core.queues.ledger import Ledger
from aliquot.scheduler.core.queues.terms import primary
from aliquot.scheduler.core.queues.tree import ROOT

Key: TypeAlias = tuple[bool, bool, int, bool, float, float, int, float, int]


class QueueOrder:
    """Leaves that have a job to place, best first. The ledger is the caller's: who changes what a queue holds says so by
    `changed`."""

    def __init__(self, ledger: Ledger, shares: Shares, heads: Mapping[str, Amounts] | None = None) -> None:
        """`heads`: what the next job of each leaf asks for."""
        self._ledger = ledger
        self._tree = ledger.tree
        self._shares = shares
        count = len(self._tree.nodes)
        self._head: list[Amounts | None] = [None] * count
        """Of an inner queue: that of the best below it."""
        self._key: list[Key | None] = [None] * count
        self._heaps: list[list[Key]] = [[] for _ in range(count)]
        """Of each inner queue, the keys of its children; outdated ones are dropped when they come up. A key ends in its
        queue's index."""
        for leaf, amounts in (heads or {}).items():
            self._head[self._tree.path(leaf)[0]] = amounts
        # All at once, from the leaves up.
        for node in reversed(self._tree.nodes):
            if node.children:
                heap = self._heaps[node.index] = [
                    key for child in node.children if (key := self._key[child]) is not None
                ]
                heapq.heapify(heap)
                self._head[node.index] = self._head[heap[0][-1]] if heap else None
            if node.index != ROOT:
                self._key[node.index] = self._judged(node.index)

    def best(self) -> str | None:
        """The leaf that is served next; None: no leaf has a job."""
        index = ROOT
        while True:
            node = self._tree.nodes[index]
            if not node.children:
                return node.name
            heap = self._heaps[index]
            if not heap:
                return None
            # `_settle` left a valid key on top.
            index = heap[0][-1]

    def put(self, leaf: str, head: Amounts | None) -> None:
        """The leaf's next job asks for so much; None: it has none, or none that could be placed now. Raises KeyError."""
        self._head[self._tree.node(leaf).index] = head
        self.changed(leaf)

    def changed(self, leaf: str) -> None:
        """What the leaf holds is another now."""
        nodes = self._tree.nodes
        for index in self._tree.path(leaf):
            if nodes[index].children:
                self._settle(index)
            if index == ROOT:
                return
            key = self._judged(index)
            self._key[index] = key
            if key is not None:
                heapq.heappush(self._heaps[nodes[index].parent], key)

    def _settle(self, index: int) -> None:
        """Bring a valid key to the top."""
        heap, keys = self._heaps[index], self._key
        children = self._tree.nodes[index].children
        if len(heap) > 2 * len(children) + 16:
            heap[:] = [key for child in children if (key := keys[child]) is not None]
            heapq.heapify(heap)
        while heap and keys[heap[0][-1]] is not heap[0]:
            heapq.heappop(heap)
        self._head[index] = self._head[heap[0][-1]] if heap else None

    def _judged(self, index: int) -> Key | None:
        head = self._head[index]
        if head is None:
            return None
        spec = self._tree.nodes[index].spec
        held = self._ledger.held(index)
        quotas = self._tree.quotas
        judged_by = primary(head)
        over = borrows = False
        dominant = dominant_after = 0.0
        due_any = False
        for resource, fair in self._shares.fair.items():
            has, due = held.get(resource, 0), fair[index]
            asked = head.get(resource, 0)
            if has > due:
                over = True
            if asked:
                due_any = due_any or due > 0
                if has + asked > quotas[resource][index] and self._tree.binds(index, resource, judged_by):
                    borrows = True
            if has or asked:
                dominant = max(dominant, has / due if due else (inf if has else 0.0))
                dominant_after = max(dominant_after, (has + asked) / due if due else inf)
        return (
            over,
            borrows,
            -spec.priority,
            not due_any,
            dominant_after,
            dominant,
            -self._shares.fair[judged_by][index],
            spec.created_s,
            index,
        )
