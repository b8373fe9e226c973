"""What of a plan is done next: for each pod, who is in its place, and who is in the places of those."""

import pytest

from aliquot.partition.controller.replanned import relocation_in
from aliquot.partition.replanning.plan import Evict, Operation, Place, Plan, Spot


def spot(text: str) -> Spot:
    """`g0@4+3`: three slots from 4 on."""
    gpu, _, place = text.partition("@")
    start, _, size = place.partition("+")
    return Spot("n", gpu, f"{size}g.{size}0gb", int(start), int(size))


def plan(*texts: str) -> Plan:
    """`w=g0@0+8` is admitted, `x:g0@4+3>g1@4+3` is moved."""
    operations: list[Operation] = []
    for text in texts:
        if "=" in text:
            pod, _, places = text.partition("=")
            operations.append(Place(pod, tuple(map(spot, places.split("&"))), False, ""))
        else:
            pod, _, move = text.partition(":")
            old, new = (tuple(map(spot, places.split("&"))) for places in move.split(">"))
            operations += [Evict(pod, old, False, ""), Place(pod, new, True, "")]
    return Plan(tuple(operations), (), {}, {}, {})


@pytest.mark.parametrize(
    ("of", "victims", "later"),
    [
        (plan("w=g0@0+8", "x:g0@4+3>g1@4+3"), ["x"], []),
        # Of another pod's move nothing is done for this one.
        (plan("w=g0@0+8", "v=g2@0+8", "x:g0@4+3>g1@4+3", "y:g2@0+1>g1@0+1"), ["x"], []),
        # A chain, as far as it goes.
        (
            plan("w=g0@0+8", "x:g0@4+3>g1@4+3", "y:g1@4+1>g2@6+1", "z:g2@6+1>g3@0+1"),
            ["x"],
            ["y", "z"],
        ),
        # Two that are exchanged.
        (plan("w=g0@0+4", "x:g0@0+1>g1@0+1", "y:g1@0+1>g0@4+1"), ["x"], ["y"]),
        # Several slices, and a pod that is in two of them.
        (plan("w=g0@0+4&g1@0+4", "x:g0@0+1&g1@0+1>g2@0+1&g2@1+1", "y:g1@2+1>g2@2+1"), ["x", "y"], []),
    ],
)
def test_who_is_moved_for_whom(of: Plan, victims: list[str], later: list[str]) -> None:
    found = relocation_in(of, "w")
    assert found is not None
    assert [one.pod for one in found.victims] == victims
    assert [one.pod for one in found.later] == later
    assert found.moves == len(victims) + len(later)


@pytest.mark.parametrize(
    "of", [plan(), plan("w=g0@0+4"), plan("w=g0@0+4", "x:g0@4+3>g1@4+3"), plan("v=g0@0+8", "x:g0@0+1>g1@0+1")]
)
def test_what_needs_no_move_is_left_to_the_scheduler(of: Plan) -> None:
    assert relocation_in(of, "w") is None
