"""boto3 as users have it, against the fake over HTTP, with moto's server behind it for the rest of AWS."""

import random
from datetime import UTC, datetime
from typing import Any

import pytest

from aliquot.eks.aws.api import UNKNOWN_OUTCOME, Failure
from aliquot.eks.aws.boto import Boto
from aliquot.eks.fake.faults import Fault, Kind
from aliquot.eks.fake.fleet import Imagined
from aliquot.eks.fake.service import Service
from aliquot.eks.fake.world import World
from aliquot.eks.versions.for_fake import known
from tests.eks.fake.serving import REGION, Clocked, credentials, served
from tests.eks.fake.worlds import MODEL, START_S

__all__ = ["credentials"]


async def network(api: Boto) -> list[str]:
    vpc = (await api.call("ec2", "CreateVpc", CidrBlock="10.0.0.0/16"))["Vpc"]["VpcId"]
    made = []
    for number, zone in enumerate("ab"):
        subnet: dict[str, Any] = await api.call(
            "ec2",
            "CreateSubnet",
            VpcId=vpc,
            CidrBlock=f"10.0.{number}.0/28",
            AvailabilityZone=f"{REGION}{zone}",
        )
        made.append(subnet["Subnet"]["SubnetId"])
    return made


async def test_boto3_finds_eks_here_and_the_rest_behind_it() -> None:
    clock = Clocked()
    world = World(known=known(), fleet=Imagined(), rng=random.Random(7), region=REGION)
    async with served(Service(world, MODEL), clock) as url, Boto(region=REGION, endpoints={"": url}) as api:
        subnets = await network(api)
        role = (await api.call("iam", "CreateRole", RoleName="eks", AssumeRolePolicyDocument="{}"))["Role"][
            "Arn"
        ]
        vpc = {"subnetIds": subnets}
        made = await api.call(
            "eks", "CreateCluster", name="prod", version="1.31", roleArn=role, resourcesVpcConfig=vpc
        )
        assert made["cluster"]["status"] == "CREATING"
        assert made["cluster"]["createdAt"].timestamp() == START_S
        clock.now_s += 700
        cluster = (await api.call("eks", "DescribeCluster", name="prod"))["cluster"]
        assert (cluster["status"], cluster["version"]) == ("ACTIVE", "1.31")
        assert [one async for one in api.pages("eks", "ListClusters", "clusters")] == ["prod"]
        minors = [
            one["clusterVersion"]
            async for one in api.pages("eks", "DescribeClusterVersions", "clusterVersions")
            if isinstance(one, dict)
        ]
        assert minors[-1] == "1.31"

        # A subnet that is nearly full: seven interfaces leave four of eleven addresses.
        for _ in range(7):
            await api.call("ec2", "CreateNetworkInterface", SubnetId=subnets[1])
        with pytest.raises(Failure) as caught:
            await api.call("eks", "UpdateClusterVersion", name="prod", version="1.32")
        assert caught.value.code == "InvalidRequestException"
        assert f"{subnets[1]} Free IPs: 4" in str(caught.value)

        with pytest.raises(Failure) as caught:
            await api.call("eks", "DescribeNodegroup", clusterName="prod", nodegroupName="none")
        assert caught.value.code == "ResourceNotFoundException"

        with pytest.raises(Failure, match="the fake does not know RegisterCluster"):
            connector = {"roleArn": role, "provider": "OTHER"}
            await api.call("eks", "RegisterCluster", name="a", connectorConfig=connector)

        principal = "arn:aws:iam::123456789012:role/a/b"
        mode = {"authenticationMode": "API_AND_CONFIG_MAP"}
        await api.call("eks", "UpdateClusterConfig", name="prod", accessConfig=mode)
        clock.now_s += 120
        await api.call("eks", "CreateAccessEntry", clusterName="prod", principalArn=principal)
        entry = (await api.call("eks", "DescribeAccessEntry", clusterName="prod", principalArn=principal))[
            "accessEntry"
        ]
        assert entry["principalArn"] == principal


