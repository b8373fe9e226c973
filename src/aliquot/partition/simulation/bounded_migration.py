"""Placement with a few moves: where a request finds no room, one or two instances are moved to make it.

Moves are counted against a budget, a part of the instances admitted, and are spent where they bring most: the price of
a move is slots of the request that is let in, a whole GPU's when nothing is saved, and less the more is saved. Of all
ways with the fewest moves the one is taken that loses least worth of the fleet. A move is a restart for who is moved.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from aliquot.partition.board_states import BoardStates, Occupancy, Placing
from aliquot.partition.index_set import NOTHING, IndexSet
from aliquot.partition.placer import Placer
from aliquot.partition.simulation.engine import Churn, Usage
from aliquot.partition.simulation.placements import usage_of


@dataclass(frozen=True, slots=True)
class MoveBudget:
    per_admission: float = 0.01
    """Moves that each admitted instance allows."""
    most_saved: float = 10.0
    """Moves. What a quiet time does not use is not kept for long."""
    least_slots_per_move: float = 2.0
    """The price when savings are full."""
    most_moves: int = 2
    """For one request."""


@dataclass(slots=True, eq=False)
class Located:
    """An instance, wherever it is now."""

    gpu: int
    placing: Placing


@dataclass(frozen=True, slots=True)
class _Opening:
    """In a GPU of some state: who leaves, and where the request then fits."""

    leaving: tuple[Placing, ...]
    placing: Placing


@dataclass(frozen=True, slots=True)
class _Relocation:
    gpu: int
    opening: _Opening
    targets: tuple[tuple[int, Placing], ...]
    """Where each that leaves goes. It may be the same GPU."""
    loss: float
    """Of worth."""


class BoundedMigration:
    """`worth`: of the GPU's room for what may come, by occupancy."""

    def __init__(
        self,
        board: BoardStates,
        placer: Placer,
        worth: Callable[[Occupancy], float],
        budget: MoveBudget,
    ) -> None:
        self._board = board
        self._placer = placer
        self._worth = {occupancy: worth(occupancy) for occupancy in board.occupancies}
        self._budget = budget
        self._credit = 0.0
        self._bit = {placing: 1 << number for number, placing in enumerate(board.placings)}
        self._state: dict[int, int] = {}
        """GPU -> bits of its placings."""
        self._alike: dict[int, IndexSet] = {}
        """State -> GPUs in it; without empty ones."""
        self._on: dict[int, dict[Placing, Located]] = {}
        self._openings: dict[tuple[int, int, int], tuple[_Opening, ...]] = {}
        self._compute_slices = tuple(profile.compute_slices for profile in board.profiles)
        self._running_slices = 0
        self._placed = self._released = self._moves = 0
        self.observe = placer.observe
        self.restore(list(placer.gpus()))

    def place(self, profile: int) -> Located | None:
        choice = self._placer.choose(profile) or self._make_room(profile)
        if choice is None:
            return None
        gpu, placing = choice
        instance = Located(gpu, placing)
        self._put(instance)
        self._placed += 1
        self._running_slices += self._compute_slices[profile]
        self._credit = min(self._budget.most_saved, self._credit + self._budget.per_admission)
        return instance

    def release(self, instance: Located) -> None:
        self._take(instance)
        self._released += 1
        self._running_slices -= self._compute_slices[instance.placing.profile]

    def gpu_of(self, instance: Located) -> int:
        return instance.gpu

    def withdraw(self, gpus: range) -> None:
        for gpu in gpus:
            self._placer.remove(gpu)
            self._leave(gpu)
            del self._on[gpu], self._state[gpu]

    def restore(self, gpus: Sequence[int]) -> None:
        present = set(self._placer.gpus())
        for gpu in gpus:
            if gpu not in present:
                self._placer.add(gpu)
            self._on[gpu] = {}
            self._enter(gpu, 0)

    def usage(self) -> Usage:
        return usage_of(self._board, self._placer, self._running_slices)

    def churn(self) -> Churn:
        return Churn(self._placed + self._moves, self._released + self._moves, self._moves)

    # --- moves ---

    def _make_room(self, profile: int) -> tuple[int, Placing] | None:
        slots = self._board.profiles[profile].memory_slots
        price = self._price()
        for moves in range(1, self._budget.most_moves + 1):
            if moves > self._credit or slots < moves * price:
                return None
            best = min(self._relocations(profile, moves), key=lambda found: found.loss, default=None)
            if best is not None:
                self._move(best)
                self._credit -= moves
                self._moves += moves
                return best.gpu, best.opening.placing
        return None

    def _price(self) -> float:
        saved = self._credit / self._budget.most_saved
        return max(self._budget.least_slots_per_move, self._board.memory_slots * (1 - saved))

    def _relocations(self, profile: int, moves: int) -> Iterator[_Relocation]:
        for state, gpus in list(self._alike.items()):
            for opening in self._openings_in(state, profile, moves):
                found = self._try(gpus.lowest, opening)
                if found is not None:
                    yield found

    def _openings_in(self, state: int, profile: int, moves: int) -> tuple[_Opening, ...]:
        key = state, profile, moves
        known = self._openings.get(key)
        if known is None:
            known = self._openings[key] = tuple(self._find_openings(*key))
        return known

    def _find_openings(self, state: int, profile: int, moves: int) -> Iterator[_Opening]:
        there = [placing for placing, bit in self._bit.items() if bit & state]
        taken = BoardStates.occupancy(there)
        for leaving in combinations(there, moves):
            largest_first = tuple(sorted(leaving, key=lambda placing: -placing.mask.bit_count()))
            for placing in self._board.fitting(profile, taken ^ BoardStates.occupancy(leaving)):
                # Nobody leaves whose place is not needed.
                if all(placing.mask & one.mask for one in leaving):
                    yield _Opening(largest_first, placing)

    def _try(self, gpu: int, opening: _Opening) -> _Relocation | None:
        """Plays it on the placer and takes it back."""
        placer, worth = self._placer, self._worth
        before = {gpu: placer.occupancy(gpu)}
        for placing in opening.leaving:
            placer.release(gpu, placing)
        placer.commit(gpu, opening.placing)
        targets: list[tuple[int, Placing]] = []
        for placing in opening.leaving:
            choice = placer.choose(placing.profile)
            if choice is None:
                break
            before.setdefault(choice[0], placer.occupancy(choice[0]))
            placer.commit(*choice)
            targets.append(choice)
        loss = sum(worth[taken] - worth[placer.occupancy(one)] for one, taken in before.items())
        for target in reversed(targets):
            placer.release(*target)
        placer.release(gpu, opening.placing)
        for placing in opening.leaving:
            placer.commit(gpu, placing)
        if len(targets) < len(opening.leaving):
            return None
        return _Relocation(gpu, opening, tuple(targets), loss)

    def _move(self, relocation: _Relocation) -> None:
        moved = [self._on[relocation.gpu][placing] for placing in relocation.opening.leaving]
        for instance in moved:
            self._take(instance)
        for instance, (gpu, placing) in zip(moved, relocation.targets, strict=True):
            instance.gpu, instance.placing = gpu, placing
            self._put(instance)

    # --- who is where ---

    def _put(self, instance: Located) -> None:
        self._placer.commit(instance.gpu, instance.placing)
        self._on[instance.gpu][instance.placing] = instance
        self._change(instance)

    def _take(self, instance: Located) -> None:
        self._placer.release(instance.gpu, instance.placing)
        del self._on[instance.gpu][instance.placing]
        self._change(instance)

    def _change(self, instance: Located) -> None:
        gpu = instance.gpu
        self._leave(gpu)
        self._enter(gpu, self._state[gpu] ^ self._bit[instance.placing])

    def _enter(self, gpu: int, state: int) -> None:
        self._state[gpu] = state
        alike = self._alike.get(state)
        if alike is None:
            alike = self._alike[state] = IndexSet()
        alike.add(gpu)

    def _leave(self, gpu: int) -> None:
        state = self._state[gpu]
        alike = self._alike[state]
        alike.remove(gpu)
        if alike.lowest == NOTHING:
            del self._alike[state]
