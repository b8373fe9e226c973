"""What an add-on has beside its build, and keeps while it goes to another one, there and back."""

import pytest
from msgspec.structs import replace

from aliquot.eks.estate.updates import Progress, SeenUpdate
from aliquot.eks.plan import going_back
from aliquot.eks.plan.plan import CannotPlan, OnConflict, Options, Plan
from aliquot.eks.plan.planning import plan
from aliquot.eks.upgrade.acts.addon import Conflicts
from aliquot.eks.upgrade.verdicts import Call
from tests.eks.plan.estates import M132, NOW_S, TARGETS, addon, at, estate

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
