"""Learns how to value occupancies from the requests that a cluster has: an evolution strategy that plays them again.

The search is a (1+1)-ES with Rechenberg's rule: one candidate at a time, the step grows with success and shrinks without.
Every candidate plays the same requests, so that two differ by what they do and not by their luck.

`acceptance` is a loss system and nothing else, made to be played thousands of times; `simulation` is the one that
measures.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import accumulate
from math import exp
from random import Random

from aliquot.partition.board_states import BoardStates
from aliquot.partition.fleet import Fleet
from aliquot.partition.placer import Choice
from aliquot.partition.policies.learned import INSTANCES, Weights, features, learned, slot_capability_weights
from aliquot.partition.policies.policy import Policy


@dataclass(frozen=True, slots=True)
class Request:
    profile: int
    """Index in `BoardStates.profiles`."""
    arrives: float
    stays: float


@dataclass(frozen=True, slots=True)
class Demand:
    """What requests are like: drawn from independently."""

    shares: tuple[float, ...]
    """Of the profiles, by index."""
    stays: tuple[tuple[float, ...], ...] = ()
    """By profile: how long those stayed that were seen. Empty: exponentially, 1 on average."""


@dataclass(frozen=True, slots=True)
class Stay:
    profile: int
    """Index in `BoardStates.profiles`."""
    lasted: float
    ended: bool = True
    """Else it has lasted so long, and goes on, or has yet to begin."""


def demand_of(states: BoardStates, history: Sequence[Stay]) -> Demand:
    """From a cluster's own requests. One that goes on is taken to last as long as those of its profile that lasted longer
    did, on average; where there are none, as long as it has. A profile of which nothing is known lasts as the others."""
    by_profile = [
        [stay for stay in history if stay.profile == number] for number in range(len(states.profiles))
    ]
    stays = [_lasting(seen) for seen in by_profile]
    known = tuple(lasting for seen in stays for lasting in seen)
    shares = tuple(len(seen) / len(history) for seen in by_profile)
    return Demand(
        shares, tuple((seen or known) if share else () for seen, share in zip(stays, shares, strict=True))
    )


def _lasting(seen: Sequence[Stay]) -> tuple[float, ...]:
    ended = sorted(stay.lasted for stay in seen if stay.ended)
    above = [*accumulate(reversed(ended), initial=0.0)]
    """By how many of the longest: their sum."""
    found = []
    for stay in seen:
        longer = 0 if stay.ended else len(ended) - bisect_right(ended, stay.lasted)
        found.append(above[longer] / longer if longer else stay.lasted)
    return tuple(lasting for lasting in found if lasting > 0)


def draw(states: BoardStates, demand: Demand, gpus: int, load: float, random: Random) -> list[Request]:
    """A run at a load: work that is offered, in memory slots, by what the GPUs have. Twenty mean stays long."""
    stays = demand.stays or ((),) * len(demand.shares)
    means = [sum(seen) / len(seen) if seen else 1.0 for seen in stays]
    work = sum(
        share * mean * profile.memory_slots
        for share, mean, profile in zip(demand.shares, means, states.profiles, strict=True)
    )
    rate = load * gpus * states.memory_slots / work
    mean = sum(share * mean for share, mean in zip(demand.shares, means, strict=True))
    cumulated = list(accumulate(demand.shares))
    requests = []
    now = 0.0
    while (now := now + random.expovariate(rate)) < RUN_STAYS * mean:
        profile = random.choices(range(len(cumulated)), cum_weights=cumulated)[0]
        seen = stays[profile]
        requests.append(Request(profile, now, random.choice(seen) if seen else random.expovariate(1.0)))
    return requests


RUN_STAYS = 20.0
RUNS_PER_LOAD = 4


def draw_runs(
    states: BoardStates, demand: Demand, gpus: int, loads: Sequence[float], random: Random
) -> list[list[Request]]:
    """What candidates are judged by: some runs at each load."""
    return [draw(states, demand, gpus, load, random) for load in loads for _ in range(RUNS_PER_LOAD)]


WARM_UP = 0.25
"""Of a run: not counted."""


def acceptance(states: BoardStates, policy: Policy, gpus: int, requests: Sequence[Request]) -> float:
    """The part of the requests that found room, each weighted with its memory slots; the others are turned away."""
    fleet = Fleet(states, policy, range(gpus))
    slots = [profile.memory_slots for profile in states.profiles]
    counted_from = WARM_UP * requests[-1].arrives if requests else 0.0
    ends: list[tuple[float, int, Choice]] = []
    offered = placed = 0
    for number, request in enumerate(requests):
        while ends and ends[0][0] <= request.arrives:
            fleet.release(*heappop(ends)[2])
        choice = fleet.choose(request.profile)
        if choice is not None:
            fleet.commit(*choice)
            heappush(ends, (request.arrives + request.stays, number, choice))
        if request.arrives >= counted_from:
            offered += slots[request.profile]
            placed += slots[request.profile] if choice is not None else 0
    return placed / offered if offered else 1.0


def mean_acceptance(
    states: BoardStates, policy: Policy, gpus: int, runs: Sequence[Sequence[Request]]
) -> float:
    return sum(acceptance(states, policy, gpus, run) for run in runs) / len(runs)


@dataclass(frozen=True, slots=True)
class Step:
    """Where the search is after a candidate."""

    candidates: int
    weights: Weights
    acceptance: float
    began_at: float
    """The acceptance of what the search began with."""


FIRST_STEP = 0.4
"""Beside a largest weight of 1."""
SMALLEST_STEP = 0.03
CHANGED = 0.4
"""The part of the weights that a candidate changes."""


def train(
    states: BoardStates,
    runs: Sequence[Sequence[Request]],
    gpus: int,
    random: Random,
    start: Weights | None = None,
) -> Iterator[Step]:
    """Better and better weights for these runs, one step for each candidate, until the caller has enough.

    `start`: where the search begins, if not at the rule that needs no learning.
    """

    def judge(weights: Weights) -> float:
        return mean_acceptance(states, learned("candidate", weights), gpus, runs)

    begin = slot_capability_weights(states) if start is None else start
    yield from evolve(dict.fromkeys((*features(states), INSTANCES), 0.0) | dict(begin), judge, random)


def evolve(start: Weights, judge: Callable[[Weights], float], random: Random) -> Iterator[Step]:
    """Towards what `judge` likes more. Success makes the step 1.5 times as large; four failures undo it."""
    best, reached = dict(start), judge(start)
    began_at, step = reached, FIRST_STEP
    candidates = 0
    while True:
        candidate = {
            name: weight + random.gauss(0.0, step) if random.random() < CHANGED else weight
            for name, weight in best.items()
        }
        judged = judge(candidate)
        candidates += 1
        if judged > reached:
            best, reached = candidate, judged
            step *= 1.5
        else:
            step = max(SMALLEST_STEP, step * exp(-0.25 * 0.405))  # 0.405: the logarithm of 1.5
        yield Step(candidates, best, reached, began_at)
