"""What the way back has from the way there, and what stopping comes to."""

from typing import Any

import pytest
from msgspec.structs import replace

from aliquot.eks.estate.updates import Progress, SeenUpdate
from aliquot.eks.plan import hashing, planning, turning
from aliquot.eks.plan.plan import Options, Pin, Plan
from aliquot.eks.upgrade.acts.control_plane import ControlPlane, Seen
from aliquot.eks.upgrade.acts.group_roll import GroupRoll
from aliquot.eks.upgrade.journal import Phase, Standing
from aliquot.eks.upgrade.states import Abort
from tests.eks.plan.estates import M131, M132, M133, M134, NOW_S, TARGETS, at, estate, group, objects
from tests.eks.plan.test_going_back import upgraded

CUSTOM: dict[str, Any] = {"ami_type": "CUSTOM", "release": "", "template": "lt-1"}
THERE = Options(
    no_surge=("cpu",), checkpoint_s=60.0, pins=(Pin(group="own", minor=M132, template_version="8"),)
)


def came() -> Plan:
    """To 1.32, with a group of EKS' AMIs, and one of somebody's own."""
    groups = (group("cpu"), group("own", template_version="7", **CUSTOM))
    return planning.plan(estate(*groups), M132, TARGETS, THERE)


def test_groups_go_back_to_what_they_had() -> None:
    options = turning.options(came(), M132)
    assert (options.no_surge, options.checkpoint_s) == (("cpu",), 60.0)
    there = estate(
        group("cpu", minor=M132, release="1.32.9-20260920"),
        group("own", minor=M132, template_version="8", **CUSTOM),
        cluster=at(M132),
        updates=(upgraded(1),),
    )
    way = turning.back(there, TARGETS, options, None, ())
    rolls = {one.act.name: one.act for one in way.steps if isinstance(one.act, GroupRoll)}
    assert rolls["cpu"].release == "1.31.5-20260101"
    assert rolls["own"].template == {"id": "lt-1", "version": "7"}


def test_of_two_hops_it_is_what_the_first_one_gave() -> None:
    two = planning.plan(estate(group("cpu")), M133, TARGETS, Options())
    assert turning.options(two, M133).pin("cpu", M132) == Pin(
        group="cpu", minor=M132, release="1.32.9-20260920"
    )


def test_of_two_hops_a_template_of_the_second_is_not_what_the_first_one_had() -> None:
    pin = Pin(group="cpu", minor=M133, template_version="9")
    found = estate(group("cpu", template="lt-2", template_version="3"))
    two = planning.plan(found, M133, TARGETS, Options(pins=(pin,)))
    assert turning.options(two, M133).pin("cpu", M132) == Pin(
        group="cpu", minor=M132, release="1.32.9-20260920", template_version="3"
    )


@pytest.mark.parametrize(
    ("ami", "said", "gone", "became"),
    [
        ({}, {"release": "1.32.1-20250101"}, False, ("1.32.1-20250101", {})),
        ({}, {"release": "1.32.1-20250101"}, True, ("1.32.1-20250101", {})),
        (CUSTOM, {"template_version": "8"}, False, ("", {"id": "lt-1", "version": "8"})),
    ],
    ids=["over", "going", "own"],
)
def test_one_that_took_anothers_place_goes_back_to_what_the_one_before_it_had(
    ami: dict[str, Any], said: dict[str, str], gone: bool, became: tuple[str, dict[str, str]]
) -> None:
    """Two hops, each with another name. `gone`: the one before it is still on its way out when the run is turned."""
    blue = group("own", template_version="7", **ami)
    newest = {"template_version": "9"} if ami else {"release": "1.33.1-20250101"}
    pins = (Pin(group="own", minor=M132, **said), Pin(group="own", minor=M133, **newest))
    wanted = Options(blue_green=("own",), pins=pins, soak_s=0.0)
    two = planning.plan(estate(blue, objects=objects([], [])), M133, TARGETS, wanted)
    there = replace(blue, name="own-1-33", minor=M133, **newest)
    old = replace(blue, name="own-1-32", minor=M132, status="DELETING", **said)
    came_ = estate(
        *((old,) if gone else ()),
        there,
        cluster=at(M133),
        updates=(upgraded(1, to="1.33"),),
        objects=objects([], []),
    )
    # Nothing was said for it but by the run itself.
    bare = replace(two, options=replace(wanted, pins=()))
    phases = standing(two, "1.33/nodes/remove/own-1-32", Phase.BEGUN)
    way = turning.back(
        came_, TARGETS, turning.options(bare, M133), two if gone else None, phases if gone else ()
    )
    (roll,) = (step.act for step in way.steps if isinstance(step.act, GroupRoll))
    assert (roll.name, roll.minor) == ("own-1-33", M132)
    assert (roll.release, roll.template) == became


