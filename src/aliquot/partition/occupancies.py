"""What is taken on each GPU of a class, kept right: the part that all ways of placement share."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping

from aliquot.partition.board_states import BoardStates, Occupancy, Placing
from aliquot.partition.divisions import Division, divisions_of
from aliquot.partition.placer import Gpu


class Occupancies(ABC):
    """A `Placer` without a choice. Who chooses keeps its own tables by `_enter` and `_leave`.

    A GPU whose division changes enters with the new one before it leaves with the old one.
    """

    def __init__(self, states: BoardStates) -> None:
        self.states = states
        self.divisions = divisions_of(states)
        self._division: dict[Gpu, Division] = {}
        self._count = [0] * len(self.divisions)
        """By division: how many GPUs have it."""
        self._after = self.divisions.after
        self._without = self.divisions.without

    @abstractmethod
    def _enter(self, gpu: Gpu, division: Division) -> None: ...

    @abstractmethod
    def _leave(self, gpu: Gpu, division: Division) -> None: ...

    def observe(self, profile: int) -> None:  # noqa: B027 - nothing to do is the rule
        """Most ways of placement do not adapt."""

    def commit(self, gpu: Gpu, placing: Placing) -> None:
        before = self._division[gpu]
        after = self._after[before].get(placing.mask)
        if after is None:
            raise ValueError(
                f"GPU {gpu}: slots {placing.mask:#b} are not free beside {self.occupancy(gpu):#b}"
            )
        self._division[gpu] = after
        self._count[after] += 1
        self._count[before] -= 1
        self._enter(gpu, after)
        self._leave(gpu, before)

    def release(self, gpu: Gpu, placing: Placing) -> None:
        before = self._division[gpu]
        after = self._without[before].get(placing.mask)
        if after is None:
            raise ValueError(f"GPU {gpu}: slots {placing.mask:#b} are not those of one instance")
        self._division[gpu] = after
        self._count[after] += 1
        self._count[before] -= 1
        self._enter(gpu, after)
        self._leave(gpu, before)

    def add(self, gpu: Gpu, held: Iterable[Placing] = ()) -> None:
        if gpu in self._division:
            raise ValueError(f"GPU {gpu} is there already")
        division = 0
        for placing in held:
            after = self._after[division].get(placing.mask)
            if after is None:
                raise ValueError(f"GPU {gpu}: it cannot hold slots {placing.mask:#b} beside the others")
            division = after
        self._division[gpu] = division
        self._count[division] += 1
        self._enter(gpu, division)

    def add_all(self, gpus: Iterable[Gpu] | Mapping[Gpu, Iterable[Placing]]) -> None:
        """Those of a mapping hold something, others are empty."""
        for gpu in gpus:
            self.add(gpu, gpus[gpu] if isinstance(gpus, Mapping) else ())

    def remove(self, gpu: Gpu) -> None:
        division = self._division.pop(gpu)
        self._count[division] -= 1
        self._leave(gpu, division)

    def occupancy(self, gpu: Gpu) -> Occupancy:
        return self.divisions.occupancies[self._division[gpu]]

    def division(self, gpu: Gpu) -> Division:
        """Raises KeyError for a GPU that is not there."""
        return self._division[gpu]

    def counts(self) -> dict[Division, int]:
        return {division: count for division, count in enumerate(self._count) if count}

    def gpus(self) -> Iterable[Gpu]:
        return self._division.keys()

    def __len__(self) -> int:
        return len(self._division)
