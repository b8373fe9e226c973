"""What somebody has had: half of it forgotten in each half-life, however often anybody looks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.scheduler.core.pod import CPU, Amounts
from aliquot.scheduler.core.queues.history import LOOK_S, MOST_USERS, NOBODY, History, Usage, advanced, used
from aliquot.scheduler.core.queues.terms import GPU
from tests.scheduler.queues.trees import thorough

HOUR = 3600.0


@pytest.mark.parametrize(
    ("before", "held", "passed_s", "expected"),
    [
        ({}, {GPU: 8000}, HOUR, {GPU: 4000}),
        ({}, {GPU: 8000}, 2 * HOUR, {GPU: 6000}),
        ({GPU: 8000.0}, {}, HOUR, {GPU: 4000}),
        ({GPU: 8000.0}, {GPU: 8000}, 5 * HOUR, {GPU: 8000}),
        ({GPU: 8000.0}, {CPU: 2000}, HOUR, {GPU: 4000, CPU: 1000}),
        # In the end it is as if it had never been.
        ({GPU: 8000.0}, {}, 20 * HOUR, {}),
        ({GPU: 8000.0}, {}, -HOUR, {GPU: 8000}),
    ],
)
def test_what_is_remembered(
    before: dict[str, float], held: Amounts, passed_s: float, expected: dict[str, int]
) -> None:
    assert used(advanced(Usage(before, 100.0), held, 100.0 + passed_s, HOUR)) == expected


@given(
    st.lists(st.floats(0, 5 * HOUR), min_size=1, max_size=6), st.integers(0, 10**6), st.integers(1000, 10**6)
)
@thorough
def test_in_many_steps_it_comes_to_the_same_as_in_one(steps_s: list[float], held: int, had: int) -> None:
    usage = start = Usage({GPU: float(had)}, 0.0)
    for step_s in steps_s:
        usage = advanced(usage, {GPU: held}, usage.at_s + step_s, HOUR)
    at_once = advanced(start, {GPU: held}, usage.at_s, HOUR)
    assert usage.average.get(GPU, 0) == pytest.approx(at_once.average.get(GPU, 0), rel=1e-6, abs=1)


def test_each_change_is_booked_at_its_time_and_counts_from_the_next_look() -> None:
    history = History(HOUR)
    history.hold("a", "ann", {GPU: 8000})
    history.advance(HOUR)
    history.hold("a", "ann", {GPU: 8000}, -1)
    history.hold("a", "bob", {GPU: 4000})
    history.advance(2 * HOUR)
    assert history.past.used == {}
    history.look()
    assert history.users("a") == {"ann": {GPU: 2000}, "bob": {GPU: 2000}}
    assert history.past.used == {"a": {GPU: 4000}}
    history.advance(3 * HOUR)
    assert history.past.used == {"a": {GPU: 4000}}
    assert history.used("a") == {GPU: 1000 + 3000}


def test_what_is_taken_away_and_given_back_at_once_was_never_away() -> None:
    history = History(HOUR)
    history.hold("a", NOBODY, {GPU: 8000})
    history.advance(HOUR)
    history.hold("a", NOBODY, {GPU: 8000}, -1)
    history.hold("a", NOBODY, {GPU: 8000})
    history.advance(2 * HOUR)
    assert history.used("a") == {GPU: 6000}


def test_who_is_given_much_at_once_has_had_it_at_once() -> None:
    history = History(LOOK_S)
    assert history.had("a", "ann") == {}
    history.hold("a", "ann", {GPU: 8000})
    assert history.had("a", "ann") == {GPU: 4000}
    assert history.used("a") == {}


def test_a_clock_that_went_back_stands_still() -> None:
    history = History(HOUR, 10 * HOUR)
    history.hold("a", NOBODY, {GPU: 8000})
    history.advance(HOUR)
    history.advance(11 * HOUR)
    assert history.used("a") == {GPU: 4000}


@pytest.mark.parametrize(
    ("written", "at_s", "expected"),
    [
        # What is held now was held since; what was had before counts less.
        ({"ann": {GPU: 2000}}, 9 * HOUR, {"ann": {GPU: 5000}}),
        ({"ann": {GPU: 8000}, "bob": {GPU: 4000}}, 9 * HOUR, {"ann": {GPU: 8000}, "bob": {GPU: 2000}}),
        # Of whom nothing is written, nothing was had until then.
        ({}, 9 * HOUR, {"ann": {GPU: 4000}}),
        # The clock of whoever wrote it is ahead.
        ({"ann": {GPU: 2000}}, 99 * HOUR, {"ann": {GPU: 2000}}),
    ],
)
def test_what_was_written_is_taken_over(
    written: dict[str, Amounts], at_s: float, expected: dict[str, Amounts]
) -> None:
    history = History(HOUR, 10 * HOUR)
    history.hold("a", "ann", {GPU: 8000})
    history.recall("a", written, at_s)
    assert history.users("a") == expected


def test_a_name_is_forgotten_in_the_end_and_so_is_a_queue() -> None:
    history = History(HOUR)
    history.hold("a", "ann", {GPU: 8000})
    history.advance(HOUR)
    history.hold("a", "ann", {GPU: 8000}, -1)
    history.look()
    assert history.users("a") == {"ann": {GPU: 4000}}
    history.advance(40 * HOUR)
    history.look()
    assert history.users("a") == {}
    assert history.past.used == {}


def test_what_is_little_at_each_look_is_not_lost() -> None:
    history = History(168 * HOUR)
    for minute in range(0, 600, 2):
        history.advance(60 * minute)
        history.hold("a", "ann", {GPU: 1000})
        history.look()
        history.advance(60 * (minute + 1))
        history.hold("a", "ann", {GPU: 1000}, -1)
        history.look()
    # Half of ten hours.
    assert history.used("a")[GPU] == pytest.approx(1000 * 0.5 * (1 - 0.5 ** (10 / 168)), abs=1)


def test_of_more_names_than_are_kept_the_least_are_nobody_and_nothing_is_lost() -> None:
    history = History(HOUR)
    names = [f"user-{number:03}" for number in range(MOST_USERS + 5)]
    for number, name in enumerate(names):
        history.hold("a", name, {GPU: 1000 + number})
    history.advance(HOUR)
    had = history.used("a")[GPU]
    for number, name in enumerate(names[:-1]):
        history.hold("a", name, {GPU: 1000 + number}, -1)
    history.look()
    # The last one holds something, and is not among those that could be merged.
    assert list(history.users("a")) == names[4:]
    assert abs(history.used("a")[GPU] - had) <= 1
