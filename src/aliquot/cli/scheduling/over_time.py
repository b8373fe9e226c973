"""A workload over virtual time, one way to let jobs go in front beside the other."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aliquot.cli.output import Format, emit
from aliquot.cli.scheduling.reading import read

if TYPE_CHECKING:
    from aliquot.scheduler.core.queues.terms import QueueSpec
    from aliquot.scheduler.simulation.timed.figures import Figures, Spread
    from aliquot.scheduler.simulation.timed.workload import TracedJob, Workload
    from aliquot.scheduler.simulation.timed.world import Played

NO_BACKFILL = "none"
STYLES = (NO_BACKFILL, "strict", "easy", "conservative")
ESTIMATES = ("trace", "exact", "poor", "round", "none")
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


def play_over_time(asked: Asked, output: Format, timer: Callable[[], float]) -> None:
    from aliquot.scheduler.core.backfill.stage import Style
    from aliquot.scheduler.simulation.timed.figures import figures
    from aliquot.scheduler.simulation.timed.world import Setting, play

    workload = _read(asked)
    jobs = _estimated(asked, workload)
    queues = _queues(asked, workload)
    played: dict[str, Played] = {}
    for style in asked.styles:
        backfill = None if style == NO_BACKFILL else Style(style)
        setting = Setting(asked.nodes, asked.gpus_per_node, backfill, queues, asked.stops_overdue)
        played[style] = play(jobs, setting, timer)
    found = {style: figures(one) for style, one in played.items()}
    for remark in workload.remarks:
        click.echo(f"note: {remark}", err=True)
    first = found[asked.styles[0]]
    if first.too_large:
        click.echo(f"note: {first.too_large} of {len(jobs)} jobs do not fit into the empty cluster", err=True)
    columns, rows = table_of(found)
    emit(output, lambda: document_of(found), columns=columns, rows=rows)
    if output.is_table and len(first.by_queue) > 1:
        click.echo()
        columns, rows = table_of_queues(found)
        emit(output, lambda: None, columns=columns, rows=rows)
    if asked.plot:
        from aliquot.cli.scheduling.plots import draw

        draw(played, found, asked.plot)


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


def table_of(found: "dict[str, Figures]") -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    columns = (
        "BACKFILL", "MEAN WAIT", "P50", "P90", "P99", "MOST", "LARGE MEAN", "LARGE MOST", "COMPLETION", "SLOWDOWN",
        "ALLOCATED", "FAIRNESS", "PROMISED", "LATE", "MEAN SLIP", "UNSTARTED", "EVENTS/S",
    )  # fmt: skip
    rows = []
    for style, one in found.items():
        waits, large = one.of_all.waits, one.large
        rows.append(
            (
                style,
                *(_span(waits, part) for part in ("mean", "p50", "p90", "p99", "most")),
                _span(large, "mean"),
                _span(large, "most"),
                _span(one.completion, "mean"),
                "-" if one.of_all.slowdown is None else f"{one.of_all.slowdown:,.1f}",
                f"{one.allocated:.1%}",
                "-" if one.fairness is None else f"{one.fairness:.3f}",
                str(one.promised),
                str(one.late),
                _span(one.slips, "mean"),
                str(one.unstarted),
                f"{one.events_per_s:,.0f}",
            )
        )
    return columns, rows


def table_of_queues(found: "dict[str, Figures]") -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    columns = ("BACKFILL", "QUEUE", "JOBS", "MEAN WAIT", "P50", "P90", "P99", "SLOWDOWN", "GPU HOURS")
    rows = [
        (
            style,
            name or "default",
            str(one.jobs),
            *(_span(one.waits, part) for part in ("mean", "p50", "p90", "p99")),
            "-" if one.slowdown is None else f"{one.slowdown:,.1f}",
            f"{one.gpu_hours:,.0f}",
        )
        for style, figures in found.items()
        for name, one in figures.by_queue.items()
    ]
    return columns, rows


def _span(spread: "Spread | None", part: str) -> str:
    from aliquot.scheduler.core.backfill.words import duration

    return "-" if spread is None else duration(getattr(spread, part))


def document_of(found: "dict[str, Figures]") -> dict[str, Any]:
    """By style. Times in seconds."""
    return {style: asdict(one) for style, one in found.items()}


def styles(value: str) -> Sequence[str]:
    """Raises ValueError with one line."""
    names = tuple(dict.fromkeys(name.strip() for name in value.split(",")))
    for name in names:
        if name not in STYLES:
            raise ValueError(f"there is no '{name}'; there are {', '.join(STYLES)}")
    return names
