"""`aliquot partition bench`: the whole suite, every policy against first fit."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

import click
import msgspec

from aliquot.cli.output import Format, output_option, table
from aliquot.cli.partition.bench_tables import (
    head,
    moved,
    show,
    show_admitted,
    show_costs,
    show_figure,
    show_gaps,
    show_time,
)
from aliquot.cli.partition.simulate import document_of
from aliquot.cli.partition.simulating import (
    chosen,
    closed,
    counted,
    points,
    profiles_of,
    run_options,
    spread_over,
)

if TYPE_CHECKING:
    from aliquot.gpu.driver import InstanceProfile
    from aliquot.partition.simulation.suite import Cell, Result, Spread
    from aliquot.partition.simulation.workload import Workload


class Section(StrEnum):
    PACKING = "packing"
    LOSS = "loss"
    MOVES = "moves"
    QUEUEING = "queueing"
    DRIFT = "drift"
    FAILURES = "failures"
    OPTIMUM = "optimum"
    SCALE = "scale"


_Documents: TypeAlias = list[dict[str, Any]]
"""Of a section: of each of its cells."""

SCALED = ("first-fit", "fragmentation-gradient", "default")
"""Today's way, the best rule of others, and what Aliquot does."""

BUDGETS = (0.0, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1)
_BUDGET_CELL = "bimodal"


@dataclass(frozen=True, slots=True)
class _Extent:
    """What is played unless something else is asked for."""

    seeds: int
    horizon: float
    warm_up: float
    loads: tuple[float, ...]
    sizes: tuple[int, ...]
    """GPUs of the fleets in the section `scale`."""


_FULL = _Extent(30, 60.0, 10.0, loads=(0.7, 0.85, 1.0, 1.1), sizes=(100, 1_000, 10_000, 100_000))
_SHORT = _Extent(2, 8.0, 3.0, loads=(0.85, 1.0), sizes=(100, 1_000))


@dataclass(frozen=True, slots=True)
class _Bench:
    profiles: "tuple[InstanceProfile, ...]"
    contenders: Sequence[str]
    scaled: Sequence[str]
    """Who plays in the section `scale`."""
    base: "Workload"
    loads: tuple[float, ...]
    seeds: range
    sizes: tuple[int, ...]
    """GPUs, in the section `scale`."""
    spread: "Spread"

    def play(self, cells: "Sequence[Cell]", contenders: Sequence[str]) -> "list[Result]":
        from time import perf_counter

        from aliquot.partition.simulation.suite import play_suite

        playing = play_suite(
            self.profiles,
            cells,
            contenders,
            self.seeds,
            spread=self.spread,
            timer=perf_counter,
        )
        with click.progressbar(
            playing,
            length=len(cells),
            label=f"{len(cells)} cells",
            file=sys.stderr,
            hidden=not sys.stderr.isatty(),
        ) as results:
            return list(results)


