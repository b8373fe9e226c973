"""Packings are legal, hold the demand exactly, and take as few GPUs as any way of doing it (tried out where it is small)."""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aliquot.gpu.boards import board
from aliquot.partition.board_states import BoardStates, ordinary, states_of
from aliquot.partition.first_fit import gpus_taken
from aliquot.partition.integer_program import INFINITE, IntegerProgram, Outcome, Relaxed, Solution
from aliquot.partition.packing import Packing, Supply, pack


def states(key: str) -> BoardStates:
    mig = board(key).mig
    assert mig is not None
    return states_of(ordinary(mig.instance_profiles()))


def h100(available: int | None = None) -> Supply:
    return Supply("h100-80gb", states("h100-80gb"), available)


def a30(available: int | None = None) -> Supply:
    return Supply("a30-24gb", states("a30-24gb"), available)


def fewest_by_trying(tables: BoardStates, demand: Mapping[str, int]) -> int:
    names = [profile.name for profile in tables.profiles]

    @cache
    def fewest(left: tuple[int, ...]) -> int:
        if not any(left):
            return 0
        rest = (
            tuple(max(0, have - takes) for have, takes in zip(left, counts, strict=True))
            for counts in tables.maximal_counts
        )
        return 1 + min(fewest(one) for one in set(rest) if one != left)

    return fewest(tuple(demand.get(name, 0) for name in names))


def most_by_trying(tables: BoardStates, demand: Mapping[str, int], gpus: int) -> int:
    """Memory slots that `gpus` GPUs can hold of the demand."""
    sizes = [profile.memory_slots for profile in tables.profiles]

    @cache
    def most(left: tuple[int, ...], gpus: int) -> int:
        if not gpus or not any(left):
            return 0
        found = 0
        for counts in tables.maximal_counts:
            taken = [min(have, takes) for have, takes in zip(left, counts, strict=True)]
            slots = sum(count * size for count, size in zip(taken, sizes, strict=True))
            rest = tuple(have - count for have, count in zip(left, taken, strict=True))
            found = max(found, slots + most(rest, gpus - 1))
        return found

    return most(tuple(demand.get(profile.name, 0) for profile in tables.profiles), gpus)


def held(packing: Packing) -> Counter[str]:
    """What the GPUs hold, having looked that each is cut as a board can be."""
    found: Counter[str] = Counter()
    for supply, placings in packing.expanded():
        taken = 0
        for placing in placings:
            assert not placing.mask & taken and placing in supply.states.placings
            taken |= placing.mask
            found[supply.states.profiles[placing.profile].name] += 1
    return found


small_demand = st.fixed_dictionaries(
    {}, optional={profile.name: st.integers(0, 4) for profile in states("h100-80gb").profiles}
)


@settings(max_examples=25, deadline=None)
@given(small_demand)
def test_as_few_as_any_way_of_doing_it(demand: dict[str, int]) -> None:
    packing = pack([h100()], demand)
    assert packing.gpus == fewest_by_trying(states("h100-80gb"), demand)
    assert packing.proven and held(packing) == +Counter(demand)


@settings(max_examples=25, deadline=None)
@given(small_demand, st.integers(1, 2))
def test_the_most_that_limited_gpus_hold(demand: dict[str, int], gpus: int) -> None:
    packing = pack([h100(gpus)], demand)
    sizes = {profile.name: profile.memory_slots for profile in states("h100-80gb").profiles}
    slots = sum(sizes[name] * count for name, count in held(packing).items())
    assert packing.gpus <= gpus and packing.proven
    assert slots == most_by_trying(states("h100-80gb"), demand, gpus)
    assert held(packing) + Counter(packing.left_out) == +Counter(demand)


def test_several_boards_each_take_what_they_can() -> None:
    packing = pack([h100(1), a30(1)], {"3g.40gb": 2, "2g.12gb": 3, "1g.6gb": 1})
    assert packing.gpus == 2 and packing.left_out == {"2g.12gb": 1, "1g.6gb": 1}
    assert held(packing) == {"3g.40gb": 2, "2g.12gb": 2}


def test_a_board_without_limit_takes_what_another_lacks() -> None:
    packing = pack([a30(0), Supply("h100-80gb", states("h100-80gb"), None)], {"1g.10gb": 8})
    assert packing.gpus == 2 and not packing.left_out


def test_a_hundred_thousand_gpus_are_proven() -> None:
    demand = {"1g.10gb": 150_001, "1g.20gb": 60_000, "2g.20gb": 91_003, "3g.40gb": 40_000, "7g.80gb": 30_017}
    packing = pack([h100()], demand)
    assert packing.proven and packing.gpus > 90_000
    assert sum(cut.gpus * cut.counts.get("2g.20gb", 0) for cut in packing.cuts) == 91_003
    assert len(packing.cuts) < 40


def test_where_time_was_up_before_there_is_a_bound_none_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    solved = IntegerProgram.minimise

    def unbounded(program: IntegerProgram, aim: Mapping[int, float], **more: Any) -> Solution:
        found = solved(program, aim, **more)
        return replace(found, outcome=Outcome.BEST_SO_FAR, bound=-INFINITE)

    monkeypatch.setattr(IntegerProgram, "minimise", unbounded)
    monkeypatch.setattr(IntegerProgram, "relaxed", lambda *_, **__: Relaxed(Outcome.NOTHING, ()))
    packing = pack([h100()], {"1g.10gb": 8})
    assert (packing.gpus, packing.bound, packing.proven) == (2, 0, False)


def test_nothing_asked_for_takes_nothing() -> None:
    packing = pack([h100()], {})
    assert (packing.gpus, packing.cuts, packing.proven) == (0, (), True)


@pytest.mark.parametrize("seed", range(20))
def test_first_fit_is_the_rule_slice_by_slice(seed: int) -> None:
    rng = random.Random(seed)
    tables = states("h100-80gb")
    counts = {profile: rng.randint(0, 30) for profile in range(len(tables.profiles))}
    gpus: list[int] = []
    size = {n: (p.memory_slots, p.compute_slices) for n, p in enumerate(tables.profiles)}
    for profile in sorted(counts, key=lambda p: size[p], reverse=True):
        for _ in range(counts[profile]):
            at = next((n for n, taken in enumerate(gpus) if tables.fitting(profile, taken)), len(gpus))
            if at == len(gpus):
                gpus.append(0)
            gpus[at] |= tables.fitting(profile, gpus[at])[0].mask
    assert gpus_taken(tables, counts) == len(gpus)
