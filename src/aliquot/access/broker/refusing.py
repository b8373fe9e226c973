"""What the log is told of what is refused: each of it, up to a number for one person in a while, and of the rest how much there was.

Whoever is known to an issuer may ask for things that they do not get, as often as they like. The log is kept for years and read by
people: so nobody fills it. How much was not told is kept in memory alone: a process that dies tells less of it.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from aliquot.access.broker import drafts
from aliquot.access.broker.around import Caller
from aliquot.access.core.life.life import Life
from aliquot.access.core.people import Person
from aliquot.access.core.refusals import Refused
from aliquot.access.log.entries import Draft

MOST = 20
WITHIN_S = 600.0


@dataclass
class _Window:
    """Of one person."""

    caller: Caller
    since_s: float
    told: int = 0
    untold: Counter[str] = field(default_factory=Counter)
    """By what was refused."""


class Refusing:
    """What is drafted here belongs into the log, in the transaction that it was drafted in."""

    def __init__(self) -> None:
        self._windows: dict[Person, _Window] = {}

    def draft(
        self, what: str, no: Refused, caller: Caller, life: Life | None, now_s: float
    ) -> tuple[Draft, ...]:
        before = tuple(self.over(now_s))
        window = self._windows.setdefault(caller.person, _Window(caller, now_s))
        if window.told >= MOST:
            window.untold[what] += 1
            return before
        window.told += 1
        return (*before, drafts.of_refusal(what, no, caller, life, now_s))

    def is_owing(self, now_s: float) -> bool:
        """Whether there is something to tell of windows that are over."""
        return any(one.untold and _is_over(one, now_s) for one in self._windows.values())

    def over(self, now_s: float) -> Iterator[Draft]:
        """Of windows that are over."""
        for person, window in list(self._windows.items()):
            if _is_over(window, now_s):
                del self._windows[person]
                if window.untold:
                    yield drafts.of_refusals(window.untold, window.caller, window.since_s, now_s)


def _is_over(window: _Window, now_s: float) -> bool:
    return now_s >= window.since_s + WITHIN_S
