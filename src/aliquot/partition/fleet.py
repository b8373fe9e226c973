"""The GPUs of one class by how they are divided: a decision costs by the number of divisions, not of GPUs."""

from collections.abc import Iterable, Mapping

from aliquot.partition.board_states import BoardStates, Placing
from aliquot.partition.divisions import Division
from aliquot.partition.index_set import NOTHING, IndexSet
from aliquot.partition.occupancies import Occupancies
from aliquot.partition.placer import Choice, Gpu
from aliquot.partition.policies.policy import Policy, Ranking, rank


class Fleet(Occupancies):
    """A `Placer` by a policy. Of GPUs that the policy finds equal it takes the lowest.

    For each profile the divisions stand in the policy's order, one bit each, set where a GPU has it: the lowest set
    bit is the decision.
    """

    def __init__(
        self, states: BoardStates, policy: Policy, gpus: Iterable[Gpu] | Mapping[Gpu, Iterable[Placing]] = ()
    ) -> None:
        """`gpus`: those of a mapping hold something, others are empty."""
        super().__init__(states)
        self._buckets = [IndexSet() for _ in range(len(self.divisions))]
        self._lowest = [NOTHING] * len(self.divisions)
        self.follow(policy)
        self.add_all(gpus)

    def follow(self, policy: Policy) -> None:
        """Decide by another policy from now on."""
        self.follow_ranking(policy, rank(policy, self.divisions))

    def follow_ranking(self, policy: Policy, rankings: tuple[Ranking, ...]) -> None:
        """`rankings`: what `rank` gives for it, where that is kept."""
        self.policy = policy
        self._placing = [ranking.placing for ranking in rankings]
        self._tier_at = [[tier for tier in ranking.tiers for _ in tier] for ranking in rankings]
        """By profile and position in its order: the divisions that share the tier."""
        self._bits: list[list[tuple[int, int]]] = [[] for _ in self._lowest]
        """By division: (profile, bit of its position) where the profile fits."""
        for profile, ranking in enumerate(rankings):
            ordered = (division for tier in ranking.tiers for division in tier)
            for position, division in enumerate(ordered):
                self._bits[division].append((profile, 1 << position))
        self._present = [0] * len(rankings)
        for division, lowest in enumerate(self._lowest):
            if lowest != NOTHING:
                self._appear(division)

    def choose(self, profile: int) -> Choice | None:
        present = self._present[profile]
        if not present:
            return None
        tier = self._tier_at[profile][(present & -present).bit_length() - 1]
        lowest = self._lowest
        gpu = lowest[tier[0]] if len(tier) == 1 else min(map(lowest.__getitem__, tier))
        return gpu, self._placing[profile][self._division[gpu]]

    def counts(self) -> dict[Division, int]:
        """How many GPUs have it, of each division that any has."""
        return {
            division: len(self._buckets[division])
            for division, lowest in enumerate(self._lowest)
            if lowest != NOTHING
        }

    def _enter(self, gpu: Gpu, division: Division) -> None:
        self._buckets[division].add(gpu)
        lowest = self._lowest[division]
        if gpu < lowest:
            self._lowest[division] = gpu
            if lowest == NOTHING:
                self._appear(division)

    def _leave(self, gpu: Gpu, division: Division) -> None:
        bucket = self._buckets[division]
        bucket.remove(gpu)
        lowest = self._lowest[division] = bucket.lowest
        if lowest == NOTHING:
            present = self._present
            for profile, bit in self._bits[division]:
                present[profile] ^= bit

    def _appear(self, division: Division) -> None:
        present = self._present
        for profile, bit in self._bits[division]:
            present[profile] |= bit
