"""Drives a run: doors to AWS, the cluster and the disk, the lines it says, and what its end means for the exit code."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aliquot.cli.connect import connect
from aliquot.cli.eks.connecting import connect_eks, of_cluster
from aliquot.cli.eks.records import directory, somebody
from aliquot.clock import SystemClock

if TYPE_CHECKING:
    from aliquot.eks.aws.boto import Boto
    from aliquot.eks.estate.estate import Estate
    from aliquot.eks.plan.plan import Plan
    from aliquot.eks.upgrade.doing import Doors
    from aliquot.eks.upgrade.journal import Journal
    from aliquot.eks.upgrade.steps import Step

HELD = 3
"""Exit code: a person has to decide."""
_STOPPED = 130

take_over_option = click.option(
    "--take-over",
    is_flag=True,
    help="Although somebody else has the run for some minutes more: you know that they do not work on it.",
)
poll_option = click.option(
    "--poll",
    "poll_s",
    type=click.FloatRange(0.1, 300),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How often EKS is asked how far an update is; other waits go with it.",
)


def until_stopped(work: Coroutine[Any, Any, int], on: str) -> int:
    """The exit code of the work. Ctrl-C and SIGTERM end it in order: what it holds is given back. `on`: how one goes on."""

    async def listening() -> int:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    try:
        return asyncio.run(listening())
    except (KeyboardInterrupt, asyncio.CancelledError):
        click.echo(f"stopped; what EKS has begun it sees to its end; {on}", err=True)
        return _STOPPED


@asynccontextmanager
async def doors_to(
    api: "Boto", cluster: str, kubeconfig: str | None, context: str | None, data: Path | None
) -> AsyncIterator["Doors"]:
    """Raises Failure."""
    from aliquot.eks.estate import reading_aws
    from aliquot.eks.upgrade.doing import Doors
    from aliquot.eks.upgrade.vault import DirectoryVault

    vault = DirectoryVault(directory(data))
    told = await reading_aws.cluster(api, cluster)
    if kubeconfig or context:
        of_cluster(kubeconfig, context, told)
    reached = connect(kubeconfig, context) if kubeconfig or context else connect_eks(api, told)
    async with reached as client:
        yield Doors(api=api, clock=SystemClock(), aws_clock=api.clock, client=client, vault=vault)


class MadeAnew(click.ClickException):
    """The cluster of a run is gone, and there is another one of its name."""


async def of_this_cluster(doors: "Doors", plan: "Plan") -> None:
    """Another region has a cluster of the same name, or another time. Raises Failure, MadeAnew, click.ClickException."""
    from aliquot.eks.estate import reading_aws

    told = await reading_aws.cluster(doors.api, plan.cluster)
    if plan.arn != told.arn:
        raise click.ClickException(
            f"run {plan.id} is of {plan.arn}, and this is {told.arn}: give the --region and --profile of the run's"
        )
    if plan.state.get("cluster: created") not in (None, f"{told.created_s:.0f}"):
        raise MadeAnew(
            f"run {plan.id} is of a cluster {plan.cluster} that is gone, and this one was made later: "
            f"aliquot eks abort {plan.cluster} --leave ends that run"
        )


def who_drives() -> str:
    """This process, as leases name it."""
    return f"{somebody()}/{os.getpid()}"


async def read(doors: "Doors", cluster: str) -> "Estate":
    """All of it, as a plan rests on it. Raises Failure, ApiError."""
    from aliquot.eks.estate.reading import from_aws, with_objects
    from aliquot.eks.versions import removals

    estate = await from_aws(doors.api, cluster, clock=doors.aws_time)
    return await with_objects(estate, doors.kube, removals.shipped(), helm=False)


async def drive(
    doors: "Doors", kept: "Journal", run: str, plan: "Plan", *, poll_s: float, before: str = ""
) -> int:
    """To its end, or until it is held; the exit code. `before`: each line."""
    from aliquot.eks.upgrade.runner import Runner
    from aliquot.eks.upgrade.updates import POLL_S

    owner = who_drives()
    said = _Said(before)
    runner = Runner(
        doors,
        kept,
        run,
        plan.steps,
        owner=owner,
        windows=plan.options.windows,
        ends=kept.ends(run),
        pace=poll_s / POLL_S,
        tell=said,
    )
    try:
        held = await runner.go()
    finally:
        kept.release(run, owner)
    if held is None:
        click.echo(f"{before}{run} is {kept.ends(run)}")
        return 0
    click.echo(f"{before}held: {held.why}\n{before}to do: {held.todo}", err=True)
    return HELD


class _Said:
    """Each line once, as long as it stays the same."""

    def __init__(self, before: str) -> None:
        self._before = before
        self._last = ("", "")

    def __call__(self, step: "Step", line: str) -> None:
        if (step.id, line) == self._last:
            return
        self._last = (step.id, line)
        now = datetime.fromtimestamp(SystemClock().now(), UTC)
        click.echo(f"{self._before}{now:%H:%M:%S}  {step.id}  {line}")
