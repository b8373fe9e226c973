"""Where a node is replaced together with others."""

import pytest

from aliquot.eks.estate.places import is_pool, place, pool, told

GROUP, POOL = "eks.amazonaws.com/nodegroup", "karpenter.sh/nodepool"


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        ({GROUP: "gpu"}, "gpu"),
        ({POOL: "gpu"}, "nodepool/gpu"),
        ({"eks.amazonaws.com/fargate-profile": "gpu"}, ""),
        ({}, ""),
    ],
)
def test_a_group_and_a_pool_of_one_name_are_two_places(labels: dict[str, str], found: str) -> None:
    assert place(labels) == found
    assert is_pool(found) == (POOL in labels)


@pytest.mark.parametrize(
    ("places", "line"),
    [
        (("a",), "node group a"),
        (("a", "b"), "node groups a, b"),
        ((pool("p"),), "NodePool p"),
        (("a", pool("p"), "b", pool("q")), "node groups a, b and NodePools p, q"),
    ],
)
def test_in_a_sentence(places: tuple[str, ...], line: str) -> None:
    assert told(places) == line
