import pytest

from tests.eks.provision.lives import live


@pytest.mark.parametrize("seed", range(2))
def test_whoever_dies_and_whatever_is_lost_in_the_end_all_is_there_once(seed: int) -> None:
    assert live(seed) > 0
