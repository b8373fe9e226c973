"""Who is first within a queue; each row a rule."""

import pytest

from aliquot.scheduler.core.jobs import JobSpec
from aliquot.scheduler.core.pod import CPU
from aliquot.scheduler.core.queues.line import Line, dominant
from aliquot.scheduler.core.queues.terms import GPU

HOUR = 3600.0


def job(key: str, priority: int = 0, created_h: float = 0.0) -> JobSpec:
    return JobSpec(key, priority=priority, created_s=created_h * HOUR)


@pytest.mark.parametrize(
    ("line", "jobs", "had", "expected"),
    [
        (Line(), [job("new", created_h=2), job("old", created_h=1)], {}, ["old", "new"]),
        (Line(), [job("old"), job("high", 1, 100)], {}, ["high", "old"]),
        (Line(), [job("b"), job("a")], {}, ["a", "b"]),
        # Of one priority, who had less before who came first.
        (Line(), [job("old"), job("new", created_h=9)], {"old": 0.5, "new": 0.1}, ["new", "old"]),
        (Line(), [job("low"), job("high", 1)], {"low": 0.0, "high": 0.9}, ["high", "low"]),
        # With ageing a long wait makes up for priority.
        (Line(HOUR), [job("old"), job("high", 1, 0.9)], {}, ["high", "old"]),
        (Line(HOUR), [job("old"), job("high", 1, 1.1)], {}, ["old", "high"]),
        (Line(HOUR), [job("old"), job("higher", 3, 2.9)], {}, ["higher", "old"]),
        # Level: who had less.
        (Line(HOUR), [job("old"), job("high", 1, 1)], {"old": 0.2, "high": 0.1}, ["high", "old"]),
    ],
)
def test_who_is_first(line: Line, jobs: list[JobSpec], had: dict[str, float], expected: list[str]) -> None:
    assert [
        one.key for one in sorted(jobs, key=lambda one: line.rank(one, had.get(one.key, 0.0)))
    ] == expected


@pytest.mark.parametrize(
    ("had", "expected"), [({}, 0.0), ({GPU: 500, CPU: 48_000}, 0.75), ({GPU: 3000, "other": 9}, 0.75)]
)
def test_the_largest_part_counts(had: dict[str, int], expected: float) -> None:
    assert dominant(had, {GPU: 4000, CPU: 64_000}) == expected
