"""What the fake has of AWS beside EKS: each operation answered, and refused where AWS refuses."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aliquot.eks.aws.api import Failure
from aliquot.eks.fake import service
from aliquot.eks.fake.beside import quotas
from aliquot.eks.fake.direct import UNREACHABLE, Direct
from aliquot.eks.fake.faults import Fault, Kind
from aliquot.eks.fake.neighbours import RULES
from tests.eks.fake.worlds import DAY_S, MODEL, START_S, Account

NVIDIA = "/aws/service/eks/optimized-ami/1.31/amazon-linux-2023/x86_64/nvidia/recommended"


class Door:
    def __init__(self) -> None:
        self.account = Account()
        self.api = Direct(
            self.account.service,
            now=lambda: self.account.now_s,
            failed=Failure,
            subnets=self.account.subnets,
        )

    async def call(self, named: str, **call: Any) -> dict[str, Any]:
        service, operation = named.split(":")
        return await self.api.call(service, operation, **call)

    async def refused(self, named: str, **call: Any) -> Failure:
        with pytest.raises(Failure) as caught:
            await self.call(named, **call)
        return caught.value


@pytest.fixture
def door() -> Door:
    return Door()


RESERVED: dict[str, Any] = {
    "InstanceType": "p5.48xlarge",
    "InstancePlatform": "Linux/UNIX",
    "AvailabilityZone": "eu-west-1a",
    "InstanceCount": 2,
}
SOON = datetime(2026, 10, 2, tzinfo=UTC)
OFFERED = {"InstanceType": "p5.48xlarge", "InstanceCount": 2, "CapacityDurationHours": 48}

SIMULATED: dict[str, Any] = {
    "PolicySourceArn": "arn:aws:iam::111122223333:user/ada",
    "ActionNames": ["eks:UpdateClusterVersion"],
}
WELL: list[tuple[str, dict[str, Any]]] = [
    ("iam:SimulatePrincipalPolicy", SIMULATED),
    ("ssm:GetParameter", {"Name": f"{NVIDIA}/image_id"}),
    ("ssm:GetParameters", {"Names": [f"{NVIDIA}/image_id", f"{NVIDIA}/release_version"]}),
    ("ssm:GetParametersByPath", {"Path": NVIDIA}),
    ("service-quotas:GetServiceQuota", {"ServiceCode": "ec2", "QuotaCode": "L-417A185B"}),
    ("service-quotas:GetAWSDefaultServiceQuota", {"ServiceCode": "ec2", "QuotaCode": "L-417A185B"}),
    ("service-quotas:ListServiceQuotas", {"ServiceCode": "ec2"}),
    ("service-quotas:ListAWSDefaultServiceQuotas", {"ServiceCode": "eks"}),
    (
        "service-quotas:RequestServiceQuotaIncrease",
        {"ServiceCode": "ec2", "QuotaCode": "L-417A185B", "DesiredValue": 768.0},
    ),
    ("pricing:GetProducts", {"ServiceCode": "AmazonEC2"}),
    ("ec2:CreatePlacementGroup", {"GroupName": "gang", "Strategy": "cluster"}),
    ("ec2:DescribePlacementGroups", {}),
    ("ec2:CreateCapacityReservation", RESERVED),
    ("ec2:DescribeCapacityReservations", {}),
    ("ec2:DescribeCapacityBlockOfferings", OFFERED),
]

BADLY: list[tuple[str, dict[str, Any], str]] = [
    (
        "iam:SimulatePrincipalPolicy",
        {**SIMULATED, "PolicySourceArn": "user/ada-who-is-no-arn"},
        "InvalidInput",
    ),
    ("ssm:GetParameter", {"Name": f"{NVIDIA}/image"}, "ParameterNotFound"),
    ("ssm:GetParameters", {"Names": [f"{NVIDIA}/image_id"] * 11}, "InvalidParameterException"),
    ("ssm:GetParametersByPath", {"Path": NVIDIA, "MaxResults": 11}, "InvalidParameterException"),
    (
        "service-quotas:GetServiceQuota",
        {"ServiceCode": "ec2", "QuotaCode": "L-0"},
        "NoSuchResourceException",
    ),
    ("service-quotas:ListServiceQuotas", {"ServiceCode": "s3"}, "NoSuchResourceException"),
    (
        "service-quotas:GetAWSDefaultServiceQuota",
        {"ServiceCode": "s3", "QuotaCode": "L-0"},
        "NoSuchResourceException",
    ),
    ("service-quotas:ListAWSDefaultServiceQuotas", {"ServiceCode": "s3"}, "NoSuchResourceException"),
    ("pricing:GetProducts", {"ServiceCode": "AmazonS3"}, "InvalidParameterException"),
    ("ec2:CreatePlacementGroup", {"GroupName": "a", "PartitionCount": 2}, "InvalidParameterCombination"),
    ("ec2:CreatePlacementGroup", {}, "MissingParameter"),
    ("ec2:CreatePlacementGroup", {"GroupName": "a", "DryRun": True}, "DryRunOperation"),
    ("ec2:CreatePlacementGroup", {"GroupName": "a", "Strategy": "near"}, "InvalidParameterException"),
    ("ec2:DescribePlacementGroups", {"GroupNames": ["none"]}, "InvalidPlacementGroup.Unknown"),
    (
        "ec2:DescribePlacementGroups",
        {"Filters": [{"Name": "size", "Values": ["1"]}]},
        "InvalidParameterValue",
    ),
    (
        "service-quotas:RequestServiceQuotaIncrease",
        {"ServiceCode": "ec2", "QuotaCode": "L-0", "DesiredValue": 1.0},
        "NoSuchResourceException",
    ),
    (
        "service-quotas:RequestServiceQuotaIncrease",
        {"ServiceCode": "ec2", "QuotaCode": "L-1216C47A", "DesiredValue": 5.0},
        "IllegalArgumentException",
    ),
    ("ec2:DeletePlacementGroup", {"GroupName": "none"}, "InvalidPlacementGroup.Unknown"),
    ("ec2:CreateCapacityReservation", {**RESERVED, "InstanceCount": 0}, "InvalidParameterValue"),
    ("ec2:CreateCapacityReservation", {**RESERVED, "InstanceType": "big"}, "InvalidParameterValue"),
    (
        "ec2:CreateCapacityReservation",
        {**RESERVED, "AvailabilityZone": "us-east-1a"},
        "InvalidParameterValue",
    ),
    ("ec2:CreateCapacityReservation", {**RESERVED, "EndDate": SOON}, "InvalidParameterCombination"),
    (
        "ec2:DescribeCapacityReservations",
        {"CapacityReservationIds": ["cr-0"]},
        "InvalidCapacityReservationId.NotFound",
    ),
    (
        "ec2:CancelCapacityReservation",
        {"CapacityReservationId": "cr-0"},
        "InvalidCapacityReservationId.NotFound",
    ),
    ("ec2:DescribeCapacityBlockOfferings", {**OFFERED, "InstanceType": "m5.large"}, "InvalidParameterValue"),
    ("ec2:DescribeCapacityBlockOfferings", {**OFFERED, "CapacityDurationHours": 25}, "InvalidParameterValue"),
    ("ec2:DescribeCapacityBlockOfferings", {**OFFERED, "InstanceCount": 65}, "InvalidParameterValue"),
    (
        "ec2:PurchaseCapacityBlock",
        {"CapacityBlockOfferingId": "cb-1", "InstancePlatform": "Linux/UNIX"},
        "InvalidCapacityBlockOfferingId.NotFound",
    ),
    ("ec2:CreateTags", {"Resources": ["cr-0"], "Tags": [{"Key": "a", "Value": "b"}]}, "InvalidID"),
    ("ec2:DeleteTags", {"Resources": ["pg-0"], "Tags": [{"Key": "a"}]}, "InvalidID"),
    ("ec2:DescribeVolumes", {}, "ServerException"),
]


@pytest.mark.parametrize(("named", "call"), WELL, ids=[named for named, _ in WELL])
async def test_answered(door: Door, named: str, call: dict[str, Any]) -> None:
    """The fake holds its own answer against botocore's model."""
    answer = await door.call(named, **call)
    assert answer
    assert door.api.calls[named] == 1


