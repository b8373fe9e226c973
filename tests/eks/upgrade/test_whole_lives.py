"""The short form; `make soak` has a thousand."""

import pytest

from aliquot.eks.upgrade.states import State
from tests.eks.upgrade import besides
from tests.eks.upgrade.whole_lives import live

SEEDS = range(1, 13)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_whole_upgrade_comes_to_its_end_whoever_dies(seed: int) -> None:
    life, has = live(seed), besides.of_seed(seed)
    parts = {
        State.PRE_ADDONS: has.old_builds,
        State.PRE_NODES: bool(has.old_group),
        State.FARGATE: has.fargate,
    }
    assert {state: state in life.states for state in parts} == parts


@pytest.mark.parametrize("seed", [2, 3])
def test_nodes_of_karpenter_come_along_there_and_back(seed: int) -> None:
    """The first is turned half way."""
    live(seed, pools=True)


def test_the_short_form_has_all_that_clusters_may_have_besides() -> None:
    every = [besides.of_seed(seed) for seed in SEEDS]
    assert {one.old_group for one in every} == {"", "cpu", "gpu"}
    for name in ("old_builds", "fargate", "smokes", "smoke_fails"):
        assert {getattr(one, name) for one in every} == {True, False}, name
