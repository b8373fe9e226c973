"""Whoever dies, whatever AWS does: each step is done once, in order, and the journal says so. The short form; `make soak` has a thousand."""

from functools import cache

import pytest

from tests.eks.upgrade import lives

SEEDS = range(1, 16)
live = cache(lives.live)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_upgrade_comes_to_its_end_once(seed: int) -> None:
    live(seed)


def test_seeds_bring_deaths_and_holds() -> None:
    lived = [live(seed) for seed in SEEDS]
    assert sum(one.deaths for one in lived) > 10
    assert sum(one.holds for one in lived) > 0
