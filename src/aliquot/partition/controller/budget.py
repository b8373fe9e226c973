"""How many pods may still be moved: so many in any hour. In memory alone: a restarted partitioner begins with none used."""

from collections import deque

_HOUR_S = 3600.0


class MoveBudget:
    def __init__(self, per_hour: int) -> None:
        self.per_hour = per_hour
        self._used: deque[float] = deque()

    def left(self, now: float) -> int:
        while self._used and now - self._used[0] >= _HOUR_S:
            self._used.popleft()
        return self.per_hour - len(self._used)

    def use(self, moves: int, now: float) -> None:
        self._used.extend([now] * moves)
