"""Whoever dies: jobs are suspended once, whole, and resumed once; people's suspensions stay; every new node has what the old ones had."""

import pytest

from tests.eks.upgrade.gpu_roll.lives import live


@pytest.mark.parametrize("seed", range(1, 9))
def test_a_roll_comes_to_its_end(seed: int) -> None:
    live(seed)


def test_seeds_bring_deaths_and_people() -> None:
    lives = [live(seed) for seed in range(9, 17)]
    assert sum(one.deaths for one in lives) > 5
    assert sum(one.suspended for one in lives) > 5
    assert sum(len(one.theirs) for one in lives) > 0
