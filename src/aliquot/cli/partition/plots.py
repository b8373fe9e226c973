"""Results as PNG files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from aliquot.partition.simulation.suite import Result

NO_MATPLOTLIB = "plots need matplotlib: pip install 'aliquot[plots]'"


def plot_result(result: "Result", directory: str) -> None:
    """What each policy admits and wastes."""
    plot_acceptance([result], directory, result.cell.name.replace(" ", "-") + ".png")


def plot_acceptance(results: "Sequence[Result]", directory: str, name: str) -> None:
    """A panel for each cell: slice-weighted acceptance over first fit, in points, with its confidence interval."""
    columns = min(4, len(results))
    lines = -(-len(results) // columns)
    figure = _figure()(figsize=(1 + 4 * columns, 1 + 3.2 * lines), layout="constrained")
    axes: list[Axes] = list(figure.subplots(lines, columns, squeeze=False, sharey=True).flat)
    for panel in axes[len(results) :]:
        panel.set_visible(False)
    for panel, result in zip(axes, results, strict=False):
        names = list(reversed(result.contenders))
        gains = [result.gain(contender, "slice_acceptance") for contender in names]
        several = len(result.runs) > 1
        panel.barh(
            names,
            [100 * gain.mean for gain in gains],
            xerr=[100 * gain.half_width for gain in gains] if several else None,
            color=["tab:green" if gain.mean >= 0 else "tab:red" for gain in gains],
        )
        panel.axvline(0, color="black", linewidth=0.8)
        panel.set_title(result.cell.name)
        panel.set_xlabel("slice-weighted acceptance, points over first fit")
    _save(figure, directory, name)


def plot_budgets(
    budgets: Sequence[float], closed: Sequence[float], cell: str, directory: str, name: str
) -> None:
    """The part of the gap to free migration that moves close, by the budget of moves."""
    figure = _figure()(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot([100 * budget for budget in budgets], [100 * part for part in closed], marker="o")
    axes.set_xscale("symlog", linthresh=0.25)
    axes.set_xlabel("moves, % of the instances admitted")
    axes.set_ylabel("gap between first fit and free migration closed, %")
    axes.set_title(cell)
    axes.grid(visible=True, alpha=0.3)
    _save(figure, directory, name)


def _figure() -> "type[Figure]":
    """Without a display, and without the state that pyplot keeps."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise click.ClickException(NO_MATPLOTLIB) from error
    return Figure


def _save(figure: "Figure", directory: str, name: str) -> None:
    path = Path(directory)
    path.mkdir(parents=True, exist_ok=True)
    figure.savefig(path / name, dpi=120)
    click.echo(f"drawn: {path / name}", err=True)
