from collections.abc import Sequence

import pytest

from aliquot.scheduler.core.fragmentation import Task
from aliquot.scheduler.core.worth import BY_NAME, SURE, TOGETHER, Worth, scarcer

LARGE = Task(10_000, 810, 1)
HALF = Task(10_000, 470, 1)
WHOLE = Task(10_000, 1000, 1)
EIGHT = Task(80_000, 1000, 8)
PLENTY = 10_000_000

EQUALLY = {LARGE: 1, HALF: 1, WHOLE: 1}


@pytest.mark.parametrize(
    ("gpus", "worth"),
    [
        ((1000,), 1),
        ((1000, 1000), 2),
        ((190,), 0),
        ((530,), SURE / 2),
        ((469,), 0),
        ((), 0),
    ],
)
def test_parts_are_worth_what_can_be_made_of_them(gpus: Sequence[int], worth: float) -> None:
    assert Worth(EQUALLY, {"A": 8}, 8)(PLENTY, gpus, "A") == pytest.approx(worth)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        # The second half beside the first, and the other GPU stays free.
        ((60, 1000), (530, 530)),
        # A half takes the place of a half, not of a whole GPU.
        ((60, 190, 1000), (530, 190, 530)),
    ],
)
def test_gpus_in_use_are_filled_first(better: Sequence[int], worse: Sequence[int]) -> None:
    worth = Worth(EQUALLY, {"A": 8}, 8)
    assert worth(PLENTY, better, "A") > worth(PLENTY, worse, "A")


def test_free_gpus_are_worth_more_together_where_pods_ask_for_several() -> None:
    worth = Worth({WHOLE: 8, EIGHT: 1}, {"A": 16}, 8)
    assert worth.apart[8] == 0
    assert worth.apart[7] == pytest.approx(TOGETHER * 7 / 2)
    together = worth(PLENTY, (1000,) * 8, "A") + worth(PLENTY, (0,) * 8, "A")
    apart = 2 * worth(PLENTY, (1000,) * 4 + (0,) * 4, "A")
    assert together > apart
    alone = Worth({WHOLE: 1}, {"A": 16}, 8)
    assert set(alone.apart) == {0}


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [(0, 3, 0), (3, 0, 0), (-1, 5, 0), (1, 1000, 1), (1000, 1, 1), (1, 1, 2 ** (-1 / 8))],
)
def test_the_scarcer_counts(one: float, other: float, found: float) -> None:
    assert scarcer(one, other) == pytest.approx(found)


def test_gpus_are_worth_nothing_without_cpu_nor_cpu_without_gpus() -> None:
    worth = Worth({WHOLE: 1}, {"A": 8}, 8)
    assert worth(0, (1000, 1000), "A") == 0
    assert worth(PLENTY, (0, 0), "A") == 0
    # Ten cores to a GPU is what pods take: CPU beyond that is not missed, below it is.
    assert worth(90_000, (1000,), "A") == pytest.approx(worth(80_000, (1000,), "A"), abs=1e-6)
    assert worth(5_000, (1000,), "A") == pytest.approx(0.5, abs=0.01)


def test_models_that_are_asked_for_by_name_are_worth_more() -> None:
    named = Task(10_000, 1000, 1, frozenset({"A"}))
    either = Task(10_000, 1000, 1, frozenset({"A", "B"}))
    assert Worth({WHOLE: 1}, {"A": 10, "B": 90}, 8).of_model == {"A": 1, "B": 1}
    # A tenth of the demand is for A, of which there is a tenth of the GPUs.
    assert Worth({WHOLE: 9, named: 1}, {"A": 10, "B": 90}, 8).of_model == pytest.approx(
        {"A": 1 + BY_NAME, "B": 1}
    )
    # For either, it is as much for each as for both.
    assert Worth({WHOLE: 9, either: 1}, {"A": 10, "B": 10, "C": 80}, 8).of_model == pytest.approx(
        {"A": 1 + BY_NAME / 2, "B": 1 + BY_NAME / 2, "C": 1}
    )
    # A model that no node has.
    assert Worth({WHOLE: 9, named: 1}, {"B": 90}, 8).of_model == {"B": 1}


def test_a_demand_without_gpus() -> None:
    worth = Worth({Task(1000): 1}, {"A": 8}, 8)
    assert worth(1000, (1000,), "A") == 1
