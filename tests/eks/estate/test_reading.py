"""A whole cluster, and what reading it costs."""

import asyncio
from typing import Any

import pytest

from aliquot.clock import VirtualClock
from aliquot.eks.aws.api import Failure
from aliquot.eks.estate.reading import from_aws
from aliquot.eks.fake.direct import Direct
from aliquot.eks.fake.faults import Fault, Kind
from tests.eks.fake.worlds import START_S, Account

TEMPLATES = 4
ADDONS = (
    "vpc-cni",
    "coredns",
    "kube-proxy",
    "eks-pod-identity-agent",
    "aws-ebs-csi-driver",
    "aws-efs-csi-driver",
    "snapshot-controller",
    "metrics-server",
)


def account(groups: int, addons: int) -> Account:
    made = Account()
    made.cluster("1.31")
    for number in range(groups):
        made.call(
            "CreateNodegroup",
            clusterName="prod",
            nodegroupName=f"group-{number:02d}",
            nodeRole="arn:aws:iam::123456789012:role/eks",
            subnets=["subnet-a", "subnet-b"],
            scalingConfig={"minSize": 0, "maxSize": 1, "desiredSize": 1},
            launchTemplate={"id": f"lt-{number % TEMPLATES}", "version": "1"},
        )
    for name in ADDONS[:addons]:
        made.call("CreateAddon", clusterName="prod", addonName=name)
    made.pass_(600)
    return made


def door(account: Account) -> Direct:
    def versions(asked: dict[str, Any]) -> dict[str, Any]:
        data = {
            "InstanceType": "p5.48xlarge",
            "NetworkInterfaces": [{"InterfaceType": "efa", "Groups": ["sg-1"]}],
        }
        one = {"LaunchTemplateId": asked["LaunchTemplateId"], "VersionNumber": 1, "LaunchTemplateData": data}
        return {"LaunchTemplateVersions": [one]}

    return Direct(
        account.service,
        now=lambda: account.now_s,
        failed=Failure,
        subnets=account.subnets,
        others={
            ("ec2", "DescribeSubnets"): lambda _: {"Subnets": account.subnets()},
            ("ec2", "DescribeLaunchTemplateVersions"): versions,
            ("ec2", "DescribeInstanceTypes"): lambda _: {"InstanceTypes": [{"InstanceType": "p5.48xlarge"}]},
            ("ec2", "DescribeCapacityReservations"): lambda _: {"CapacityReservations": []},
            ("ec2", "DescribeSecurityGroups"): lambda _: {"SecurityGroups": []},
            ("ec2", "DescribeInstances"): lambda _: {"Reservations": []},
            ("ec2", "DescribeVolumes"): lambda _: {"Volumes": []},
            ("service-quotas", "ListServiceQuotas"): lambda _: {"Quotas": []},
        },
    )


def calls(groups: int, addons: int) -> dict[str, int]:
    api = door(account(groups, addons))
    estate = asyncio.run(from_aws(api, "prod", clock=VirtualClock(START_S)))
    assert (len(estate.nodegroups), len(estate.addons), estate.unchecked) == (groups, addons, ())
    return dict(api.calls)


def test_a_cluster_takes_a_call_for_each_part_and_one_for_each_kind() -> None:
    few, many = calls(TEMPLATES, 2), calls(20, 8)
    grow = {"eks:DescribeNodegroup": 20, "eks:DescribeAddon": 8, "eks:DescribeAddonVersions": 8}
    for operation, count in grow.items():
        assert many.pop(operation) == count
        few.pop(operation)
    # What else there is does not grow with it.
    assert many == few
    assert many["ec2:DescribeLaunchTemplateVersions"] == TEMPLATES
    for operation in ("ec2:DescribeSubnets", "ec2:DescribeInstanceTypes", "ec2:DescribeSecurityGroups"):
        assert many[operation] == 1
    assert sum(many.values()) <= 25


def test_what_fails_is_told_as_it_is_and_what_is_denied_in_one_order() -> None:
    made = account(1, 1)
    denied = [
        Fault(kind=Kind.REFUSE, operation=operation, code="AccessDeniedException", message="no")
        for operation in ("ListUpdates", "ListNodegroups", "ListInsights")
    ]
    made.world.faults.waiting = denied
    estate = asyncio.run(from_aws(door(made), "prod", clock=VirtualClock(START_S)))
    assert [one.what for one in estate.unchecked] == ["EKS insights", "node groups", "updates"]
    made.world.faults.waiting = [
        Fault(kind=Kind.REFUSE, operation="ListAddons", code="ResourceNotFoundException", message="gone")
    ]
    with pytest.raises(Failure, match="eks:ListAddons: gone"):
        asyncio.run(from_aws(door(made), "prod", clock=VirtualClock(START_S)))
