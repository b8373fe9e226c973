"""Whoever dies, whatever AWS does: each step is done once, in order, and the journal says so."""

import pytest

from tests.eks.upgrade.lives import live


@pytest.mark.parametrize("seed", range(1, 31))
def test_an_upgrade_comes_to_its_end_once(seed: int) -> None:
    live(seed)


def test_seeds_bring_deaths_and_holds() -> None:
    lives = [live(seed) for seed in range(31, 41)]
    assert sum(one.deaths for one in lives) > 10
    assert sum(one.holds for one in lives) > 0
