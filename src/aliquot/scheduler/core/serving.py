"""Whose turn it is: the head of one line, or of the lines of the queue that is furthest from what it is due."""

import heapq
from collections.abc import Iterable
from typing import Protocol, TypeAlias

from aliquot.scheduler.core.pending import Alike
from aliquot.scheduler.core.pod import Amounts
from aliquot.scheduler.core.queues.line import Rank
from aliquot.scheduler.core.queues.order import QueueOrder
from aliquot.scheduler.core.queues.tree import DEFAULT
from aliquot.scheduler.core.turns import QueueTurns, Turns

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
    """Jobs that are refused come first, and those of queues that take none: whose turn it is is no matter of theirs."""

    def __init__(self, heads: Iterable[Head], turns: Turns) -> None:
        self._pending = pending = turns.pending
        accounts = pending.accounts
        self._refused: list[Head] = []
        self._asked: dict[Alike, Amounts] = {}
        by_queue: dict[str, list[Head]] = {}
        for head in heads:
            job = pending.jobs[head[0][-1]]
            queue = job.spec.queue or DEFAULT
            if accounts.tree.refusal(queue) is None and (job.refusal is None or job.has_begun):
                by_queue.setdefault(queue, []).append(head)
            else:
                self._refused.append(head)
        self._lines = {
            queue: _QueueLine(turns.of(queue), queue_heads) for queue, queue_heads in by_queue.items()
        }
        asked = {queue: self._asked_by(line.first()) for queue, line in self._lines.items()}
        self._order = QueueOrder(accounts.claimed, accounts.turns(), asked)
        self._now = ""

    def next(self) -> Head | None:
        if self._refused:
            self._now = ""
            return self._refused.pop()
        best = self._order.best()
        if best is None:
            return None
        self._now = best
        return self._lines[best].take()

    def served(self, after: Head | None) -> None:
        if not self._now:
            return
        line = self._lines[self._now]
        line.served(after)
        self._order.put(self._now, self._asked_by(line.first()) if line else None)

    def _asked_by(self, head: Head) -> Amounts:
        rank, alike, _ = head
        asked = self._asked.get(alike)
        if asked is None:
            asked = self._asked[alike] = self._pending.asked(self._pending.jobs[rank[-1]])
        return asked


class _QueueLine:
    """The heads of one queue's lines. What a user has only grows in a pass: a head is looked at again when it comes up."""

    def __init__(self, turns: QueueTurns, heads: Iterable[Head]) -> None:
        self._turns = turns
        self._heads = [(turns.turn(head[0]), head) for head in heads]
        heapq.heapify(self._heads)
        self._taken = ""

    def __bool__(self) -> bool:
        return bool(self._heads)

    def first(self) -> Head:
        heads = self._heads
        while True:
            before, head = heads[0]
            turn = self._turns.turn(head[0])
            if turn == before:
                return head
            heapq.heapreplace(heads, (turn, head))

    def take(self) -> Head:
        _, head = heapq.heappop(self._heads)
        self._taken = head[0][-1]
        return head

    def served(self, after: Head | None) -> None:
        self._turns.served(self._taken)
        if after is not None:
            heapq.heappush(self._heads, (self._turns.turn(after[0]), after))
