"""Every GPU cut alike, once and for all: what a cluster has whose nodes follow one configuration."""

from collections.abc import Iterable, Mapping

from aliquot.gpu.mig_config.generate import BALANCED, Kind, generate
from aliquot.partition.board_states import BoardStates, Placing
from aliquot.partition.divisions import Division
from aliquot.partition.index_set import IndexSet
from aliquot.partition.occupancies import Occupancies
from aliquot.partition.placer import Choice, Gpu


class StaticGeometry(Occupancies):
    """A `Placer`. Takes the lowest GPU that has a free instance of the profile."""

    def __init__(self, states: BoardStates, layout: Iterable[Placing], gpus: Iterable[Gpu] = ()) -> None:
        """`layout`: the instances that every GPU has."""
        super().__init__(states)
        self._free: dict[Placing, IndexSet] = {placing: IndexSet() for placing in layout}
        self.add_all(gpus)

    def choose(self, profile: int) -> Choice | None:
        ways = [
            (gpus.lowest, placing.start, placing)
            for placing, gpus in self._free.items()
            if placing.profile == profile and len(gpus)
        ]
        if not ways:
            return None
        gpu, _, placing = min(ways, key=lambda way: way[:2])
        return gpu, placing

    def _enter(self, gpu: Gpu, division: Division) -> None:
        occupancy = self.divisions.occupancies[division]
        for placing, gpus in self._free.items():
            if not placing.mask & occupancy:
                gpus.add(gpu)

    def _leave(self, gpu: Gpu, division: Division) -> None:
        now = self.occupancy(gpu) if gpu in self._division else None
        for placing, gpus in self._free.items():
            if gpu in gpus and (now is None or placing.mask & now):
                gpus.remove(gpu)


class NoSuchLayout(ValueError):
    """One line: what the board cannot be cut into."""


def layout_of(states: BoardStates, counts: Mapping[str, int]) -> tuple[Placing, ...]:
    """One with these counts by profile name. Raises NoSuchLayout."""
    wanted = tuple(counts.get(profile.name, 0) for profile in states.profiles)
    if sum(wanted) != sum(counts.values()) or wanted not in states.counts:
        listed = " ".join(f"{name}:{count}" for name, count in counts.items())
        raise NoSuchLayout(f"the board cannot be cut into {listed}")
    return states.states[states.counts.index(wanted)]


def balanced(states: BoardStates) -> tuple[Placing, ...]:
    """all-balanced of mig-parted's usual configurations. Raises NoSuchLayout where the board has none."""
    entries = generate([Kind((), states.profiles)]).configs.get(BALANCED)
    if entries is None:
        raise NoSuchLayout(f"the board has no {BALANCED}")
    return layout_of(states, entries[0].counts)
