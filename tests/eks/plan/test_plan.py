from datetime import date
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from aliquot.eks.plan import plan as plans
from aliquot.eks.plan.plan import BadPlan, Options, Pin, Plan
from aliquot.eks.plan.planning import plan
from aliquot.eks.preflight.waivers import Waiver
from aliquot.eks.upgrade.acts.approval import Approval
from aliquot.windows import Window
from tests.eks.plan.estates import M132, M133, NOW_S, TARGETS, estate, gpus, group


def made(**options: object) -> Plan:
    return plan(estate(group("web"), gpus("gpu")), M133, TARGETS, Options(**options))  # type: ignore[arg-type]


def test_a_plan_is_the_same_when_it_is_read_again() -> None:
    of_all = made(
        waivers=(Waiver(check="budgets", reason="known", expires=date(2026, 12, 1)),),
        windows=(Window("0 22 * * 6", 6 * 3600.0, "Europe/Berlin"),),
        pins=(Pin(group="gpu", minor=M132, release="1.32.7-20260801"),),
        no_surge=("gpu",),
    )
    assert plans.decode(plans.encode(of_all)) == of_all


def test_the_same_is_planned_from_the_same_and_what_is_approved_is_its_id() -> None:
    assert made() == made()
    assert {step.act.hash for step in made().steps if isinstance(step.act, Approval)} == {made().id}
    later = plan(replace(estate(group("web"), gpus("gpu")), read_s=NOW_S + 60), M133, TARGETS, Options())
    assert later.id != made().id


def test_a_plan_that_was_changed_is_not_taken() -> None:
    text = plans.encode(made()).replace(b"1.33.9-20260920", b"1.33.8-20260820", 1)
    with pytest.raises(BadPlan, match="it was changed after it was made"):
        plans.decode(text)
    steps = tuple(
        replace(step, act=Approval(hash="another")) if isinstance(step.act, Approval) else step
        for step in made().steps
    )
    with pytest.raises(BadPlan, match="it was changed after it was made"):
        plans.decode(plans.encode(replace(made(), steps=steps)))


def test_a_plan_of_an_older_aliquot_is_taken_though_steps_have_more_to_say_by_now() -> None:
    written = msgspec.json.decode(plans.encode(made()))
    for step in written["steps"]:
        del step["back"]
    older = msgspec.json.encode({**written, "id": plans._identity(written)}).replace(
        made().id.encode(), plans._identity(written).encode()
    )
    assert plans.decode(older).id == plans._identity(written) != made().id


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"{}", "it is no plan of this version of aliquot"),
        (b"kind: Plan", "it is no plan of this version of aliquot"),
        (msgspec.json.encode({"cluster": 7}), "it is no plan of this version of aliquot"),
        (plans.encode(replace(made(), format=9)), "it is of format 9, not 1: plan anew"),
    ],
)
def test_what_is_no_plan_is_refused_in_a_line(text: bytes, line: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(text)
    with pytest.raises(BadPlan, match=line) as raised:
        plans.read(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_is_refused_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(BadPlan, match="cannot be read: No such file"):
        plans.read(tmp_path / "none.json")
