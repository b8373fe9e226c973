"""What a GPU is worth to those who come later: how much of what its board can hold still fits beside what is held."""

from collections.abc import Sequence
from weakref import WeakKeyDictionary

from aliquot.gpu.driver import InstanceProfile
from aliquot.gpu.layout import Geometry, Slice, geometry_of, mask
from aliquot.partition.board_states import ordinary

_WORTH: WeakKeyDictionary[Geometry, dict[int, float]] = WeakKeyDictionary()


def loss(profiles: Sequence[InstanceProfile], held: Sequence[Slice], new: Slice) -> float:
    """By how much the GPU is worth less once `new` is beside `held`; less is better.

    Best fit and few fragments in one number: a full GPU loses less by one more slice than an empty one, and a start that
    leaves large placements open loses less than one that closes them.
    """
    geometry = geometry_of(profiles)
    before = geometry.occupancy(held)
    return worth(geometry, before) - worth(geometry, before | geometry.occupancy((new,)))


def worth(geometry: Geometry, occupancy: int) -> float:
    """The slots of all placements that still fit, of the profiles without attributes."""
    known = _WORTH.setdefault(geometry, {})
    if occupancy not in known:
        known[occupancy] = float(
            sum(
                placement.size
                for profile in ordinary(tuple(geometry.profiles.values()))
                for placement in profile.placements
                if not mask(placement) & occupancy
            )
        )
    return known[occupancy]
