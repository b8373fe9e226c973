"""Hours of a cluster, from how it is or was recorded; and as they would be with other queues."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from aliquot.cli.output import Format, emit
from aliquot.cli.scheduling.over_time import Compared, document_of, report

if TYPE_CHECKING:
    from aliquot.scheduler.recording.document import Recording
    from aliquot.scheduler.simulation.timed.virtual_cluster import Fate, Played

AS_IT_IS = "as it is"
CHANGED = "changed"
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class AskedOfCluster:
    queues: Sequence[str]
    lasts_s: float
    unknown_s: float
    plot: str | None


def play_cluster(
    recording: "Recording", asked: AskedOfCluster, output: Format, timer: Callable[[], float]
) -> None:
    from msgspec.structs import replace

    from aliquot.scheduler.recording.document import Unreadable
    from aliquot.scheduler.recording.restoring import OtherPolicies
    from aliquot.scheduler.simulation.timed.as_it_is import Horizon, play, unknown
    from aliquot.scheduler.simulation.timed.figures import figures
    from aliquot.scheduler.simulation.timed.queue_settings import SettingError, changed

    cases = {AS_IT_IS: recording}
    if asked.queues:
        try:
            cases[CHANGED] = replace(recording, queues=tuple(changed(recording.queues, asked.queues)))
        except SettingError as error:
            raise click.BadParameter(str(error), param_hint="--queue") from error
    horizon = Horizon(asked.lasts_s, asked.unknown_s)
    try:
        played = {name: play(case, horizon, timer) for name, case in cases.items()}
    except (OtherPolicies, Unreadable) as error:
        raise click.ClickException(str(error)) from error
    first = played[AS_IT_IS]
    if count := unknown(first):
        click.echo(
            f"note: nobody says how long {count} of {len(first.fates)} jobs run (maxRuntime does, or --unknown-runtime for all "
            "of them): they run on and on",
            err=True,
        )
    compared = Compared("CLUSTER", played, {name: figures(one) for name, one in played.items()})
    report(compared, output, asked.plot, document=_document)
    if output.is_table:
        _show_starts(played)


def _document(compared: Compared) -> dict[str, Any]:
    """Figures, and what becomes of each job; seconds from now on."""
    found = document_of(compared.found)
    for name, played in compared.played.items():
        found[name]["jobs"] = [
            {
                "job": fate.job.name,
                "queue": fate.job.queue,
                "gpus": fate.job.total_gpus,
                "was_there": fate.was_there,
                "starts_s": _after(fate.start_s, played),
                "ends_s": _after(fate.end_s, played),
                "wait_s": fate.wait_s,
                "evictions": fate.evictions,
            }
            for fate in played.fates
        ]
    return found


def _after(moment_s: float | None, played: "Played") -> float | None:
    return None if moment_s is None else max(0.0, moment_s - played.began_s)


def _show_starts(played: "dict[str, Played]") -> None:
    """Of those that wait, or lose their place in any of the runs; in the order in which they start."""
    by_job = {name: {fate.job.name: fate for fate in one.fates} for name, one in played.items()}
    first = by_job[AS_IT_IS]
    moved = [
        name
        for name, fate in first.items()
        if not fate.was_there or any(fates[name].evictions for fates in by_job.values())
    ]
    if not moved:
        return
    moved.sort(key=lambda name: (first[name].start_s is None, first[name].start_s or 0.0, name))
    rows = [
        (
            name,
            first[name].job.queue,
            f"{first[name].job.total_gpus:g}",
            *(_told(fates[name], played[run]) for run, fates in by_job.items()),
        )
        for name in moved[:_SHOWN]
    ]
    click.echo()
    columns = ("JOB", "QUEUE", "GPUS", *(f"STARTS, {name.upper()}" for name in by_job))
    emit(Format.TABLE, lambda: None, columns=columns, rows=rows)
    if len(moved) > _SHOWN:
        click.echo(f"... and {len(moved) - _SHOWN} more: -o json has them")


def _told(fate: "Fate", played: "Played") -> str:
    from aliquot.scheduler.core.backfill.words import duration

    if fate.was_there:
        start = "runs"
    elif fate.start_s is None:
        return f"not within {duration(played.until_s - played.began_s)}"
    else:
        wait_s = fate.start_s - played.began_s
        start = f"in {duration(wait_s)}" if wait_s > 0 else "now"
    return f"{start}, evicted {fate.evictions}x" if fate.evictions else start
