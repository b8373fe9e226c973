"""Policies that look at how much is taken, or at nothing at all."""

from aliquot.partition.board_states import BoardStates
from aliquot.partition.policies.policy import Policy, Score, small_ones_high


def _nothing(_states: BoardStates) -> Score:
    return lambda occupancy, placing: 0.0


def _fullest(_states: BoardStates) -> Score:
    return lambda occupancy, placing: float(occupancy.bit_count())


def _emptiest(_states: BoardStates) -> Score:
    return lambda occupancy, placing: -float(occupancy.bit_count())


FIRST_FIT = Policy("first-fit", _nothing)
"""The lowest GPU where it fits, at its lowest start: what a cluster does that publishes every placement through dynamic
resource allocation, whose scheduler takes the first device that matches."""

HAMI = Policy("hami", _nothing, small_ones_high)
"""HAMi v2.10 on nodes in order: the first GPU, its starts in HAMi's order."""

BEST_FIT = Policy("best-fit", _fullest, small_ones_high)
"""The fullest GPU where it fits."""

WORST_FIT = Policy("worst-fit", _emptiest, small_ones_high)
"""The emptiest GPU."""
