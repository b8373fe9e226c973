"""The reference with free moves: a request is admitted whenever all that runs, with it, packs on the fleet.

It accepts greedily, and so is no upper bound: a small request that it lets in may cost a large one later.
"""

from collections.abc import Sequence

from aliquot.partition.board_states import BoardStates
from aliquot.partition.simulation.engine import Churn, Usage
from aliquot.partition.simulation.packing_bounds import PackingBound, packing_bounds


class FreeMigration:
    """Counts of instances, no places: where anything is does not matter when all can move."""

    def __init__(self, board: BoardStates, gpus: int) -> None:
        self._bounds = packing_bounds(board.maximal_counts)
        self._weights = tuple(
            tuple((n, bound.weights[p]) for n, bound in enumerate(self._bounds) if bound.weights[p])
            for p in range(len(board.profiles))
        )
        """By profile: (number of a bound, what an instance takes of it)."""
        self._capacity = [bound.per_gpu * gpus for bound in self._bounds]
        self._room = list(self._capacity)
        self._placed = self._released = 0

    def observe(self, profile: int) -> None:
        """All profiles are alike to it."""

    def place(self, profile: int) -> list[int] | None:
        """A list, so that each instance is an object of its own."""
        weights, room = self._weights[profile], self._room
        for number, weight in weights:
            if room[number] < weight:
                return None
        for number, weight in weights:
            room[number] -= weight
        self._placed += 1
        return [profile]

    def release(self, instance: list[int]) -> None:
        for number, weight in self._weights[instance[0]]:
            self._room[number] += weight
        self._released += 1

    def usage(self) -> Usage:
        """The fewest GPUs that would do. Nothing is out of reach, so nothing counts as wasted."""
        return Usage(gpus_needed(self._bounds, self._taken()), 0, 0)

    def churn(self) -> Churn:
        """Moves are free here, and not counted."""
        return Churn(self._placed, self._released, 0)

    def _taken(self) -> list[int]:
        return [capacity - room for capacity, room in zip(self._capacity, self._room, strict=True)]


def gpus_needed(bounds: Sequence[PackingBound], taken: Sequence[int]) -> int:
    """`taken`: of each bound."""
    return max(-(-amount // bound.per_gpu) for bound, amount in zip(bounds, taken, strict=True))
