"""What holds of the plan of any cluster."""

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from aliquot.eks.estate.estate import Addon, Estate, Nodegroup
from aliquot.eks.plan import addon_builds
from aliquot.eks.plan.checking import wrong
from aliquot.eks.plan.passing import after
from aliquot.eks.plan.plan import CannotPlan, Options, Plan
from aliquot.eks.plan.planning import CHANGES, plan
from aliquot.eks.upgrade.acts.addon import AddonBuild
from aliquot.eks.upgrade.acts.control_plane import ControlPlane
from aliquot.eks.upgrade.acts.group_config import GroupConfig
from aliquot.eks.upgrade.acts.group_roll import GroupRoll
from aliquot.eks.upgrade.acts.table import Act
from aliquot.eks.versions import skew
from aliquot.eks.versions.minor import Minor
from tests.eks.plan.estates import (
    M130,
    M131,
    M132,
    M133,
    M134,
    TARGETS,
    addon,
    at,
    builds,
    estate,
    gpus,
    group,
    node,
    objects,
    server,
    shipped_builds,
    worker,
)

CNI = "vpc-cni"
CNI_BUILDS = builds(
    CNI,
    *(
        (f"v1.{own}.{patch}-eksbuild.1", [M130, M131, M132, M133, M134], [])
        for own in (18, 19, 20)
        for patch in (0, 3)
    ),
    ("v1.21.0-eksbuild.1", [M132, M133, M134], [M132, M133, M134]),
    ("v1.20.3-eksbuild.2", [M130, M131, M132], [M130, M131]),
)
EBS = "aws-ebs-csi-driver"
EBS_BUILDS = builds(
    EBS,
    ("v1.40.0-eksbuild.1", [M130, M131], [M130, M131]),
    ("v1.42.0-eksbuild.1", [M131, M132, M133], [M132]),
    ("v1.45.0-eksbuild.1", [M133, M134], [M133, M134]),
)


@st.composite
def clusters(draw: st.DrawFn) -> Estate:
    now = draw(st.sampled_from([M131, M132, M133]))
    groups = []
    for number in range(draw(st.integers(0, 5))):
        make = draw(st.sampled_from([group, gpus]))
        minor = draw(st.sampled_from([now, now.previous]))
        release = draw(st.sampled_from([f"{minor}.9-20260920", f"{minor}.5-20260101"]))
        capacity = draw(st.sampled_from(["ON_DEMAND", "CAPACITY_BLOCK"]))
        groups.append(
            make(f"g{number}", draw(st.integers(0, 6)), minor=minor, release=release, capacity=capacity)
        )
    names = [one.name for one in groups]
    pods = []
    if names:
        for number in range(draw(st.integers(0, 6))):
            on = f"{draw(st.sampled_from(names))}-node"
            job = draw(st.sampled_from(["a", "b", ""]))
            pods.append(worker(job, number, on) if job else server(f"web-{number}", on))
    addons = [addon("coredns", now), addon("kube-proxy", draw(st.sampled_from([now, now.previous])))]
    if draw(st.booleans()):
        fits = [one.build for one in CNI_BUILDS if now in one.minors]
        addons.append(Addon(name=CNI, build=draw(st.sampled_from(fits))))
    if draw(st.booleans()):
        fits = [one.build for one in EBS_BUILDS if now in one.minors]
        addons.append(Addon(name=EBS, build=draw(st.sampled_from(fits))))
    return estate(
        *groups,
        cluster=at(now),
        addons=tuple(addons),
        builds=(*shipped_builds("coredns"), *shipped_builds("kube-proxy"), *CNI_BUILDS, *EBS_BUILDS),
        objects=draw(st.sampled_from([None, objects([node(f"{name}-node", name) for name in names], pods)])),
    )


targets = st.sampled_from([M132, M133, M134])


def planned(of: Estate, to: Minor) -> Plan:
    try:
        return plan(of, to, TARGETS, Options())
    except CannotPlan:
        assume(False)
        raise


def changes(made: Plan) -> list[Act]:
    return [step.act for step in made.steps if isinstance(step.act, CHANGES)]


def left(of: Estate) -> tuple[object, ...]:
    return of.cluster.minor, of.nodegroups, of.addons


QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])


