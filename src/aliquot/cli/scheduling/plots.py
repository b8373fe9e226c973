"""A workload over time as a picture, or as a page of its own with the figures."""

from html import escape
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aliquot.cli.partition.plots import NO_MATPLOTLIB

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from aliquot.cli.scheduling.over_time import Compared

_HOUR_S = 3600.0


def draw(compared: "Compared", path: str) -> None:
    """PNG, SVG or PDF by the name; `.html`: a page with the picture and the table."""
    figure = _figure(compared)
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix == ".html":
            target.write_text(_page(figure, compared), encoding="utf-8")
        else:
            figure.savefig(target, dpi=120)
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{path}: {error}") from error
    click.echo(f"drawn: {path}", err=True)


def _figure(compared: "Compared") -> "Figure":
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise click.ClickException(NO_MATPLOTLIB) from error
    figure = Figure(figsize=(11, 11), layout="constrained")
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


def _page(figure: "Figure", compared: "Compared") -> str:
    from aliquot.cli.scheduling.over_time import table_of, table_of_queues

    picture = StringIO()
    figure.savefig(picture, format="svg")
    svg = picture.getvalue()
    tables = []
    for columns, rows in (table_of(compared), table_of_queues(compared)):
        head = "".join(f"<th>{escape(cell)}</th>" for cell in columns)
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        tables.append(f"<table><tr>{head}</tr>{body}</table>")
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Workload over time</title>'
        "<style>body{font:14px sans-serif;margin:2em}td,th{padding:.2em .8em;text-align:right}"
        "table{border-collapse:collapse;margin:1em 0}tr+tr{border-top:1px solid #ccc}svg{max-width:100%}</style>"
        f"<h1>Workload over time</h1>{''.join(tables)}{svg[svg.index('<svg') :]}</html>"
    )
