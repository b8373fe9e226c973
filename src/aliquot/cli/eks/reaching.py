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
    from aliquot.eks.plan.plan import Plan
    from aliquot.eks.upgrade.doing import Doors


class Gone(click.ClickException):
    """There is no such cluster (any more)."""


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
    async def doors(self, cluster: str) -> AsyncIterator["Doors"]:
        """What AWS or the API server refuses meanwhile, too, is a click.ClickException; Gone where there is no such cluster."""
        from aliquot.eks.aws.api import Failure
        from aliquot.kube.errors import ApiError

        async with self.aws.connect() as api:
            try:
                async with doors_to(api, cluster, self) as doors:
                    yield doors
            except Failure as error:
                is_gone = error.operation == "DescribeCluster" and error.code == "ResourceNotFoundException"
                raise (Gone if is_gone else click.ClickException)(str(error)) from None
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
async def doors_to(api: "Boto", cluster: str, given: RunOptions) -> AsyncIterator["Doors"]:
    """Raises Failure, click.ClickException."""
    from aliquot.eks.estate import reading_aws
    from aliquot.eks.upgrade.doing import Doors
    from aliquot.eks.upgrade.vault import DirectoryVault

    vault = DirectoryVault(given.records.directory)
    told = await reading_aws.cluster(api, cluster)
    by_file = given.kubeconfig or given.context
    if by_file:
        of_cluster(given.kubeconfig, given.context, told)
    reached = connect(given.kubeconfig, given.context) if by_file else connect_eks(api, told)
    async with reached as client:
        yield Doors(api=api, clock=SystemClock(), aws_clock=api.clock, client=client, vault=vault)


async def of_this_cluster(doors: "Doors", plan: "Plan") -> None:
    """Another region has a cluster of the same name, or another time. Raises Failure, Gone, click.ClickException."""
    from aliquot.eks.estate import reading_aws

    told = await reading_aws.cluster(doors.api, plan.cluster)
    if plan.arn != told.arn:
        raise click.ClickException(
            f"run {plan.id} is of {plan.arn}, and this is {told.arn}: give the --region and --profile of the run's"
        )
    if plan.state.get("cluster: created") not in (None, f"{told.created_s:.0f}"):
        raise Gone(
            f"run {plan.id} is of a cluster {plan.cluster} that is gone, and this one was made later: "
            f"aliquot eks abort {plan.cluster} --leave ends that run"
        )
