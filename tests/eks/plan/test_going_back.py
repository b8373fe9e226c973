"""The way back, as steps."""

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from aliquot.eks.estate.estate import Estate
from aliquot.eks.estate.updates import Progress, SeenUpdate
from aliquot.eks.plan import going_back
from aliquot.eks.plan import plan as plans
from aliquot.eks.plan.passing import after
from aliquot.eks.plan.plan import CannotPlan, Options
from aliquot.eks.upgrade.acts.freeze import Unfreeze
from aliquot.eks.upgrade.acts.group_copy import GroupCopy, Taint
from aliquot.eks.upgrade.acts.group_removal import GroupRemoval
from aliquot.eks.upgrade.acts.group_roll import GroupRoll
from aliquot.eks.upgrade.states import State
from aliquot.eks.upgrade.steps import Step
from tests.eks.plan.estates import M131, M132, NOW_S, TARGETS, addon, at, estate, group, objects

_DAY_S = 86400.0


def upgraded(days_ago: float, *, kind: str = "VersionUpdate", to: str = "1.32") -> SeenUpdate:
    return SeenUpdate(
        id="u1",
        type=kind,
        progress=Progress.SUCCESSFUL,
        created_s=NOW_S - days_ago * _DAY_S,
        parameters={"Version": to},
    )


def after_upgrade(support: str = "EXTENDED", *updates: SeenUpdate) -> Estate:
    return estate(
        group("cpu", minor=M132, release="1.32.9-20260920"),
        group("old", minor=M131, release="1.31.9-20260920"),
        cluster=at(M132, support=support),
        addons=(addon("coredns", M132), addon("kube-proxy", M132)),
        updates=updates or (upgraded(2),),
    )


def test_nodes_then_addons_then_the_control_plane() -> None:
    plan = going_back.plan(after_upgrade("STANDARD"), TARGETS, Options())
    assert [step.id for step in plan.steps] == [
        "back/1.31/canary-nodes/cpu",
        "back/1.31/canary-nodes/health/cpu",
        "back-to-1.31/kube-proxy",
        "back-to-1.31/support",
        "back-to-1.31/insights",
        "back-to-1.31/readiness",
        "back-to-1.31/control-plane",
        "back-to-1.31/health",
        "back-to-1.31/platform",
    ]
    roll = plan.steps[0].act
    assert isinstance(roll, GroupRoll)
    assert (roll.name, roll.minor, roll.release) == ("cpu", M131, "1.31.9-20260920")
    assert {step.state for step in plan.steps} == {State.ROLLBACK}
    assert (plan.now, plan.to) == (M132, M131)
    assert plans.decode(plans.encode(plan)) == plan


def test_extended_support_is_asked_for_where_it_is_not() -> None:
    ids = [step.id for step in going_back.plan(after_upgrade(), TARGETS, Options()).steps]
    assert "back-to-1.31/support" not in ids


def test_what_stands_still_goes_on_before_the_end() -> None:
    undo = Step(id="1.32/unfreeze", state=State.UNFREEZE, hop=M132, what="", act=Unfreeze(), expected_s=0)
    ids = [step.id for step in going_back.plan(after_upgrade(), TARGETS, Options(), undo=(undo,)).steps]
    assert ids[-3:] == ["back/1.32/unfreeze", "back-to-1.31/health", "back-to-1.31/platform"]


@pytest.mark.parametrize(
    ("updates", "says"),
    [
        ((upgraded(8),), "came to 1.32 8.0 days ago: EKS goes back within seven"),
        ((upgraded(1, kind="ConfigUpdate"),), "no update of the last days has led prod to 1.32"),
        ((upgraded(1, to="1.31"),), "no update of the last days has led prod to 1.32"),
    ],
)
def test_where_there_is_no_way_back_it_says_why(updates: tuple[SeenUpdate, ...], says: str) -> None:
    with pytest.raises(CannotPlan, match=says):
        going_back.plan(after_upgrade("EXTENDED", *updates), TARGETS, Options())


@pytest.mark.parametrize(("day", "goes"), [(25, True), (26, False), (29, False)])
def test_eks_goes_back_to_no_minor_that_is_over(day: int, goes: bool) -> None:
    """1.31's extended support ended on 2026-11-26, and AWS' own upgrade then looks like anybody's."""
    now_s = datetime(2026, 11, day, tzinfo=UTC).timestamp()
    led = replace(upgraded(1), created_s=now_s - _DAY_S)
    there = replace(after_upgrade("EXTENDED", led), read_s=now_s)
    if goes:
        assert going_back.plan(there, TARGETS, Options()).to == M131
    else:
        with pytest.raises(CannotPlan, match=r"EKS has no 1\.31 any more since 2026-11-26"):
            going_back.plan(there, TARGETS, Options())


