"""What somebody has had: half of it forgotten in each half-life, however often anybody looks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.scheduler.core.pod import CPU, Amounts
from aliquot.scheduler.core.queues.history import Usage, advanced, used
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
