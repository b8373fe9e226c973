"""How many pods a job needs, lacks and can spare; each row a rule."""

import pytest

from aliquot.scheduler.core.jobs import Group, lacking, least_pods, surplus

WORKERS = Group("workers", 6)
LAUNCHER = Group("launcher", 1)
BOTH = Group(minimum=2, groups=(LAUNCHER, WORKERS))
REPLICAS = Group(minimum=2, groups=(Group("a", 2), Group("b", 3), Group("c", 4)))


@pytest.mark.parametrize(
    ("root", "placed", "waiting", "expected"),
    [
        (Group(), {}, {"": 1}, {"": 1}),
        (Group(), {"": 1}, {}, {}),
        (BOTH, {}, {"launcher": 1, "workers": 8}, {"launcher": 1, "workers": 6}),
        (BOTH, {"launcher": 1, "workers": 5}, {"workers": 3}, {"workers": 1}),
        (BOTH, {}, {"launcher": 1, "workers": 5}, None),
        (BOTH, {"workers": 6}, {}, None),
        (REPLICAS, {}, {"a": 2, "b": 3, "c": 4}, {"a": 2, "b": 3}),
        (REPLICAS, {"c": 3}, {"a": 2, "b": 3, "c": 1}, {"c": 1, "a": 2}),
        (REPLICAS, {}, {"a": 1, "b": 3, "c": 4}, {"b": 3, "c": 4}),
        (REPLICAS, {"a": 2, "b": 3}, {"c": 4}, {}),
    ],
)
def test_what_a_job_lacks(
    root: Group, placed: dict[str, int], waiting: dict[str, int], expected: dict[str, int] | None
) -> None:
    assert lacking(root, placed, waiting) == expected


@pytest.mark.parametrize(
    ("root", "placed", "expected"),
    [
        (Group(), {"": 1}, {}),
        (BOTH, {"launcher": 1, "workers": 8}, {"workers": 2}),
        (BOTH, {"launcher": 1, "workers": 5}, {}),
        (REPLICAS, {"a": 2, "b": 3, "c": 5}, {"c": 5}),
        (REPLICAS, {"a": 1, "b": 4, "c": 4}, {"a": 1, "b": 1}),
    ],
)
def test_what_a_job_can_spare(root: Group, placed: dict[str, int], expected: dict[str, int]) -> None:
    assert surplus(root, placed) == expected


def test_the_least_pods_of_a_job() -> None:
    assert [least_pods(root) for root in (Group(), BOTH, REPLICAS)] == [1, 7, 5]