async def test_an_answer_that_is_lost_is_done_once() -> None:
    """botocore asks again with the same token, and finds what has become of the first time."""
    clock = Clocked()
    world = World(known=known(), fleet=Imagined(), rng=random.Random(7), region=REGION)
    async with served(Service(world, MODEL), clock) as url, Boto(region=REGION, endpoints={"": url}) as api:
        vpc = {"subnetIds": await network(api)}
        world.faults.waiting = [Fault(kind=Kind.LOSE, operation="CreateCluster")]
        role = "arn:aws:iam::123456789012:role/eks"
        made = await api.call("eks", "CreateCluster", name="prod", roleArn=role, resourcesVpcConfig=vpc)
        assert made["cluster"]["name"] == "prod"
        world.faults.waiting = [Fault(kind=Kind.LOSE, operation="ListClusters", times=99)]
        with pytest.raises(Failure) as caught:
            await api.call("eks", "ListClusters")
        assert caught.value.code in UNKNOWN_OUTCOME


async def test_boto3_reads_what_is_beside_eks() -> None:
    clock = Clocked()
    world = World(known=known(), fleet=Imagined(), rng=random.Random(7), region=REGION)
    async with served(Service(world, MODEL), clock) as url, Boto(region=REGION, endpoints={"": url}) as api:
        base = "/aws/service/eks/optimized-ami/1.31/amazon-linux-2023/x86_64/nvidia/recommended"
        told = (await api.call("ssm", "GetParameter", Name=f"{base}/image_id"))["Parameter"]
        assert (told["Value"][:4], told["LastModifiedDate"].timestamp()) == ("ami-", START_S)
        with pytest.raises(Failure) as caught:
            await api.call("ssm", "GetParameter", Name=f"{base}/none")
        assert caught.value.code == "ParameterNotFound"
        # What is no AMI of EKS is moto's.
        await api.call("ssm", "PutParameter", Name="/ours", Value="1", Type="String")
        assert (await api.call("ssm", "GetParameter", Name="/ours"))["Parameter"]["Value"] == "1"

        quota = await api.call("service-quotas", "GetServiceQuota", ServiceCode="ec2", QuotaCode="L-1216C47A")
        assert quota["Quota"]["Value"] == 5.0
        products = await api.call("pricing", "GetProducts", ServiceCode="AmazonEC2", MaxResults=2)
        assert (len(products["PriceList"]), "NextToken" in products) == (2, True)

        tags = [{"ResourceType": "placement-group", "Tags": [{"Key": "a", "Value": "<b> & c"}]}]
        made = await api.call("ec2", "CreatePlacementGroup", GroupName="gang", TagSpecifications=tags)
        assert made["PlacementGroup"]["Tags"] == [{"Key": "a", "Value": "<b> & c"}]
        listed = await api.call("ec2", "DescribePlacementGroups", GroupNames=["gang"])
        assert listed["PlacementGroups"] == [made["PlacementGroup"]]
        with pytest.raises(Failure) as caught:
            await api.call("ec2", "CreatePlacementGroup", GroupName="gang", DryRun=True)
        assert caught.value.code == "DryRunOperation"
        with pytest.raises(Failure) as caught:
            await api.call("ec2", "DeletePlacementGroup", GroupName="none")
        assert caught.value.code == "InvalidPlacementGroup.Unknown"
        await api.call("ec2", "DeletePlacementGroup", GroupName="gang")

        reserved = await api.call(
            "ec2",
            "CreateCapacityReservation",
            InstanceType="p5.48xlarge",
            InstancePlatform="Linux/UNIX",
            AvailabilityZone=f"{REGION}a",
            InstanceCount=2,
            EndDateType="limited",
            EndDate=datetime.fromtimestamp(START_S + 3600, UTC),
        )
        ids = [reserved["CapacityReservation"]["CapacityReservationId"]]
        (one,) = [
            one
            async for one in api.pages(
                "ec2", "DescribeCapacityReservations", "CapacityReservations", CapacityReservationIds=ids
            )
            if isinstance(one, dict)
        ]
        assert (one["State"], one["AvailableInstanceCount"]) == ("active", 2)
        assert one["EndDate"].timestamp() == START_S + 3600
        assert (await api.call("ec2", "CancelCapacityReservation", CapacityReservationId=ids[0]))["Return"]
        # And the rest of EC2 is behind.
        types = await api.call(
            "ec2",
            "DescribeInstanceTypeOfferings",
            Filters=[{"Name": "instance-type", "Values": ["p5.48xlarge"]}],
        )
        assert "InstanceTypeOfferings" in types


