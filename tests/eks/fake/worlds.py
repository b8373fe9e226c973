"""A fake of EKS on a clock that a test moves, called as botocore's names have it."""

import random
from datetime import UTC, datetime
from typing import Any

from aliquot.eks.fake import neighbours
from aliquot.eks.fake.fleet import Imagined
from aliquot.eks.fake.model import Model
from aliquot.eks.fake.refusals import Refused
from aliquot.eks.fake.service import Service
from aliquot.eks.fake.surroundings import Surroundings
from aliquot.eks.fake.world import World
from aliquot.eks.versions.for_fake import known

MODEL = Model()
START_S = datetime(2026, 10, 1, 8, tzinfo=UTC).timestamp()
ROLE = "arn:aws:iam::123456789012:role/eks"
MINUTE_S, DAY_S = 60.0, 86400.0


class Account:
    def __init__(self) -> None:
        self.fleet = Imagined()
        self.world = World(known=known(), fleet=self.fleet, rng=random.Random(7))
        self.service = Service(self.world, MODEL)
        self.now_s = START_S
        self.free = {"subnet-a": 100, "subnet-b": 100}
        self.public: set[str] = set()
        self.templates: list[dict[str, Any]] | None = None

    def subnets(self) -> list[dict[str, Any]]:
        return [
            {
                "SubnetId": id_,
                "AvailabilityZone": f"eu-west-1{id_[-1]}",
                "VpcId": "vpc-1",
                "AvailableIpAddressCount": free,
            }
            for id_, free in self.free.items()
        ]

    def route_tables(self) -> list[dict[str, Any]]:
        routes = [{"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1"}]
        associated = [{"SubnetId": id_, "Main": False} for id_ in sorted(self.public)]
        return [{"VpcId": "vpc-1", "Routes": routes, "Associations": associated}]

    def around(self) -> Surroundings:
        return Surroundings(self.subnets(), route_tables=self.route_tables(), templates=self.templates)

    def template(self, number: int = 1, **data: Any) -> dict[str, Any]:
        """A version of launch template lt-1, as a node group names it."""
        version = {
            "LaunchTemplateId": "lt-1",
            "LaunchTemplateName": "gpu",
            "VersionNumber": number,
            "LaunchTemplateData": data,
        }
        self.templates = [*(self.templates or []), version]
        return {"name": "gpu", "version": str(number)}

    def beside(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        return neighbours.answer(self.world, service, operation, parameters, self.now_s)

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        return self.service.call(operation, parameters, self.now_s, self.around())

    def pass_(self, seconds: float) -> None:
        """In looks of a minute, as somebody polls."""
        until = self.now_s + seconds
        while self.now_s < until:
            self.now_s = min(until, self.now_s + MINUTE_S)
            self.service.advance(self.now_s)

    def refused(self, operation: str, **parameters: Any) -> Refused:
        try:
            self.call(operation, **parameters)
        except Refused as error:
            return error
        raise AssertionError(f"{operation} was not refused")

    def cluster(self, version: str = "1.31", **more: Any) -> dict[str, Any]:
        self.call(
            "CreateCluster",
            name="prod",
            version=version,
            roleArn=ROLE,
            resourcesVpcConfig={"subnetIds": ["subnet-a", "subnet-b"]},
            accessConfig={"authenticationMode": "API"},
            **more,
        )
        self.pass_(11 * MINUTE_S)
        told: dict[str, Any] = self.call("DescribeCluster", name="prod")["cluster"]
        assert told["status"] == "ACTIVE"
        return told

    def nodegroup(self, name: str = "gpu", size: int = 3, **more: Any) -> dict[str, Any]:
        self.call(
            "CreateNodegroup",
            clusterName="prod",
            nodegroupName=name,
            nodeRole=ROLE,
            subnets=["subnet-a", "subnet-b"],
            scalingConfig={"minSize": 0, "maxSize": max(1, size), "desiredSize": size},
            **more,
        )
        self.pass_(4 * MINUTE_S)
        told: dict[str, Any] = self.group(name)
        assert told["status"] == "ACTIVE"
        return told

    def group(self, name: str = "gpu") -> dict[str, Any]:
        told: dict[str, Any] = self.call("DescribeNodegroup", clusterName="prod", nodegroupName=name)[
            "nodegroup"
        ]
        return told

    def upgrade(self, to: str) -> dict[str, Any]:
        update = self.call("UpdateClusterVersion", name="prod", version=to)["update"]
        self.pass_(10 * MINUTE_S)
        told: dict[str, Any] = self.call("DescribeUpdate", name="prod", updateId=update["id"])["update"]
        return told
