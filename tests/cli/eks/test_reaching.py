"""Options reach a command as one thing; a run goes on with the cluster that it is of, and with no other of its name."""

import asyncio
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from aliquot.cli.eks.connecting import AwsOptions
from aliquot.cli.eks.reaching import RunOptions, of_this_account, of_this_cluster, run_options
from aliquot.cli.eks.records import RecordOptions
from aliquot.eks.estate.estate import Cluster
from aliquot.eks.plan.plan import Options
from aliquot.eks.plan.planning import plan as planned
from tests.eks.plan.estates import M131, M132, TARGETS, at, estate, group


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


EU, US = (f"arn:aws:eks:{region}:123456789012:cluster/prod" for region in ("eu-west-1", "us-east-1"))
HERE = at(M131, arn=EU, created_s=1_790_000_000.0)
PLAN = planned(estate(group("cpu"), cluster=HERE), M132, TARGETS, Options())


def test_it_is_the_one() -> None:
    of_this_cluster(HERE, PLAN)


@pytest.mark.parametrize(
    ("cluster", "said"),
    [
        (replace(HERE, arn=US), rf"run {PLAN.id} is of {EU}, and this is {US}: give the --region"),
        (
            replace(HERE, created_s=1_800_000_000.0),
            "is of a cluster prod that is gone.*--leave ends that run",
        ),
    ],
)
def test_one_of_the_same_name_is_another_one(cluster: Cluster, said: str) -> None:
    with pytest.raises(click.ClickException, match=said) as refused:
        of_this_cluster(cluster, PLAN)
    assert "\n" not in refused.value.message


def test_an_arn_is_of_an_account() -> None:
    for word in ("prod", EU):
        of_this_account(HERE, word)
    with pytest.raises(click.ClickException, match=f"this is {EU}, and not .*: give the --profile"):
        of_this_account(HERE, EU.replace("123456789012", "210987654321"))


def test_an_arn_says_the_region() -> None:
    given = RunOptions(aws=AwsOptions(region="us-east-1"), records=RecordOptions(), poll_s=1.0)

    async def reached() -> None:
        async with given.reach(EU):
            raise AssertionError("AWS is not asked")

    with pytest.raises(click.UsageError, match=f"--region us-east-1, but {EU} has eu-west-1"):
        asyncio.run(reached())
