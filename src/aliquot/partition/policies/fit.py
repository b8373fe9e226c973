"""Policies that look at how much is taken, or at nothing at all."""

from aliquot.partition.divisions import Divisions
from aliquot.partition.policies.policy import Policy, Score, small_ones_high


def _nothing(_divisions: Divisions) -> Score:
    return lambda division, placing: 0.0


def _fullest(divisions: Divisions) -> Score:
    return lambda division, placing: float(divisions.occupancies[division].bit_count())


def _emptiest(divisions: Divisions) -> Score:
    return lambda division, placing: -float(divisions.occupancies[division].bit_count())


FIRST_FIT = Policy("first-fit", _nothing)
"""The lowest GPU where it fits, at its lowest start: what a cluster does that publishes every placement through dynamic
resource allocation, whose scheduler takes the first device that matches."""

HAMI = Policy("hami", _nothing, small_ones_high)
"""HAMi v2.10 on nodes in order: the first GPU, its starts in HAMi's order."""

BEST_FIT = Policy("best-fit", _fullest, small_ones_high)
"""The fullest GPU where it fits."""

WORST_FIT = Policy("worst-fit", _emptiest, small_ones_high)
"""The emptiest GPU."""
