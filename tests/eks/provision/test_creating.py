"""Against the fake and moto in this process: what is made, what is not made twice, and what is said when it cannot be."""

import asyncio
from typing import Any

import pytest

from aliquot.eks.aws.api import Failure
from aliquot.eks.provision.creating import SETTLE_S, Creation, NotMade
from aliquot.eks.provision.looking import NotOurs, Twice
from tests.eks.fake.worlds import ROLE
from tests.eks.provision.accounts import account, run
from tests.eks.provision.files import FULL, GPU, PLAIN
from tests.eks.provision.making import create, ours, plan


def test_all_is_there_and_a_second_run_makes_nothing() -> None:
    with account() as aws:

        async def work() -> None:
            resources = (await plan(aws, FULL)).resources
            first = await create(aws, FULL)
            # EC2 resolves names in a VPC from the beginning.
            assert set(first.made) | {"vpc/EnableDnsSupport"} == {one.key for one in resources}
            assert aws.writes().total() == len(first.made)
            aws.calls.clear()
            second = await create(aws, FULL)
            assert second.made == []
            assert aws.writes().total() == 0
            assert set(second.known) == {one.key for one in resources}

        run(work())
        cluster = aws.world.clusters["prod"]
        assert set(cluster.nodegroups) == {"cpu", "gpu"}
        assert {group.told["status"] for group in cluster.nodegroups.values()} == {"ACTIVE"}
        assert cluster.nodegroups["gpu"].told["amiType"] == "AL2023_x86_64_NVIDIA"
        assert set(cluster.addons) == {"vpc-cni", "kube-proxy", "eks-pod-identity-agent", "coredns"}
        assert cluster.told["encryptionConfig"][0]["provider"]["keyArn"].startswith("arn:aws:kms:")
        private = {one["SubnetId"] for one in ours(aws, "subnet") if not one["MapPublicIpOnLaunch"]}
        assert set(cluster.nodegroups["gpu"].told["subnets"]) == private
        assert len(private) == 3
        (gateway,) = ours(aws, "nat")
        for table in ours(aws, "table"):
            (out,) = [one for one in table["Routes"] if one["DestinationCidrBlock"] == "0.0.0.0/0"]
            assert out.get("NatGatewayId") == gateway["NatGatewayId"] or out["GatewayId"].startswith("igw-")


def test_what_aws_tells_at_once_is_not_waited_for() -> None:
    pauses = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(seconds)

    async def work() -> None:
        resources = (await plan(aws, FULL)).resources
        await Creation(aws, "prod", pause=pause, tell=lambda line: None, every_s=1).run(resources)

    with account() as aws:
        run(work())
    # One in the beginning; then until what takes minutes is there.
    assert pauses[0] == SETTLE_S
    assert set(pauses[1:]) == {1}


def test_what_is_taken_away_by_hand_is_made_again() -> None:
    with account() as aws:

        async def work() -> list[str]:
            await create(aws)
            template = ours(aws, "template")[0]["LaunchTemplateId"]
            aws.client("ec2").delete_launch_template(LaunchTemplateId=template)
            return (await create(aws)).made

        assert run(work()) == ["launch-template/cpu"]


def test_a_name_that_is_taken_by_others_is_not_touched() -> None:
    with account() as aws:
        aws.client("iam").create_role(RoleName="prod-cluster-eu-west-1", AssumeRolePolicyDocument="{}")
        with pytest.raises(
            NotOurs, match=r"role prod-cluster-eu-west-1: its name is taken .* aliquot.dev/cluster=prod"
        ):
            run(create(aws))
        assert aws.writes().total() == 0


def test_a_cluster_of_others_is_not_touched() -> None:
    with account() as aws:
        subnets = [one["SubnetId"] for one in aws.client("ec2").describe_subnets()["Subnets"]]

        async def by_others() -> None:
            vpc = {"subnetIds": subnets}
            await aws.call("eks", "CreateCluster", name="prod", roleArn=ROLE, resourcesVpcConfig=vpc)

        run(by_others())
        aws.calls.clear()
        with pytest.raises(NotOurs, match=r"cluster prod, Kubernetes 1\.33: its name is taken"):
            run(create(aws))
        assert aws.writes().total() == 0


