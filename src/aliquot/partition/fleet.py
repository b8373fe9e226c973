"""The GPUs of one class by what is taken on them: a decision costs by the number of occupancies, not of GPUs."""

from collections.abc import Iterable, Mapping

from aliquot.partition.board_states import BoardStates, Occupancy
from aliquot.partition.index_set import NOTHING, IndexSet
from aliquot.partition.occupancies import Occupancies
from aliquot.partition.placer import Choice, Gpu
from aliquot.partition.policies.policy import Policy, Ranking, rank


class Fleet(Occupancies):
    """A `Placer` by a policy. Of GPUs that the policy finds equal it takes the lowest.

    For each profile the occupancies stand in the policy's order, one bit each, set where a GPU has it: the lowest
    set bit is the decision.
    """

    def __init__(
        self, states: BoardStates, policy: Policy, gpus: Iterable[Gpu] | Mapping[Gpu, Occupancy] = ()
    ) -> None:
        super().__init__(states)
        self._buckets = {occupancy: IndexSet() for occupancy in states.occupancies}
        self._lowest = dict.fromkeys(states.occupancies, NOTHING)
        self.follow(policy)
        self.add_all(gpus)

    def follow(self, policy: Policy) -> None:
        """Decide by another policy from now on."""
        self.follow_ranking(policy, rank(policy, self.states))

    def follow_ranking(self, policy: Policy, rankings: tuple[Ranking, ...]) -> None:
        """`rankings`: what `rank` gives for it, where that is kept."""
        self.policy = policy
        self._placing = [ranking.placing for ranking in rankings]
        self._tier_at = [[tier for tier in ranking.tiers for _ in tier] for ranking in rankings]
        """By profile and position in its order: the occupancies that share the tier."""
        self._bits: dict[Occupancy, list[tuple[int, int]]] = {o: [] for o in self.states.occupancies}
        """By occupancy: (profile, bit of its position) where the profile fits."""
        for profile, ranking in enumerate(rankings):
            ordered = (occupancy for tier in ranking.tiers for occupancy in tier)
            for position, occupancy in enumerate(ordered):
                self._bits[occupancy].append((profile, 1 << position))
        self._present = [0] * len(rankings)
        for occupancy, lowest in self._lowest.items():
            if lowest != NOTHING:
                self._appear(occupancy)

    def choose(self, profile: int) -> Choice | None:
        present = self._present[profile]
        if not present:
            return None
        tier = self._tier_at[profile][(present & -present).bit_length() - 1]
        lowest = self._lowest
        gpu = lowest[tier[0]] if len(tier) == 1 else min(map(lowest.__getitem__, tier))
        return gpu, self._placing[profile][self._occupancy[gpu]]

    def counts(self) -> dict[Occupancy, int]:
        """How many GPUs have it, of each occupancy that any has: what re-planning starts from."""
        return {
            occupancy: len(bucket) for occupancy, bucket in self._buckets.items() if bucket.lowest != NOTHING
        }

    def _enter(self, gpu: Gpu, occupancy: Occupancy) -> None:
        self._buckets[occupancy].add(gpu)
        lowest = self._lowest[occupancy]
        if gpu < lowest:
            self._lowest[occupancy] = gpu
            if lowest == NOTHING:
                self._appear(occupancy)

    def _leave(self, gpu: Gpu, occupancy: Occupancy) -> None:
        bucket = self._buckets[occupancy]
        bucket.remove(gpu)
        lowest = self._lowest[occupancy] = bucket.lowest
        if lowest == NOTHING:
            present = self._present
            for profile, bit in self._bits[occupancy]:
                present[profile] ^= bit

    def _appear(self, occupancy: Occupancy) -> None:
        present = self._present
        for profile, bit in self._bits[occupancy]:
            present[profile] |= bit
