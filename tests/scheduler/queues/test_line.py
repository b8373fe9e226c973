"""Who is first within a queue; each row a rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.scheduler.core.jobs import JobSpec
from aliquot.scheduler.core.pod import CPU
from aliquot.scheduler.core.queues.line import Line, dominant
from aliquot.scheduler.core.queues.terms import GPU
from tests.scheduler.queues.trees import thorough

HOUR = 3600.0


def job(key: str, priority: int = 0, created_h: float = 0.0) -> JobSpec:
    return JobSpec(key, priority=priority, created_s=created_h * HOUR)


@pytest.mark.parametrize(
    ("line", "jobs", "parts", "expected"),
    [
        (Line(), [job("new", created_h=2), job("old", created_h=1)], {}, ["old", "new"]),
        (Line(), [job("old"), job("high", 1, 100)], {}, ["high", "old"]),
        (Line(), [job("b"), job("a")], {}, ["a", "b"]),
        # Of one priority, who had less before who came first.
        (Line(), [job("old"), job("new", created_h=9)], {"old": 0.5, "new": 0.1}, ["new", "old"]),
        (Line(), [job("low"), job("high", 1)], {"low": 0.0, "high": 1.0}, ["high", "low"]),
        # With ageing a long wait makes up for priority.
        (Line(HOUR), [job("old"), job("high", 1, 0.9)], {}, ["high", "old"]),
        (Line(HOUR), [job("old"), job("high", 1, 1.1)], {}, ["old", "high"]),
        (Line(HOUR), [job("old"), job("higher", 3, 2.9)], {}, ["higher", "old"]),
        # Level: who came first.
        (Line(HOUR), [job("old"), job("high", 1, 1)], {}, ["old", "high"]),
        # Who had all stands back by one priority, or by the time that makes up for one; who had half, by half of it.
        (Line(HOUR), [job("old"), job("new", created_h=0.9)], {"old": 1.0, "new": 0.0}, ["new", "old"]),
        (Line(HOUR), [job("old"), job("new", created_h=1.1)], {"old": 1.0, "new": 0.0}, ["old", "new"]),
        (Line(HOUR), [job("low", 0, 0.4), job("high", 1, 1)], {"low": 0.0, "high": 0.5}, ["low", "high"]),
        (Line(HOUR), [job("low", 0, 0.6), job("high", 1, 1)], {"low": 0.0, "high": 0.5}, ["high", "low"]),
    ],
)
def test_who_is_first(line: Line, jobs: list[JobSpec], parts: dict[str, float], expected: list[str]) -> None:
    turns = sorted(line.turn(line.rank(one), parts.get(one.key, 0.0)) for one in jobs)
    assert [turn[-1] for turn in turns] == expected


@given(
    st.sampled_from((Line(), Line(HOUR))),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=2, max_size=6),
    st.floats(0, 1),
)
@thorough
def test_jobs_of_one_user_are_in_the_order_of_their_ranks(
    line: Line, made: list[tuple[int, int]], part: float
) -> None:
    """So that only the first job of each user has to be looked at."""
    ranks = sorted(line.rank(job(f"j{n}", priority, hours)) for n, (priority, hours) in enumerate(made))
    turns = [line.turn(rank, part) for rank in ranks]
    assert turns == sorted(turns)


@pytest.mark.parametrize(
    ("had", "expected"), [({}, 0.0), ({GPU: 500, CPU: 48_000}, 0.75), ({GPU: 3000, "other": 9}, 0.75)]
)
def test_the_largest_part_counts(had: dict[str, int], expected: float) -> None:
    assert dominant(had, {GPU: 4000, CPU: 64_000}) == expected
