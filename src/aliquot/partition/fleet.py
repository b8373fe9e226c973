"""The GPUs of one class by how they are divided: a decision costs by the number of divisions, not of GPUs."""

from collections.abc import Iterable, Mapping
from heapq import heappop, heappush

from aliquot.partition.board_states import BoardStates, Placing
from aliquot.partition.divisions import Division
from aliquot.partition.occupancies import Occupancies
from aliquot.partition.placer import Choice, Gpu
from aliquot.partition.policies.policy import Policy, Ranking, rank

NOTHING = 1 << 62
"""The lowest GPU where there is none: above every index."""

_SWEPT_FROM = 64
"""More than half of a heap, and so many, have left: then it is swept. Full GPUs, the most of a busy fleet, have no heap;
and who leaves by a placing was the lowest. So sweeps are rare, and of few GPUs."""


class Fleet(Occupancies):
    """A `Placer` by a policy. Of GPUs that the policy finds equal it takes the lowest.

    For each profile the divisions stand in the policy's order, one bit each, set where a GPU has it: the highest of them
    is the decision. The bits of all profiles are one number, so that a division comes or goes in one operation.
    """

    def __init__(
        self, states: BoardStates, policy: Policy, gpus: Iterable[Gpu] | Mapping[Gpu, Iterable[Placing]] = ()
    ) -> None:
        """`gpus`: those of a mapping hold something, others are empty."""
        super().__init__(states)
        self._heaps: list[list[Gpu]] = [[] for _ in range(len(self.divisions))]
        """By division, unless nothing fits there: its GPUs, and some that have left; the lowest is no such one."""
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
        self._tier_at: list[tuple[Division, ...]] = [()]
        """By the length of a number whose highest bit it is: the divisions that share the tier."""
        self._bits = [0] * len(self.divisions)
        """By division: its bit for each profile that fits."""
        self._of_profile: list[int] = []
        """The bits of each profile."""
        for ranking in rankings:
            first = len(self._tier_at) - 1
            for tier in reversed(ranking.tiers):
                for division in tier:
                    self._bits[division] |= 1 << (len(self._tier_at) - 1)
                    self._tier_at.append(tier)
            self._of_profile.append((1 << (len(self._tier_at) - 1)) - (1 << first))
        self._present = 0
        for division, lowest in enumerate(self._lowest):
            if lowest != NOTHING:
                self._present |= self._bits[division]

    def choose(self, profile: int) -> Choice | None:
        present = self._present & self._of_profile[profile]
        if not present:
            return None
        tier = self._tier_at[present.bit_length()]
        lowest = self._lowest
        gpu = lowest[tier[0]] if len(tier) == 1 else min(map(lowest.__getitem__, tier))
        return gpu, self._placing[profile][self._division[gpu]]

    def _enter(self, gpu: Gpu, division: Division) -> None:
        bits = self._bits[division]
        if not bits:
            return
        heap = self._heaps[division]
        heappush(heap, gpu)
        lowest = self._lowest[division]
        if gpu < lowest:
            self._lowest[division] = gpu
            if lowest == NOTHING:
                self._present |= bits

    def _leave(self, gpu: Gpu, division: Division) -> None:
        if not self._bits[division]:
            return
        heap, division_of = self._heaps[division], self._division
        if gpu == self._lowest[division]:
            heappop(heap)
            while heap and division_of.get(heap[0]) != division:
                heappop(heap)
            if heap:
                self._lowest[division] = heap[0]
            else:
                self._lowest[division] = NOTHING
                self._present ^= self._bits[division]
        elif len(heap) > 2 * self._count[division] + _SWEPT_FROM:
            heap[:] = sorted({one for one in heap if division_of.get(one) == division})
