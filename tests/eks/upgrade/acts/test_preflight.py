"""What the preflight of a hop makes of groups that its plan rolls otherwise than they are configured."""

import pytest
from msgspec.structs import replace

from aliquot.eks.estate.estate import Reservation, Template
from aliquot.eks.sightings.sighting import Unchecked
from aliquot.eks.upgrade.acts.preflight import Preflight, judged
from aliquot.eks.upgrade.doing import Attempt
from aliquot.eks.upgrade.verdicts import Done, Hold, Wait
from aliquot.kube.api.checkpoint import ON_REQUEST
from tests.eks.plan.estates import M131, M132, NOW_S, estate, gpus, node, objects, worker

RESERVED = estate(
    gpus("gpu", template="lt-1", template_version="1"),
    templates=(Template(id="lt-1", version="1", reservation="cr-1"),),
    reservations=(Reservation(id="cr-1", instance_type="p5.48xlarge", total=2, available=0),),
)
ATTEMPT = Attempt(run="r", step="1.32/preflight", token="t", before=(), began_s=NOW_S, now_s=NOW_S)


def preflight(*minimal: str) -> Preflight:
    return Preflight(cluster="prod", now=M131, to=M132, unchecked_passes=True, minimal=minimal)


def test_capacity_that_cannot_surge_holds_unless_old_nodes_go_first() -> None:
    held = judged(preflight(), RESERVED, ATTEMPT)
    assert isinstance(held, Hold)
    assert "cr-1 has 0 of 2 free: they never come" in held.why
    assert isinstance(judged(preflight("gpu"), RESERVED, ATTEMPT), Done)


@pytest.mark.parametrize(
    ("unchecked", "after_s", "verdict"),
    [
        (Unchecked(what="insights", why="Rate exceeded", passes=True), 0.0, Wait),
        (Unchecked(what="insights", why="Rate exceeded", passes=True), 1799.0, Wait),
        (Unchecked(what="insights", why="Rate exceeded", passes=True), 1800.0, Hold),
        (Unchecked(what="all secrets", why="forbidden"), 0.0, Hold),
    ],
)
def test_what_could_not_be_read_for_a_while_is_read_again_before_a_person_is_asked(
    unchecked: Unchecked, after_s: float, verdict: type[Wait | Hold]
) -> None:
    act = replace(preflight("gpu"), unchecked_passes=False)
    seen = replace(RESERVED, unchecked=(unchecked,))
    said = judged(act, seen, replace(ATTEMPT, now_s=NOW_S + after_s))
    assert isinstance(said, verdict)
    assert f"{unchecked.what}: {unchecked.why}" in said.why


def test_of_a_group_that_another_one_takes_the_place_of_it_is_asked_for_all_nodes_and_for_no_haste() -> None:
    reserved = replace(RESERVED, reservations=(replace(RESERVED.reservations[0], total=9, available=1),))
    copied = replace(preflight(), copied=("gpu",))
    held = judged(copied, reserved, ATTEMPT)
    assert isinstance(held, Hold)
    assert "2 nodes more come" in held.why
    slow = worker("train", 0, "gpu-0")
    slow["spec"]["terminationGracePeriodSeconds"] = 7200
    slow["metadata"]["annotations"] = {ON_REQUEST: "true"}
    found = estate(gpus("gpu"), objects=objects([node("gpu-0", "gpu")], [slow]))
    rolled = judged(preflight(), found, ATTEMPT)
    assert isinstance(rolled, Hold)
    assert "its pods may take 120 min to end" in rolled.why
    assert "120 min" not in str(judged(copied, found, ATTEMPT))
