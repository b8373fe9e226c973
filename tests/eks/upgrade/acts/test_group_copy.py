"""A copy of a node group: as the other one is, made once, and deleted by whoever made it alone."""

from typing import Any

import pytest

from aliquot.eks.aws.model import against_model
from aliquot.eks.fake.faults import Fault, Kind
from aliquot.eks.upgrade.acts.group_copy import GroupCopy, Seen, Taint, call_like, judged
from aliquot.eks.upgrade.acts.group_drain import GroupDrain
from aliquot.eks.upgrade.acts.group_removal import GroupRemoval
from aliquot.eks.upgrade.acts.group_removal import Seen as SeenRemoval
from aliquot.eks.upgrade.acts.group_removal import judged as judged_removal
from aliquot.eks.upgrade.doing import Attempt
from aliquot.eks.upgrade.verdicts import Call, Done, Hold, Keep, Verdict, Wait
from aliquot.eks.versions.minor import Minor
from tests.eks.fake.worlds import ROLE
from tests.eks.upgrade.acts.worlds import World, on_virtual_time

M131 = Minor(1, 31)
CANARY = GroupCopy(
    cluster="prod",
    name="gpu-canary-1-31",
    of="gpu",
    minor=M131,
    release="1.31.9-20260920",
    size=1,
    taints=(Taint(key="aliquot.dev/startup"),),
    canary=True,
)
GREEN = GroupCopy(cluster="prod", name="gpu-1-31", of="gpu", minor=M131, release="1.31.9-20260920", size=3)
GONE = GroupRemoval(cluster="prod", name=CANARY.name, only_copy=True)
OURS = {"aliquot.dev/run": "r", "aliquot.dev/copy-of": "gpu"}
LIKE: dict[str, Any] = {
    "nodegroupName": "gpu",
    "version": "1.30",
    "scalingConfig": {"minSize": 2, "maxSize": 5, "desiredSize": 3},
    "subnets": ["s-a", "s-b"],
    "nodeRole": ROLE,
    "instanceTypes": ["p5.48xlarge"],
    "amiType": "AL2023_x86_64_NVIDIA",
    "capacityType": "ON_DEMAND",
    "diskSize": 200,
    "labels": {"team": "ml"},
    "taints": [{"key": "nvidia.com/gpu", "value": "yes", "effect": "NO_SCHEDULE"}],
    "updateConfig": {"maxUnavailable": 2},
    "nodeRepairConfig": {"enabled": True},
    "tags": {"owner": "ml", "aws:cloudformation:stack-name": "x"},
}
OF_TEMPLATE = {
    **{key: one for key, one in LIKE.items() if key not in ("diskSize", "instanceTypes")},
    "launchTemplate": {"name": "gpu", "id": "lt-1", "version": "4"},
}


def attempt(before: tuple[str, ...] = (), **kept: Any) -> Attempt:
    return Attempt(
        run="r",
        step="s",
        token="t",
        before=before,
        began_s=0.0,
        now_s=0.0,
        kept={f"s/deleting/{k}": v for k, v in kept.items()},
    )


def test_a_canary_is_one_node_with_all_that_the_group_gives_to_its_nodes() -> None:
    call = call_like(CANARY, LIKE, "t", "r")
    assert call.parameters == {
        "clusterName": "prod",
        "nodegroupName": "gpu-canary-1-31",
        "scalingConfig": {"minSize": 1, "maxSize": 1, "desiredSize": 1},
        "subnets": ["s-a", "s-b"],
        "nodeRole": ROLE,
        "instanceTypes": ["p5.48xlarge"],
        "capacityType": "ON_DEMAND",
        "diskSize": 200,
        "labels": {"team": "ml"},
        "taints": [
            {"key": "nvidia.com/gpu", "value": "yes", "effect": "NO_SCHEDULE"},
            {"key": "aliquot.dev/startup", "effect": "NO_SCHEDULE"},
        ],
        "tags": {"owner": "ml", "aliquot.dev/copy-of": "gpu", "aliquot.dev/run": "r"},
        "amiType": "AL2023_x86_64_NVIDIA",
        "version": "1.31",
        "releaseVersion": "1.31.9-20260920",
        "clientRequestToken": "t",
    }


