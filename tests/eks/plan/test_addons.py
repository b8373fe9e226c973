"""What an add-on has beside its build, and keeps while it goes to another one, there and back."""

import pytest
from msgspec.structs import replace

from aliquot.eks.estate.estate import Addon, Estate
from aliquot.eks.estate.updates import Progress, SeenUpdate
from aliquot.eks.plan import going_back
from aliquot.eks.plan.plan import CannotPlan, OnConflict, Options, Plan
from aliquot.eks.plan.planning import plan
from aliquot.eks.upgrade.acts.addon import Conflicts
from aliquot.eks.upgrade.acts.preflight import Preflight
from aliquot.eks.upgrade.verdicts import Call
from tests.eks.plan.estates import M131, M132, NOW_S, TARGETS, addon, at, builds, estate, shipped_builds

ROLE = "arn:aws:iam::123456789012:role/proxy"
VALUES = '{"mode": "ipvs"}'
BARE = Options()
UPGRADED = SeenUpdate(
    id="u1",
    type="VersionUpdate",
    progress=Progress.SUCCESSFUL,
    created_s=NOW_S - 3600,
    parameters={"Version": "1.32"},
)


def there(options: Options = BARE, role_arn: str = ROLE, configuration: str = VALUES) -> Plan:
    proxy = replace(addon("kube-proxy"), configuration=configuration, role_arn=role_arn)
    return plan(estate(addons=(addon("coredns"), proxy)), M132, TARGETS, options)


def back(options: Options = BARE) -> Plan:
    proxy = replace(addon("kube-proxy", M132), configuration=VALUES, role_arn=ROLE)
    upgraded = at(M132, support="EXTENDED")
    addons = (addon("coredns", M132), proxy)
    return going_back.plan(estate(cluster=upgraded, addons=addons, updates=(UPGRADED,)), TARGETS, options)


def call_of(made: Plan, name: str) -> Call:
    (call,) = (
        step.call
        for step in made.steps
        if step.call is not None and step.call.parameters.get("addonName") == name
    )
    return call


def test_it_is_asked_for_with_the_role_and_the_values_that_it_has() -> None:
    for made in (there(), back()):
        asked = call_of(made, "kube-proxy").parameters
        assert (asked["serviceAccountRoleArn"], asked["configurationValues"]) == (ROLE, VALUES)


def test_of_one_that_has_none_none_is_asked_for() -> None:
    asked = call_of(there(role_arn="", configuration=""), "kube-proxy").parameters
    assert not {"serviceAccountRoleArn", "configurationValues"} & asked.keys()


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        (Conflicts.PRESERVE, ""),
        (Conflicts.OVERWRITE, "; what somebody changed of it in the cluster is set back"),
        (Conflicts.NONE, "; it fails if somebody changed fields of it in the cluster"),
    ],
)
def test_what_becomes_of_changed_fields_is_said_and_asked_for(policy: Conflicts, says: str) -> None:
    options = Options(conflicts=(OnConflict("kube-proxy", policy),))
    for made, before in ((there(options), there()), (back(options), back())):
        assert call_of(made, "kube-proxy").parameters["resolveConflicts"] == policy
        (told, was) = (
            next(step.what for step in one.steps if step.what.startswith("add-on kube-proxy"))
            for one in (made, before)
        )
        assert told == was + says


def test_an_addon_that_is_not_there_has_no_policy() -> None:
    options = Options(conflicts=(OnConflict("vpc-cni", Conflicts.NONE),))
    with pytest.raises(CannotPlan, match="has no add-on vpc-cni: it has coredns, kube-proxy"):
        there(options)


ADDONS, KUBE_PROXY = "insight EKS add-on version compatibility", "insight kube-proxy version skew"
BOTH = builds("ebs", ("v1.40.0-eksbuild.1", (M131,), ()), ("v1.45.0-eksbuild.2", (M131, M132), (M132,)))
EACH = builds("efs", ("v2.0.0-eksbuild.1", (M131,), ()), ("v2.1.0-eksbuild.1", (M132,), (M132,)))
EBS, EFS = Addon(name="ebs", build="v1.40.0-eksbuild.1"), Addon(name="efs", build="v2.0.0-eksbuild.1")
OLD_PROXY = Addon(name="kube-proxy", build="v1.28.15-eksbuild.37")


@pytest.mark.parametrize(
    ("of", "waived"),
    [
        (estate(addons=(EBS,), builds=BOTH), {ADDONS}),
        # It is raised after the control plane alone: EKS' word stands.
        (estate(addons=(EBS, EFS), builds=(*BOTH, *EACH)), set()),
        (estate(addons=(OLD_PROXY,), builds=shipped_builds("kube-proxy")), {ADDONS, KUBE_PROXY}),
        (estate(), set()),
    ],
)
def test_what_a_hop_raises_before_its_control_plane_does_not_block_it(of: Estate, waived: set[str]) -> None:
    (preflight,) = (
        step.act
        for step in plan(of, M132, TARGETS, Options(allow_unchecked=True)).steps
        if isinstance(step.act, Preflight)
    )
    assert {one.what for one in preflight.waivers if one.check == "eks-insights"} == waived
