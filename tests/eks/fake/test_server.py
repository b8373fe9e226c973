"""boto3 as users have it, against the fake over HTTP, with moto's server behind it for the rest of AWS."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from aliquot.eks.aws.api import UNKNOWN_OUTCOME, Failure
from aliquot.eks.aws.boto import Boto
from aliquot.eks.fake.faults import Fault, Kind
from aliquot.eks.fake.fleet import Imagined
from aliquot.eks.fake.moto import Moto
from aliquot.eks.fake.server import FakeEks
from aliquot.eks.fake.service import Service
from aliquot.eks.fake.world import World
from aliquot.eks.versions.for_fake import known
from tests.eks.fake.worlds import MODEL, START_S

REGION = "eu-west-1"


class Clocked:
    now_s = START_S

    def __call__(self) -> float:
        return self.now_s


@asynccontextmanager
async def served(service: Service, clock: Clocked) -> AsyncIterator[str]:
    async with Moto(REGION) as moto:
        config = uvicorn.Config(FakeEks(service, moto, clock), port=0, log_level="error", lifespan="off")
        server = uvicorn.Server(config)
        sockets = [config.bind_socket()]
        task = asyncio.create_task(server.serve(sockets))
        try:
            yield f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


@pytest.fixture(autouse=True)
def _account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


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
