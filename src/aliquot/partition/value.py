"""What a GPU is worth to those who come later, as placement by `max-slot-capability` counts it: for single GPUs.

`Fleet` keeps GPUs by how they are divided and places by the same scores; this is for those who know one GPU at a time,
with slices on it that could also go.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from aliquot.gpu.driver import InstanceProfile
from aliquot.gpu.layout import Geometry, Slice, geometry_of
from aliquot.partition.board_states import BoardStates, Placing, ordinary
from aliquot.partition.divisions import Divisions, divisions_of
from aliquot.partition.policies.capability import MOST_SLOT_CAPABILITY
from aliquot.partition.policies.policy import Score


@dataclass(frozen=True, slots=True)
class _Tables:
    divisions: Divisions
    score: Score


_TABLES: WeakKeyDictionary[Geometry, _Tables] = WeakKeyDictionary()


def loss(profiles: Sequence[InstanceProfile], held: Sequence[Slice], new: Slice) -> float:
    """By how much the GPU is worth less, in memory slots, once `new` is beside `held`; less is better."""
    geometry = geometry_of(profiles)
    tables = _TABLES.get(geometry)
    if tables is None:
        divisions = divisions_of(BoardStates(_of_different_slots(tuple(geometry.profiles.values()))))
        tables = _TABLES[geometry] = _Tables(divisions, MOST_SLOT_CAPABILITY.scores(divisions))
    division = 0
    for slice_ in held:
        # Of two in the same slots the second waits for the first to go.
        division = tables.divisions.after[division].get(geometry.occupancy((slice_,)), division)
    # Profiles that differ in media engines alone take the same slots.
    placing = Placing(0, new.start, geometry.occupancy((new,)))
    return -tables.score(division, placing) if placing.mask in tables.divisions.after[division] else 0.0


def _of_different_slots(profiles: Sequence[InstanceProfile]) -> tuple[InstanceProfile, ...]:
    """The ordinary ones, and of the others those whose slots none of these takes."""
    found = list(ordinary(profiles))
    for profile in profiles:
        taken = {placement for one in found for placement in one.placements}
        if not taken.issuperset(profile.placements):
            found.append(profile)
    return tuple(found)