@pytest.mark.parametrize("before", [None, "elsewhere"])
def test_of_no_run_that_led_here_nothing_is_taken(before: str | None) -> None:
    given = (Pin(group="cpu", minor=M133, release="1.33.1-20260101"),)
    assert turning.options(came() if before else None, M134, given) == Options(pins=given)


def test_what_is_said_now_counts_first() -> None:
    given = Pin(group="cpu", minor=M131, release="1.31.7-20260301")
    pin = turning.options(came(), M132, (given,)).pin("cpu", M131)
    assert pin is not None
    assert pin.release == given.release


def test_what_a_state_says_of_groups_is_read_back() -> None:
    found = hashing.groups(
        hashing.state(estate(group("a"), group("b", template="lt-2", template_version="3")))
    )
    assert [(one.name, one.minor, one.release, one.template_version) for one in found] == [
        ("a", "1.31", "1.31.5-20260101", ""),
        ("b", "1.31", "1.31.5-20260101", "3"),
    ]


def standing(plan: Plan, last: str, phase: Phase) -> list[Standing]:
    """All steps up to the last are done, and this is in a phase."""
    ids = [step.id for step in plan.steps]
    upto = ids.index(last)
    return [
        Standing(
            number=number,
            step=id_,
            phase=Phase.DONE if number < upto else phase if number == upto else Phase.TO_DO,
            attempt=0,
            before=(),
            told="",
            since_s=NOW_S,
        )
        for number, id_ in enumerate(ids)
    ]


def seen(version: str, progress: Progress | None = None) -> Seen:
    update = SeenUpdate(id="u1", type="VersionUpdate", progress=progress or Progress.FAILED, created_s=NOW_S)
    return Seen(status="ACTIVE", version=version, updates=(update,) if progress else ())


@pytest.mark.parametrize(
    ("step", "phase", "aws", "comes_to"),
    [
        ("1.32/preflight", Phase.BEGUN, None, Abort.FREE),
        ("1.32/control-plane", Phase.BEGUN, seen("1.31", Progress.FAILED), Abort.UNDO),
        ("1.32/control-plane", Phase.BEGUN, seen("1.32", Progress.SUCCESSFUL), Abort.ROLLBACK),
        ("1.32/control-plane-verify", Phase.HELD, None, Abort.ROLLBACK),
    ],
)
def test_what_stopping_comes_to(step: str, phase: Phase, aws: Seen | None, comes_to: Abort) -> None:
    plan = came()
    assert turning.stops(plan, standing(plan, step, phase), aws) is comes_to


def test_nobody_stops_a_control_plane_on_its_way() -> None:
    plan = came()
    with pytest.raises(turning.CannotTurn, match="EKS is at update u1 of the control plane of prod"):
        turning.stops(
            plan, standing(plan, "1.32/control-plane", Phase.BEGUN), seen("1.31", Progress.IN_PROGRESS)
        )


def test_a_run_that_is_stopped_has_nothing_left_but_to_put_back() -> None:
    plan = came()
    stopped = turning.stopped(plan, standing(plan, "1.32/control-plane", Phase.TO_DO))
    assert [step.id for step in stopped.steps] == ["1.32/unfreeze/2"]
    assert not any(isinstance(step.act, ControlPlane) for step in stopped.steps)
    assert replace(stopped, id="", steps=()) == replace(plan, id="", steps=())
