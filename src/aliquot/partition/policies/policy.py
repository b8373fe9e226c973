"""A policy as a score of (how a GPU is divided, placing), and the tables that it comes to on a board.

GPUs of one division are alike, so a policy is asked once for every profile, division and start, and never for a GPU.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TypeAlias

from aliquot.partition.board_states import BoardStates, Occupancy, Placing
from aliquot.partition.divisions import Division, Divisions

Score: TypeAlias = Callable[[Division, Placing], float]
"""Of a placing on a GPU that is divided so: the higher, the rather."""

StartOrder: TypeAlias = Callable[[BoardStates, Sequence[Placing]], Sequence[Placing]]
"""Among starts of equal score on one GPU: the preferred one first."""

_DIGITS = 9
"""Scores that differ by less are equal: sums of floats in different order."""


def same_score(score: float) -> float:
    """As scores are compared."""
    return round(score, _DIGITS)


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
    scores: Callable[[Divisions], Score]
    starts: StartOrder = lowest_start


@dataclass(frozen=True, slots=True)
class Ranking:
    """How a policy ranks the divisions of a board for one profile."""

    placing: dict[Division, Placing]
    """By division where the profile fits: the start that the policy takes."""
    tiers: tuple[tuple[Division, ...], ...]
    """Divisions of equal score together, the best first: between them the lowest GPU decides."""


def rank(policy: Policy, divisions: Divisions) -> tuple[Ranking, ...]:
    """By profile."""
    score = policy.scores(divisions)
    return tuple(
        _rank(policy, divisions, score, profile) for profile in range(len(divisions.states.profiles))
    )


def _rank(policy: Policy, divisions: Divisions, score: Score, profile: int) -> Ranking:
    states = divisions.states
    candidates = {
        occupancy: policy.starts(states, states.fitting(profile, occupancy))
        for occupancy in states.occupancies
    }
    placing: dict[Division, Placing] = {}
    scored: list[tuple[float, Division]] = []
    for division, occupancy in enumerate(divisions.occupancies):
        best: float | None = None
        for candidate in candidates[occupancy]:
            value = same_score(score(division, candidate))
            if best is None or value > best:
                best = value
                placing[division] = candidate
        if best is not None:
            scored.append((-best, division))
    scored.sort()
    tiers = tuple(tuple(division for _, division in tier) for _, tier in groupby(scored, itemgetter(0)))
    return Ranking(placing, tiers)


def by_gain(values: Sequence[float], divisions: Divisions) -> Score:
    """What the placing gains of values by division, or loses: V(after) - V(before)."""
    return lambda division, placing: values[divisions.after[division][placing.mask]] - values[division]


OccupancyValue: TypeAlias = Callable[[BoardStates], Callable[[Occupancy], float]]


def by_occupancy_value(name: str, value: OccupancyValue, starts: StartOrder) -> Policy:
    """Takes the placing that gains most value, or loses least, where only what is taken counts."""

    def scores(divisions: Divisions) -> Score:
        value_of = value(divisions.states)
        by_occupancy = {occupancy: value_of(occupancy) for occupancy in divisions.states.occupancies}
        return by_gain([by_occupancy[occupancy] for occupancy in divisions.occupancies], divisions)

    return Policy(name, scores, starts)
