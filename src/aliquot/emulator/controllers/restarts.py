"""How long to wait before what failed is made anew: twice as long with each failure, from the start after a rest."""

from collections import OrderedDict
from dataclasses import dataclass

_REMEMBERED = 65_536


@dataclass(slots=True)
class _Streak:
    failed: str
    since: float
    wait_s: float


class Restarts:
    def __init__(self, *, first_s: float, longest_s: float) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._streaks: OrderedDict[str, _Streak] = OrderedDict()

    def wait_s(self, place: str, failed: str, now: float) -> float:
        """Seconds until what failed at `place` may be made anew. `failed` tells failures apart: asking again is none."""
        streak = self._streaks.get(place)
        if streak is None or (streak.failed != failed and now - streak.since > 2 * self._longest_s):
            # The first failure in a long time is made good at once.
            streak = _Streak(failed, now, 0.0)
        elif streak.failed != failed:
            wait_s = min(self._longest_s, max(self._first_s, streak.wait_s * 2))
            streak = _Streak(failed, now, wait_s)
        self._streaks[place] = streak
        self._streaks.move_to_end(place)
        if len(self._streaks) > _REMEMBERED:
            self._streaks.popitem(last=False)
        return max(0.0, streak.since + streak.wait_s - now)
