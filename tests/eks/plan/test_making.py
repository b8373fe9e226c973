"""Plans of clusters in the fake of EKS: what is asked for, and how often."""

from collections.abc import Callable
from typing import Any

import pytest

from aliquot.clock import VirtualClock
from aliquot.eks.aws.api import NO_CREDENTIALS, UNREACHABLE, Failure
from aliquot.eks.aws.remembering import Remembering
from aliquot.eks.estate.estate import Estate
from aliquot.eks.estate.reading import from_aws
from aliquot.eks.fake.direct import Direct
from aliquot.eks.fake.faults import Fault, Kind
from aliquot.eks.plan import making, targets
from aliquot.eks.plan.plan import CannotPlan, NothingToDo, Options, Pin, Plan
from aliquot.eks.upgrade.acts.addon import AddonBuild
from aliquot.eks.upgrade.acts.group_roll import GroupRoll
from aliquot.eks.versions.ami_parameters import PARAMETERS, parameter
from aliquot.eks.versions.minor import Minor
from tests.eks.fake.worlds import ROLE, Account
from tests.eks.plan.estates import M131, M132, M133

REGION = "eu-west-1"


Others = dict[tuple[str, str], Callable[[dict[str, Any]], dict[str, Any]]]


def door(account: Account, others: Others | None = None) -> Direct:
    return Direct(
        account.service,
        now=lambda: account.now_s,
        failed=Failure,
        subnets=account.subnets,
        others={
            ("ec2", "DescribeSubnets"): lambda _: {"Subnets": account.subnets()},
            ("ec2", "DescribeInstances"): lambda _: {"Reservations": []},
            ("ec2", "DescribeVolumes"): lambda _: {"Volumes": []},
            ("ec2", "DescribeInstanceTypes"): lambda asked: {
                "InstanceTypes": [{"InstanceType": name} for name in asked["InstanceTypes"]]
            },
            **(others or {}),
        },
    )


@pytest.fixture
def account() -> Account:
    made = Account()
    made.world.region = REGION
    made.cluster("1.31")
    made.nodegroup("cpu", 2, instanceTypes=["m7i.large"])
    made.nodegroup("gpu", 1, instanceTypes=["g5.xlarge"], amiType="AL2023_x86_64_NVIDIA")
    for name in ("coredns", "kube-proxy"):
        made.call("CreateAddon", clusterName="prod", addonName=name)
    made.pass_(300)
    return made


async def unasked(estate: Estate) -> Estate:
    return estate


async def made(account: Account, to: Minor, api: Any = None, **options: Any) -> Plan:
    return await making.make(
        api or door(account),
        "prod",
        to,
        Options(**options),
        region=REGION,
        clock=VirtualClock(account.now_s),
        with_objects=unasked,
    )


async def test_releases_builds_and_prices_are_as_aws_has_them(account: Account) -> None:
    plan = await made(account, M133)
    rolls = [step.act for step in plan.steps if isinstance(step.act, GroupRoll)]
    known = account.world.known
    assert [(one.name, str(one.minor), one.release) for one in rolls] == [
        (name, minor, known.release(ami_type, minor))
        for minor in ("1.32", "1.33")
        for name, ami_type in (("cpu", "AL2023_x86_64_STANDARD"), ("gpu", "AL2023_x86_64_NVIDIA"))
    ]
    for step in plan.steps:
        if isinstance(step.act, AddonBuild):
            default = known.default_build(step.act.name, str(step.hop))
            assert default is not None
            assert step.act.build == default.version
    assert {one.instance_type for one in plan.costs.surge} == {"m7i.large", "g5.xlarge"}
    assert plan.costs.surge_usd is not None
    assert plan.costs.surge_usd > 0


async def test_nothing_of_a_plan_is_a_write(account: Account) -> None:
    api = door(account)
    await made(account, M133, api)
    assert {call.partition(":")[2].lstrip("abcdefgh")[:4] for call in api.calls} <= {"Desc", "List", "GetP"}


async def test_prices_that_may_not_be_read_are_not_checked(account: Account) -> None:
    account.world.faults.waiting.append(
        Fault(kind=Kind.REFUSE, operation="GetProducts", code="AccessDeniedException", message="no pricing")
    )
    plan = await made(account, M132)
    assert [one.what for one in plan.unchecked] == ["prices of instances", "gangs, and who moves"]
    assert plan.costs.surge_usd is None


async def test_releases_that_may_not_be_read_have_to_be_said(account: Account) -> None:
    account.world.faults.waiting.append(
        Fault(
            kind=Kind.REFUSE,
            operation="GetParameter",
            code="AccessDeniedException",
            message="no ssm",
            times=9,
        )
    )
    with pytest.raises(
        CannotPlan, match=r"could not be read \(no ssm\): say which \(--release cpu@1\.32=RELEASE\)"
    ):
        await made(account, M132)


async def test_what_was_said_is_not_asked_for(account: Account) -> None:
    pins = tuple(
        Pin(group=name, minor=minor, release=f"{minor}.0-20260101")
        for name in ("cpu", "gpu")
        for minor in (M131, M132)
    )
    api = door(account)
    plan = await made(account, M132, api, pins=pins)
    assert not api.calls["ssm:GetParameter"]
    assert [step.act.release for step in plan.steps if isinstance(step.act, GroupRoll)] == [
        "1.32.0-20260101"
    ] * 2


