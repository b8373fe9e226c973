"""The fragmentation gradient: FGD (ATC '23), with slots of a MIG board in the place of fractions of a GPU.

A free slot is fragmented for a request that cannot use it. Expected over the mix of requests, that is the
fragmentation of a GPU; the policy places where it grows least.
"""

from collections.abc import Callable, Sequence

from aliquot.partition.board_states import BoardStates, Occupancy
from aliquot.partition.policies.policy import Policy, by_occupancy_value, small_ones_high


def unusable_slots(states: BoardStates, mix: Sequence[float]) -> Callable[[Occupancy], float]:
    """Expected free slots that a request of the mix, however often it came, could not use."""
    most = most_instances(states)
    slots = tuple(profile.memory_slots for profile in states.profiles)

    def fragmentation(occupancy: Occupancy) -> float:
        free = states.memory_slots - occupancy.bit_count()
        return sum(
            share * (free - most[profile][occupancy] * slots[profile]) for profile, share in enumerate(mix)
        )

    return fragmentation


def most_instances(states: BoardStates) -> tuple[dict[Occupancy, int], ...]:
    """By profile and occupancy: how many more fit."""
    return tuple(
        {occupancy: _most(states, profile, occupancy) for occupancy in states.occupancies}
        for profile in range(len(states.profiles))
    )


def _most(states: BoardStates, profile: int, occupancy: Occupancy) -> int:
    """Runs of equal length: taking the one that ends first is best."""
    count = 0
    for placing in states.fitting(profile, occupancy):
        if not placing.mask & occupancy:
            occupancy |= placing.mask
            count += 1
    return count


def least_fragmentation(mix: Sequence[float]) -> Policy:
    """`mix`: the share of each profile in the requests, by its index."""

    def value(states: BoardStates) -> Callable[[Occupancy], float]:
        fragmentation = unusable_slots(states, mix)
        return lambda occupancy: -fragmentation(occupancy)

    return by_occupancy_value("fragmentation-gradient", value, small_ones_high)
