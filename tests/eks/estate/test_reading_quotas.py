"""Quotas and their use, as Service Quotas and EC2 answer."""

from typing import Any

from aliquot.eks.aws.api import Failure
from aliquot.eks.estate.estate import Nodegroup, Quota
from aliquot.eks.estate.quotas import GP3_STORAGE
from aliquot.eks.estate.reading_aws import told
from aliquot.eks.estate.reading_quotas import quotas
from aliquot.eks.fake.direct import Direct
from aliquot.eks.sightings.sighting import Unchecked
from aliquot.eks.versions.minor import Minor
from tests.eks.fake.worlds import Account

LISTED: dict[str, list[dict[str, Any]]] = {
    "ec2": [
        {"QuotaCode": "L-1216C47A", "QuotaName": "On-Demand Standard", "Value": 64.0},
        {"QuotaCode": "L-417A185B", "QuotaName": "On-Demand P", "Value": 192.0},
        {"QuotaCode": "L-0263D0A3", "QuotaName": "EC2-VPC Elastic IPs", "Value": 5.0},
    ],
    "ebs": [{"QuotaCode": GP3_STORAGE, "QuotaName": "gp3", "Value": 50.0}],
}


def instance(kind: str, cores: int, **more: str) -> dict[str, Any]:
    return {"InstanceType": kind, "CpuOptions": {"CoreCount": cores, "ThreadsPerCore": 2}, **more}


INSTANCES = [
    {"Instances": [instance("m7i.xlarge", 2), instance("p5.48xlarge", 96)]},
    {"Instances": [instance("c7i.large", 1), instance("m7i.xlarge", 2, InstanceLifecycle="spot")]},
]
GROUPS = (Nodegroup(name="web", minor=Minor(1, 31), desired=2),)


def door(**refused: str) -> Direct:
    account = Account()

    def listed(parameters: dict[str, Any]) -> dict[str, Any]:
        if refused:
            raise Failure("service-quotas", "ListServiceQuotas", refused["code"], "no")
        return {"Quotas": LISTED[parameters["ServiceCode"]]}

    others = {
        ("service-quotas", "ListServiceQuotas"): listed,
        ("ec2", "DescribeInstances"): lambda _: {"Reservations": INSTANCES},
        ("ec2", "DescribeVolumes"): lambda _: {"Volumes": [{"Size": 1024}, {"Size": 512}]},
    }
    return Direct(
        account.service,
        now=lambda: account.now_s,
        failed=Failure,
        subnets=account.subnets,
        others=others,
    )


async def test_quotas_with_what_is_used_of_them() -> None:
    api = door()
    assert await quotas(api, GROUPS) == (
        Quota(code="L-1216C47A", name="On-Demand Standard", limit=64.0, used=6.0),
        Quota(code="L-417A185B", name="On-Demand P", limit=192.0, used=192.0),
        Quota(code=GP3_STORAGE, name="gp3", limit=50.0, used=1.5),
    )
    assert sum(api.calls.values()) == 4


async def test_nobody_is_asked_where_no_group_grows() -> None:
    api = door()
    assert (
        await quotas(api, (Nodegroup(name="web", minor=Minor(1, 31), strategy="MINIMAL", desired=2),)) == ()
    )
    assert not api.calls


async def test_a_permission_that_is_missing_is_unchecked() -> None:
    unchecked: list[Unchecked] = []
    assert await told("quotas", unchecked, quotas(door(code="AccessDeniedException"), GROUPS), ()) == ()
    assert unchecked == [Unchecked(what="quotas", why="no")]
