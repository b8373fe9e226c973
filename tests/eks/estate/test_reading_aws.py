"""What AWS says, read off the fake; EC2's part as EC2 answers."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest

from aliquot.eks.aws.api import Failure
from aliquot.eks.estate import reading_aws
from aliquot.eks.estate.estate import Estate, Nodegroup, decode, encode
from aliquot.eks.estate.reading_releases import recommended
from aliquot.eks.fake.direct import Direct
from aliquot.eks.fake.faults import Fault, Kind
from aliquot.eks.fake.fleet import Requested
from aliquot.eks.sightings.sighting import Unchecked
from aliquot.eks.versions import amis
from aliquot.eks.versions.minor import Minor
from tests.eks.fake.worlds import ROLE, START_S, Account


@pytest.fixture
def account() -> Account:
    made = Account()
    made.cluster("1.31")
    made.nodegroup(
        "gpu",
        2,
        instanceTypes=["p5.48xlarge"],
        amiType="AL2023_x86_64_NVIDIA",
        launchTemplate={"id": "lt-1", "version": "1"},
        taints=[{"key": "nvidia.com/gpu", "value": "yes", "effect": "NO_SCHEDULE"}],
    )
    made.call(
        "CreateAddon",
        clusterName="prod",
        addonName="kube-proxy",
        configurationValues='{"mode": "ipvs"}',
        serviceAccountRoleArn=ROLE,
    )
    made.pass_(300)
    return made


def door(account: Account) -> Direct:
    data = {
        "UserData": base64.b64encode(b"#!/bin/sh\n--keep-terminated-pod-volumes\n").decode(),
        "NetworkInterfaces": [
            {"InterfaceType": "efa", "Groups": ["sg-1"]},
            {"InterfaceType": "efa-only"},
            {},
        ],
        "InstanceType": "p5.48xlarge",
        "InstanceMarketOptions": {"MarketType": "capacity-block"},
    }
    versions = [
        {"LaunchTemplateId": "lt-1", "VersionNumber": 1, "DefaultVersion": True, "LaunchTemplateData": data},
        {"LaunchTemplateId": "lt-1", "VersionNumber": 3, "LaunchTemplateData": {}},
    ]
    p5: dict[str, Any] = {
        "InstanceType": "p5.48xlarge",
        "GpuInfo": {"Gpus": [{"Name": "H100", "Count": 8}]},
        "NetworkInfo": {
            "MaximumNetworkInterfaces": 64,
            "Ipv4AddressesPerInterface": 50,
            "EfaInfo": {"MaximumEfaInterfaces": 32},
        },
    }
    return Direct(
        account.service,
        now=lambda: account.now_s,
        failed=Failure,
        subnets=account.subnets,
        others={
            ("ec2", "DescribeSubnets"): lambda _: {"Subnets": account.subnets()},
            ("ec2", "DescribeLaunchTemplateVersions"): lambda _: {"LaunchTemplateVersions": versions},
            ("ec2", "DescribeInstanceTypes"): lambda _: {"InstanceTypes": [p5]},
            ("ec2", "DescribeCapacityReservations"): lambda _: {"CapacityReservations": RESERVATIONS},
            ("ec2", "DescribeSecurityGroups"): lambda asked: {
                "SecurityGroups": [_security_group(id_) for id_ in asked["GroupIds"]]
            },
        },
    )


RESERVATIONS = [
    {
        "CapacityReservationId": "cr-1",
        "InstanceType": "p5.48xlarge",
        "State": "active",
        "TotalInstanceCount": 4,
        "AvailableInstanceCount": 1,
        "InstanceMatchCriteria": "targeted",
        "ReservationType": "capacity-block",
        "EndDate": datetime(2026, 10, 8, 11, 30, tzinfo=UTC),
    }
]


def _security_group(id_: str) -> dict[str, Any]:
    to_itself = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": id_}]}
    everywhere = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    return {"GroupId": id_, "IpPermissions": [to_itself], "IpPermissionsEgress": [everywhere]}


async def test_what_gpu_groups_run_on(account: Account) -> None:
    api = door(account)
    cluster = await reading_aws.cluster(api, "prod")
    (group,) = await reading_aws.nodegroups(api, "prod")
    templates = await reading_aws.templates(api, (group,))
    assert (templates[0].instance_type, templates[0].market) == ("p5.48xlarge", "capacity-block")
    (reserved,) = await reading_aws.reservations(api, (group,), templates)
    assert (reserved.id, reserved.total, reserved.available, reserved.block) == ("cr-1", 4, 1, True)
    assert reserved.ends_s == datetime(2026, 10, 8, 11, 30, tzinfo=UTC).timestamp()
    (security,) = await reading_aws.security_groups(api, cluster, templates)
    assert (security.id, security.from_itself, security.to_itself) == ("sg-1", True, False)
    asked = {operation: count for operation, count in api.calls.items() if "Reserv" in operation}
    assert asked == {"ec2:DescribeCapacityReservations": 1}


async def test_reservations_are_not_asked_for_without_gpus(account: Account) -> None:
    api = door(account)
    plain = Nodegroup(name="web", minor=Minor(1, 31), instance_types=("m7i.large",))
    assert await reading_aws.reservations(api, (plain,), ()) == ()
    assert not api.calls


async def test_a_cluster_with_all_that_belongs_to_it(account: Account) -> None:
    api = door(account)
    cluster = await reading_aws.cluster(api, "prod")
    assert (cluster.minor, cluster.status, cluster.subnets) == (
        Minor(1, 31),
        "ACTIVE",
        ("subnet-a", "subnet-b"),
    )
    (group,) = await reading_aws.nodegroups(api, "prod")
    assert (group.minor, group.desired, group.taints) == (Minor(1, 31), 2, ("nvidia.com/gpu=yes:NoSchedule",))
    (addon,) = await reading_aws.addons(api, "prod")
    assert (addon.build, addon.configuration) == ("v1.31.14-eksbuild.32", '{"mode": "ipvs"}')
    assert addon.role_arn == ROLE
    builds = await reading_aws.builds(api, ("kube-proxy",))
    subnets = await reading_aws.subnets(api, cluster.vpc)
    assert [(one.id, one.zone, one.free) for one in subnets] == [
        ("subnet-a", "eu-west-1a", 100),
        ("subnet-b", "eu-west-1b", 100),
    ]
    first, newest = await reading_aws.templates(api, (group,))
    assert (first.is_default, first.is_latest, first.efa) == (True, False, 2)
    assert "--keep-terminated-pod-volumes" in first.user_data
    assert newest.is_latest
    (p5,) = await reading_aws.instance_types(api, (group,))
    assert (p5.gpus, p5.gpu, p5.interfaces, p5.addresses) == (8, "H100", 64, 50)

    estate = Estate(
        cluster=cluster,
        nodegroups=(group,),
        addons=(addon,),
        builds=builds,
        subnets=subnets,
        templates=(first, newest),
        instance_types=(p5,),
    )
    assert decode(encode(estate)) == estate
    fits = {one.build for one in estate.builds_of("kube-proxy", Minor(1, 32))}
    assert {"v1.31.14-eksbuild.32", "v1.32.13-eksbuild.28"} <= fits
    assert "v1.33.10-eksbuild.25" not in fits


async def test_an_insight_that_does_not_pass_says_who(account: Account) -> None:
    account.fleet.asked["prod"] = (
        Requested(
            group="flowcontrol.apiserver.k8s.io",
            version="v1beta3",
            resource="flowschemas",
            user_agent="argocd/v2",
            times=12,
            last_s=START_S,
        ),
    )
    account.call("StartInsightsRefresh", clusterName="prod")
    account.pass_(180)
    found = await reading_aws.insights(door(account), "prod", "UPGRADE_READINESS")
    (bad,) = [one for one in found if one.status == "ERROR"]
    assert (bad.minor, "argocd/v2 (12 in 30 days)" in bad.details[0]) == ("1.32", True)


@pytest.mark.parametrize("code", ["ThrottlingException", "ServerException"])
async def test_what_aws_had_no_time_for_is_unchecked_for_now(account: Account, code: str) -> None:
    unchecked: list[Unchecked] = []
    account.world.faults.waiting = [
        Fault(kind=Kind.REFUSE, operation="ListInsights", code=code, message="slower")
    ]
    reading = reading_aws.insights(door(account), "prod", "UPGRADE_READINESS")
    assert await reading_aws.told("insights", unchecked, reading, ()) == ()
    assert unchecked == [Unchecked(what="insights", why="slower", passes=True)]


async def test_what_nobody_may_read_is_unchecked_and_what_fails_fails(account: Account) -> None:
    unchecked: list[Unchecked] = []
    account.world.faults.waiting = [
        Fault(kind=Kind.REFUSE, operation="ListInsights", code="AccessDeniedException", message="no"),
        Fault(kind=Kind.REFUSE, operation="ListAddons", code="ResourceNotFoundException", message="gone"),
    ]
    api = door(account)
    found = await reading_aws.told(
        "insights", unchecked, reading_aws.insights(api, "prod", "UPGRADE_READINESS"), ()
    )
    assert found == ()
    assert unchecked == [Unchecked(what="insights", why="no")]
    with pytest.raises(Failure, match="gone"):
        await reading_aws.told("add-ons", unchecked, reading_aws.addons(api, "prod"), ())


async def test_releases_that_aws_recommends_ten_at_a_time(account: Account) -> None:
    api = door(account)
    groups = await reading_aws.nodegroups(api, "prod")
    found = await recommended(api, groups, Minor(1, 31))
    by_minor = {str(one.minor): one.release for one in found}
    assert by_minor["1.32"] == amis.releases("AL2023_x86_64_NVIDIA", Minor(1, 32))[-1].release
    assert groups[0].release == by_minor["1.31"]
    assert api.calls["ssm:GetParameters"] == 1
    assert await recommended(api, (), Minor(1, 31)) == ()


async def test_reservations_as_the_fake_has_them(account: Account) -> None:
    api = Direct(account.service, now=lambda: account.now_s, failed=Failure, subnets=account.subnets)
    groups = await reading_aws.nodegroups(api, "prod")
    asked = {
        "AvailabilityZone": "eu-west-1a",
        "InstanceType": "p5.48xlarge",
        "InstanceCount": 3,
        "InstancePlatform": "Linux/UNIX",
    }
    end = {"EndDateType": "limited", "EndDate": datetime(2026, 10, 2, tzinfo=UTC)}
    made = await api.call(
        "ec2", "CreateCapacityReservation", **asked, **end, InstanceMatchCriteria="targeted"
    )
    await api.call("ec2", "CreateCapacityReservation", **{**asked, "InstanceType": "g5.xlarge"})
    (found,) = await reading_aws.reservations(api, groups, ())
    assert found.id == made["CapacityReservation"]["CapacityReservationId"]
    assert (found.total, found.available, found.block) == (3, 3, False)
    assert found.ends_s == datetime(2026, 10, 2, tzinfo=UTC).timestamp()
