"""The tables of `aliquot partition bench`."""

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

import click

from aliquot.cli.output import counted, table
from aliquot.cli.partition.simulate import decision
from aliquot.cli.partition.simulating import closed, durations, points

if TYPE_CHECKING:
    from aliquot.partition.simulation.metrics import Estimate
    from aliquot.partition.simulation.suite import Result


def head(results: "Sequence[Result]", what: str) -> None:
    workload = results[0].cell.workload
    sizes = sorted({result.cell.workload.gpus for result in results})
    gpus = f"{sizes[0]:,} GPUs" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,} GPUs"
    click.echo(
        f"== {what}: {gpus}, {counted(len(results[0].runs), 'seed')}, "
        f"{workload.horizon:g} mean durations of which {workload.warm_up:g} are not counted"
    )


def show(results: "Sequence[Result]", cell: "Callable[[Result, str], str]") -> None:
    table(
        ("POLICY", *(result.cell.name for result in results)),
        [
            (name, *(cell(result, name) if name in result.contenders else "-" for result in results))
            for name in results[0].contenders
        ],
    )
    click.echo()


def show_figure(results: "Sequence[Result]", figure: str, what: str) -> None:
    """Of parts: first fit as it is, the others by their difference to it."""
    _show_beside(results, figure, f"{what}: {{}} in parts, others in points against it", "{:.4f}", points)


def show_time(results: "Sequence[Result]", figure: str, what: str) -> None:
    """Of times: first fit as it is, the others by their difference to it."""
    _show_beside(results, figure, f"{what}: {{}}, others against it", "{:.3f}", durations)


def _show_beside(
    results: "Sequence[Result]",
    figure: str,
    heading: str,
    baseline: str,
    difference: "Callable[[Estimate], str]",
) -> None:
    from aliquot.partition.simulation.contenders import BASELINE

    click.echo(heading.format(BASELINE))

    def cell(result: "Result", name: str) -> str:
        if name == BASELINE:
            return baseline.format(result.mean(name, figure).mean)
        return difference(result.gain(name, figure))

    show(results, cell)


def show_admitted(results: "Sequence[Result]") -> None:
    show_figure(results, "request_acceptance", "requests admitted")
    show_figure(results, "slice_acceptance", "memory slots admitted")


def show_gaps(results: "Sequence[Result]", reference: str | None = None) -> None:
    """`reference`: free migration, unless it is another."""
    from aliquot.partition.simulation.contenders import BASELINE, REFERENCE

    towards = reference or REFERENCE
    click.echo(f"part of the gap in memory slots between {BASELINE} and {towards} that is closed")
    show(results, lambda result, name: closed(result, name, "slice_acceptance", towards))


def show_costs(results: "Sequence[Result]") -> None:
    click.echo(
        "means over these cells; wasted: out of reach on GPUs in use; decisions as timed with the first seed"
    )

    def mean(name: str, figure: str) -> float:
        return fmean(result.mean(name, figure).mean for result in results)

    table(
        (
            "POLICY",
            "USE",
            "GPUS",
            "WASTED COMPUTE",
            "WASTED MEMORY",
            "CREATES",
            "DESTROYS",
            "MOVES",
            "DECISION P50/P99",
        ),
        [
            (
                name,
                f"{mean(name, 'utilisation'):.3f}",
                f"{mean(name, 'gpus_in_use'):.1f}",
                f"{mean(name, 'wasted_compute_slices'):.1f}",
                f"{mean(name, 'wasted_memory_slots'):.1f}",
                f"{mean(name, 'creates'):.0f}",
                f"{mean(name, 'destroys'):.0f}",
                f"{fmean(moved(result, name) for result in results):.2%}",
                decision(results[-1], name),
            )
            for name in results[0].contenders
        ],
    )
    click.echo()


def moved(result: "Result", contender: str) -> float:
    """Moves by instances admitted."""
    moves = result.mean(contender, "moves").mean
    admitted = result.mean(contender, "creates").mean - moves
    return moves / admitted if admitted else 0.0