@QUICK
@given(clusters(), targets)
def test_the_order_of_every_plan_is_as_the_parts_of_a_cluster_need_it(of: Estate, to: Minor) -> None:
    made = planned(of, to)
    ids = [step.id for step in made.steps]
    assert len(ids) == len(set(ids))
    assert wrong(made.id, made.steps) == ()
    for step in made.steps:
        act = step.act
        if isinstance(act, ControlPlane):
            assert act.to == of.cluster.minor.next == act.now.next
            # EKS may ask for it, and skew is not used up.
            assert all(one.minor == act.now for one in of.nodegroups)
        if isinstance(act, GroupRoll):
            assert act.minor <= of.cluster.minor
        if isinstance(act, AddonBuild):
            there = next(one.build for one in of.addons if one.name == act.name)
            listed = {one.build: one.minors for one in of.builds if one.addon == act.name}
            assert of.cluster.minor in listed[act.build]
            assert there != act.build
            if "pre-addons" in step.id and act.name != addon_builds.KUBE_PROXY:
                final = [s.act for s in made.steps if s.id == f"{step.hop}/pre-addons/{act.name}"]
                assert isinstance(final[0], AddonBuild)
                assert {of.cluster.minor, of.cluster.minor.next} <= set(listed[final[0].build])
            if act.name == CNI:
                assert addon_builds.age(act.build)[1] - addon_builds.age(there)[1] in (0, 1)
            if act.name == addon_builds.KUBE_PROXY and step.state == "kube-proxy":
                assert all(one.minor == step.hop for one in of.nodegroups)
        of = after(of, act)
        for one in of.nodegroups:
            assert skew.kubelet_fits(one.minor, of.cluster.minor)
    assert of.cluster.minor == to


@QUICK
@given(clusters(), targets)
def test_in_the_end_all_of_it_is_there_and_groups_are_configured_as_they_were(of: Estate, to: Minor) -> None:
    made, before = planned(of, to), of
    for step in made.steps:
        of = after(of, step.act)
    assert {one.minor for one in of.nodegroups} <= {to}
    assert all(one.release == f"{to}.9-20260920" for one in of.nodegroups)
    assert [(one.strategy, one.most_unavailable) for one in of.nodegroups] == [
        (one.strategy, one.most_unavailable) for one in before.nodegroups
    ]
    with pytest.raises(CannotPlan, match="there is nothing to do"):
        plan(of, to, TARGETS, Options())


@QUICK
@given(clusters(), targets, st.data())
def test_planned_again_half_way_the_rest_is_left(of: Estate, to: Minor, data: st.DataObject) -> None:
    made = planned(of, to)
    done = data.draw(st.integers(0, len(made.steps)))
    half, whole, names = of, of, {one.name for one in of.nodegroups}
    for number, step in enumerate(made.steps):
        whole = after(whole, step.act)
        half = after(half, step.act) if number < done else half
    if half.cluster.minor == to and not changes_after(made, done):
        return
    # A death may leave a group configured for its roll; that was planned to be put back, and is kept in the journal.
    # A canary that was left there, too.
    half = replace(
        half, nodegroups=tuple(_configured_as(of, one) for one in half.nodegroups if one.name in names)
    )
    rest = planned(half, to)
    for step in rest.steps:
        half = after(half, step.act)
    assert left(half) == left(whole)
    if made.now.next == to and rest.now == to:
        # Within the last hop it is the very rest, in the same order.
        assert changes(rest) == changes_after(made, done)


def changes_after(made: Plan, done: int) -> list[Act]:
    return [step.act for step in made.steps[done:] if isinstance(step.act, CHANGES)]


def _configured_as(of: Estate, half: Nodegroup) -> Nodegroup:
    was = next(one for one in of.nodegroups if one.name == half.name)
    return replace(
        half,
        strategy=was.strategy,
        most_unavailable=was.most_unavailable,
        most_unavailable_percentage=was.most_unavailable_percentage,
    )


@QUICK
@given(clusters(), targets)
def test_each_group_that_is_configured_for_its_roll_is_rolled_before_it_is_put_back(
    of: Estate, to: Minor
) -> None:
    made = planned(of, to)
    open_: dict[str, bool] = {}
    for step in made.steps:
        if isinstance(step.act, GroupConfig):
            name = step.act.name
            assert "as-it-was" not in step.id or open_.pop(name)
            if "roll-as" in step.id:
                open_[name] = False
        elif isinstance(step.act, GroupRoll) and step.act.name in open_:
            open_[step.act.name] = True
    assert not open_
