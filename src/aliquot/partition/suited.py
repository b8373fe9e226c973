"""Which policy suits the requests that come to the GPUs of one board: what was learned from a mix like theirs, else a rule.

Learned values serve the mix that they were learned from, and may harm another: on random mixes around it they gained
0.1 points of the work admitted, on average, while less than a tenth of the requests were other ones (0.7 points less than
the rule at the worst), and lost up to 6 points, even to first fit, when a fifth were. So requests are counted, and the
counts compared with the mixes of the tables, by total variation distance (half the sum of the differences of the shares:
the part of the requests that would have to be other ones). While none is near, and before enough was seen, the policy is
`max-slot-capability`, which needs no mix, and was better than first fit on every one of a hundred random mixes.
"""

from collections.abc import Sequence

from aliquot.partition.board_states import BoardStates
from aliquot.partition.policies.capability import MOST_SLOT_CAPABILITY
from aliquot.partition.policies.policy import Policy
from aliquot.partition.value_tables import ValueTable, shipped

NEAR = 0.10
"""The largest distance at which a table is used."""
LEAVE = 0.13
"""The distance at which the one in use is left: chance moves the counts, and must not turn the fleet to and fro."""
CLOSER = 0.04
"""By how much another must be nearer to take over."""
REMEMBERED = 1_000
"""Requests. Counts are halved at so many, so that the last ones weigh most. A mix of six shares that is estimated from
500 is off by 0.04, as a rule."""
ENOUGH = 250
"""Requests before the counts are trusted."""
LOOK_EVERY = 250


class SuitedPolicy:
    """`observe` is what it lives by; without it, `policy` stays the fallback."""

    def __init__(
        self,
        states: BoardStates,
        tables: Sequence[ValueTable] | None = None,
        fallback: Policy = MOST_SLOT_CAPABILITY,
    ) -> None:
        """`tables`: the shipped ones, unless others are given. Those of other profiles than the board's are left out."""
        self.policy = fallback
        self._fallback = fallback
        self._tables = [table for table in (shipped() if tables is None else tables) if table.fits(states)]
        self._learned = [(table.mix(states), table.policy()) for table in self._tables]
        self._seen = [0] * len(states.profiles)
        self._since_look = 0

    @property
    def policies(self) -> tuple[Policy, ...]:
        """All that it may come to."""
        return self._fallback, *(policy for _, policy in self._learned)

    @property
    def table(self) -> ValueTable | None:
        """The one in use; None: the fallback is."""
        learned = zip(self._tables, self._learned, strict=True)
        return next((table for table, (_, policy) in learned if policy is self.policy), None)

    def use(self, table: ValueTable) -> None:
        """Until a look finds that another suits. Raises ValueError for one that is not of this board."""
        self.policy = self._learned[self._tables.index(table)][1]

    def observe(self, profile: int) -> bool:
        """A request for `profile` has come. Returns whether another policy suits from now on."""
        self._seen[profile] += 1
        self._since_look += 1
        if self._since_look < LOOK_EVERY or not self._learned:
            return False
        self._since_look = 0
        before = self.policy
        self._look()
        return self.policy is not before

    def _look(self) -> None:
        total = sum(self._seen)
        if total < ENOUGH:
            return
        shares = [seen / total for seen in self._seen]
        if total >= REMEMBERED:
            self._seen = [seen // 2 for seen in self._seen]
        self.policy = self._suited(shares)

    def _suited(self, shares: Sequence[float]) -> Policy:
        distances = [(distance(mix, shares), policy) for mix, policy in self._learned]
        nearest, policy = min(distances, key=lambda pair: pair[0])
        for away, current in distances:
            if current is self.policy and away <= LEAVE and away - nearest <= CLOSER:
                return current
        return policy if nearest <= NEAR else self._fallback


def distance(mix: Sequence[float], other: Sequence[float]) -> float:
    """Total variation: 0 of equal mixes, 1 of those that share no profile."""
    return sum(abs(a - b) for a, b in zip(mix, other, strict=True)) / 2