@click.command(short_help="The suite: every policy in every cell against first fit.")
@click.option("--short", is_flag=True, help="2 seeds of shorter runs: a table in less than a minute.")
@click.option("--seeds", type=click.IntRange(min=1), help="Runs of each cell.  [default: 30; 2 with --short]")
@click.option(
    "--horizon",
    type=click.FloatRange(min=0, min_open=True),
    help="Length of a run, in mean durations of a request.  [default: 60; 8 with --short]",
)
@click.option(
    "--warm-up",
    type=click.FloatRange(min=0),
    help="What of it is not counted.  [default: 10; 3 with --short]",
)
@click.option("--gpus", type=click.IntRange(min=1), default=100, show_default=True, help="Size of the fleet.")
@click.option(
    "--load",
    "loads",
    type=click.FloatRange(min=0, min_open=True),
    multiple=True,
    help="Offered memory slots by those of the fleet; may be given several times."
    "  [default: 0.7, 0.85, 1.0, 1.1; 0.85 and 1.0 with --short]",
)
@click.option(
    "--section",
    "sections",
    type=click.Choice([section.value for section in Section]),
    multiple=True,
    help="Only this part, or these.  [default: all]",
)
@run_options
@output_option
def bench(
    board: str,
    policies: tuple[str, ...],
    processes: int | None,
    plots: str | None,
    output: Format,
    short: bool,
    seeds: int | None,
    horizon: float | None,
    warm_up: float | None,
    gpus: int,
    loads: tuple[float, ...],
    sections: tuple[str, ...],
) -> None:
    """The whole suite: packing; mixes and loads with and without queues, drift and failures; what a few moves reach; the
    optimum in hindsight; fleets of up to 100,000 GPUs.

    Every policy meets the same requests, seed by seed. Differences to first fit are in percentage points with their
    95 % confidence interval; 30 seeds are the least to claim anything by.
    """
    from aliquot.partition.simulation.workload import MIXES, Workload

    names = chosen(policies)
    extent = _SHORT if short else _FULL
    count, loads, sizes = seeds or extent.seeds, loads or extent.loads, extent.sizes
    if horizon is None:
        horizon = extent.horizon
    if warm_up is None:
        warm_up = extent.warm_up
    base = Workload(MIXES["uniform"], 1.0, gpus, horizon, warm_up)
    counted(base)
    wanted = [Section(name) for name in sections] or list(Section)
    documents: dict[str, Any] = {}
    with spread_over(processes) as spread:
        suite = _Bench(
            profiles_of(board), names, names if policies else SCALED, base, loads, range(count), sizes, spread
        )
        for section in (section for section in Section if section in wanted):
            documents[section] = _SECTIONS[section](suite, output.is_table, plots)
    if output is Format.JSON:
        click.echo(msgspec.json.format(msgspec.json.encode(documents), indent=2))
    elif output is Format.YAML:
        import yaml

        click.echo(yaml.safe_dump(msgspec.to_builtins(documents), sort_keys=False), nl=False)


def _loss(suite: _Bench, shown: bool, plots: str | None) -> _Documents:
    from aliquot.partition.simulation.suite import loss_cells

    results = suite.play(loss_cells(suite.base, suite.loads), suite.contenders)
    if shown:
        head(results, "who finds no room is turned away")
        show_admitted(results)
        show_gaps(results)
        show_costs(results)
    if plots is not None:
        from aliquot.cli.partition.plots import plot_acceptance

        plot_acceptance(results, plots, "loss.png")
    return [document_of(result) for result in results]


def _packing(_suite: _Bench, shown: bool, _plots: str | None) -> _Documents:
    """Every board has its own: this is of A100s, which were measured."""
    from time import perf_counter

    from aliquot.partition.simulation.parvagpu import fewest_gpus, scenarios

    found = []
    for scenario in scenarios():
        began = perf_counter()
        gpus, proven = fewest_gpus(scenario)
        found.append(
            {
                "scenario": scenario.name,
                "publishedGpus": scenario.published_gpus,
                "gpus": gpus,
                "proven": proven,
                "ms": 1000 * (perf_counter() - began),
            }
        )
    if shown:
        click.echo("== ParvaGPU's serving scenarios on A100-80GB: the fewest GPUs")
        table(
            ("SCENARIO", "PUBLISHED", "HERE", "PROVEN", "SOLVED IN"),
            [
                (
                    str(one["scenario"]),
                    str(one["publishedGpus"]),
                    "-" if one["gpus"] is None else str(one["gpus"]),
                    "yes" if one["proven"] else "no",
                    f"{one['ms']:.0f} ms",
                )
                for one in found
            ],
        )
        click.echo()
    return found


