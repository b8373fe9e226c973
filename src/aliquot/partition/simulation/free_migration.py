"""The reference with free moves: a request is admitted whenever all that runs, with it, packs on the fleet.

It accepts greedily, and so is no upper bound: a small request that it lets in may cost a large one later.
"""

from aliquot.partition.board_states import BoardStates
from aliquot.partition.simulation.engine import Churn, Usage
from aliquot.partition.simulation.packing_bounds import packing_bounds


class FreeMigration:
    """Counts of instances, no places: where anything is does not matter when all can move."""

    def __init__(self, board: BoardStates, gpus: int) -> None:
        self._bounds = packing_bounds(board.maximal_counts)
        self._weights = tuple(
            tuple((n, bound.weights[p]) for n, bound in enumerate(self._bounds) if bound.weights[p])
            for p in range(len(board.profiles))
        )
        """By profile: (number of a bound, what an instance takes of it)."""
        self._room = [bound.per_gpu * gpus for bound in self._bounds]
        self._counts = [0] * len(board.profiles)
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
        self._counts[profile] += 1
        self._placed += 1
        return [profile]

    def release(self, instance: list[int]) -> None:
        [profile] = instance
        for number, weight in self._weights[profile]:
            self._room[number] += weight
        self._counts[profile] -= 1
        self._released += 1

    def usage(self) -> Usage:
        """The fewest GPUs that would do. Nothing is out of reach, so nothing counts as wasted."""
        return Usage(max(bound.gpus(self._counts) for bound in self._bounds), 0, 0)

    def churn(self) -> Churn:
        """Moves are free here, and not counted."""
        return Churn(self._placed, self._released, 0)
