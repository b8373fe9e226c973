"""How far the nodes of a starting cluster are, told once and no more often than a person can read. Pure.

A node that does not become ready holds nobody up: after some patience it is named with its reason, and the rest of
the cluster is there to work with, and to find out why.
"""

from collections.abc import Mapping
from itertools import islice

from aliquot.cli.output import counted

MOST_NAMED = 10
"""Nodes that are named one by one; more of them are counted."""
_PROGRESS_EVERY_S = 2.0


class Readiness:
    """Of `nodes` nodes, from `begun` on. Times are of any one clock, in seconds."""

    def __init__(self, nodes: int, *, begun: float, patience_s: float) -> None:
        self._nodes = nodes
        self._deadline = begun + patience_s
        self._progress_at = begun + _PROGRESS_EVERY_S
        self._told: Mapping[str, str] | None = None
        """What was last said once the waiting had ended."""

    @property
    def settled(self) -> bool:
        """All were ready once, or the patience has ended."""
        return self._told is not None

    def look(self, waiting: Mapping[str, str], now: float) -> list[str]:
        """Lines to say, for the nodes that are not ready now, each with its reason."""
        if self._told is None:
            if waiting and now < self._deadline:
                return self._progress(len(waiting), now)
        elif waiting.keys() == self._told.keys():
            return []
        news = {name: reason for name, reason in waiting.items() if name not in (self._told or {})}
        self._told = waiting
        return [*described(news, of=len(news)), self._summary(len(waiting))]

    def _progress(self, waiting: int, now: float) -> list[str]:
        if now < self._progress_at:
            return []
        self._progress_at = now + _PROGRESS_EVERY_S
        return [self._summary(waiting)]

    def _summary(self, waiting: int) -> str:
        if waiting:
            return f"{self._nodes - waiting} of {counted(self._nodes, 'node')} ready"
        return f"{counted(self._nodes, 'node')} ready"


def described(waiting: Mapping[str, str], *, of: int) -> list[str]:
    """A line for each of the first nodes of `of` that are not ready, and one that counts the others."""
    lines = [f"{name} is not ready: {reason}" for name, reason in islice(waiting.items(), MOST_NAMED)]
    more = of - len(lines)
    return [*lines, f"and {counted(more, 'more node')}"] if more > 0 else lines