@pytest.mark.parametrize(("named", "call", "code"), BADLY)
async def test_refused(door: Door, named: str, call: dict[str, Any], code: str) -> None:
    refused = await door.refused(named, **call)
    assert refused.code == code
    assert refused.message


def test_every_operation_is_in_these_tables_or_below() -> None:
    tried = {named for named, _ in WELL} | {"ec2:PurchaseCapacityBlock", "ec2:CancelCapacityReservation"}
    tried |= {"ec2:DeletePlacementGroup", "ec2:CreateTags", "ec2:DeleteTags"}
    assert tried == {":".join(key) for key in RULES}
    assert {named for named, _, _ in BADLY} - {"ec2:DescribeVolumes"} >= tried - {
        "ec2:DescribeCapacityReservations"
    }


def test_the_documentation_names_them_all() -> None:
    text = (Path(__file__).parents[3] / "docs" / "eks.md").read_text()
    assert [operation for _, operation in RULES if f"`{operation}`" not in text] == []
    assert f"EKS, {len(service.RULES) + len(service.PLACED)} of {len(MODEL.names)} operations" in text


async def test_what_is_recommended_is_what_a_node_group_gets(door: Door) -> None:
    account = door.account
    account.cluster("1.31")
    for ami_type, path in (
        ("AL2023_x86_64_NVIDIA", f"{NVIDIA}/release_version"),
        (
            "BOTTLEROCKET_x86_64_NVIDIA",
            "/aws/service/bottlerocket/aws-k8s-1.31-nvidia/x86_64/latest/image_version",
        ),
    ):
        value = (await door.call("ssm:GetParameter", Name=path))["Parameter"]["Value"]
        told = account.nodegroup(ami_type.lower(), size=1, amiType=ami_type)
        assert told["releaseVersion"] == value