def _moves(suite: _Bench, shown: bool, plots: str | None) -> _Documents:
    """How far a budget of moves reaches where it is hardest: small and whole-GPU requests, at full load."""
    from aliquot.partition.simulation.contenders import BASELINE, REFERENCE, moves
    from aliquot.partition.simulation.suite import loss_cells

    [cell] = [cell for cell in loss_cells(suite.base, [1.0]) if cell.workload.mix.name == _BUDGET_CELL]
    budgets = [moves(budget) for budget in BUDGETS]
    [result] = suite.play([cell], [BASELINE, *budgets, REFERENCE])
    if shown:
        head([result], f"{cell.name}: what a budget of moves reaches")
        table(
            ("BUDGET", "MOVES", "MEMORY SLOTS ADMITTED", "OVER FIRST FIT", "GAP CLOSED"),
            [
                (
                    f"{budget:.2%}",
                    f"{moved(result, contender):.2%}",
                    f"{result.mean(contender, 'slice_acceptance').mean:.4f}",
                    points(result.gain(contender, "slice_acceptance")),
                    closed(result, contender, "slice_acceptance"),
                )
                for budget, contender in zip(BUDGETS, budgets, strict=True)
            ],
        )
        click.echo()
    if plots is not None:
        from aliquot.cli.partition.plots import plot_budgets

        gaps = [result.gap_closed(contender, "slice_acceptance") or 0.0 for contender in budgets]
        plot_budgets(BUDGETS, gaps, cell.name, plots, "moves.png")
    return [document_of(result)]


def _queueing(suite: _Bench, shown: bool, plots: str | None) -> _Documents:
    from aliquot.partition.simulation.suite import queueing_cells

    results = suite.play(queueing_cells(suite.base, suite.loads), suite.contenders)
    if shown:
        head(results, "who finds no room waits")
        click.echo(
            "waits in mean durations of a request, P50/P95/P99; from load 1 on they grow as the run does"
        )
        show(
            results,
            lambda result, name: "/".join(
                f"{result.mean(name, f'wait_p{percent}').mean:.2f}" for percent in (50, 95, 99)
            ),
        )
        show_time(results, "wait_p95", "P95 of the waits")
        show_figure(results, "utilisation", "memory slots in use")
        show_figure(results, "slice_acceptance", "memory slots that had their place by the end")
    return [document_of(result) for result in results]


def _drift(suite: _Bench, shown: bool, plots: str | None) -> _Documents:
    from aliquot.partition.simulation.suite import drift_cells

    results = suite.play(drift_cells(suite.base, suite.loads), suite.contenders)
    if shown:
        head(results, "the mix changes when the warm-up ends, and what comes after is counted")
        show_admitted(results)
        show_gaps(results)
    return [document_of(result) for result in results]


def _failures(suite: _Bench, shown: bool, plots: str | None) -> _Documents:
    from aliquot.partition.simulation.suite import failure_cells

    results = suite.play(failure_cells(suite.base, suite.loads), suite.contenders)
    if shown:
        head(results, "nodes of 8 GPUs fail, each every 200 mean durations, and are away for 2")
        show_admitted(results)
        click.echo("requests lost with their node, per run")
        show(results, lambda result, name: f"{result.mean(name, 'evictions').mean:.1f}")
    return [document_of(result) for result in results]


def _optimum(suite: _Bench, shown: bool, plots: str | None) -> _Documents:
    from aliquot.partition.simulation.contenders import OPTIMUM
    from aliquot.partition.simulation.suite import optimum_cells

    results = suite.play(
        optimum_cells(suite.base, suite.loads), list(dict.fromkeys((*suite.contenders, OPTIMUM)))
    )
    if shown:
        head(results, "beside the proven optimum of who knows all that will come")
        show_admitted(results)
        show_gaps(results, OPTIMUM)
    return [document_of(result) for result in results]


def _scale(suite: _Bench, shown: bool, plots: str | None) -> _Documents:
    from aliquot.cli.partition.bench_scale import document_of_size, play_sizes, show_sizes
    from aliquot.partition.simulation.suite import scale_cells

    played = list(play_sizes(suite.profiles, scale_cells(suite.sizes), suite.scaled))
    if shown:
        head([result for result, _ in played], "what a run costs as the fleet grows")
        show_sizes(played)
    return [document_of_size(*one) for one in played]


_SECTIONS: dict[Section, Callable[[_Bench, bool, str | None], _Documents]] = {
    Section.PACKING: _packing,
    Section.LOSS: _loss,
    Section.MOVES: _moves,
    Section.QUEUEING: _queueing,
    Section.DRIFT: _drift,
    Section.FAILURES: _failures,
    Section.OPTIMUM: _optimum,
    Section.SCALE: _scale,
}
