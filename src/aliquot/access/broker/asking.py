"""How often ticket systems are asked about requests that are only waiting: some minutes apart, not all at once, and less and less often
while nobody answers. What people do, and what begins, is asked about each time and does not come here."""

import random
from collections.abc import Iterable

EVERY_S = 300.0
MOST_S = 3600.0


class Asking:
    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._next_s: dict[str, float] = {}
        self._apart_s: dict[str, float] = {}

    def is_due(self, request: str, now_s: float) -> bool:
        """One that was never asked about is soon, but not with all the others after a start."""
        return now_s >= self._next_s.setdefault(request, now_s + self._rng.random() * EVERY_S)

    def asked(self, request: str, now_s: float, *, was_answered: bool) -> None:
        before_s = self._apart_s.get(request, EVERY_S / 2)
        apart_s = EVERY_S if was_answered else min(before_s * 2, MOST_S)
        self._apart_s[request] = apart_s
        self._next_s[request] = now_s + apart_s * (0.8 + 0.4 * self._rng.random())

    def forget_all_but(self, requests: Iterable[str]) -> None:
        kept = frozenset(requests)
        self._next_s = {one: at_s for one, at_s in self._next_s.items() if one in kept}
        self._apart_s = {one: apart_s for one, apart_s in self._apart_s.items() if one in kept}
