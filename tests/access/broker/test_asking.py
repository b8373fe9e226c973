import random
from itertools import pairwise

import pytest

from aliquot.access.broker.asking import EVERY_S, MOST_S, Asking


def moments(asking: Asking, until_s: float, *, answers: bool) -> list[float]:
    """When somebody is asked who looks each minute."""
    found = []
    for minute in range(int(until_s // 60)):
        now_s = minute * 60.0
        if asking.is_due("r1", now_s):
            asking.asked("r1", now_s, was_answered=answers)
            found.append(now_s)
    return found


@pytest.mark.parametrize("seed", range(20))
def test_a_system_that_answers_is_asked_some_minutes_apart(seed: int) -> None:
    asked = moments(Asking(random.Random(seed)), 36_000, answers=True)
    apart = [after - before for before, after in pairwise(asked)]
    assert asked[0] <= EVERY_S + 60
    assert 0.8 * EVERY_S <= min(apart) < max(apart) <= 1.2 * EVERY_S + 60


def test_one_that_does_not_is_asked_less_and_less_often_and_as_before_once_it_does() -> None:
    asking = Asking(random.Random(1))
    asked = moments(asking, 100_000, answers=False)
    apart = [after - before for before, after in pairwise(asked)]
    assert apart[0] < apart[2] < apart[4]
    assert 0.8 * MOST_S <= apart[-1] <= 1.2 * MOST_S + 60
    asking.asked("r1", 0.0, was_answered=True)
    assert not asking.is_due("r1", 0.8 * EVERY_S - 1)
    assert asking.is_due("r1", 1.2 * EVERY_S)


def test_many_are_not_asked_about_at_once() -> None:
    asking = Asking(random.Random(1))
    due = [one for one in range(1000) if asking.is_due(str(one), 0.0)]
    assert len(due) < 10
    asking.forget_all_but(["7"])
    assert asking._next_s.keys() == {"7"}
