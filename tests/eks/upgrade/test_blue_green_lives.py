"""The short form."""

import pytest

from tests.eks.upgrade.blue_green_lives import live


@pytest.mark.parametrize("seed", [2, 5, 20, 24])
def test_no_pod_that_runs_for_hours_is_cut_whoever_dies(seed: int) -> None:
    live(seed)