async def test_parameters_come_with_their_minor_and_by_path(door: Door) -> None:
    late = NVIDIA.replace("1.31", "1.38")
    both = await door.call("ssm:GetParameters", Names=[f"{NVIDIA}/image_id", f"{late}/image_id"])
    assert [one["Name"] for one in both["Parameters"]] == [f"{NVIDIA}/image_id"]
    assert both["InvalidParameters"] == [f"{late}/image_id"]
    leaves = [
        one["Name"].rpartition("/")[2]
        async for one in door.api.pages("ssm", "GetParametersByPath", "Parameters", Path=NVIDIA)
        if isinstance(one, dict)
    ]
    assert leaves == ["image_id", "image_name", "release_version"]
    base = "/aws/service/eks/optimized-ami/1.31"
    every = [
        one
        async for one in door.api.pages("ssm", "GetParametersByPath", "Parameters", Path=base, Recursive=True)
    ]
    assert len(every) > 10
    assert door.api.calls["ssm:GetParametersByPath"] > 2


async def test_quotas_are_those_of_a_new_account_until_the_world_says_otherwise(door: Door) -> None:
    named: dict[str, Any] = {"ServiceCode": "ec2", "QuotaCode": "L-417A185B"}
    assert (await door.call("service-quotas:GetServiceQuota", **named))["Quota"]["Value"] == 0
    door.account.world.quotas["ec2", "L-417A185B"] = 384
    assert (await door.call("service-quotas:GetServiceQuota", **named))["Quota"]["Value"] == 384
    assert (await door.call("service-quotas:GetAWSDefaultServiceQuota", **named))["Quota"]["Value"] == 0
    listed = await door.call("service-quotas:ListServiceQuotas", ServiceCode="ec2", MaxResults=3)
    assert (len(listed["Quotas"]), "NextToken" in listed) == (3, True)
    every = [
        one
        async for one in door.api.pages("service-quotas", "ListServiceQuotas", "Quotas", ServiceCode="ec2")
    ]
    assert len(every) == len(quotas.DEFAULTS["ec2"])


