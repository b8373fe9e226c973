"""Policies that keep most ways to place one more instance."""

from collections.abc import Callable

from aliquot.partition.board_states import BoardStates, Occupancy
from aliquot.partition.policies.look_ahead import looking_ahead
from aliquot.partition.policies.policy import by_occupancy_value, small_ones_high


def capability(states: BoardStates) -> Callable[[Occupancy], float]:
    """The configuration capability of Multi-Instance GPU placement (MCC; GRMU, arXiv 2502.01909, compares with it): how
    many (profile, start) still fit."""
    return lambda occupancy: float(sum(1 for placing in states.placings if not placing.mask & occupancy))


MOST_CAPABILITY = by_occupancy_value("max-capability", capability, small_ones_high)
"""Loses fewest of them. The loss is compared, not what is left: the latter is largest on empty GPUs, and spreads."""


def slot_capability(states: BoardStates) -> Callable[[Occupancy], float]:
    """The slots of all (profile, start) that still fit: a way to place half a board counts as much as four of an eighth."""
    return lambda occupancy: float(
        sum(placing.mask.bit_count() for placing in states.placings if not placing.mask & occupancy)
    )


MOST_SLOT_CAPABILITY = looking_ahead("max-slot-capability", slot_capability)
"""Loses fewest of those, looked ahead. It needs no mix, and is the best of the rules made by hand, or level with it, on all
mixes that it was compared on (`aliquot partition bench`)."""
