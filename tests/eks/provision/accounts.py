"""An AWS in this process: the fake of EKS, and moto for the rest, on virtual time. What goes wrong between is chosen by a test."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import boto3
import moto
from botocore import xform_name
from botocore.exceptions import ClientError

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
_ASKED_BY_THE_FAKE = ("DescribeLaunchTemplateVersions", "DescribeRouteTables")
REGION = "eu-west-1"
TODAY = datetime.fromtimestamp(START_S, UTC).date()


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
        self._clients: dict[str, Any] = {}
        self.calls: Counter[str] = Counter()
        self.before: Callable[[str, str], None] = lambda service, operation: None
        """May raise, and nothing is done."""
        self.after: Callable[[str, str], None] = lambda service, operation: None
        """May raise, and it is done all the same."""

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = boto3.client(
                service, region_name=self.region, aws_access_key_id="a", aws_secret_access_key="b"
            )
        return self._clients[service]

    def _subnets(self) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = self.client("ec2").describe_subnets()["Subnets"]
        return told

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        self.calls[f"{service}:{operation}"] += 1
        self.before(service, operation)
        if service == "eks" or neighbours.takes(service, operation, parameters):
            answer = await self._direct.call(service, operation, **parameters)
        else:
            answer = self._moto(service, operation, parameters)
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


@contextmanager
def account(region: str = REGION) -> Iterator[Aws]:
    with moto.mock_aws(config={"iam": {"load_aws_managed_policies": True}}):
        yield Aws(region)


def run(work: Coroutine[Any, Any, T]) -> T:
    loop = VirtualTimeLoop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


async def pause(seconds: float) -> None:
    await asyncio.sleep(seconds)


def lost(service: str, operation: str) -> Failure:
    return Failure(service, operation, UNREACHABLE, "the connection broke off")