async def test_prices_by_type(door: Door) -> None:
    def by_type(name: str) -> dict[str, Any]:
        return {
            "ServiceCode": "AmazonEC2",
            "Filters": [{"Type": "TERM_MATCH", "Field": "instanceType", "Value": name}],
        }

    (listed,) = (await door.call("pricing:GetProducts", **by_type("p5.48xlarge")))["PriceList"]
    assert '"USD": "55.04' in listed
    assert (await door.call("pricing:GetProducts", **by_type("x1.huge")))["PriceList"] == []
    door.account.world.prices["x1.huge"] = 1.5
    assert len((await door.call("pricing:GetProducts", **by_type("x1.huge")))["PriceList"]) == 1


def tagged(resource: str) -> list[dict[str, Any]]:
    return [{"ResourceType": resource, "Tags": [{"Key": "owner", "Value": "us"}]}]


OURS = [{"Name": "tag:owner", "Values": ["us"]}]


async def test_placement_groups(door: Door) -> None:
    made = await door.call(
        "ec2:CreatePlacementGroup", GroupName="gang", TagSpecifications=tagged("placement-group")
    )
    await door.call("ec2:CreatePlacementGroup", GroupName="apart", Strategy="spread")
    again = await door.refused("ec2:CreatePlacementGroup", GroupName="gang")
    assert again.code == "InvalidPlacementGroup.Duplicate"
    listed = await door.call("ec2:DescribePlacementGroups", Filters=OURS)
    assert listed["PlacementGroups"] == [made["PlacementGroup"]]
    id_ = made["PlacementGroup"]["GroupId"]
    await door.call("ec2:CreateTags", Resources=[id_], Tags=[{"Key": "a", "Value": "b"}])
    await door.call("ec2:DeleteTags", Resources=[id_], Tags=[{"Key": "owner"}])
    (told,) = (await door.call("ec2:DescribePlacementGroups", GroupIds=[id_]))["PlacementGroups"]
    assert told["Tags"] == [{"Key": "a", "Value": "b"}]
    await door.call("ec2:DeletePlacementGroup", GroupName="gang")
    left = (await door.call("ec2:DescribePlacementGroups"))["PlacementGroups"]
    assert [one["GroupName"] for one in left] == ["apart"]


async def test_a_reservation_is_there_until_its_end_or_until_it_is_cancelled(door: Door) -> None:
    made = await door.call(
        "ec2:CreateCapacityReservation",
        **RESERVED,
        EndDateType="limited",
        EndDate=SOON,
        InstanceMatchCriteria="targeted",
        TagSpecifications=tagged("capacity-reservation"),
    )
    told = made["CapacityReservation"]
    assert (told["State"], told["AvailableInstanceCount"], told["InstanceMatchCriteria"]) == (
        "active",
        2,
        "targeted",
    )
    filters = [{"Name": "instance-type", "Values": ["p5.*"]}, {"Name": "state", "Values": ["active"]}]
    assert (
        len((await door.call("ec2:DescribeCapacityReservations", Filters=filters))["CapacityReservations"])
        == 1
    )
    await door.call(
        "ec2:CreateTags", Resources=[told["CapacityReservationId"]], Tags=[{"Key": "a", "Value": "b"}]
    )
    door.account.pass_(2 * DAY_S)
    (over,) = (await door.call("ec2:DescribeCapacityReservations"))["CapacityReservations"]
    assert (over["State"], over["AvailableInstanceCount"], len(over["Tags"])) == ("expired", 0, 2)
    late = await door.refused(
        "ec2:CancelCapacityReservation", CapacityReservationId=over["CapacityReservationId"]
    )
    assert late.code == "InvalidCapacityReservationState"
    other = (await door.call("ec2:CreateCapacityReservation", **RESERVED))["CapacityReservation"]
    await door.call("ec2:CancelCapacityReservation", CapacityReservationId=other["CapacityReservationId"])
    states = [
        one["State"] for one in (await door.call("ec2:DescribeCapacityReservations"))["CapacityReservations"]
    ]
    assert states == ["expired", "cancelled"]