def test_two_of_one_are_told() -> None:
    tags = [{"Key": "aliquot.dev/cluster", "Value": "prod"}, {"Key": "aliquot.dev/name", "Value": "vpc"}]
    with account() as aws:
        for _ in range(2):
            aws.client("ec2").create_vpc(
                CidrBlock="10.0.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": tags}]
            )
        with pytest.raises(
            Twice, match=r"VPC .* of prod is there 2 times \(vpc-\w+, vpc-\w+\): delete all but one"
        ):
            run(create(aws))


def test_a_right_that_is_missing_is_told_at_once() -> None:
    with account() as aws:

        def before(service: str, operation: str) -> None:
            if operation == "CreateRole":
                raise Failure(service, operation, "AccessDenied", "the permission iam:CreateRole is missing")

        aws.before = before
        with pytest.raises(Failure, match=r"iam:CreateRole: the permission iam:CreateRole is missing"):
            run(create(aws))
        aws.before = lambda service, operation: None
        assert run(create(aws)).made


def test_a_role_that_other_services_do_not_know_yet_is_waited_for() -> None:
    with account() as aws:
        times = iter(range(3))

        def before(service: str, operation: str) -> None:
            if operation == "CreateCluster" and next(times, None) is not None:
                raise Failure(
                    service, operation, "InvalidParameterException", "Role with arn: ... could not be assumed"
                )

        aws.before = before
        run(create(aws, PLAIN))
        assert aws.calls["eks:CreateCluster"] == 4


def test_a_group_whose_nodes_do_not_come_is_told_with_the_reason() -> None:
    with account() as aws:
        fleet: Any = aws.world.fleet
        fleet.never_ready.add("gpu")
        with pytest.raises(NotMade) as caught:
            run(create(aws))
        line = str(caught.value)
        assert line.startswith("node group gpu: 1 of g5.xlarge, AL2023_x86_64_NVIDIA is CREATE_FAILED (")
        assert line.endswith(
            "see to the reason, delete it (aws eks delete-nodegroup --cluster-name prod --nodegroup-name gpu), and run it again"
        )
        # Whoever does so, and runs it again, gets there.
        fleet.never_ready.clear()

        async def as_told() -> list[str]:
            await aws.call("eks", "DeleteNodegroup", clusterName="prod", nodegroupName="gpu")
            with pytest.raises(NotMade, match=r"node group gpu: .* is DELETING: wait until it is gone"):
                await create(aws)
            await asyncio.sleep(600)
            return (await create(aws)).made

        assert run(as_told()) == ["nodegroup/gpu", "addon/coredns"]


def test_a_capacity_block_is_used_where_it_is() -> None:
    text = GPU.replace("g5.xlarge", "p4d.24xlarge") + (
        "  capacityReservation: {capacityReservationTarget: {capacityReservationID: CR}}\n"
        "  instanceMarketOptions: {marketType: capacity-block}\n"
    )
    with account("us-east-1") as aws:

        async def work() -> None:
            offers = await aws.call(
                "ec2",
                "DescribeCapacityBlockOfferings",
                InstanceType="p4d.24xlarge",
                InstanceCount=4,
                CapacityDurationHours=24,
            )
            offer = offers["CapacityBlockOfferings"][0]
            bought = await aws.call(
                "ec2",
                "PurchaseCapacityBlock",
                CapacityBlockOfferingId=offer["CapacityBlockOfferingId"],
                InstancePlatform="Linux/UNIX",
            )
            block = bought["CapacityReservation"]
            await asyncio.sleep(offer["StartDate"].timestamp() - aws.clock.now())
            await create(
                aws, text.replace("eu-west-1", "us-east-1").replace("CR", block["CapacityReservationId"])
            )
            group = aws.world.clusters["prod"].nodegroups["gpu"]
            assert group.told["capacityType"] == "CAPACITY_BLOCK"
            assert {node.machine.zone for node in group.nodes.values()} == {offer["AvailabilityZone"]}

        run(work())
