import random
from collections.abc import Mapping, Sequence

import pytest

from aliquot.scheduler.core.fragmentation import (
    WHOLE_MILLI,
    Task,
    UsableTables,
    fgd_score,
    fragmentation,
    typical,
)

HALF = Task(1000, 500, 1)
WHOLE = Task(2000, 1000, 1)
PAIR = Task(2000, 1000, 2)
CPU = Task(1000)
ON_A = Task(1000, 500, 1, frozenset({"A"}))


@pytest.mark.parametrize(
    ("cpu_milli", "gpus", "popularity", "milli"),
    [
        (4000, (1000,), {HALF: 1.0}, 0),
        (4000, (400,), {HALF: 1.0}, 400),
        (4000, (400, 600), {HALF: 1.0}, 400),
        (500, (400, 600), {HALF: 1.0}, 1000),
        (4000, (500,), {HALF: 0.75, WHOLE: 0.25}, 125),
        (4000, (1000, 300), {PAIR: 1.0}, 1300),
        (4000, (1000, 1000, 300), {PAIR: 1.0}, 300),
        (4000, (1000,), {CPU: 1.0}, 1000),
        (4000, (1000,), {ON_A: 0.5, HALF: 0.5}, 500),
        (4000, (), {HALF: 1.0}, 0),
    ],
)
def test_what_typical_tasks_cannot_use(
    cpu_milli: int, gpus: Sequence[int], popularity: Mapping[Task, float], milli: float
) -> None:
    assert fragmentation(cpu_milli, gpus, "B", popularity) == milli


def test_tables_give_the_rest() -> None:
    popularity = {HALF: 0.4, WHOLE: 0.2, PAIR: 0.1, CPU: 0.1, ON_A: 0.15, Task(900, 1000, 4): 0.05}
    rng = random.Random(1)
    for model in ("A", "B"):
        tables = UsableTables(popularity, model, most_gpus=4)
        for _ in range(200):
            gpus = [rng.choice((0, 190, 500, 730, WHOLE_MILLI)) for _ in range(4)]
            cpu_milli = rng.randrange(3000)
            level = max(n for n, least in enumerate(tables.levels) if least <= cpu_milli)
            usable = sum(tables.of_gpu[level][left] for left in gpus)
            usable += tables.of_free[level][gpus.count(WHOLE_MILLI)]
            expected = sum(gpus) - fragmentation(cpu_milli, gpus, model, popularity)
            assert usable == pytest.approx(expected)


@pytest.mark.parametrize(
    ("before", "after", "score"), [(0, 0, 50), (125, 0, 53), (0, 125, 46), (0, 8000, 0), (8000, 0, 99)]
)
def test_near_scores_are_equal(before: float, after: float, score: int) -> None:
    assert fgd_score(before, after) == score


def test_typical_are_the_most_frequent_until_they_cover() -> None:
    demand = {HALF: 60, WHOLE: 30, CPU: 6, PAIR: 4}
    assert typical(demand) == {HALF: 60 / 96, WHOLE: 30 / 96, CPU: 6 / 96}
    assert typical(demand, cover=0.5) == {HALF: 1.0}
