"""What every way of online placement has in common: requests come one by one, and what is placed cannot move."""

from collections.abc import Iterable, Mapping
from typing import Protocol, TypeAlias

from aliquot.partition.board_states import Occupancy, Placing
from aliquot.partition.divisions import Division

Gpu: TypeAlias = int
"""Index of a GPU in its class; where a way of placement looks at nodes, neighbours in number share one."""

Choice: TypeAlias = tuple[Gpu, Placing]


class Placer(Protocol):
    """Places instances on the GPUs of one class: one board, and one set of labels.

    `profile` is an index in `BoardStates.profiles`, as in `Placing`.
    """

    def observe(self, profile: int) -> None:
        """A request has come: once for each, before it is first placed. Those that adapt to the mix count it."""

    def choose(self, profile: int) -> Choice | None:
        """Where the next instance goes; None: nowhere. Changes nothing."""

    def commit(self, gpu: Gpu, placing: Placing) -> None:
        """Raises ValueError where it does not fit beside what is there."""

    def release(self, gpu: Gpu, placing: Placing) -> None:
        """Raises ValueError where no instance is just there."""

    def add(self, gpu: Gpu, held: Iterable[Placing] = ()) -> None:
        """Raises ValueError for a GPU that is there already, and for instances that the board cannot hold."""

    def remove(self, gpu: Gpu) -> None:
        """A GPU is gone, with what is on it: its instances are not to be released."""

    def occupancy(self, gpu: Gpu) -> Occupancy:
        """Raises KeyError for a GPU that is not there."""

    def counts(self) -> Mapping[Division, int]:
        """How many GPUs are divided so, for each way in which any is."""

    def gpus(self) -> Iterable[Gpu]:
        """Those that are there."""


def place(placer: Placer, profile: int) -> Choice | None:
    """Choose and commit."""
    choice = placer.choose(profile)
    if choice is not None:
        placer.commit(*choice)
    return choice
