import random
from collections.abc import Mapping

import pytest

from aliquot.scheduler.core.cutting import best_cut, prices, worth_by_milli

HALVES_AND_LARGE = {500: 10.0, 810: 10.0}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, {}),
        ({1000: 3.0}, {1000: 1.0}),
        ({470: 8.0}, {470: 0.5}),
        (HALVES_AND_LARGE, {500: 0.5, 810: 1.0}),
        # Fillers that come too rarely to fill what others leave are free, and so much room beside them worth nothing.
        ({810: 100.0, 160: 5.0}, {810: 1.0, 160: 0.0}),
        # There are more fillers than room beside the large ones: now it is the large ones' room that is free.
        ({810: 1.0, 160: 100.0}, {810: 5 / 6, 160: 1 / 6}),
    ],
)
def test_a_price_for_each_size(wanted: Mapping[int, float], expected: Mapping[int, float]) -> None:
    assert prices(wanted) == pytest.approx(expected)


def test_no_cut_is_worth_more_than_a_gpu_and_what_is_wanted_costs_its_gpus() -> None:
    rng = random.Random(1)
    for _ in range(30):
        sizes = rng.sample(range(10, 1001, 10), rng.randrange(1, 12))
        wanted = {size: float(rng.randrange(1, 100)) for size in sizes}
        found = prices(wanted)
        assert all(price >= 0 for price in found.values())
        assert best_cut(found).price <= 1 + 1e-6
        least = sum(size * count for size, count in wanted.items()) / 1000
        alone = sum(count / (1000 // size) for size, count in wanted.items())
        assert least - 1e-6 <= sum(found[size] * wanted[size] for size in sizes) <= alone + 1e-6


def test_the_optimum_is_that_of_the_linear_program() -> None:
    """Against HiGHS, with every way to cut a GPU written out."""
    highspy = pytest.importorskip("highspy")
    rng = random.Random(2)
    for _ in range(10):
        sizes = sorted(rng.sample(range(200, 1001, 10), 6))
        wanted = {size: float(rng.randrange(1, 50)) for size in sizes}
        model = highspy.Highs()
        model.setOptionValue("output_flag", False)
        cuts = list(_cuts(sizes, 1000))
        uses = [model.addVariable(lb=0) for _ in cuts]
        for number, size in enumerate(sizes):
            model.addConstr(
                sum(cut[number] * use for cut, use in zip(cuts, uses, strict=True)) >= wanted[size]
            )
        model.minimize(sum(uses))
        expected = model.getObjectiveValue()
        found = prices(wanted)
        assert sum(found[size] * wanted[size] for size in sizes) == pytest.approx(expected)


def _cuts(sizes: list[int], room: int) -> list[tuple[int, ...]]:
    if not sizes:
        return [()]
    first, *rest = sizes
    return [
        (count, *others) for count in range(room // first + 1) for others in _cuts(rest, room - count * first)
    ]


def test_the_best_cut_says_how() -> None:
    cut = best_cut({470: 0.5, 320: 0.4, 190: 0.1})
    assert cut.price == pytest.approx(1.2)
    assert cut.counts == {320: 3}


def test_what_fits_into_what_is_left() -> None:
    worth = worth_by_milli({470: 0.5, 230: 0.25})
    assert [worth[milli] for milli in (0, 229, 230, 469, 530, 700, 1000)] == [0, 0, 0.25, 0.5, 0.5, 0.75, 1.0]
