"""`aliquot scheduler`: which pod, which node, which device."""

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from aliquot.cli.connect import cluster_options, connect, election, leader_elect_option, serve
from aliquot.cli.explain import explain
from aliquot.cli.parameters import GivenName
from aliquot.cli.scheduling.simulate import simulate
from aliquot.cli.value_tables import read_value_tables, value_table_option

if TYPE_CHECKING:
    from aliquot.partition.value_tables import ValueTable


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
@leader_elect_option
@value_table_option
@cluster_options
def run_scheduler(
    names: tuple[str, ...],
    leader_elect: bool,
    value_tables: Sequence[str],
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """Place pods on nodes and devices. Runs until stopped."""
    tables = read_value_tables(value_tables)
    serve(lambda: _schedule(names, leader_elect, tables, kubeconfig, context))


async def _schedule(
    names: tuple[str, ...],
    leader_elect: bool,
    tables: "Sequence[ValueTable]",
    kubeconfig: str | None,
    context: str | None,
) -> None:
    from aliquot.clock import SystemClock
    from aliquot.scheduler.controller import Scheduler

    rng = random.Random()
    async with connect(kubeconfig, context) as client:
        scheduler = Scheduler(
            client,
            clock=SystemClock(),
            rng=rng,
            names=names,
            election=election(client, "aliquot-scheduler", rng) if leader_elect else None,
            value_tables=tables,
        )
        await scheduler.run()
