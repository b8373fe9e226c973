"""When to ask again, and how long to wait before.

Backoff spares a server that is down; the budget spares one that is half down: when most calls of a client fail,
it stops repeating them, so that its load never grows to a multiple just when the server is weakest.
"""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    attempts: int = 5
    """Per call, the first included."""
    first_delay_s: float = 0.1
    max_delay_s: float = 5.0
    budget: float = 20.0
    """Retries that a client may spend in a burst, over all its calls."""
    refund: float = 0.1
    """What each success gives back to the budget."""

    def delay_s(self, attempt: int, rng: random.Random) -> float:
        """The wait after failed attempt number `attempt` (from 1): doubling, with jitter of a half."""
        # The exponent is bounded so that an endless retry loop never overflows a float.
        ceiling = min(self.max_delay_s, self.first_delay_s * 2.0 ** min(attempt - 1, 32))
        return ceiling * (0.5 + rng.random() / 2)


class Budget:
    """Retries left, over all calls of one client."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._left = policy.budget

    def spend(self) -> bool:
        """Take one retry; False when there is none left."""
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

    def succeeded(self) -> None:
        self._left = min(self._policy.budget, self._left + self._policy.refund)


class Backoff:
    """The growing wait of one loop that must not give up: `delay_s()` after a failure, `reset()` after a success."""

    def __init__(self, rng: random.Random, *, first_delay_s: float = 0.2, max_delay_s: float = 30.0) -> None:
        self._rng = rng
        self._policy = RetryPolicy(first_delay_s=first_delay_s, max_delay_s=max_delay_s)
        self._failures = 0

    def delay_s(self) -> float:
        self._failures += 1
        return self._policy.delay_s(self._failures, self._rng)

    def reset(self) -> None:
        self._failures = 0
