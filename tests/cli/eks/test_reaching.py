"""Options reach a command as one thing; a run goes on with the cluster that it is of, and with no other of its name."""

import asyncio
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from aliquot.cli.eks.connecting import AwsOptions
from aliquot.cli.eks.reaching import RunOptions, of_this_cluster, run_options
from aliquot.cli.eks.records import RecordOptions
from aliquot.eks.plan.plan import Options
from aliquot.eks.plan.planning import plan as planned
from tests.eks.plan.estates import M131, M132, TARGETS, at, estate, group
from tests.eks.upgrade.acts.worlds import World, world


@click.command()
@run_options
def shown(given: RunOptions) -> None:
    click.echo(repr(given))


def test_all_that_is_given_reaches_the_command_as_one() -> None:
    words = "--region eu-west-1 --profile p --endpoint-url http://x --kubeconfig /k --context c --data /d --journal postgresql://j --poll 2 --take-over"
    told = CliRunner().invoke(shown, words.split(), catch_exceptions=False)
    assert told.output.strip() == repr(
        RunOptions(
            aws=AwsOptions(region="eu-west-1", profile="p", endpoint_url="http://x"),
            records=RecordOptions(data=Path("/d"), journal_url="postgresql://j"),
            kubeconfig="/k",
            context="c",
            poll_s=2.0,
            take_over=True,
        )
    )


@pytest.mark.parametrize("said", [None, "eu-west-1"])
def test_a_file_says_the_region(said: str | None) -> None:
    assert AwsOptions(region=said, profile="p").at("eu-west-1", "f") == AwsOptions(
        region="eu-west-1", profile="p"
    )


def test_a_file_and_an_option_that_say_two_regions() -> None:
    with pytest.raises(click.UsageError, match="--region us-east-1, but f has eu-west-1: leave it out"):
        AwsOptions(region="us-east-1").at("eu-west-1", "f")


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