def test_one_that_was_made_so_has_nothing_to_go_back_to() -> None:
    one = after_upgrade()
    made = replace(one, cluster=replace(one.cluster, created_s=NOW_S - _DAY_S), updates=())
    with pytest.raises(CannotPlan, match=r"was made at 1\.32: there is nothing to go back to"):
        going_back.plan(made, TARGETS, Options())


def test_after_a_rollback_there_is_none_to_the_minor_before_that() -> None:
    """It is at 1.31 again, by a rollback: EKS goes back from an upgrade only."""
    one = estate(cluster=at(M131), updates=(upgraded(3), upgraded(1, kind="VersionRollback", to="1.31")))
    with pytest.raises(CannotPlan, match=r"no update of the last days has led prod to 1\.31"):
        going_back.plan(one, TARGETS, Options())


def on_fargate(name: str, kubelet: str) -> tuple[dict[str, Any], dict[str, Any]]:
    labels = {"eks.amazonaws.com/compute-type": "fargate"}
    return (
        {
            "metadata": {"name": f"f-{name}", "labels": labels},
            "status": {"nodeInfo": {"kubeletVersion": kubelet}},
        },
        {"metadata": {"name": name, "namespace": "web"}, "spec": {"nodeName": f"f-{name}"}},
    )


@pytest.mark.parametrize(
    ("kubelets", "named"),
    [
        ({}, ""),
        # Those that the way there has not restarted yet are in nobody's way.
        ({"a": "v1.31.9-eks-1"}, ""),
        ({"a": "v1.31.9-eks-1", "b": "v1.32.3-eks-1"}, "web/b"),
        ({"a": ""}, "web/a"),
        (dict.fromkeys("abcdefg", "v1.32.3-eks-1"), "web/a, web/b, web/c, web/d, web/e and 2 more"),
    ],
)
def test_pods_on_fargate_that_are_in_the_way_are_named(kubelets: dict[str, str], named: str) -> None:
    both = [on_fargate(name, kubelet) for name, kubelet in kubelets.items()]
    found = replace(after_upgrade(), objects=objects([node for node, _ in both], [pod for _, pod in both]))
    said = [one for one in going_back.plan(found, TARGETS, Options()).notes if "Fargate" in one]
    assert len(said) == bool(named)
    if named:
        assert f"kubelets newer than 1.31: {named}; EKS goes back once they are gone" in said[0]
        assert "comes anew with 1.32: scale their workloads to none" in said[0]


def test_not_while_a_group_is_on_its_way() -> None:
    one = after_upgrade()
    rolled = replace(one, nodegroups=(replace(one.nodegroups[0], status="UPDATING"), *one.nodegroups[1:]))
    with pytest.raises(CannotPlan, match="node group cpu of cluster prod is UPDATING"):
        going_back.plan(rolled, TARGETS, Options())


def test_a_copy_goes_before_anything_else_and_is_not_rolled() -> None:
    found = after_upgrade()
    found = replace(found, nodegroups=(*found.nodegroups, group("copy", 1, minor=M132)))
    act = GroupRemoval(cluster="prod", name="copy", only_copy=True)
    undo = Step(id="1.32/away", state=State.CANARY_NODES, hop=M132, what="", act=act, expected_s=0)
    back = going_back.plan(found, TARGETS, Options(), undo=(undo,))
    assert [step.act for step in back.steps].count(act) == 1
    assert back.steps[0].act == act
    assert {step.act.name for step in back.steps if isinstance(step.act, GroupRoll)} == {"cpu"}


def test_what_a_copy_and_its_removal_leave_behind() -> None:
    copy = GroupCopy(
        cluster="prod",
        name="copy",
        of="cpu",
        minor=M131,
        release="1.31.9",
        size=1,
        canary=True,
        taints=(Taint(key="aliquot.dev/startup"),),
    )
    found = after(after_upgrade(), copy)
    (made,) = (one for one in found.nodegroups if one.name == "copy")
    assert (made.minor, made.release, made.desired, made.maximum) == (M131, "1.31.9", 1, 1)
    assert made.taints == ("aliquot.dev/startup=:NoSchedule",)
    assert after(found, GroupRemoval(cluster="prod", name="copy", only_copy=True)) == after_upgrade()
