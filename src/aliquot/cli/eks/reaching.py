"""How a run's cluster is reached: options, the doors made of them, and whether they lead to the cluster that the run is of."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from aliquot.cli.connect import cluster_options, connect
from aliquot.cli.eks.connecting import AwsOptions, aws_options, connect_eks, of_cluster
from aliquot.cli.eks.parameters import gathered
from aliquot.cli.eks.records import RecordOptions, record_options
from aliquot.clock import SystemClock

if TYPE_CHECKING:
    from aliquot.eks.aws.boto import Boto
    from aliquot.eks.estate.estate import Cluster
    from aliquot.eks.plan.plan import Plan
    from aliquot.eks.upgrade.doing import Doors


class Gone(click.ClickException):
    """There is no such cluster (any more)."""

    def __init__(self, message: str, region: str) -> None:
        """`region`: in which it is not."""
        super().__init__(message)
        self.region = region


@dataclass(frozen=True, kw_only=True)
class Reached:
    doors: "Doors"
    cluster: "Cluster"
    """As AWS tells of it."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What every command that drives a run of one cluster is given."""

    aws: AwsOptions
    records: RecordOptions
    kubeconfig: str | None = None
    context: str | None = None
    poll_s: float
    take_over: bool = False

    @asynccontextmanager
    async def reach(self, cluster: str) -> AsyncIterator[Reached]:
        """By its name or ARN. What AWS or the API server refuses meanwhile, too, is a click.ClickException; Gone where there is no
        such cluster."""
        from aliquot.eks.aws import arns
        from aliquot.eks.aws.api import Failure
        from aliquot.kube.errors import ApiError

        aws = self.aws.at(arns.region(cluster), cluster) if arns.is_arn(cluster) else self.aws
        async with aws.connect() as api:
            try:
                async with reach(api, cluster, self) as there:
                    yield there
            except Failure as error:
                if error.operation == "DescribeCluster" and error.code == "ResourceNotFoundException":
                    raise Gone(str(error), api.region) from None
                raise click.ClickException(str(error)) from None
            except ApiError as error:
                raise click.ClickException(str(error)) from None


poll_option = click.option(
    "--poll",
    "poll_s",
    type=click.FloatRange(0.1, 300),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How often EKS is asked how far an update is; other waits go with it.",
)


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """They reach the command as `given: RunOptions`."""
    command = gathered(command, "given", RunOptions)
    command = cluster_options(aws_options(record_options(command)))
    take_over = click.option(
        "--take-over",
        is_flag=True,
        help="Although somebody else has the run for some minutes more: you know that they do not work on it.",
    )
    return take_over(poll_option(command))


@asynccontextmanager
async def reach(api: "Boto", cluster: str, given: RunOptions) -> AsyncIterator[Reached]:
    """Raises Failure, click.ClickException."""
    from aliquot.eks.aws import arns
    from aliquot.eks.estate import reading_aws
    from aliquot.eks.upgrade.doing import Doors
    from aliquot.eks.upgrade.vault import DirectoryVault

    vault = DirectoryVault(given.records.directory)
    told = await reading_aws.cluster(api, arns.name(cluster))
    of_this_account(told, cluster)
    by_file = given.kubeconfig or given.context
    if by_file:
        of_cluster(given.kubeconfig, given.context, told)
    reached = connect(given.kubeconfig, given.context) if by_file else connect_eks(api, told)
    async with reached as client:
        doors = Doors(api=api, clock=SystemClock(), aws_clock=api.clock, client=client, vault=vault)
        yield Reached(doors=doors, cluster=told)


def of_this_account(cluster: "Cluster", word: str) -> None:
    """An ARN names an account, too. Raises click.ClickException."""
    from aliquot.eks.aws import arns

    if arns.is_arn(word) and cluster.arn != word:
        raise click.ClickException(
            f"this is {cluster.arn}, and not {word}: give the --profile of its account"
        )


def of_this_cluster(cluster: "Cluster", plan: "Plan") -> None:
    """A run's plan. Another region has a cluster of the same name, or another time. Raises Gone, click.ClickException."""
    in_this_place(cluster, plan, f"run {plan.id}")
    if plan.state.get("cluster: created") not in (None, f"{cluster.created_s:.0f}"):
        raise Gone(
            f"run {plan.id} is of a cluster {plan.cluster} that is gone, and this one was made later: "
            f"aliquot eks abort {plan.cluster} --leave ends that run",
            cluster.region,
        )


def in_this_place(cluster: "Cluster", plan: "Plan", whose: str) -> None:
    """`whose`: of whom it is told. Raises click.ClickException."""
    if plan.arn != cluster.arn:
        raise click.ClickException(
            f"{whose} is of {plan.arn}, and this is {cluster.arn}: give the --region and --profile of that one"
        )
