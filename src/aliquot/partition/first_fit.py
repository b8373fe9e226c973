"""First fit decreasing: what a heuristic takes, to hold the exact planner against.

Slices go largest first, each on the first GPU where it fits, at the lowest start. Slices of one profile are alike, so
the first GPU takes as many as fit before the second gets any: GPUs in one state are dealt with together, and the answer
is that of the rule applied slice by slice.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from aliquot.partition.board_states import BoardStates, Occupancy


@dataclass(slots=True)
class _Alike:
    """Neighbouring GPUs in one state."""

    gpus: int
    occupancy: Occupancy


def gpus_taken(states: BoardStates, counts: Mapping[int, int]) -> int:
    """How many GPUs the rule takes for `counts` slices of each profile (index in `states.profiles`)."""
    opened: list[_Alike] = []
    for profile in sorted(counts, key=lambda p: _size(states, p), reverse=True):
        left = counts[profile]
        row: list[_Alike] = []
        for alike in opened:
            left = _place(states, profile, alike, left, row)
        filled = _filled(states, profile, 0)
        if left:
            fresh = _Alike(-(-left // filled[1]), 0)
            _place(states, profile, fresh, left, row)
        opened = row
    return sum(alike.gpus for alike in opened)


def most_of_one(states: BoardStates, profile: int, occupancy: Occupancy) -> int:
    """How many slices of one profile fit beside what is taken, lowest starts first."""
    return _filled(states, profile, occupancy)[1]


def _place(states: BoardStates, profile: int, alike: _Alike, left: int, row: list[_Alike]) -> int:
    """Puts what becomes of `alike` on `row`; says how many slices are left over."""
    occupancy, each = _filled(states, profile, alike.occupancy)
    full = min(alike.gpus, left // each) if each else 0
    if full:
        row.append(_Alike(full, occupancy))
        left -= full * each
    rest = alike.gpus - full
    if rest and each and left:
        partly, _ = _filled(states, profile, alike.occupancy, at_most=left)
        row.append(_Alike(1, partly))
        rest, left = rest - 1, 0
    if rest:
        row.append(_Alike(rest, alike.occupancy))
    return left


def _filled(
    states: BoardStates, profile: int, occupancy: Occupancy, at_most: int = 1 << 30
) -> tuple[Occupancy, int]:
    """The occupancy once as many as fit are there, at most so many; and how many these are."""
    count = 0
    while count < at_most and (free := states.fitting(profile, occupancy)):
        occupancy |= free[0].mask
        count += 1
    return occupancy, count


def _size(states: BoardStates, profile: int) -> tuple[int, int]:
    return states.profiles[profile].memory_slots, states.profiles[profile].compute_slices
