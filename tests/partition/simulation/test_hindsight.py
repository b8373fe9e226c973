"""The optimum in hindsight: by hand, against all subsets, and against those who do not know what comes."""

from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aliquot.partition.simulation.contenders import CONTENDERS
from aliquot.partition.simulation.engine import run
from aliquot.partition.simulation.free_migration import FreeMigration
from aliquot.partition.simulation.hindsight import Hindsight, NotProven, best_choice
from aliquot.partition.simulation.metrics import measure
from aliquot.partition.simulation.workload import MIXES, Trace, Workload, draw
from tests.partition.simulation.boards import states

A30 = states("a30-24gb")  # 1g, 2g, 4g of four slots
H100 = states("h100-80gb")
SLOTS = (1, 2, 4)
SMALL, HALF, WHOLE = 0, 1, 2


def trace(*requests: tuple[float, int, float], horizon: float = 10.0) -> Trace:
    times, profiles, durations = zip(*requests, strict=True)
    return Trace(times, profiles, durations, 0.0, horizon)


def test_a_small_request_is_turned_away_for_the_large_ones_that_follow() -> None:
    played = trace((0, SMALL, 9), (1, WHOLE, 1), (3, WHOLE, 1), (4.5, SMALL, 1))
    assert best_choice(A30, 1, played, within_s=10) == [False, True, True, True]
    outcome = run(played, Hindsight(A30, 1, best_choice(A30, 1, played, within_s=10)))
    assert measure(A30, 1, outcome).slice_acceptance == 9 / 10


def admitted_slots(gpus: int, played: Trace, chosen: tuple[bool, ...]) -> int:
    """0 where they do not pack."""
    outcome = run(played, Hindsight(A30, gpus, chosen))
    placed = [started == started for started in outcome.started]  # nan is not itself
    if placed != list(chosen):
        return 0
    return sum(SLOTS[profile] for profile, wanted in zip(played.profiles, chosen, strict=True) if wanted)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 2), st.integers(1, 6)), min_size=1, max_size=7),
    st.integers(1, 2),
)
def test_no_choice_of_all_there_are_admits_more(requests: list[tuple[int, int, int]], gpus: int) -> None:
    # Nobody arrives when another does or leaves: the order of these would be a matter of taste.
    played = trace(
        *(
            (arrives + number / 100, profile, stays + 0.5)
            for number, (arrives, profile, stays) in enumerate(sorted(requests))
        )
    )
    found = tuple(best_choice(A30, gpus, played, within_s=10))
    ways = product((False, True), repeat=len(requests))
    assert admitted_slots(gpus, played, found) == max(admitted_slots(gpus, played, way) for way in ways)


@pytest.mark.parametrize("mix", MIXES)
def test_nobody_who_does_not_know_what_comes_admits_more(mix: str) -> None:
    workload = Workload(MIXES[mix], load=1.0, gpus=4, horizon=6.0, warm_up=0.0)
    played = draw(H100, workload, Random(5))

    def slots(name: str) -> float:
        outcome = run(played, CONTENDERS[name].make(H100, workload, played))
        return measure(H100, workload.gpus, outcome).slice_acceptance

    best = run(played, Hindsight(H100, 4, best_choice(H100, 4, played, within_s=60)))
    most = measure(H100, workload.gpus, best).slice_acceptance
    assert most >= max(slots(name) for name in CONTENDERS)
    assert most > slots("first-fit")


def test_what_is_admitted_uses_the_fleet_as_free_migration_does() -> None:
    fleet, free = Hindsight(A30, 2, [True, True]), FreeMigration(A30, 2)
    for allocator in (fleet, free):
        allocator.observe(HALF)
        half = allocator.place(HALF)
        allocator.observe(WHOLE)
        assert half is not None and allocator.place(WHOLE) is not None
        allocator.release(half)
    assert fleet.usage() == free.usage()
    assert fleet.churn() == free.churn()


def test_an_optimum_that_is_not_proven_is_none() -> None:
    with pytest.raises(NotProven, match="of 1 requests in 0 s: take fewer GPUs"):
        best_choice(A30, 1, trace((0, SMALL, 1)), within_s=0)
