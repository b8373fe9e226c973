from statistics import stdev

import pytest

from aliquot.partition.simulation.metrics import estimate, paired, percentile, student_quantile


@pytest.mark.parametrize(
    ("freedom", "quantile", "digits"),
    [
        (1, 12.706, 3),
        (2, 4.303, 3),
        (3, 3.182, 1),
        (5, 2.571, 2),
        (9, 2.262, 3),
        (29, 2.045, 3),
        (99, 1.984, 3),
    ],
)
def test_student_quantiles_are_those_of_the_tables(freedom: int, quantile: float, digits: int) -> None:
    assert student_quantile(freedom) == pytest.approx(quantile, abs=0.6 * 10**-digits)


def test_an_estimate_by_hand() -> None:
    found = estimate([1.0, 2.0, 3.0])
    assert found.mean == 2
    assert found.half_width == pytest.approx(4.303 * 1 / 3**0.5, rel=1e-3)
    assert estimate([1.0]).half_width == float("inf")


def test_what_seeds_have_in_common_falls_out_of_a_paired_difference() -> None:
    baseline = [0.80, 0.90, 0.70, 0.85]
    better = [value + 0.01 + noise for value, noise in zip(baseline, (0.001, -0.001, 0.002, 0), strict=True)]
    found = paired(better, baseline)
    assert found.mean == pytest.approx(0.0105)
    assert found.half_width < stdev(baseline) / 20


@pytest.mark.parametrize(
    ("percent", "value"), [(0, 1.0), (50, 5.0), (51, 6.0), (90, 9.0), (99, 10.0), (100, 10.0)]
)
def test_percentiles(percent: float, value: float) -> None:
    assert percentile([float(n) for n in range(1, 11)], percent) == value
    assert percentile([], percent) == 0
