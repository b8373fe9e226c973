"""Whose turn it is: the head of one line, or of the lines of the queue that is furthest from what it is due."""

import heapq
from collections.abc import Iterable
from typing import Protocol, TypeAlias

from aliquot.scheduler.core.accounts import Accounts
from aliquot.scheduler.core.pending import Alike, Pending
from aliquot.scheduler.core.pod import Amounts
from aliquot.scheduler.core.policies import Rank
from aliquot.scheduler.core.queues.order import QueueOrder
from aliquot.scheduler.core.queues.tree import DEFAULT

Head: TypeAlias = tuple[Rank, Alike, int]
"""The next job of those that are alike, and its position among them."""


class Serving(Protocol):
    def next(self) -> Head | None:
        """Who is served now; it is out of the line."""

    def served(self, after: Head | None) -> None:
        """Whoever was `next` has been served, and this one of its kind comes after it."""


class OneLine:
    def __init__(self, heads: Iterable[Head]) -> None:
        self._heads = list(heads)
        heapq.heapify(self._heads)

    def next(self) -> Head | None:
        return heapq.heappop(self._heads) if self._heads else None

    def served(self, after: Head | None) -> None:
        if after is not None:
            heapq.heappush(self._heads, after)


class ByQueue:
    """Jobs of queues that take none come first: they are refused."""

    def __init__(self, heads: Iterable[Head], pending: Pending, accounts: Accounts) -> None:
        self._pending = pending
        self._heads: dict[str, list[Head]] = {}
        self._refused: list[Head] = []
        self._asked: dict[Alike, Amounts] = {}
        for head in heads:
            queue = self._queue(head)
            if accounts.tree.refusal(queue) is None:
                self._heads.setdefault(queue, []).append(head)
            else:
                self._refused.append(head)
        for line in self._heads.values():
            heapq.heapify(line)
        asked = {queue: self._asked_by(line[0]) for queue, line in self._heads.items()}
        self._order = QueueOrder(accounts.ledger, accounts.shares(), asked)
        self._now = ""

    def next(self) -> Head | None:
        if self._refused:
            self._now = ""
            return self._refused.pop()
        best = self._order.best()
        if best is None:
            return None
        self._now = best
        return heapq.heappop(self._heads[best])

    def served(self, after: Head | None) -> None:
        if not self._now:
            return
        line = self._heads[self._now]
        if after is not None:
            heapq.heappush(line, after)
        self._order.put(self._now, self._asked_by(line[0]) if line else None)

    def _queue(self, head: Head) -> str:
        return self._pending.jobs[head[0][-1]].spec.queue or DEFAULT

    def _asked_by(self, head: Head) -> Amounts:
        rank, alike, _ = head
        asked = self._asked.get(alike)
        if asked is None:
            asked = self._asked[alike] = self._pending.asked(self._pending.jobs[rank[-1]])
        return asked
