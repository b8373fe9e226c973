"""Who is moved for whom: each row is the GPUs of a node, what is needed, and what is done for it."""

import pytest

from aliquot.partition.controller.moves import Relocation
from aliquot.partition.controller.relocation import relocation
from tests.partition.controller.places import holders, need, place


def found(*layouts: str, profile: str, stays: tuple[str, ...] = ()) -> Relocation | None:
    return relocation(
        need(profile),
        [place("n", *layouts)],
        {},
        holders("n", *layouts),
        lambda pod: "it stays" if pod.removeprefix("default/") in stays else "",
    )


def spelled(one: Relocation | None) -> str:
    """`7g.80gb@0 on n-0, moves a to n-1`"""
    if one is None:
        return ""
    moved = " and ".join(f"{v.pod.removeprefix('default/')} to {v.to[0].uuid}" for v in one.victims)
    ((_, spot),) = one.slices
    return f"{spot.profile}@{spot.start} on {spot.uuid}, moves {moved}"


@pytest.mark.parametrize(
    ("layouts", "profile", "expected"),
    [
        # Half of each is free, and one moves in with another.
        (("3g.40gb@4=a", "3g.40gb@4=b"), "7g.80gb", "7g.80gb@0 on n-0, moves a to n-1"),
        # The smaller one moves.
        (("3g.40gb@4=a", "1g.10gb@6=b"), "7g.80gb", "7g.80gb@0 on n-1, moves b to n-0"),
        # One is moved rather than two.
        (
            ("1g.10gb@0=a 1g.10gb@6=b", "3g.40gb@4=c", "2g.20gb@0=d"),
            "7g.80gb",
            "7g.80gb@0 on n-2, moves d to n-0",
        ),
        # What is free is no obstacle.
        (("3g.40gb@4=a 2g.20gb@0", "3g.40gb@0=b"), "7g.80gb", "7g.80gb@0 on n-0, moves a to n-1"),
        # Nowhere to go.
        (("3g.40gb@4=a", "4g.40gb@0=b 3g.40gb@4=c"), "7g.80gb", ""),
        # A GPU of its own is nothing to be moved to: MIG would have to be switched on.
        (("3g.40gb@4=a", "whole"), "7g.80gb", ""),
        # Shares are had by several.
        (("3g.40gb@4*2,timeSlicing=a", "3g.40gb@4*2,timeSlicing=b"), "7g.80gb", ""),
    ],
)
def test_room_is_made_by_moving_the_least(layouts: tuple[str, ...], profile: str, expected: str) -> None:
    assert spelled(found(*layouts, profile=profile)) == expected


def test_who_stays_is_not_moved() -> None:
    layouts = ("3g.40gb@4=a", "3g.40gb@4=b")
    assert spelled(found(*layouts, profile="7g.80gb", stays=("a",))) == "7g.80gb@0 on n-1, moves b to n-0"
    assert found(*layouts, profile="7g.80gb", stays=("a", "b")) is None


def test_a_pod_that_needs_several_slices_waits() -> None:
    layouts = ("3g.40gb@4=a", "3g.40gb@4=b")
    asked = need("7g.80gb", count=2)
    assert relocation(asked, [place("n", *layouts)], {}, holders("n", *layouts), lambda _: "") is None
