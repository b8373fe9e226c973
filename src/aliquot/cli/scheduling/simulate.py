"""`aliquot scheduler simulate`: a recorded workload, the policies beside each other."""

from pathlib import Path
from time import process_time

import click

from aliquot.cli.connect import cluster_options
from aliquot.cli.output import Format, output_option
from aliquot.cli.parameters import Duration, GivenPath, Names, each_once
from aliquot.cli.scheduling.choices import BACKFILLS, ESTIMATES, PACKING_POLICIES, TRACE_ESTIMATES
from aliquot.cli.scheduling.of_cluster import AskedOfCluster, play_cluster
from aliquot.cli.scheduling.over_time import Asked, play_over_time
from aliquot.cli.scheduling.packing import AskedOfPacking, play_packing
from aliquot.cli.scheduling.recorded import read_recording, recorded_now, scheduler_names_option

_FORMATS = ("openb", "philly", "jsonl")
_PACKING_ONLY = {
    "pods_path": "--pods",
    "policies": "--policy",
    "seeds": "--seeds",
    "processes": "--processes",
}
_JOBS_ONLY = {
    "jobs": "--jobs",
    "throughputs": "--throughputs",
    "gpus_per_node": "--gpus-per-node",
    "backfill": "--backfill",
    "estimates": "--estimates",
    "stops_overdue": "--stop-overdue",
    "usage_half_life_s": "--usage-half-life",
    "ageing_s": "--ageing",
    "seed": "--seed",
}
_TRACE_ONLY = {"trace_format": "--format", "nodes": "--nodes", **_PACKING_ONLY, **_JOBS_ONLY}
_LIVE_ONLY = {"names": "--scheduler-name", "kubeconfig": "--kubeconfig", "context": "--context"}
_CLUSTER_ONLY = {**_LIVE_ONLY, "lasts_s": "--duration", "unknown_s": "--unknown-runtime"}
_OVER_TIME_ONLY = {**_JOBS_ONLY, "queues": "--queue"}


