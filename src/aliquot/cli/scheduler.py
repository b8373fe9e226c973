"""`aliquot scheduler`: which pod, which node, which device."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aliquot.cli.connect import cluster_options, connect, election, leader_elect_option, serve
from aliquot.cli.explain import explain, is_emulated
from aliquot.cli.metrics import metrics_options, serving_metrics
from aliquot.cli.parameters import Duration, GivenName, GivenPath
from aliquot.cli.scheduling.choices import BACKFILLS, EVENTS, NO_BACKFILL, PLACEMENTS
from aliquot.cli.scheduling.replay import replay
from aliquot.cli.scheduling.simulate import simulate
from aliquot.cli.scheduling.snapshot import snapshot
from aliquot.cli.value_tables import read_value_tables, value_table_option

if TYPE_CHECKING:
    from aliquot.kube.client import Client
    from aliquot.partition.value_tables import ValueTable
    from aliquot.scheduler.recording.flight_recorder import FlightRecorder
    from aliquot.scheduler.settings import Settings

_RECORD_LAST = 100


@click.group()
def scheduler() -> None:
    """The scheduler."""


scheduler.add_command(simulate)
scheduler.add_command(explain)
scheduler.add_command(replay)
scheduler.add_command(snapshot)


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
    type=click.Choice(PLACEMENTS),
    default="worth",
    show_default=True,
    help="Where pods with GPUs go. worth: where what is left is of the most use to the pods that usually come; pack: onto the "
    "nodes used most; spread: onto those used least (for inference).",
)
@click.option(
    "--backfill",
    type=click.Choice(BACKFILLS),
    default="easy",
    show_default=True,
    help="Who goes in front of a job that is blocked. none: whoever fits; strict: nobody; easy: who does not delay the first that "
    "is blocked; conservative: nor those behind it.",
)
@click.option(
    "--events",
    type=click.Choice(EVENTS),
    default="each",
    show_default=True,
    help="What is told of pods that have got a node. each: an event for each, as of kube-scheduler; summed: in a burst only for the "
    "first of a namespace, and one for the others together, which spares the API server a call for each.",
)
@click.option(
    "--record",
    "directory",
    type=GivenPath(file_okay=False),
    help="Keep the last cycles here, for 'aliquot scheduler replay'.  [default: only those that fail, in the state directory of "
    "the user]",
)
@click.option(
    "--record-last",
    type=click.IntRange(min=1),
    help=f"How many cycles --record keeps.  [default: {_RECORD_LAST}]",
)
@click.option(
    "--usage-half-life",
    "usage_half_life_s",
    type=Duration(least_s=60),
    help="What queues and their users held counts in turns, half as much after each such time, like 168h: who had less goes "
    "first.  [default: only what they hold now counts]",
)
@click.option(
    "--ageing",
    "ageing_s",
    type=Duration(least_s=1),
    help="A job that has waited so much longer, like 1h, is level with one of its queue whose priority is higher by one.  "
    "[default: no wait makes up for priority]",
)
@click.option(
    "--consolidation/--no-consolidation",
    default=True,
    show_default=True,
    help="Move others closer together for a job that finds room only in pieces: those alone that are made anew by themselves, "
    "and have room elsewhere.",
)
@leader_elect_option
@value_table_option
@metrics_options
@cluster_options
def run_scheduler(
    names: tuple[str, ...],
    placement: str,
    backfill: str,
    events: str,
    directory: str | None,
    record_last: int | None,
    usage_half_life_s: float | None,
    ageing_s: float | None,
    consolidation: bool,
    leader_elect: bool,
    value_tables: Sequence[str],
    metrics_port: int,
    metrics_address: str,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """Place pods on nodes and devices. Runs until stopped."""
    import uvloop

    from aliquot.scheduler.announcing import Events
    from aliquot.scheduler.core.backfill.stage import Style
    from aliquot.scheduler.core.placement import Placement
    from aliquot.scheduler.settings import Settings

    tables = read_value_tables(value_tables)
    metrics = metrics_address, metrics_port
    recorder = _flight_recorder(directory, record_last)
    settings = Settings(
        placement=Placement(placement),
        backfill=None if backfill == NO_BACKFILL else Style(backfill),
        events=Events(events),
        usage_half_life_s=usage_half_life_s,
        ageing_s=ageing_s,
        consolidation=consolidation,
    )
    serve(
        lambda: _schedule(names, settings, recorder, leader_elect, tables, metrics, kubeconfig, context),
        # A burst is thousands of calls over TLS: with asyncio's own loop each takes half as much again.
        loop_factory=uvloop.new_event_loop,
    )


def _flight_recorder(directory: str | None, last: int | None) -> "FlightRecorder | None":
    """None: there is nowhere to keep a cycle that fails."""
    from aliquot.cli.state import default_path
    from aliquot.scheduler.recording.flight_recorder import FlightRecorder

    if directory is not None:
        try:
            Path(directory).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise click.ClickException(f"--record {directory}: {error.strerror}") from error
        return FlightRecorder(Path(directory), last=last or _RECORD_LAST)
    if last is not None:
        raise click.UsageError("--record-last says how many --record keeps: give --record DIR too")
    try:
        return FlightRecorder(default_path().with_name("recordings"))
    except RuntimeError:
        # A user without a home directory, as in a container.
        return None


async def told_of_another(client: "Client", names: Sequence[str]) -> str:
    """A warning, where the scheduler of `aliquot up` places the same pods: it stands for no election. Else empty."""
    from aliquot.kube.errors import ApiError
    from aliquot.scheduler.controller import DEFAULT_NAMES

    both = [name for name in names if name in DEFAULT_NAMES]
    try:
        if not both or not await is_emulated(client):
            return ""
    except ApiError:
        return ""  # it will be found out in time that there is no answer
    return (
        f"Warning: this is an emulated cluster, whose own scheduler places pods with schedulerName {' and '.join(both)} too, and "
        "the two race for devices. To see what this one does give it others, like --scheduler-name mine."
    )


async def _schedule(
    names: tuple[str, ...],
    settings: "Settings",
    recorder: "FlightRecorder | None",
    leader_elect: bool,
    tables: "Sequence[ValueTable]",
    metrics: tuple[str, int],
    kubeconfig: str | None,
    context: str | None,
) -> None:
    from aliquot.clock import SystemClock
    from aliquot.kube.cache import settle_gc
    from aliquot.scheduler.controller import Scheduler

    rng = random.Random()
    async with connect(kubeconfig, context) as client:
        if told := await told_of_another(client, names):
            click.echo(told, err=True)
        scheduler = Scheduler(
            client,
            clock=SystemClock(),
            rng=rng,
            names=names,
            settings=settings,
            election=election(client, "aliquot-scheduler", rng) if leader_elect else None,
            value_tables=tables,
            flight_recorder=recorder,
        )
        async with serving_metrics(scheduler.metrics, *metrics, waits_for=scheduler.waits_for):
            await scheduler.run(once_known=settle_gc)
