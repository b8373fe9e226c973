"""When the scheduler looks again though nothing happened, and when it looks at everybody for whom to evict.

Time alone may help: a minimum run time ends, a budget allows more, a refusal is long ago, a promise falls due. All moments
are of the event loop's clock.
"""

from math import inf

from aliquot.scheduler.core.cycle import Outcome

MAKE_ROOM_S = 1.0
"""Whom to evict is looked for no more often."""
LOOK_FOR_ROOM_S = 10.0
"""And no less often, while somebody waits."""
_SELDOM = 20
"""So many times as long as it took it is not looked for again."""
LEAST_WAIT_S = 1.0
"""Between two looks for the sake of a promise."""


class Pace:
    def __init__(self, now: float) -> None:
        self._room_at = now
        """When others may be evicted again."""

    def makes_room(self, now: float) -> bool:
        return now >= self._room_at

    def passed(self, outcome: Outcome, *, made_room: bool, began: float, ended: float) -> None:
        """A pass is over."""
        if made_room and (outcome.blocked or any(one.after for one in outcome.decisions)):
            # Whom to evict is a look at everybody: in a large cluster it has to be rarer.
            self._room_at = ended + max(MAKE_ROOM_S, _SELDOM * (ended - began))

    def look_again_at(
        self, outcome: Outcome, *, made_room: bool, has_fallen: bool, clock_s: float, now: float
    ) -> float:
        """inf: when something happens. `has_fallen`: a gang is below its minimum, or was told so. `clock_s`: now, of the clock by
        which promises are made."""
        again_at = inf
        if outcome.blocked:
            again_at = now + LOOK_FOR_ROOM_S if made_room else self._room_at
        if has_fallen and outcome.fallen is None:
            again_at = min(again_at, self._room_at)
        if outcome.promises:
            due_in_s = min(promise.start_s for promise in outcome.promises) - clock_s
            again_at = min(again_at, now + max(due_in_s, LEAST_WAIT_S))
        return again_at