async def test_a_node_group_finds_its_launch_template_and_its_private_subnets_at_motos() -> None:
    clock = Clocked()
    fleet = Imagined()
    world = World(known=known(), fleet=fleet, rng=random.Random(7), region=REGION)
    async with served(Service(world, MODEL), clock) as url, Boto(region=REGION, endpoints={"": url}) as api:
        subnets = await network(api)
        role = "arn:aws:iam::123456789012:role/eks"
        vpc = {"subnetIds": subnets}
        await api.call("eks", "CreateCluster", name="prod", roleArn=role, resourcesVpcConfig=vpc)
        clock.now_s += 700
        reserved = await api.call(
            "ec2",
            "CreateCapacityReservation",
            InstanceType="p5.48xlarge",
            InstancePlatform="Linux/UNIX",
            AvailabilityZone=f"{REGION}b",
            InstanceCount=1,
        )
        target = {"CapacityReservationId": reserved["CapacityReservation"]["CapacityReservationId"]}
        data = {
            "InstanceType": "p5.48xlarge",
            "CapacityReservationSpecification": {"CapacityReservationTarget": target},
        }
        await api.call("ec2", "CreateLaunchTemplate", LaunchTemplateName="gpu", LaunchTemplateData=data)
        group = {"clusterName": "prod", "nodegroupName": "gpu", "nodeRole": role, "subnets": subnets}
        with pytest.raises(Failure, match="Launch template none version 1 does not exist"):
            await api.call("eks", "CreateNodegroup", **group, launchTemplate={"name": "none", "version": "1"})
        made = await api.call("eks", "CreateNodegroup", **group, launchTemplate={"name": "gpu"})
        named = made["nodegroup"]["launchTemplate"]
        assert (named["id"][:3], named["name"], named["version"]) == ("lt-", "gpu", "1")
        assert [(one.instance_type, one.zone) for one in fleet.machines.values()] == [
            ("p5.48xlarge", f"{REGION}b")
        ]

        # A subnet with a way to an internet gateway is public.
        gateway = (await api.call("ec2", "CreateInternetGateway"))["InternetGateway"]["InternetGatewayId"]
        (told,) = (await api.call("ec2", "DescribeSubnets", SubnetIds=subnets[:1]))["Subnets"]
        await api.call("ec2", "AttachInternetGateway", InternetGatewayId=gateway, VpcId=told["VpcId"])
        table = (await api.call("ec2", "CreateRouteTable", VpcId=told["VpcId"]))["RouteTable"]["RouteTableId"]
        route = {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": gateway}
        await api.call("ec2", "CreateRoute", RouteTableId=table, **route)
        await api.call("ec2", "AssociateRouteTable", RouteTableId=table, SubnetId=subnets[0])
        profile = {
            "clusterName": "prod",
            "fargateProfileName": "web",
            "podExecutionRoleArn": role,
            "selectors": [{"namespace": "web"}],
        }
        with pytest.raises(
            Failure, match=f"{subnets[0]} provided in Fargate Profile is not a private subnet"
        ):
            await api.call("eks", "CreateFargateProfile", **profile, subnets=subnets)
        told = (await api.call("eks", "CreateFargateProfile", **profile))["fargateProfile"]
        assert told["subnets"] == subnets[1:]