@pytest.mark.parametrize(
    ("act", "like", "has", "has_not"),
    [
        (
            GREEN,
            LIKE,
            {
                "scalingConfig": {"minSize": 2, "maxSize": 5, "desiredSize": 3},
                "updateConfig": {"maxUnavailable": 2},
                "nodeRepairConfig": {"enabled": True},
            },
            (),
        ),
        (
            GREEN,
            OF_TEMPLATE,
            {"launchTemplate": {"id": "lt-1", "version": "4"}},
            ("diskSize", "instanceTypes"),
        ),
        (
            GroupCopy(
                cluster="prod",
                name="own-2",
                of="own",
                minor=M131,
                release="",
                template={"id": "lt-1", "version": "7"},
                size=3,
            ),
            {**OF_TEMPLATE, "amiType": "CUSTOM"},
            {"launchTemplate": {"id": "lt-1", "version": "7"}},
            ("amiType", "version", "releaseVersion", "diskSize"),
        ),
        # Somebody has let the other one shrink since it was planned.
        (
            GREEN,
            {**LIKE, "scalingConfig": {"minSize": 0, "maxSize": 2, "desiredSize": 1}},
            {"scalingConfig": {"minSize": 0, "maxSize": 2, "desiredSize": 2}},
            (),
        ),
    ],
)
def test_what_a_copy_has_of_the_other_one(
    act: GroupCopy, like: dict[str, Any], has: dict[str, Any], has_not: tuple[str, ...]
) -> None:
    call = call_like(act, like, "t", "r")
    assert {key: call.parameters[key] for key in has} == has
    assert not set(has_not) & call.parameters.keys()
    assert not list(against_model(call.service, call.operation, call.parameters))


@pytest.mark.parametrize(
    ("seen", "before", "comes", "said"),
    [
        (Seen(like=LIKE), (), Call, "CreateNodegroup"),
        (Seen(status="CREATING", tags=OURS), (), Wait, "CREATING"),
        (
            Seen(status="CREATING", tags=OURS, issues=("AsgInstanceLaunchFailures: none is left",)),
            (),
            Wait,
            "CREATING: AsgInstanceLaunchFailures: none is left",
        ),
        (Seen(status="ACTIVE", tags=OURS), (), Done, "is there, like gpu"),
        (Seen(status="ACTIVE", tags={}), (), Hold, "this run did not make it"),
        (Seen(status="ACTIVE", tags={**OURS, "aliquot.dev/run": "q"}), (), Hold, "this run did not make it"),
        (Seen(status="CREATE_FAILED", arn="a", tags=OURS, issues=("X: y",)), (), Hold, "CREATE_FAILED: X: y"),
        # What failed before somebody said to try again goes, and another one comes.
        (Seen(status="CREATE_FAILED", arn="a", tags=OURS), ("a CREATE_FAILED",), Call, "DeleteNodegroup"),
        (Seen(status="CREATE_FAILED", arn="b", tags=OURS), ("a CREATE_FAILED",), Hold, "CREATE_FAILED"),
        (Seen(status="DELETE_FAILED", arn="a", tags=OURS), ("a CREATE_FAILED",), Hold, "DELETE_FAILED"),
        (Seen(status="DELETE_FAILED", arn="a", tags=OURS), ("a DELETE_FAILED",), Call, "DeleteNodegroup"),
        (Seen(status="DELETING", arn="a", tags=OURS), ("a CREATE_FAILED",), Wait, "DELETING"),
        (Seen(status="DEGRADED", tags=OURS, issues=("X: y",)), (), Hold, "DEGRADED: X: y"),
    ],
)
def test_how_a_copy_comes_to_be(seen: Seen, before: tuple[str, ...], comes: type, said: str) -> None:
    _is(judged(CANARY, seen, attempt(before)), comes, said)


@pytest.mark.parametrize(
    ("act", "seen", "kept", "comes", "said"),
    [
        (GONE, SeenRemoval(), {}, Done, "is gone"),
        (GONE, SeenRemoval(status="CREATING", tags=OURS), {}, Wait, "CREATING"),
        (GONE, SeenRemoval(status="ACTIVE", tags=OURS), {}, Call, "DeleteNodegroup"),
        (GONE, SeenRemoval(status="CREATE_FAILED", tags=OURS), {}, Call, "DeleteNodegroup"),
        (GONE, SeenRemoval(status="ACTIVE"), {}, Done, "stays: this run did not make it"),
        (
            GONE,
            SeenRemoval(status="ACTIVE", tags={**OURS, "aliquot.dev/run": "q"}),
            {},
            Done,
            "stays: this run did not make it",
        ),
        (
            GroupRemoval(cluster="prod", name="gpu", only_copy=False),
            SeenRemoval(status="ACTIVE"),
            {},
            Call,
            "DeleteNodegroup",
        ),
        (GONE, SeenRemoval(status="DELETING", tags=OURS), {}, Keep, "s/deleting/t"),
        (GONE, SeenRemoval(status="DELETING", tags=OURS), {"t": 1}, Wait, "DELETING"),
        (GONE, SeenRemoval(status="DELETE_FAILED", tags=OURS, issues=("X: y",)), {"t": 1}, Hold, "X: y"),
        # In an attempt before this one.
        (GONE, SeenRemoval(status="DELETE_FAILED", tags=OURS), {"u": 1}, Call, "DeleteNodegroup"),
    ],
)
def test_how_a_group_goes(
    act: GroupRemoval, seen: SeenRemoval, kept: dict[str, Any], comes: type, said: str
) -> None:
    _is(judged_removal(act, seen, attempt(**kept)), comes, said)


