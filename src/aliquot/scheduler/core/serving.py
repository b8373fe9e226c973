"""Whose turn it is: the head of one line, or of the lines of the queue that is furthest from what it is due."""

import heapq
from collections.abc import Iterable, Mapping
from typing import Protocol, TypeAlias

from aliquot.scheduler.core.accounts import Accounts
from aliquot.scheduler.core.pending import Alike, Pending
from aliquot.scheduler.core.pod import Amounts
from aliquot.scheduler.core.queues.line import Rank, Turn
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


class UsersTurns:
    """Of one queue: whose job is next. What users have had is looked at anew with each job that one of them is given."""

    def __init__(self, pending: Pending, queue: str, users: Iterable[str]) -> None:
        """`users`: those with a job that waits."""
        self._order = pending.order
        self._accounts = pending.accounts
        self._queue = queue
        had = {user: self._accounts.had(queue, user) for user in users}
        self._all_had = sum(had.values())

    def turn(self, rank: Rank, user: str) -> Turn:
        had = self._accounts.had(self._queue, user)
        return self._order.turn(rank, had / self._all_had if self._all_had else had)


class _QueueLine:
    """The heads of one queue's lines: the first of each user, and of these the one whose turn it is."""

    def __init__(self, pending: Pending, queue: str, by_user: Mapping[str, list[Head]]) -> None:
        self._turns = UsersTurns(pending, queue, by_user)
        self._heads = by_user
        for heads in by_user.values():
            heapq.heapify(heads)
        self._users = [(self._turns.turn(heads[0][0], user), user) for user, heads in by_user.items()]
        heapq.heapify(self._users)

    def first(self) -> Head | None:
        return self._heads[self._users[0][1]][0] if self._users else None

    def take(self) -> Head:
        """The first. Then `served` has to be called before anything else."""
        return heapq.heappop(self._heads[self._users[0][1]])

    def served(self, after: Head | None) -> None:
        """What its user has is another now; `after` is of the same one. Of all others nothing has changed."""
        user = self._users[0][1]
        heads = self._heads[user]
        if after is not None:
            heapq.heappush(heads, after)
        if heads:
            heapq.heapreplace(self._users, (self._turns.turn(heads[0][0], user), user))
        else:
            heapq.heappop(self._users)


class ByQueue:
    """Jobs of queues that take none come first: they are refused."""

    def __init__(self, heads: Iterable[Head], pending: Pending, accounts: Accounts) -> None:
        self._pending = pending
        self._refused: list[Head] = []
        self._asked: dict[Alike, Amounts] = {}
        by_queue: dict[str, dict[str, list[Head]]] = {}
        for head in heads:
            spec = pending.jobs[head[0][-1]].spec
            queue = spec.queue or DEFAULT
            if accounts.tree.refusal(queue) is None:
                by_queue.setdefault(queue, {}).setdefault(accounts.user(spec), []).append(head)
            else:
                self._refused.append(head)
        self._lines = {queue: _QueueLine(pending, queue, by_user) for queue, by_user in by_queue.items()}
        asked = {
            queue: self._asked_by(first)
            for queue, line in self._lines.items()
            if (first := line.first()) is not None
        }
        self._order = QueueOrder(accounts.ledger, accounts.turns(), asked)
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
        first = line.first()
        self._order.put(self._now, self._asked_by(first) if first is not None else None)

    def _asked_by(self, head: Head) -> Amounts:
        rank, alike, _ = head
        asked = self._asked.get(alike)
        if asked is None:
            asked = self._asked[alike] = self._pending.asked(self._pending.jobs[rank[-1]])
        return asked
