"""Lives of MIG changes in CI; `make soak` runs many more."""

import pytest

from tests.node.mig.convergence import live

LIVES = 300
AT_ONCE = 50


@pytest.mark.parametrize("first", range(0, LIVES, AT_ONCE))
def test_whatever_cuts_a_change_short_it_is_finished_or_rolled_back(first: int) -> None:
    for seed in range(first, first + AT_ONCE):
        live(seed)
