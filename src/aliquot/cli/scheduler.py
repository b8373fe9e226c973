"""`aliquot scheduler`: which pod, which node, which device."""

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from aliquot.cli.connect import cluster_options, connect, election, leader_elect_option, serve
from aliquot.cli.explain import explain
from aliquot.cli.metrics import metrics_options, serving_metrics
from aliquot.cli.parameters import GivenName
from aliquot.cli.scheduling.simulate import simulate
from aliquot.cli.value_tables import read_value_tables, value_table_option

if TYPE_CHECKING:
    from aliquot.partition.value_tables import ValueTable

_PLACEMENTS = ("worth", "pack", "spread")
"""As `scheduler.core.placement` has them; written here, so that help need not import the scheduler."""


@click.group()
def scheduler() -> None:
    """The scheduler."""


scheduler.add_command(simulate)
scheduler.add_command(explain)


@scheduler.command("run")
@click.option(
    "--scheduler-name",
    "names",
    type=GivenName(),
    multiple=True,
    default=["aliquot"],
    show_default=True,
    help="Pods with this spec.schedulerName are ours; may be given several times.",
)
@click.option(
    "--placement",
    type=click.Choice(_PLACEMENTS),
    default=_PLACEMENTS[0],
    show_default=True,
    help="Where pods with GPUs go: worth, where what is left is of the most use to the pods that usually come; pack, onto the "
    "nodes used most; spread, onto those used least (for inference).",
)
@click.option(
    "--backfill",
    type=click.Choice(["easy", "conservative", "strict", "none"]),
    default="easy",
    show_default=True,
    help="Who goes in front of a job that waits for room: jobs that end before its promised start (easy: the first has a "
    "promise, conservative: those behind it too), nobody (strict), or whoever fits (none).",
)
@leader_elect_option
@value_table_option
@metrics_options
@cluster_options
def run_scheduler(
    names: tuple[str, ...],
    placement: str,
    backfill: str,
    leader_elect: bool,
    value_tables: Sequence[str],
    metrics_port: int,
    metrics_address: str,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """Place pods on nodes and devices. Runs until stopped."""
    tables = read_value_tables(value_tables)
    metrics = metrics_address, metrics_port
    serve(lambda: _schedule(names, placement, backfill, leader_elect, tables, metrics, kubeconfig, context))


async def _schedule(
    names: tuple[str, ...],
    placement: str,
    backfill: str,
    leader_elect: bool,
    tables: "Sequence[ValueTable]",
    metrics: tuple[str, int],
    kubeconfig: str | None,
    context: str | None,
) -> None:
    from aliquot.clock import SystemClock
    from aliquot.scheduler.controller import Scheduler
    from aliquot.scheduler.core.backfill.stage import Style
    from aliquot.scheduler.core.placement import Placement

    rng = random.Random()
    async with connect(kubeconfig, context) as client:
        scheduler = Scheduler(
            client,
            clock=SystemClock(),
            rng=rng,
            names=names,
            placement=Placement(placement),
            election=election(client, "aliquot-scheduler", rng) if leader_elect else None,
            value_tables=tables,
            backfill=None if backfill == "none" else Style(backfill),
        )
        async with serving_metrics(scheduler.metrics, *metrics, waits_for=scheduler.waits_for):
            await scheduler.run()