@click.command(short_help="Play a recorded workload, policy beside policy.")
@click.option(
    "--format",
    "trace_format",
    type=click.Choice(_FORMATS),
    default="openb",
    show_default=True,
    help="Of the files: openb is Alibaba's GPU trace of 2023; philly Microsoft's of 2017, as Gavel has it; jsonl a job a line.",
)
@click.option("--cluster", "of_cluster", is_flag=True, help="No trace: the cluster as it is, with its jobs.")
@click.option(
    "--recording",
    type=GivenPath(exists=True, dir_okay=False),
    help="No trace: a cluster as it was, of 'aliquot scheduler snapshot' or a recorded cycle.",
)
@click.option("--nodes", help="openb: CSV of nodes. Over time: how many there are.", metavar="FILE|COUNT")
@click.option("--pods", "pods_path", type=GivenPath(exists=True, dir_okay=False), help="openb: CSV of pods.")
@click.option(
    "--jobs", type=GivenPath(exists=True, dir_okay=False), help="Over time: the trace; one job a line."
)
@click.option(
    "--throughputs",
    type=GivenPath(exists=True, dir_okay=False),
    help="philly: JSON of steps a second.  [default: simulation_throughputs.json beside the trace]",
)
@click.option("--gpus-per-node", type=click.IntRange(min=1), default=8, show_default=True, help="Over time.")
@click.option(
    "--backfill",
    type=Names(BACKFILLS),
    multiple=True,
    callback=each_once,
    default=["none,easy"],
    show_default=True,
    help="Over time: who goes in front of a job that is blocked. none: whoever fits; strict: nobody; easy: who does not delay "
    "the first that is blocked; conservative: nor those behind it. Several are compared.",
)
@click.option(
    "--estimates",
    type=click.Choice(ESTIMATES),
    default=TRACE_ESTIMATES,
    show_default=True,
    help="Over time: what owners say of run times. exact, poor (a factor of 0.5 to 10), round (limits that people type), none.",
)
@click.option(
    "--queue",
    "queues",
    multiple=True,
    metavar="NAME.FIELD=VALUE",
    help="Over time, and of a cluster: quota, limit, weight, priority or parent of a queue, in GPUs: research.quota=64. May be "
    "given several times.",
)
@click.option("--stop-overdue", "stops_overdue", is_flag=True, help="Over time: stop jobs at their estimate.")
@click.option(
    "--usage-half-life",
    "usage_half_life_s",
    type=Duration(least_s=60),
    help="Over time: as of 'aliquot scheduler run'. What users had counts where there are queues.",
)
@click.option(
    "--ageing", "ageing_s", type=Duration(least_s=1), help="Over time: as of 'aliquot scheduler run'."
)
@click.option("--seed", type=int, default=42, show_default=True, help="Over time: of estimates.")
@click.option(
    "--plot",
    type=GivenPath(dir_okay=False),
    help="Draw what comes of it into this PNG, SVG or PDF, or HTML with the tables.",
)
@click.option(
    "--duration",
    "lasts_s",
    type=Duration(least_s=60),
    default="24h",
    show_default=True,
    help="Of a cluster: for how long.",
)
@click.option(
    "--unknown-runtime",
    "unknown_s",
    type=Duration(least_s=1),
    help="Of a cluster: how long jobs run of which nobody says anything.  [default: on and on]",
)
@click.option(
    "--policy",
    "policies",
    type=Names(PACKING_POLICIES),
    multiple=True,
    callback=each_once,
    default=["aliquot,fgd,bestfit,random"],
    show_default=True,
    help=f"Of {', '.join(PACKING_POLICIES)}. All are compared with the first.",
)
@click.option("--seeds", type=click.IntRange(min=1), default=10, show_default=True, help="Runs: 42, 43, ...")
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    help="Run seeds in this many processes.  [default: as many as there are cores]",
)
@scheduler_names_option
@cluster_options
@output_option
@click.pass_context
def simulate(
    click_context: click.Context,
    trace_format: str,
    of_cluster: bool,
    recording: str | None,
    nodes: str | None,
    pods_path: str | None,
    jobs: str | None,
    throughputs: str | None,
    gpus_per_node: int,
    backfill: tuple[str, ...],
    estimates: str,
    queues: tuple[str, ...],
    stops_overdue: bool,
    usage_half_life_s: float | None,
    ageing_s: float | None,
    seed: int,
    plot: str | None,
    policies: tuple[str, ...],
    seeds: int,
    processes: int | None,
    lasts_s: float,
    unknown_s: float | None,
    names: tuple[str, ...],
    kubeconfig: str | None,
    context: str | None,
    output: Format,
) -> None:
    """A recorded workload, or the cluster as it is, and what becomes of it.

    openb: how much of a cluster's GPUs each policy of placement gets to use. The pods of the list come in random order,
    then pods drawn from it, until 1.3 times the GPUs are asked for. None leaves; who does not fit is turned away.
    Allocation is in percent of all GPUs, when as many were asked for as there are, and at the end; every policy meets the
    same pods, seed by seed. Decisions are counted by CPU time.

    philly, jsonl: jobs over time, on nodes that are alike, with the scheduler's own core: who waits for how long, what was
    promised to those that are blocked, and how late it came true. Large jobs ask for a whole node or more.

    --cluster, --recording: hours of a cluster with the jobs that it has, and nobody else: who starts when, and what would be with
    other queues (--queue). What runs ends when the scheduler expects it.
    """
    if of_cluster or recording is not None:
        if of_cluster and recording is not None:
            raise click.UsageError(
                "--cluster is the cluster as it is, --recording as it was: give one of them"
            )
        _refuse(click_context, "a cluster", _TRACE_ONLY)
        if recording is not None:
            _refuse(click_context, "a recording", _LIVE_ONLY)
        asked_of = AskedOfCluster(queues, lasts_s, float("inf") if unknown_s is None else unknown_s, plot)
        seen = read_recording(Path(recording)) if recording else recorded_now(names, kubeconfig, context)
        play_cluster(seen, asked_of, output, process_time)
        return
    over_time = trace_format != "openb"
    _refuse(click_context, "a trace", _CLUSTER_ONLY)
    _refuse(click_context, trace_format, _PACKING_ONLY if over_time else _OVER_TIME_ONLY)
    if nodes is None:
        raise click.UsageError("give --nodes for a trace, or else --cluster or --recording FILE")
    if not over_time:
        if pods_path is None:
            raise click.UsageError("openb takes --pods FILE")
        asked_of_packing = AskedOfPacking(nodes, pods_path, policies, seeds, processes, plot)
        play_packing(asked_of_packing, output, process_time)
        return
    if jobs is None:
        raise click.UsageError(f"{trace_format} takes --jobs FILE")
    if not nodes.isdecimal() or not int(nodes):
        raise click.BadParameter(f"'{nodes}' is not a number from 1 on", param_hint="--nodes")
    if trace_format == "philly" and estimates == TRACE_ESTIMATES:
        # It has none.
        estimates = "exact"
    asked = Asked(
        trace_format=trace_format,
        jobs=jobs,
        throughputs=throughputs,
        nodes=int(nodes),
        gpus_per_node=gpus_per_node,
        styles=backfill,
        estimates=estimates,
        queues=queues,
        stops_overdue=stops_overdue,
        seed=seed,
        plot=plot,
        usage_half_life_s=usage_half_life_s,
        ageing_s=ageing_s,
    )
    play_over_time(asked, output, process_time)


def _refuse(context: click.Context, subject: str, options: dict[str, str]) -> None:
    for name, option in options.items():
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{option} is nothing to {subject}; leave it out")
