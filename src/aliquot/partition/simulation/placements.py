"""A `Placer` as the simulation drives it: with counts of what was done, and of what is out of reach."""

from functools import lru_cache

from aliquot.partition.board_states import BoardStates, Occupancy
from aliquot.partition.divisions import divisions_of
from aliquot.partition.placer import Choice, Placer
from aliquot.partition.simulation.engine import Churn, Usage


class Placements:
    """An instance is the placer's choice: GPU and placing. `cuts`: it is made for the request, and destroyed after."""

    def __init__(self, board: BoardStates, placer: Placer, *, cuts: bool = True) -> None:
        self._board = board
        self._placer = placer
        self._compute_slices = tuple(profile.compute_slices for profile in board.profiles)
        self._running_slices = 0
        self._cuts = cuts
        self._placed = self._released = 0
        self.observe = placer.observe

    def place(self, profile: int) -> Choice | None:
        choice = self._placer.choose(profile)
        if choice is not None:
            self._placer.commit(*choice)
            self._placed += 1
            self._running_slices += self._compute_slices[profile]
        return choice

    def release(self, instance: Choice) -> None:
        gpu, placing = instance
        self._placer.release(gpu, placing)
        self._released += 1
        self._running_slices -= self._compute_slices[placing.profile]

    def gpu_of(self, instance: Choice) -> int:
        return instance[0]

    def withdraw(self, gpus: range) -> None:
        for gpu in gpus:
            self._placer.remove(gpu)

    def restore(self, gpus: range) -> None:
        for gpu in gpus:
            self._placer.add(gpu)

    def usage(self) -> Usage:
        return usage_of(self._board, self._placer, self._running_slices)

    def churn(self) -> Churn:
        return Churn(self._placed, self._released, 0) if self._cuts else Churn(0, 0, 0)


def usage_of(board: BoardStates, placer: Placer, running_slices: int) -> Usage:
    """`running_slices`: compute slices of all instances."""
    reach = _reach(board)
    per_gpu = max(profile.compute_slices for profile in board.profiles)
    in_use = compute = memory = 0
    occupancies = divisions_of(board).occupancies
    for division, gpus in placer.counts().items():
        if occupancy := occupancies[division]:
            more_compute, more_memory = reach[occupancy]
            in_use += gpus
            compute += gpus * (per_gpu - more_compute)
            memory += gpus * (board.memory_slots - occupancy.bit_count() - more_memory)
    return Usage(in_use, compute - running_slices, memory)


@lru_cache(maxsize=8)
def _reach(board: BoardStates) -> dict[Occupancy, tuple[int, int]]:
    """Beside what is taken: the most compute slices and the most memory slots that more instances could take."""
    layouts = {
        (board.occupancy(state), sum(board.profiles[placing.profile].compute_slices for placing in state))
        for state in board.states
    }
    return {
        occupancy: (
            max(compute for taken, compute in layouts if not taken & occupancy),
            max(taken.bit_count() for taken, _ in layouts if not taken & occupancy),
        )
        for occupancy in board.occupancies
    }
