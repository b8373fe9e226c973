"""What is taken on each GPU of a class, kept right: the part that all ways of placement share."""

from collections.abc import Iterable, Mapping

from aliquot.partition.board_states import BoardStates, Occupancy, Placing
from aliquot.partition.placer import Gpu


class Occupancies:
    """A `Placer` without a choice. Who chooses keeps its own tables by `_enter` and `_leave`.

    A GPU whose occupancy changes enters with the new one before it leaves with the old one.
    """

    def __init__(self, states: BoardStates) -> None:
        self.states = states
        self._occupancy: dict[Gpu, Occupancy] = {}
        self._possible = frozenset(states.occupancies)

    def _enter(self, gpu: Gpu, occupancy: Occupancy) -> None:
        raise NotImplementedError

    def _leave(self, gpu: Gpu, occupancy: Occupancy) -> None:
        raise NotImplementedError

    def observe(self, profile: int) -> None:
        """Most ways of placement do not adapt."""

    def commit(self, gpu: Gpu, placing: Placing) -> None:
        before = self._occupancy[gpu]
        if before & placing.mask:
            raise ValueError(f"GPU {gpu}: slots {placing.mask & before:#b} are taken")
        self._move(gpu, before, before | placing.mask)

    def release(self, gpu: Gpu, placing: Placing) -> None:
        before = self._occupancy[gpu]
        if placing.mask & ~before:
            raise ValueError(f"GPU {gpu}: slots {placing.mask & ~before:#b} are not taken")
        self._move(gpu, before, before ^ placing.mask)

    def add(self, gpu: Gpu, occupancy: Occupancy = 0) -> None:
        if gpu in self._occupancy:
            raise ValueError(f"GPU {gpu} is there already")
        if occupancy not in self._possible:
            raise ValueError(f"GPU {gpu}: the board cannot have slots {occupancy:#b} taken")
        self._occupancy[gpu] = occupancy
        self._enter(gpu, occupancy)

    def add_all(self, gpus: Iterable[Gpu] | Mapping[Gpu, Occupancy]) -> None:
        """Those of a mapping have something taken, others are empty."""
        for gpu in gpus:
            self.add(gpu, gpus[gpu] if isinstance(gpus, Mapping) else 0)

    def remove(self, gpu: Gpu) -> Occupancy:
        occupancy = self._occupancy.pop(gpu)
        self._leave(gpu, occupancy)
        return occupancy

    def occupancy(self, gpu: Gpu) -> Occupancy:
        return self._occupancy[gpu]

    def gpus(self) -> Iterable[Gpu]:
        return self._occupancy.keys()

    def __len__(self) -> int:
        return len(self._occupancy)

    def _move(self, gpu: Gpu, before: Occupancy, after: Occupancy) -> None:
        self._enter(gpu, after)
        self._occupancy[gpu] = after
        self._leave(gpu, before)