async def test_what_is_sold_out_cannot_be_reserved(door: Door) -> None:
    door.account.world.market.sold_out.add(("p5.48xlarge", "eu-west-1a"))
    refused = await door.refused("ec2:CreateCapacityReservation", **RESERVED)
    assert refused.code == "InsufficientInstanceCapacity"
    (offer,) = (await door.call("ec2:DescribeCapacityBlockOfferings", **OFFERED))["CapacityBlockOfferings"]
    assert offer["AvailabilityZone"] == "eu-west-1b"


async def test_a_block_is_bought_ahead_and_ends(door: Door) -> None:
    offers = (await door.call("ec2:DescribeCapacityBlockOfferings", **OFFERED))["CapacityBlockOfferings"]
    first = offers[0]
    assert (first["EndDate"] - first["StartDate"], first["UpfrontFee"]) == (timedelta(hours=48), "5283.84")
    assert first["StartDate"].timestamp() >= START_S
    call = {"CapacityBlockOfferingId": first["CapacityBlockOfferingId"], "InstancePlatform": "Linux/UNIX"}
    told = (await door.call("ec2:PurchaseCapacityBlock", **call))["CapacityReservation"]
    assert (told["State"], told["ReservationType"], told["InstanceType"]) == (
        "scheduled",
        "capacity-block",
        "p5.48xlarge",
    )
    refused = await door.refused(
        "ec2:CancelCapacityReservation", CapacityReservationId=told["CapacityReservationId"]
    )
    assert refused.code == "OperationNotPermitted"
    states = []
    for _ in range(4):
        (now,) = (await door.call("ec2:DescribeCapacityReservations"))["CapacityReservations"]
        states.append(now["State"])
        door.account.pass_(DAY_S)
    assert states == ["scheduled", "active", "active", "expired"]
    over = await door.refused("ec2:PurchaseCapacityBlock", **call)
    assert over.code == "InvalidCapacityBlockOfferingId.Expired"


async def test_faults_are_of_these_too(door: Door) -> None:
    door.account.world.faults.waiting = [
        Fault(kind=Kind.REFUSE, operation="CreatePlacementGroup", code="UnauthorizedOperation", message="no"),
        Fault(kind=Kind.LOSE, operation="CreatePlacementGroup"),
    ]
    assert (await door.refused("ec2:CreatePlacementGroup", GroupName="a")).code == "UnauthorizedOperation"
    assert (await door.refused("ec2:CreatePlacementGroup", GroupName="a")).code == UNREACHABLE
    assert len((await door.call("ec2:DescribePlacementGroups"))["PlacementGroups"]) == 1


async def test_what_a_caller_gives_goes_first(door: Door) -> None:
    api = Direct(
        door.account.service,
        now=lambda: START_S,
        failed=Failure,
        subnets=door.account.subnets,
        others={("ec2", "DescribePlacementGroups"): lambda _: {"PlacementGroups": [{"GroupName": "own"}]}},
    )
    listed = await api.call("ec2", "DescribePlacementGroups")
    assert listed == {"PlacementGroups": [{"GroupName": "own"}]}


async def test_a_quota_that_was_raised_is_higher(door: Door) -> None:
    quota = {"ServiceCode": "ec2", "QuotaCode": "L-1216C47A"}
    asked = await door.call("service-quotas:RequestServiceQuotaIncrease", **quota, DesiredValue=640.0)
    assert asked["RequestedQuota"]["Status"] == "APPROVED"
    assert (await door.call("service-quotas:GetServiceQuota", **quota))["Quota"]["Value"] == 640.0
    assert (await door.call("service-quotas:GetAWSDefaultServiceQuota", **quota))["Quota"]["Value"] == 5.0
