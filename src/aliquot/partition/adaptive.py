"""The default way of placement: a fleet that knows its mix places by what was learned from one like it.

Learned values serve the mix that they were learned from, and may harm another: on random mixes around it they gained
0.1 points of the work admitted, on average, while less than a tenth of the requests were other ones (0.7 points less than
the rule at the worst), and lost up to 6 points, even to first fit, when a fifth were. So requests are counted, and the
counts compared with the mixes of the tables, by total variation distance (half the sum of the differences of the shares:
the part of the requests that would have to be other ones). While none is near, and before enough was seen, the fleet
places by `max-slot-capability`, which needs no mix, and was better than first fit on every one of a hundred random mixes.
"""

from collections.abc import Iterable, Mapping, Sequence

from aliquot.partition.board_states import BoardStates, Placing
from aliquot.partition.fleet import Fleet
from aliquot.partition.placer import Gpu
from aliquot.partition.policies.capability import MOST_SLOT_CAPABILITY
from aliquot.partition.policies.policy import Policy, Ranking, rank
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


class AdaptiveFleet(Fleet):
    """A `Placer`. `observe` is what it lives by; without it, it places by the fallback."""

    def __init__(
        self,
        states: BoardStates,
        gpus: Iterable[Gpu] | Mapping[Gpu, Iterable[Placing]] = (),
        tables: Sequence[ValueTable] | None = None,
        fallback: Policy = MOST_SLOT_CAPABILITY,
    ) -> None:
        """`tables`: the shipped ones, unless others are given. Those of other profiles than the board's are left out."""
        super().__init__(states, fallback, gpus)
        self._fallback = fallback
        self._tables = [
            (table.mix(states), table.policy())
            for table in (shipped() if tables is None else tables)
            if table.fits(states)
        ]
        self._rankings: dict[str, tuple[Ranking, ...]] = {
            policy.name: rank(policy, self.divisions)
            for policy in (fallback, *(policy for _, policy in self._tables))
        }
        self._seen = [0] * len(states.profiles)
        self._since_look = 0

    def observe(self, profile: int) -> None:
        self._seen[profile] += 1
        self._since_look += 1
        if self._since_look >= LOOK_EVERY and self._tables:
            self._since_look = 0
            self._look()

    def _look(self) -> None:
        total = sum(self._seen)
        if total < ENOUGH:
            return
        shares = [seen / total for seen in self._seen]
        if total >= REMEMBERED:
            self._seen = [seen // 2 for seen in self._seen]
        wanted = self._suited(shares)
        if wanted is not self.policy:
            self.follow_ranking(wanted, self._rankings[wanted.name])

    def _suited(self, shares: Sequence[float]) -> Policy:
        distances = [(distance(mix, shares), policy) for mix, policy in self._tables]
        nearest, policy = min(distances, key=lambda pair: pair[0])
        for away, current in distances:
            if current is self.policy and away <= LEAVE and away - nearest <= CLOSER:
                return current
        return policy if nearest <= NEAR else self._fallback


def distance(mix: Sequence[float], other: Sequence[float]) -> float:
    """Total variation: 0 of equal mixes, 1 of those that share no profile."""
    return sum(abs(a - b) for a, b in zip(mix, other, strict=True)) / 2
