"""A run goes on with the cluster that it is of, and with no other of its name."""

import asyncio

import click
import pytest
from msgspec.structs import replace

from aliquot.cli.eks.driving import of_this_cluster
from aliquot.eks.plan.plan import Options
from aliquot.eks.plan.planning import plan as planned
from tests.eks.plan.estates import M131, M132, TARGETS, at, estate, group
from tests.eks.upgrade.acts.worlds import World, world


async def _looked(arn: str | None) -> None:
    async with world() as there:
        await _with(there, arn)


async def _with(there: World, arn: str | None) -> None:
    told = (await there.doors.api.call("eks", "DescribeCluster", name="prod"))["cluster"]
    here = at(M131, created_s=told["createdAt"].timestamp())
    plan = planned(estate(group("cpu"), cluster=here), M132, TARGETS, Options())
    await of_this_cluster(there.doors, replace(plan, arn=told["arn"] if arn is None else arn))


def test_it_is_the_one() -> None:
    asyncio.run(_looked(None))


def test_one_of_the_same_name_elsewhere_is_another_one() -> None:
    with pytest.raises(click.ClickException, match=r"is of arn:.*us-east-1.*give the --region") as refused:
        asyncio.run(_looked("arn:aws:eks:us-east-1:123456789012:cluster/prod"))
    assert "\n" not in refused.value.message
