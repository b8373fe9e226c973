"""Whoever dies: jobs are suspended once, whole, and resumed once; people's suspensions stay; every new node has what the old ones had."""

from functools import cache

import pytest

from tests.eks.upgrade.gpu_roll import lives

SEEDS = range(9, 17)
live = cache(lives.live)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_roll_comes_to_its_end(seed: int) -> None:
    live(seed)


def test_seeds_bring_deaths_and_people() -> None:
    lived = [live(seed) for seed in SEEDS]
    assert sum(one.deaths for one in lived) > 5
    assert sum(one.suspended for one in lived) > 5
    assert sum(len(one.theirs) for one in lived) > 0
