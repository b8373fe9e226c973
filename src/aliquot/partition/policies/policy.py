"""A policy as a score of (what is taken, placing), and the tables that it comes to on a board.

GPUs of one occupancy are alike, so a policy is asked once for every profile, occupancy and start, and never for a GPU.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

from aliquot.partition.board_states import BoardStates, Occupancy, Placing

Score: TypeAlias = Callable[[Occupancy, Placing], float]
"""The higher, the rather."""

StartOrder: TypeAlias = Callable[[BoardStates, Sequence[Placing]], Sequence[Placing]]
"""Among starts of equal score on one GPU: the preferred one first."""

_DIGITS = 9
"""Scores that differ by less are equal: sums of floats in different order."""


def lowest_start(_states: BoardStates, placings: Sequence[Placing]) -> Sequence[Placing]:
    """The order in which NVML lists possible placements."""
    return placings


def small_ones_high(states: BoardStates, placings: Sequence[Placing]) -> Sequence[Placing]:
    """HAMi's order (v2.10): instances of 1 and 3 compute slices from the high end, others from the low end."""
    compute_slices = states.profiles[placings[0].profile].compute_slices if placings else 0
    return tuple(reversed(placings)) if compute_slices in (1, 3) else placings


@dataclass(frozen=True, slots=True)
class Policy:
    name: str
    scores: Callable[[BoardStates], Score]
    starts: StartOrder = lowest_start


@dataclass(frozen=True, slots=True)
class Ranking:
    """How a policy ranks the occupancies of a board for one profile."""

    placing: dict[Occupancy, Placing]
    """By occupancy where the profile fits: the start that the policy takes."""
    tiers: tuple[tuple[Occupancy, ...], ...]
    """Occupancies of equal score together, the best first: between them the lowest GPU decides."""


def rank(policy: Policy, states: BoardStates) -> tuple[Ranking, ...]:
    """By profile."""
    score = policy.scores(states)
    return tuple(_rank(policy, states, score, profile) for profile in range(len(states.profiles)))


def _rank(policy: Policy, states: BoardStates, score: Score, profile: int) -> Ranking:
    placing: dict[Occupancy, Placing] = {}
    scored: list[tuple[float, Occupancy]] = []
    for occupancy in states.occupancies:
        best: float | None = None
        for candidate in policy.starts(states, states.fitting(profile, occupancy)):
            value = round(score(occupancy, candidate), _DIGITS)
            if best is None or value > best:
                best = value
                placing[occupancy] = candidate
        if best is not None:
            scored.append((-best, occupancy))
    scored.sort()
    tiers = tuple(tuple(o for _, o in tier) for _, tier in groupby(scored, key=lambda pair: pair[0]))
    return Ranking(placing, tiers)


def by_value(
    name: str, value: Callable[[BoardStates], Callable[[Occupancy], float]], starts: StartOrder
) -> Policy:
    """Takes the placing that gains most value, or loses least: V(after) - V(before)."""

    def scores(states: BoardStates) -> Score:
        worth = {
            occupancy: value_of(occupancy)
            for value_of in (value(states),)
            for occupancy in states.occupancies
        }
        return lambda occupancy, placing: worth[occupancy | placing.mask] - worth[occupancy]

    return Policy(name, scores, starts)
