"""An AWS in this process: the fake of EKS, and moto for the rest, on virtual time. What goes wrong between is chosen by a test."""

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any, TypeVar
from unittest.mock import patch

import boto3
import moto
from botocore import xform_name
from botocore.exceptions import ClientError
from moto.iam.aws_managed_policies import aws_managed_policies_data

from aliquot.clock import VirtualClock, VirtualTimeLoop
from aliquot.eks.aws.api import UNREACHABLE, Failure
from aliquot.eks.fake import neighbours
from aliquot.eks.fake.direct import Direct
from aliquot.eks.fake.fleet import Imagined
from aliquot.eks.fake.service import Service
from aliquot.eks.fake.world import World
from aliquot.eks.versions.for_fake import known
from tests.eks.fake.worlds import MODEL, START_S

T = TypeVar("T")
_LATE = ("vpc-", "igw-", "subnet-", "eipalloc-", "nat-", "rtb-")
_ID = re.compile(r'"((?:vpc|igw|subnet|eipalloc|nat|rtb)-[0-9a-f]+)"')
_ASKED_BY_THE_FAKE = ("DescribeLaunchTemplateVersions", "DescribeRouteTables")
REGION = "eu-west-1"
TODAY = datetime.fromtimestamp(START_S, UTC).date()
_SESSION = boto3.session.Session("a", "b")
_POLICIES = ("AmazonEKS", "AmazonEC2ContainerRegistry", "AmazonEBS", "AmazonSSM")
"""How AWS' own policies begin that clusters need: moto has 1,500, and makes all of them anew for each account."""


class Killed(BaseException):
    """The process is gone, here."""


class Aws:
    """An `Api`."""

    def __init__(self, region: str = REGION) -> None:
        self.region = region
        self.clock = VirtualClock(START_S)
        self.world = World(known=known(), fleet=Imagined(), rng=random.Random(7), region=region)
        self._direct = Direct(
            Service(self.world, MODEL),
            now=self.clock.now,
            failed=Failure,
            subnets=self._subnets,
            others={("ec2", name): partial(self._moto, "ec2", name) for name in _ASKED_BY_THE_FAKE},
        )
        self.calls: Counter[str] = Counter()
        self.lag_s = 0.0
        """For so long EC2 does not tell of what it has made."""
        self._born: dict[str, float] = {}
        self.before: Callable[[str, str], None] = lambda service, operation: None
        """May raise, and nothing is done."""
        self.after: Callable[[str, str], None] = lambda service, operation: None
        """May raise, and it is done all the same."""

    def client(self, service: str) -> Any:
        return _client(service, self.region)

    def _subnets(self) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = self.client("ec2").describe_subnets()["Subnets"]
        return told

    def _is_fresh(self, made_s: float) -> bool:
        # Each `run` begins at the same time: what was made in one before is old.
        return 0 <= self.clock.now() - made_s < self.lag_s

    def _hide(self, service: str, operation: str, parameters: dict[str, Any]) -> None:
        """Raises Failure where the call names what EC2 does not tell of yet."""
        named = json.dumps(parameters, default=str)
        for id_, made_s in self._born.items():
            if self._is_fresh(made_s) and f'"{id_}"' in named:
                raise Failure(service, operation, "InvalidID.NotFound", f"{id_} does not exist")

    def _seen(self, operation: str, answer: dict[str, Any]) -> dict[str, Any]:
        """Without what was made a moment ago; and what was made now is noted."""
        now_s = self.clock.now()
        if operation.startswith(("Create", "Allocate")):
            text = json.dumps(answer, default=str)
            known = set(self._born)
            self._born.update(
                {id_: now_s for id_ in _ID.findall(text) if id_ not in known and id_.startswith(_LATE)}
            )
            return answer
        fresh = [id_ for id_, made_s in self._born.items() if self._is_fresh(made_s)]
        return {
            key: [one for one in value if not any(_own(one) == id_ for id_ in fresh)]
            if isinstance(value, list)
            else value
            for key, value in answer.items()
        }

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        self.calls[f"{service}:{operation}"] += 1
        self.before(service, operation)
        if service == "eks" or neighbours.takes(service, operation, parameters):
            answer = await self._direct.call(service, operation, **parameters)
        else:
            if service == "ec2":
                self._hide(service, operation, parameters)
            answer = self._moto(service, operation, parameters)
            if service == "ec2":
                answer = self._seen(operation, answer)
        self.after(service, operation)
        return answer

    def _moto(self, service: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self.client(service), xform_name(operation))(**parameters)
        except ClientError as error:
            told = error.response["Error"]
            raise Failure(service, operation, told["Code"], told["Message"]) from None
        answer.pop("ResponseMetadata", None)
        return answer

    async def pages(
        self, service: str, operation: str, result: str, **parameters: Any
    ) -> AsyncIterator[dict[str, Any] | str]:
        token: dict[str, Any] = {}
        while True:
            page = await self.call(service, operation, **parameters, **token)
            for item in page.get(result, ()):
                yield item
            if not page.get("nextToken"):
                return
            token = {"nextToken": page["nextToken"]}

    def writes(self) -> Counter[str]:
        """Calls that are no looks."""
        looks = (":Describe", ":List", ":Get")
        return Counter(
            {call: times for call, times in self.calls.items() if not any(look in call for look in looks)}
        )


def _own(told: Any) -> str:
    """The id of what EC2 tells of: not those of what it belongs to."""
    keys = ("NatGatewayId", "RouteTableId", "SubnetId", "AllocationId", "InternetGatewayId", "VpcId")
    return next((str(told[key]) for key in keys if isinstance(told, dict) and key in told), "")


@cache
def _client(service: str, region: str) -> Any:
    """Of all accounts: that of EC2 takes longer to make than most tests."""
    return _SESSION.client(service, region_name=region)


@cache
def _policies() -> str:
    told = json.loads(aws_managed_policies_data)
    return json.dumps({name: one for name, one in told.items() if name.startswith(_POLICIES)})


@contextmanager
def account(region: str = REGION) -> Iterator[Aws]:
    with (
        patch("moto.iam.models.aws_managed_policies_data", _policies()),
        patch.dict("os.environ", {"MOTO_EC2_LOAD_DEFAULT_AMIS": "false"}),
        moto.mock_aws(config={"iam": {"load_aws_managed_policies": True}}),
    ):
        yield Aws(region)


def run(work: Coroutine[Any, Any, T]) -> T:
    loop = VirtualTimeLoop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def pause(seconds: float) -> None:
    await asyncio.sleep(seconds)


def lost(service: str, operation: str) -> Failure:
    return Failure(service, operation, UNREACHABLE, "the connection broke off")
