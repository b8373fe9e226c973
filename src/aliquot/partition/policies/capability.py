"""The policy that keeps most ways to place one more instance."""

from collections.abc import Callable

from aliquot.partition.board_states import BoardStates, Occupancy
from aliquot.partition.policies.policy import by_value, small_ones_high


def capability(states: BoardStates) -> Callable[[Occupancy], float]:
    """The configuration capability of Multi-Instance GPU placement (MCC; GRMU, arXiv 2502.01909, compares with it): how
    many (profile, start) still fit."""
    return lambda occupancy: float(sum(1 for placing in states.placings if not placing.mask & occupancy))


MOST_CAPABILITY = by_value("max-capability", capability, small_ones_high)
"""Loses fewest of them. The loss is compared, not what is left: the latter is largest on empty GPUs, and spreads."""
