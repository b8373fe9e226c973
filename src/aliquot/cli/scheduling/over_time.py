"""A workload over virtual time, one way to let jobs go in front beside the other."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aliquot.cli.output import Format, emit
from aliquot.cli.scheduling.choices import NO_BACKFILL
from aliquot.cli.scheduling.reading import read

if TYPE_CHECKING:
    from aliquot.scheduler.core.queues.terms import QueueSpec
    from aliquot.scheduler.simulation.timed.figures import Figures, Spread
    from aliquot.scheduler.simulation.timed.virtual_cluster import Played
    from aliquot.scheduler.simulation.timed.workload import TracedJob, Workload

_THROUGHPUTS = "simulation_throughputs.json"


@dataclass(frozen=True, slots=True)
class Asked:
    trace_format: str
    jobs: str
    throughputs: str | None
    nodes: int
    gpus_per_node: int
    styles: tuple[str, ...]
    estimates: str
    queues: tuple[str, ...]
    stops_overdue: bool
    seed: int
    plot: str | None
    usage_half_life_s: float | None = None
    ageing_s: float | None = None


def play_over_time(asked: Asked, output: Format, timer: Callable[[], float]) -> None:
    from aliquot.scheduler.core.backfill.stage import Style
    from aliquot.scheduler.simulation.timed.figures import figures
    from aliquot.scheduler.simulation.timed.world import Setting, play

    workload = _read(asked)
    jobs = _estimated(asked, workload)
    queues = _queues(asked, workload)
    # As in a cluster: nobody has to go for another of the same line and priority.
    evicts = bool(queues) or len({job.priority for job in jobs}) > 1
    played: dict[str, Played] = {}
    for style in asked.styles:
        backfill = None if style == NO_BACKFILL else Style(style)
        setting = Setting(
            asked.nodes,
            asked.gpus_per_node,
            backfill,
            queues,
            asked.stops_overdue,
            evicts,
            asked.usage_half_life_s,
            asked.ageing_s,
        )
        played[style] = play(jobs, setting, timer)
    found = {style: figures(one) for style, one in played.items()}
    for remark in workload.remarks:
        click.echo(f"note: {remark}", err=True)
    first = found[asked.styles[0]]
    if first.too_large:
        click.echo(f"note: {first.too_large} of {len(jobs)} jobs do not fit into the empty cluster", err=True)
    report(Compared("BACKFILL", played, found), output, asked.plot)


@dataclass(frozen=True, slots=True)
class Compared:
    """Runs side by side."""

    by: str
    """What they differ in."""
    played: "dict[str, Played]"
    found: "dict[str, Figures]"


def report(
    compared: Compared,
    output: Format,
    plot: str | None,
    document: Callable[[Compared], Any] = lambda compared: document_of(compared.found),
) -> None:
    """Of several queues each has a line of its own."""
    columns, rows = table_of(compared)
    emit(output, lambda: document(compared), columns=columns, rows=rows)
    if output.is_table and any(len(one.by_queue) > 1 for one in compared.found.values()):
        click.echo()
        columns, rows = table_of_queues(compared)
        emit(output, lambda: None, columns=columns, rows=rows)
    if plot:
        from aliquot.cli.scheduling.plots import draw

        draw(compared, plot)


def _read(asked: Asked) -> "Workload":
    if asked.trace_format == "jsonl":
        from aliquot.scheduler.simulation.timed import jsonl

        return read(asked.jobs, jsonl.read_jobs)
    from aliquot.scheduler.simulation.timed import philly
    from aliquot.scheduler.simulation.trace import TraceError

    table = Path(asked.throughputs) if asked.throughputs else Path(asked.jobs).with_name(_THROUGHPUTS)
    try:
        throughputs = philly.read_throughputs(table.read_text(encoding="utf-8"), source=str(table))
    except OSError as error:
        raise click.ClickException(
            f"{table}: {error.strerror}; it tells how fast jobs of each type run: give it with --throughputs"
        ) from error
    except (TraceError, UnicodeDecodeError) as error:
        raise click.ClickException(str(error)) from error

    def jobs(lines: Iterable[str], *, source: str) -> "Workload":
        return philly.read_jobs(lines, throughputs, source=source, gpus_per_node=asked.gpus_per_node)

    return read(asked.jobs, jobs)


def _estimated(asked: Asked, workload: "Workload") -> "list[TracedJob]":
    from random import Random

    from aliquot.scheduler.simulation.timed.estimates import Estimates, estimated

    return estimated(workload.jobs, Estimates(asked.estimates), Random(asked.seed))


def _queues(asked: Asked, workload: "Workload") -> "list[QueueSpec]":
    from aliquot.scheduler.simulation.timed.queue_settings import SettingError, declared

    names = dict.fromkeys(job.queue for job in workload.jobs)
    if asked.queues and "" in names:
        names |= {"default": None}
    try:
        return declared(names, asked.queues)
    except SettingError as error:
        raise click.BadParameter(str(error), param_hint="--queue") from error


def table_of(compared: Compared) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    columns = (
        compared.by, "MEAN WAIT", "P50", "P90", "P99", "MOST", "LARGE MEAN", "LARGE MOST", "COMPLETION", "P50", "P99", "SLOWDOWN",
        "ALLOCATED", "FRAGMENTED", "FAIRNESS", "OF USERS", "SHARE ERROR", "EVICTIONS", "LOST GPU HOURS", "PROMISED", "LATE", "MEAN SLIP",
        "UNSTARTED", "EVENTS/S",
    )  # fmt: skip
    rows = []
    for style, one in compared.found.items():
        waits, large = one.of_all.waits, one.large
        rows.append(
            (
                style,
                *(_span(waits, part) for part in ("mean", "p50", "p90", "p99", "most")),
                _span(large, "mean"),
                _span(large, "most"),
                *(_span(one.completion, part) for part in ("mean", "p50", "p99")),
                "-" if one.of_all.slowdown is None else f"{one.of_all.slowdown:,.1f}",
                f"{one.allocated:.1%}",
                "-" if one.fragmented is None else f"{one.fragmented:.1%}",
                "-" if one.fairness is None else f"{one.fairness:.3f}",
                "-" if one.user_fairness is None else f"{one.user_fairness:.3f}",
                "-" if one.share_error is None else f"{one.share_error:.1%}",
                str(one.evictions),
                f"{one.lost_gpu_hours:,.0f}",
                str(one.promised),
                str(one.late),
                _span(one.slips, "mean"),
                str(one.unstarted),
                f"{one.events_per_s:,.0f}",
            )
        )
    return columns, rows


def table_of_queues(compared: Compared) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    columns = (
        compared.by, "QUEUE", "JOBS", "UNSTARTED", "MEAN WAIT", "P50", "P90", "P99", "SLOWDOWN", "GPU HOURS", "EVICTIONS",
        "HELD", "DUE", "OWED",
    )  # fmt: skip
    rows = [
        (
            style,
            name or "default",
            str(one.jobs),
            str(one.unstarted),
            *(_span(one.waits, part) for part in ("mean", "p50", "p90", "p99")),
            "-" if one.slowdown is None else f"{one.slowdown:,.1f}",
            f"{one.gpu_hours:,.0f}",
            str(one.evictions),
            *("-" if gpus is None else f"{gpus:,.1f}" for gpus in (one.held, one.due, one.owed)),
        )
        for style, figures in compared.found.items()
        for name, one in figures.by_queue.items()
    ]
    return columns, rows


def _span(spread: "Spread | None", part: str) -> str:
    from aliquot.scheduler.core.backfill.words import duration

    return "-" if spread is None else duration(getattr(spread, part))


def document_of(found: "dict[str, Figures]") -> dict[str, Any]:
    """By run. Times in seconds."""
    return {style: asdict(one) for style, one in found.items()}