async def test_a_service_that_is_out_of_reach_is_asked_once(account: Account) -> None:
    def away(_parameters: dict[str, Any]) -> dict[str, Any]:
        raise Failure("ssm", "GetParameter", UNREACHABLE, "no route")

    api = door(account, {("ssm", "GetParameter"): away})
    estate = await from_aws(api, "prod", clock=VirtualClock(account.now_s))
    lead = await targets.read(api, estate, M133, Options(), region=REGION)
    assert api.calls["ssm:GetParameter"] == 1
    assert [one.why for one in lead.unchecked] == ["no route"] * 6
    assert lead.usd_per_hour


async def test_whoever_is_not_signed_in_is_told_so(account: Account) -> None:
    def nobody(_parameters: dict[str, Any]) -> dict[str, Any]:
        raise Failure("pricing", "GetProducts", NO_CREDENTIALS, "sign in first")

    api = door(account, {("pricing", "GetProducts"): nobody})
    with pytest.raises(Failure, match="sign in first"):
        await made(account, M132, api)


async def test_the_way_back_leads_to_releases_too(account: Account) -> None:
    api = door(account)
    estate = await from_aws(api, "prod", clock=VirtualClock(account.now_s))
    lead = await targets.read(api, estate, M131.previous, Options(), region=REGION)
    assert {one.minor for one in lead.releases} == {M131.previous, M131}


async def test_a_minor_that_there_is_not_is_refused_before_anything_else_is_asked(account: Account) -> None:
    api = door(account)
    with pytest.raises(CannotPlan, match=r"EKS has no 1\.99"):
        await made(account, Minor(1, 99), api)
    assert not api.calls["ssm:GetParameter"]


async def test_a_fleet_asks_once_for_what_is_the_same_for_all(account: Account) -> None:
    for number in range(9):
        name = f"c{number}"
        account.call(
            "CreateCluster",
            name=name,
            version="1.31",
            roleArn=ROLE,
            resourcesVpcConfig={"subnetIds": ["subnet-a", "subnet-b"]},
            tags={"wave": str(number % 2)},
        )
    account.pass_(900)
    for number in range(9):
        account.call(
            "CreateNodegroup",
            clusterName=f"c{number}",
            nodegroupName="cpu",
            nodeRole=ROLE,
            subnets=["subnet-a", "subnet-b"],
            instanceTypes=["m7i.large"],
        )
    account.pass_(300)
    account.call("UpdateClusterVersion", name="c3", version="1.32")
    api = door(account)
    assert len(await making.names(api, {})) == 10
    wave = await making.names(api, {"wave": "1"})
    assert wave == ("c1", "c3", "c5", "c7")
    before = api.calls.copy()
    outcomes = await making.make_all(
        Remembering(api),
        wave,
        M133,
        Options(),
        region=REGION,
        clock=VirtualClock(account.now_s),
        with_objects=unasked,
    )
    assert [one.cluster for one in outcomes] == list(wave)
    assert [one.why for one in outcomes if one.plan is None] == [
        next(one.why for one in outcomes if one.cluster == "c3")
    ]
    assert "in progress: plan once it is over" in outcomes[1].why
    asked = api.calls - before
    # 1.31, 1.32, 1.33 of one AMI type; one instance type; all minors in one walk of its pages.
    assert asked["ssm:GetParameter"] == 3
    assert asked["pricing:GetProducts"] == 1
    assert asked["ec2:DescribeInstanceTypes"] == 1
    assert asked["eks:DescribeCluster"] == len(wave)


async def test_a_plan_that_was_gone_through_leaves_nothing_to_do(account: Account) -> None:
    account.call("UpdateClusterVersion", name="prod", version="1.32")
    account.pass_(900)
    plan = await made(account, M132)
    assert plan.now == plan.to == M132
    for step in plan.steps:
        act = step.act
        if isinstance(act, GroupRoll):
            account.call(
                "UpdateNodegroupVersion",
                clusterName="prod",
                nodegroupName=act.name,
                version=str(act.minor),
                releaseVersion=act.release,
            )
        elif isinstance(act, AddonBuild):
            account.call("UpdateAddon", clusterName="prod", addonName=act.name, addonVersion=act.build)
        account.pass_(3600)
    with pytest.raises(NothingToDo, match=r"cluster prod is at 1\.32, and so is all of it"):
        await made(account, M132)


@pytest.mark.parametrize("ami_type", [*PARAMETERS])
async def test_every_ami_type_has_a_release_by_its_parameter(account: Account, ami_type: str) -> None:
    name = parameter(ami_type, M131)
    assert name is not None
    told = await door(account).call("ssm", "GetParameter", Name=name)
    assert told["Parameter"]["Value"] == account.world.known.release(ami_type, "1.31")


async def test_the_ami_types_of_eks_are_known_or_have_to_be_said(account: Account) -> None:
    from botocore.session import Session

    every = set(Session().get_service_model("eks").shape_for("AMITypes").enum)
    unknown = every - set(PARAMETERS)
    assert set(PARAMETERS) <= every
    assert all(one == targets.CUSTOM or one.startswith("WINDOWS_") for one in unknown)
    estate = await from_aws(door(account), "prod", clock=VirtualClock(account.now_s))
    assert estate.cluster.minor == M131
