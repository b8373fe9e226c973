"""The short form; `make soak` has a thousand."""

import pytest

from tests.eks.upgrade.whole_lives import live


@pytest.mark.parametrize("seed", range(1, 13))
def test_a_whole_upgrade_comes_to_its_end_whoever_dies(seed: int) -> None:
    live(seed)


@pytest.mark.parametrize("seed", [2, 3])
def test_nodes_of_karpenter_come_along_there_and_back(seed: int) -> None:
    """The first is turned half way."""
    live(seed, pools=True)
