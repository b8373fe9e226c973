"""An account with many clusters of EKS, in the fake: five node groups each, one of them of GPUs, and four add-ons.

    python -m benchmarks.eks_accounts CLUSTERS

serves it over HTTP with moto behind it, prints its URL, and ends when its standard input does.
"""

import asyncio
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import uvicorn

from aliquot.clock import SystemClock
from aliquot.eks.aws.api import Failure
from aliquot.eks.fake import neighbours
from aliquot.eks.fake.direct import Direct
from aliquot.eks.fake.fleet import Imagined
from aliquot.eks.fake.model import Model
from aliquot.eks.fake.moto import Moto
from aliquot.eks.fake.server import FakeEks
from aliquot.eks.fake.service import Service
from aliquot.eks.fake.surroundings import Surroundings
from aliquot.eks.fake.world import World
from aliquot.eks.versions.for_fake import known

Json = dict[str, Any]

REGION = "eu-west-1"
GROUPS, ADDONS = 5, ("vpc-cni", "coredns", "kube-proxy", "eks-pod-identity-agent")
_ROLE = "arn:aws:iam::123456789012:role/eks"
_HOPS = 2
_SETTLED_AFTER_S, _LOOK_EVERY_S = 1800.0, 60.0


def minors(now_s: float) -> tuple[str, str]:
    """From the oldest minor in standard support to the newest, or two further on."""
    today = datetime.fromtimestamp(now_s, UTC).date()
    found = [one.minor for one in known().minors if one.status(today) == "STANDARD_SUPPORT"]
    return found[0], found[: _HOPS + 1][-1]


def filled(clusters: int, subnets: Sequence[Mapping[str, Any]], now_s: float) -> tuple[Service, float]:
    """All is well, and nothing is on its way; and when that is."""
    minor = minors(now_s)[0]
    world = World(known=known(), fleet=Imagined(), rng=random.Random(7), region=REGION)
    service = Service(world, Model())
    around = Surroundings(subnets)
    ids = [one["SubnetId"] for one in subnets]
    for name in map(cluster, range(clusters)):
        service.call(
            "CreateCluster",
            {"name": name, "version": minor, "roleArn": _ROLE, "resourcesVpcConfig": {"subnetIds": ids}},
            now_s,
            around,
        )
    now_s = _passed(service, now_s)
    for name in map(cluster, range(clusters)):
        for number in range(GROUPS):
            service.call("CreateNodegroup", _group(name, number, ids), now_s, around)
        for addon in ADDONS:
            service.call("CreateAddon", {"clusterName": name, "addonName": addon}, now_s, around)
    return service, _passed(service, now_s)


def cluster(number: int) -> str:
    return f"cluster-{number:03d}"


def _group(name: str, number: int, subnets: Sequence[str]) -> Json:
    gpus = number == 0
    return {
        "clusterName": name,
        "nodegroupName": f"group-{number}",
        "nodeRole": _ROLE,
        "subnets": list(subnets),
        "scalingConfig": {"minSize": 0, "maxSize": 6, "desiredSize": 3},
        "amiType": "AL2023_x86_64_NVIDIA" if gpus else "AL2023_x86_64_STANDARD",
        "instanceTypes": ["p5.48xlarge" if gpus else "m5.large"],
    }


def _passed(service: Service, now_s: float) -> float:
    until_s = now_s + _SETTLED_AFTER_S
    while now_s < until_s:
        now_s += _LOOK_EVERY_S
        service.advance(now_s)
    return now_s


def door(clusters: int, now_s: float) -> tuple[Direct, float]:
    """Without HTTP; EC2 says the least that it can. And what time it is there."""
    subnets = [
        {"SubnetId": f"subnet-{zone}", "AvailabilityZone": f"{REGION}{zone}", "VpcId": "vpc-1", "AvailableIpAddressCount": 4000}
        for zone in "ab"
    ]  # fmt: skip
    service, settled_s = filled(clusters, subnets, now_s)

    def beside(of: str, operation: str) -> Callable[[Json], Json]:
        return lambda call: neighbours.answer(service.world, of, operation, call, settled_s)

    types = [{"InstanceType": name} for name in ("m5.large", "p5.48xlarge")]
    others: dict[tuple[str, str], Callable[[Json], Json]] = {rule: beside(*rule) for rule in neighbours.RULES}
    others |= {
        ("ec2", "DescribeSubnets"): lambda _: {"Subnets": subnets},
        ("ec2", "DescribeInstanceTypes"): lambda _: {"InstanceTypes": types},
        ("ec2", "DescribeInstances"): lambda _: {"Reservations": []},
        ("ec2", "DescribeVolumes"): lambda _: {"Volumes": []},
    }
    api = Direct(service, now=lambda: settled_s, failed=Failure, subnets=lambda: subnets, others=others)
    return api, settled_s


async def serve(clusters: int) -> None:
    async with Moto(REGION) as moto:
        vpc = (await moto.ec2("CreateVpc", {"CidrBlock": "10.0.0.0/16"}))["Vpc"]["VpcId"]
        made = [
            await moto.ec2(
                "CreateSubnet",
                {
                    "VpcId": vpc,
                    "CidrBlock": f"10.0.{16 * number}.0/20",
                    "AvailabilityZone": f"{REGION}{zone}",
                },
            )
            for number, zone in enumerate("ab")
        ]
        service, now_s = filled(clusters, [one["Subnet"] for one in made], SystemClock().now())
        config = uvicorn.Config(
            FakeEks(service, moto, lambda: now_s), port=0, log_level="error", lifespan="off"
        )
        server = uvicorn.Server(config)
        sockets = [config.bind_socket()]
        task = asyncio.create_task(server.serve(sockets))
        print(f"http://127.0.0.1:{sockets[0].getsockname()[1]}", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        server.should_exit = True
        await task


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
