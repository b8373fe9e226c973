"""What became of a workload as a picture, or as a page of its own with the figures."""

from collections.abc import Iterable, Sequence
from html import escape
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import click

from aliquot.cli.partition.plots import NO_MATPLOTLIB

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from aliquot.cli.scheduling.over_time import Compared
    from aliquot.scheduler.simulation.suite import Result

Table: TypeAlias = tuple[Sequence[str], Sequence[Sequence[str]]]
"""Columns and rows."""
_HOUR_S = 3600.0


def draw(compared: "Compared", path: str) -> None:
    """Over time. PNG, SVG or PDF by the name; `.html`: a page with the picture and the tables."""
    from aliquot.cli.scheduling.over_time import table_of, table_of_queues

    _write(_figure(compared), "Workload over time", (table_of(compared), table_of_queues(compared)), path)


def draw_packing(result: "Result", path: str) -> None:
    """Of pods that come one by one, policy beside policy."""
    from aliquot.cli.scheduling.packing import table_of

    _write(_figure_of_packing(result), "Packing", (table_of(result),), path)


def _write(figure: "Figure", title: str, tables: Iterable[Table], path: str) -> None:
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix == ".html":
            target.write_text(_page(figure, title, tables), encoding="utf-8")
        else:
            figure.savefig(target, dpi=120)
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{path}: {error}") from error
    click.echo(f"drawn: {path}", err=True)


def _empty(height: float) -> "Figure":
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise click.ClickException(NO_MATPLOTLIB) from error
    return Figure(figsize=(11, height), layout="constrained")


def _figure_of_packing(result: "Result") -> "Figure":
    figure = _empty(8)
    axes = figure.subplots(2, 1)
    for policy in result.policies:
        curve = result.curve(policy)
        arrived = [point.arrived for point in curve]
        axes[0].plot(arrived, [point.allocated for point in curve], label=policy)
        axes[1].plot(arrived, [point.fragmented for point in curve], label=policy)
    for axis, what in zip(axes, ("allocated", "fragmented"), strict=True):
        axis.set_xlabel("GPUs asked for, %")
        axis.set_ylabel(f"GPUs {what}, %")
        axis.grid(visible=True, alpha=0.3)
        axis.legend()
    return figure


def _figure(compared: "Compared") -> "Figure":
    figure = _empty(11)
    over_time, pieces, waits = figure.subplots(3, 1)
    for style, one in compared.played.items():
        moments = [(moment - one.began_s) / _HOUR_S for moment, _ in one.used]
        used = [100 * gpus / max(1, one.gpus) for _, gpus in one.used]
        over_time.step(moments, used, where="post", label=style, linewidth=0.8)
        read = [(reading.at_s - one.began_s) / _HOUR_S for reading in one.readings]
        fragmented = [100 * reading.fragmented / max(1, one.gpus) for reading in one.readings]
        pieces.step(read, fragmented, where="post", label=style, linewidth=0.8)
        ordered = sorted(fate.wait_s / _HOUR_S for fate in one.fates if fate.start_s is not None)
        parts = [100 * (number + 1) / len(ordered) for number in range(len(ordered))]
        waits.step(ordered, parts, where="post", label=style)
    over_time.set_xlabel("hours")
    over_time.set_ylabel("GPUs in use, %")
    over_time.legend()
    pieces.set_xlabel("hours")
    pieces.set_ylabel("GPUs fragmented, %")
    waits.set_xlabel("wait, hours")
    waits.set_ylabel("jobs that waited no longer, %")
    waits.set_xscale("symlog", linthresh=0.1)
    waits.grid(visible=True, alpha=0.3)
    waits.legend()
    return figure


def _page(figure: "Figure", title: str, tables: Iterable[Table]) -> str:
    picture = StringIO()
    figure.savefig(picture, format="svg")
    svg = picture.getvalue()
    shown = []
    for columns, rows in tables:
        head = "".join(f"<th>{escape(cell)}</th>" for cell in columns)
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        shown.append(f"<table><tr>{head}</tr>{body}</table>")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        "<style>body{font:14px sans-serif;margin:2em}td,th{padding:.2em .8em;text-align:right}"
        "table{border-collapse:collapse;margin:1em 0}tr+tr{border-top:1px solid #ccc}svg{max-width:100%}</style>"
        f"<h1>{title}</h1>{''.join(shown)}{svg[svg.index('<svg') :]}</html>"
    )
