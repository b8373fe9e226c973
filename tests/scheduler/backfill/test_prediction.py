"""When jobs that wait are likely to start: each row is what runs, who waits in order of age, and what they are told."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from aliquot.scheduler.core.backfill.prediction import Prediction, predicted
from aliquot.scheduler.core.backfill.stage import Style
from tests.scheduler.backfill.worlds import World


@dataclass(frozen=True)
class Case:
    rule: str
    nodes: Sequence[int]
    runs: Sequence[str]
    waits: Sequence[str]
    starts: dict[str, float | None]


CASES = [
    Case("when what it needs comes free", [4], ["3@a until 10"], ["big: 1x4 for 5"], {"big": 10}),
    Case(
        "one after the other",
        [4],
        ["4@a until 10"],
        ["a: 1x4 for 5", "b: 1x4 for 7", "c: 1x4"],
        {"a": 10, "b": 15, "c": 22},
    ),
    Case(
        "nobody after one that may never end",
        [4],
        ["4@a until 10"],
        ["a: 1x4", "b: 1x1 for 5"],
        {"a": 10, "b": None},
    ),
    Case("nobody before one that may never end", [4], ["4@a until ?"], ["a: 1x1 for 5"], {"a": None}),
    Case(
        "beside each other where there is room",
        [4],
        ["4@a until 10"],
        ["a: 1x3 for 9", "b: 1x2 for 9", "c: 1x1 for 9"],
        {"a": 10, "b": 19, "c": 10},
    ),
    Case(
        "a gang over several nodes",
        [2, 2],
        ["2@a until 10", "2@b until 20"],
        ["a: 2x2 for 5", "b: 1x2 for 10", "c: 1x2 for 11"],
        {"a": 20, "b": 10, "c": 25},
    ),
    Case(
        "not now, whatever the pieces that are free come to",
        [2, 2],
        ["1@a until 10", "1@b until 20"],
        ["a: 1x2", "b: 1x2 for 5"],
        {"a": 10, "b": 20},
    ),
    Case(
        "in pieces, and after one that was promised a start",
        [4, 4, 4],
        ["3@a until 30", "3@b until 40", "3@c until ?"],
        ["big: 1x4", "b: 1x3 for 5"],
        {"big": 30, "b": 40},
    ),
    Case(
        "in pieces, and of nobody is it known when he ends",
        [2, 2],
        ["1@a until ?", "1@b until ?"],
        ["a: 1x2 for 5"],
        {"a": None},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_who_starts_when(case: Case) -> None:
    world = World(case.nodes, case.runs, case.waits, Style.EASY)
    world.run()
    assert world.backfill is not None
    found = predicted(world.snapshot, world.pending, world.backfill, 0.0)
    assert {key.removeprefix("default/"): one.start_s for key, one in found.items()} == case.starts


def test_a_promise_is_told_as_one() -> None:
    world = World([4], ["4@a until 10"], ["a: 1x4 for 5", "b: 1x4 for 5"], Style.EASY)
    world.run()
    assert world.backfill is not None
    found = predicted(world.snapshot, world.pending, world.backfill, 0.0)
    assert [one.told(0.0) for one in found.values()] == [
        "starts in 10s at the latest",
        "starts in about 15s",
    ]


def test_what_cannot_be_said_is_told() -> None:
    assert Prediction(None).told(0.0) == (
        "when it starts cannot be said: it needs room of others of whom nothing is known how long they run"
    )


def test_nobody_who_waits_is_told_that_it_starts_now() -> None:
    for left in ("?", "10", "1000"):
        world = World(
            [2, 2], [f"1@a until {left}", f"1@b until {left}"], ["a: 1x2", "b: 1x2 for 5"], Style.EASY
        )
        world.run()
        assert world.backfill is not None
        found = predicted(world.snapshot, world.pending, world.backfill, 0.0)
        assert all(one.start_s is None or one.start_s > 0 for one in found.values()), left


def test_no_more_are_looked_at_than_was_asked_for() -> None:
    world = World([4], ["4@a until 10"], [f"j{n}: 1x4 for 5" for n in range(9)], Style.EASY)
    world.run()
    assert world.backfill is not None
    assert len(predicted(world.snapshot, world.pending, world.backfill, 0.0, most=4)) == 4


def test_many_ends_count_in_steps_and_none_too_early() -> None:
    runs = [f"1@{'abcdef'[n % 6]} until {n + 1}" for n in range(600)]
    world = World([100] * 6, runs, ["big: 1x3 for 5"], Style.EASY)
    assert world.backfill is not None
    found = predicted(world.snapshot, world.pending, world.backfill, 0.0)
    assert found["default/big"].start_s == 3
