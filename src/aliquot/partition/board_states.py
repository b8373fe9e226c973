"""Every state that a GPU of one board can be in, as tables: states, occupancies, and what leads from one to another.

Enumerated from the board's own profiles and placements (`gpu.layout.Geometry`), never written down. An H100 has 723
states, and 192 occupancies among them. Profiles are those that slices are ordinarily made of: variants that differ in
media engines alone take the same slots, and a plan that needs them names them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from aliquot.gpu.driver import InstanceProfile
from aliquot.gpu.layout import Geometry, Slice, geometry_of, mask

Occupancy = int
"""Bit n is set when memory slot n is taken."""


@dataclass(frozen=True, slots=True)
class Placing:
    """One way to place a profile."""

    profile: int
    """Index in `BoardStates.profiles`."""
    start: int
    mask: Occupancy


class BoardStates:
    """The tables of one board for a choice of its profiles. States and occupancies are numbered; number 0 is empty."""

    def __init__(self, profiles: Sequence[InstanceProfile]) -> None:
        self.profiles = tuple(profiles)
        self.geometry: Geometry = geometry_of(self.profiles)
        self.placings: tuple[Placing, ...] = tuple(
            Placing(number, placement.start, mask(placement))
            for number, profile in enumerate(self.profiles)
            for placement in sorted(profile.placements, key=lambda placement: placement.start)
        )

    @property
    def memory_slots(self) -> int:
        return self.geometry.memory_slots

    @cached_property
    def states(self) -> tuple[tuple[Placing, ...], ...]:
        """Every legal layout, the empty one first."""
        by_slice = {Slice(self.profiles[p.profile].profile_id, p.start): p for p in self.placings}
        return tuple(tuple(by_slice[slice_] for slice_ in state) for state in self.geometry.states())

    @cached_property
    def number_of(self) -> dict[frozenset[Placing], int]:
        """A layout -> its number."""
        return {frozenset(state): number for number, state in enumerate(self.states)}

    @cached_property
    def occupancies(self) -> tuple[Occupancy, ...]:
        """Those that states come to, ascending; the first is 0."""
        return tuple(sorted({self.occupancy(state) for state in self.states}))

    @cached_property
    def counts(self) -> tuple[tuple[int, ...], ...]:
        """By state: how many instances of each profile it has."""
        return tuple(
            tuple(
                sum(1 for placing in state if placing.profile == profile)
                for profile in range(len(self.profiles))
            )
            for state in self.states
        )

    @cached_property
    def maximal_counts(self) -> tuple[tuple[int, ...], ...]:
        """The multisets that no other contains: all that packing has to choose from, most slots first."""
        different = sorted(set(self.counts), reverse=True)
        return tuple(
            one
            for one in different
            if not any(
                other != one and all(a <= b for a, b in zip(one, other, strict=True)) for other in different
            )
        )

    def placing(self, profile: str, start: int) -> Placing | None:
        """The placing of a profile, by its name, at a slot; None where the board has none such."""
        return self._by_name.get((profile, start))

    @cached_property
    def _by_name(self) -> dict[tuple[str, int], Placing]:
        return {(self.profiles[placing.profile].name, placing.start): placing for placing in self.placings}

    def fitting(self, profile: int, occupancy: Occupancy) -> tuple[Placing, ...]:
        """Where one more instance fits beside what is taken, by start."""
        return self._fitting[profile].get(occupancy, ())

    @cached_property
    def _fitting(self) -> tuple[dict[Occupancy, tuple[Placing, ...]], ...]:
        tables: tuple[dict[Occupancy, tuple[Placing, ...]], ...] = tuple({} for _ in self.profiles)
        for number, table in enumerate(tables):
            ways = [placing for placing in self.placings if placing.profile == number]
            for occupancy in self.occupancies:
                table[occupancy] = tuple(placing for placing in ways if not placing.mask & occupancy)
        return tables

    @staticmethod
    def occupancy(placings: Sequence[Placing]) -> Occupancy:
        taken = 0
        for placing in placings:
            taken |= placing.mask
        return taken


def ordinary(profiles: Sequence[InstanceProfile]) -> tuple[InstanceProfile, ...]:
    """Those without attributes: each of the others takes the slots of one of them."""
    return tuple(profile for profile in profiles if not profile.attributes)


@lru_cache(maxsize=64)
def states_of(profiles: tuple[InstanceProfile, ...]) -> BoardStates:
    """The tables of a board for these of its profiles, made once."""
    return BoardStates(profiles)
