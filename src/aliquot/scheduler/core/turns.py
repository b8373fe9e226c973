"""Whose turn it is within a queue, for one pass: the order of those who wait, with what their users have had put in.

Who is given a job has had that much more at once. So jobs that are alike, which differ in nothing but whose they are, are put in
the order in which they would be served one after the other; between those that are not, what users have by then counts.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import overload

from aliquot.scheduler.core.pending import Alike, Pending
from aliquot.scheduler.core.queues.line import Rank, Turn
from aliquot.scheduler.core.queues.tree import DEFAULT


class QueueTurns:
    """Of one queue."""

    def __init__(self, pending: Pending, queue: str, users: Iterable[str]) -> None:
        """`users`: those whose jobs wait there."""
        self._order = pending.order
        self._accounts = pending.accounts
        self._jobs = pending.jobs
        self._queue = queue
        self._had: dict[str, float] = {}
        """As things are, of users that were asked about."""
        self._at_first: dict[str, float] = {}
        """Before any of them was given anything."""
        self._whole = 1.0
        if self._accounts.history is not None and self._order.ageing_s is not None:
            # Of what all of them had. Where that is nothing, of what there is.
            self._whole = sum(map(self._look, users)) or 1.0

    def turn(self, rank: Rank) -> Turn:
        """As things are."""
        if self._accounts.history is None:
            return self._order.turn(rank)
        user = self._jobs[rank[-1]].spec.user
        self._look(user)
        return self._order.turn(rank, self._had[user] / self._whole)

    def served(self, job: str) -> None:
        """What its user has may be more by now."""
        if self._accounts.history is not None and job in self._jobs:
            user = self._jobs[job].spec.user
            self._had[user] = self._accounts.had(self._queue, user)

    def first(self, ranks: Iterable[Rank]) -> Rank:
        """Of `in_turn`. `ranks`: the first of each user."""
        return min(ranks, key=lambda rank: self._turn_after(rank, 0.0))

    def in_turn(self, ranks: Iterable[tuple[Rank, float]]) -> list[Rank]:
        """As they would be served from the start. `ranks` with what each job gives its user; those of a user in their own order."""
        given: dict[str, float] = {}
        turns = []
        for rank, part in ranks:
            user = self._jobs[rank[-1]].spec.user
            before = given.get(user, 0.0)
            turns.append((self._turn_after(rank, before), rank))
            given[user] = before + part
        turns.sort()
        return [rank for _, rank in turns]

    def _turn_after(self, rank: Rank, given: float) -> Turn:
        had = self._look(self._jobs[rank[-1]].spec.user)
        return self._order.turn(rank, (had + given) / self._whole)

    def _look(self, user: str) -> float:
        """What it had at first: whoever is given something was asked about before."""
        found = self._at_first.get(user)
        if found is None:
            found = self._at_first[user] = self._had[user] = self._accounts.had(self._queue, user)
        return found


class _OfSeveralUsers(Sequence[Rank]):
    """A line in the order in which it is served. Most lines of a full cluster are asked for their first job alone, so that no more
    is found until it is needed."""

    def __init__(
        self, line: Sequence[Rank], firsts: Iterable[Rank], turns: QueueTurns, pending: Pending
    ) -> None:
        """`firsts`: of each user the first in `line`."""
        self._line = line
        self._turns = turns
        self._first = turns.first(firsts)
        # They are alike, and ask for the same; of one that is placed that is no longer told.
        self._part = pending.accounts.given(pending.asked(pending.jobs[self._first[-1]]))

    def __len__(self) -> int:
        return len(self._line)

    @overload
    def __getitem__(self, at: int) -> Rank: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Rank]: ...
    def __getitem__(self, at: int | slice) -> Rank | Sequence[Rank]:
        return self._first if at == 0 else self._in_turn[at]

    @cached_property
    def _in_turn(self) -> list[Rank]:
        return self._turns.in_turn((rank, self._part) for rank in self._line)


class Turns:
    def __init__(self, pending: Pending) -> None:
        self.pending = pending
        self.lines: Mapping[Alike, Sequence[Rank]] = pending.lines
        """As `Pending` has them, each in the order in which it is served."""
        self._users: dict[str, set[str]] = {}
        self._of: dict[str, QueueTurns] = {}
        if pending.accounts.history is not None and pending.accounts.declared:
            self._heed_users()

    def of(self, queue: str) -> QueueTurns:
        found = self._of.get(queue)
        if found is None:
            found = self._of[queue] = QueueTurns(self.pending, queue, self._users.get(queue, ()))
        return found

    def _heed_users(self) -> None:
        pending, jobs = self.pending, self.pending.jobs
        several = []
        for rank in pending.begun.values():
            spec = jobs[rank[-1]].spec
            self._users.setdefault(spec.queue or DEFAULT, set()).add(spec.user)
        for alike, line in pending.lines.items():
            firsts = pending.firsts(alike)
            queue = jobs[line[0][-1]].spec.queue or DEFAULT
            self._users.setdefault(queue, set()).update(firsts)
            if len(firsts) > 1:
                several.append((alike, queue, line))
        if several:
            self.lines = dict(pending.lines) | {
                alike: _OfSeveralUsers(line, pending.firsts(alike).values(), self.of(queue), pending)
                for alike, queue, line in several
            }