def _is(verdict: Verdict, comes: type, said: str) -> None:
    assert isinstance(verdict, comes), verdict
    match verdict:
        case Call():
            assert verdict.operation == said
        case Hold() | Wait():
            assert said in verdict.why
        case Done():
            assert said in verdict.told
        case Keep():
            assert verdict.name == said


@on_virtual_time
async def test_it_comes_and_goes_once_although_answers_are_lost(world: World) -> None:
    world.account.nodegroup("gpu", 2, amiType="AL2023_x86_64_NVIDIA", instanceTypes=["p4d.24xlarge"])
    release = world.account.group()["releaseVersion"]
    act = GroupCopy(
        cluster="prod", name=CANARY.name, of="gpu", minor=M131, release=release, size=1, canary=True
    )
    for operation in ("CreateNodegroup", "DeleteNodegroup"):
        world.account.world.faults.waiting.append(
            Fault(kind=Kind.LOSE, operation=operation, code="", after=0, times=1)
        )
    assert await world.go(act) is None
    made = world.account.world.clusters["prod"].nodegroups[CANARY.name]
    assert made.told["tags"]["aliquot.dev/run"] == world.run
    assert len(made.nodes) == 1
    # Another run leaves it alone.
    assert await world.go(GONE) is None
    assert set(world.account.world.clusters["prod"].nodegroups) == {"gpu", CANARY.name}
    made.told["tags"]["aliquot.dev/run"] = f"run-{world.runs + 1}"
    assert await world.go(GONE) is None
    assert set(world.account.world.clusters["prod"].nodegroups) == {"gpu"}
    calls = world.doors.api.calls  # type: ignore[attr-defined]
    assert (calls["eks:CreateNodegroup"], calls["eks:DeleteNodegroup"]) == (1, 1)


@on_virtual_time
async def test_one_that_could_not_be_made_is_made_anew_when_somebody_says_so(world: World) -> None:
    world.account.nodegroup("gpu", 2)
    fault = Fault(
        kind=Kind.FAIL, operation="CreateNodegroup", code="AsgInstanceLaunchFailures", after=0, times=1
    )
    world.account.world.faults.waiting.append(fault)
    release = world.account.group()["releaseVersion"]
    act = GroupCopy(
        cluster="prod", name=CANARY.name, of="gpu", minor=M131, release=release, size=1, canary=True
    )
    held = await world.go(act)
    assert held is not None
    assert "CREATE_FAILED: AsgInstanceLaunchFailures" in held.why
    assert await world.again() is None
    assert world.account.group(CANARY.name)["status"] == "ACTIVE"


@on_virtual_time
async def test_a_group_stays_while_there_is_none_in_its_place(world: World) -> None:
    world.account.nodegroup("gpu", 1)
    drain = GroupDrain(cluster="prod", group="gpu", instead="gpu-1-32")
    held = await world.go(GroupRemoval(cluster="prod", name="gpu", only_copy=False, first=drain))
    assert held is not None
    assert "gpu-1-32, which was to have its place, is gone" in held.why
    world.account.nodegroup("gpu-1-32", 1)
    assert await world.again() is None
    assert set(world.account.world.clusters["prod"].nodegroups) == {"gpu-1-32"}


def test_how_many_nodes_it_has_may_be_left_to_the_other_one() -> None:
    as_many = GroupCopy(
        cluster="prod", name="gpu-1-31", of="gpu", minor=M131, release="1.31.9-20260920", size=None
    )
    assert call_like(as_many, LIKE, "t", "r") == call_like(GREEN, LIKE, "t", "r")
    grown = {**LIKE, "scalingConfig": {"minSize": 2, "maxSize": 9, "desiredSize": 7}}
    assert call_like(as_many, grown, "t", "r").parameters["scalingConfig"] == grown["scalingConfig"]
