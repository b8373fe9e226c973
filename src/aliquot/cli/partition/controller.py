"""`aliquot partition controller`: cut and share GPUs as pods need them."""

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from aliquot.cli.connect import cluster_options, connect, election, leader_elect_option, serve
from aliquot.cli.metrics import metrics_options, serving_metrics
from aliquot.cli.parameters import GivenName, Seconds
from aliquot.cli.value_tables import read_value_tables, value_table_option

if TYPE_CHECKING:
    from aliquot.partition.value_tables import ValueTable


@click.command("controller")
@click.option(
    "--mode",
    type=click.Choice(["static", "onDemand", "budgeted"]),
    default="onDemand",
    show_default=True,
    help="Of nodes whose GPUNode.spec.partitioning says none. static: only names change; onDemand: free GPUs and slices are cut and shared for pods that wait, and given back when idle; budgeted: pods are also moved for others.",
)
@click.option(
    "--moves-per-hour",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="How many pods may be moved in any hour, on budgeted nodes.",
)
@click.option(
    "--minimum-run",
    "minimum_run_s",
    type=Seconds(),
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="A pod is not moved before it is so old.",
)
@click.option(
    "--idle-after",
    "idle_s",
    type=Seconds(),
    default=600,
    show_default=True,
    metavar="SECONDS",
    help="How long nobody has to need a slice, a share or a class's GPU before it is given back.",
)
@click.option(
    "--scheduler-name",
    "names",
    type=GivenName(),
    multiple=True,
    default=["aliquot"],
    show_default=True,
    help="Pods with this spec.schedulerName are placed by Aliquot's scheduler, which says itself what it needs; may be given several times.",
)
@leader_elect_option
@value_table_option
@metrics_options
@cluster_options
def controller(
    mode: str,
    moves_per_hour: int,
    minimum_run_s: float,
    idle_s: float,
    names: tuple[str, ...],
    leader_elect: bool,
    value_tables: Sequence[str],
    metrics_port: int,
    metrics_address: str,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """Write GPUNode.spec as pods need it; node agents carry it out. Runs until stopped."""
    budgets = {"idle_s": idle_s, "moves_per_hour": moves_per_hour, "minimum_run_s": minimum_run_s}
    tables = read_value_tables(value_tables)
    serve(
        lambda: _control(
            mode, budgets, names, leader_elect, tables, (metrics_address, metrics_port), kubeconfig, context
        )
    )


async def _control(
    mode: str,
    budgets: dict[str, Any],
    names: tuple[str, ...],
    leader_elect: bool,
    tables: "Sequence[ValueTable]",
    metrics: tuple[str, int],
    kubeconfig: str | None,
    context: str | None,
) -> None:
    from aliquot.clock import SystemClock
    from aliquot.kube.api.gpunode import Partitioning
    from aliquot.partition.controller.partitioner import Partitioner

    rng = random.Random()
    async with connect(kubeconfig, context) as client:
        partitioner = Partitioner(
            client,
            clock=SystemClock(),
            rng=rng,
            mode=Partitioning(mode),
            **budgets,
            placed_elsewhere=names,
            value_tables=tables,
            election=election(client, "aliquot-partitioner", rng) if leader_elect else None,
        )
        async with serving_metrics(partitioner.metrics, *metrics, waits_for=partitioner.waits_for):
            await partitioner.run()
