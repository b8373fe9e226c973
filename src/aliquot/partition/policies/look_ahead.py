"""Values of occupancies as they may soon be: every instance leaves with some probability, whoever has it.

That tells apart what an occupancy does not: half a board in four pieces is free again when the last of them has gone,
half a board in one piece is free at once. A small probability decides between what is worth the same now; a large one
trades what is for what may be, and did worse wherever it was tried.
"""

from collections.abc import Callable
from functools import lru_cache

from aliquot.partition.board_states import Occupancy
from aliquot.partition.divisions import Division, Divisions
from aliquot.partition.policies.policy import OccupancyValue, Policy, Score, by_gain, small_ones_high

LEAVING = 0.05


def expected(
    divisions: Divisions, value: Callable[[Occupancy], float], leaving: float = LEAVING
) -> list[float]:
    """By division."""
    by_occupancy = {occupancy: value(occupancy) for occupancy in divisions.states.occupancies}
    return [
        sum(chance * by_occupancy[left] for left, chance in futures)
        for futures in _futures(divisions, leaving)
    ]


@lru_cache(maxsize=16)
def _futures(divisions: Divisions, leaving: float) -> tuple[tuple[tuple[Occupancy, float], ...], ...]:
    """By division: what may be left of it, and how likely that is."""
    return tuple(_futures_of(divisions, division, leaving) for division in range(len(divisions)))


def _futures_of(
    divisions: Divisions, division: Division, leaving: float
) -> tuple[tuple[Occupancy, float], ...]:
    futures = {0: 1.0}
    for instance in divisions.instances[division]:
        grown: dict[Occupancy, float] = {}
        for left, chance in futures.items():
            grown[left] = chance * leaving
            grown[left | instance] = chance * (1 - leaving)
        futures = grown
    return tuple(futures.items())


def looking_ahead(name: str, value: OccupancyValue) -> Policy:
    """Takes the placing that gains most of the expected value."""

    def scores(divisions: Divisions) -> Score:
        return by_gain(expected(divisions, value(divisions.states)), divisions)

    return Policy(name, scores, small_ones_high)
