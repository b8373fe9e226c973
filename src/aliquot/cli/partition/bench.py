"""`aliquot partition bench`: the whole suite, every policy against first fit."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean
from typing import TYPE_CHECKING, Any

import click
import msgspec

from aliquot.cli.output import Format, output_option, table
from aliquot.cli.partition.simulate import decision, document_of
from aliquot.cli.partition.simulating import (
    chosen,
    closed,
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


BUDGETS = (0.0, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1)
_BUDGET_CELL = "bimodal"


@dataclass(frozen=True, slots=True)
class _Bench:
    profiles: "tuple[InstanceProfile, ...]"
    contenders: list[str]
    """In the cells of loss, which are the suite's core."""
    quick: list[str]
    """In the other cells: these without the slow ones."""
    base: "Workload"
    loads: tuple[float, ...]
    seeds: range
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
@click.option("--gpus", type=click.IntRange(min=1), default=100, show_default=True, help="Size of the fleet.")
@click.option(
    "--load",
    "loads",
    type=click.FloatRange(min=0, min_open=True),
    multiple=True,
    default=(0.85, 1.0),
    show_default=True,
    help="Offered memory slots by those of the fleet; may be given several times.",
)
@click.option(
    "--section",
    "sections",
    type=click.Choice([section.value for section in Section]),
    multiple=True,
    help="Only this part, or these.  [default: all; packing and loss with --short]",
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
    gpus: int,
    loads: tuple[float, ...],
    sections: tuple[str, ...],
) -> None:
    """The whole suite: packing, mixes and loads with and without queues, drift, failures, what a few moves reach.

    Every policy meets the same requests, seed by seed. Differences to first fit are in percentage points with their
    95 % confidence interval; 30 seeds are the least to claim anything by.
    """
    from aliquot.partition.simulation.contenders import QUICK
    from aliquot.partition.simulation.workload import MIXES, Workload

    names = chosen(policies)
    quick = names if policies else [name for name in names if name in QUICK]
    base = Workload(MIXES["uniform"], 1.0, gpus, *((20.0, 5.0) if short else ()))
    wanted = [Section(name) for name in sections] or (
        [Section.PACKING, Section.LOSS] if short else list(Section)
    )
    count = seeds or (2 if short else 30)
    documents: dict[str, Any] = {}
    with spread_over(processes) as spread:
        suite = _Bench(profiles_of(board), names, quick, base, loads, range(count), spread)
        for section in (section for section in Section if section in wanted):
            if section is Section.PACKING:
                documents[section] = _packing(output.is_table)
                continue
            results = _SECTIONS[section](suite, output.is_table, plots)
            documents[section] = [document_of(result) for result in results]
    if output is Format.JSON:
        click.echo(msgspec.json.format(msgspec.json.encode(documents), indent=2))
    elif output is Format.YAML:
        import yaml

        click.echo(yaml.safe_dump(msgspec.to_builtins(documents), sort_keys=False), nl=False)


def _loss(suite: _Bench, shown: bool, plots: str | None) -> "list[Result]":
    from aliquot.partition.simulation.suite import loss_cells

    results = suite.play(loss_cells(suite.base, suite.loads), suite.contenders)
    if shown:
        _head(suite, "who finds no room is turned away")
        _show_figure(results, "request_acceptance", "requests admitted")
        _show_figure(results, "slice_acceptance", "memory slots admitted")
        _show_gaps(results)
        _show_costs(results)
    if plots is not None:
        from aliquot.cli.partition.plots import plot_acceptance

        plot_acceptance(results, plots, "loss.png")
    return results


def _packing(shown: bool) -> list[dict[str, Any]]:
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
                    str(one["gpus"]),
                    "yes" if one["proven"] else "no",
                    f"{one['ms']:.0f} ms",
                )
                for one in found
            ],
        )
        click.echo()
    return found


def _moves(suite: _Bench, shown: bool, plots: str | None) -> "list[Result]":
    """How far a budget of moves reaches where it is hardest: small and whole-GPU requests, at full load."""
    from aliquot.partition.simulation.contenders import BASELINE, REFERENCE, moves
    from aliquot.partition.simulation.suite import loss_cells

    [cell] = [cell for cell in loss_cells(suite.base, [1.0]) if cell.workload.mix.name == _BUDGET_CELL]
    budgets = [moves(budget) for budget in BUDGETS]
    [result] = suite.play([cell], [BASELINE, *budgets, REFERENCE])
    if shown:
        _head(suite, f"{cell.name}: what a budget of moves reaches")
        table(
            ("BUDGET", "MOVES", "MEMORY SLOTS ADMITTED", "OVER FIRST FIT", "GAP CLOSED"),
            [
                (
                    f"{budget:.2%}",
                    f"{_moved(result, contender):.2%}",
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
    return [result]


def _queueing(suite: _Bench, shown: bool, plots: str | None) -> "list[Result]":
    from aliquot.partition.simulation.suite import queueing_cells

    results = suite.play(queueing_cells(suite.base, [min(suite.loads)]), suite.quick)
    if shown:
        _head(suite, "who finds no room waits; in mean durations of a request, P50/P95/P99")
        _show(
            results,
            lambda result, name: "/".join(
                f"{result.mean(name, f'wait_p{percent}').mean:.2f}" for percent in (50, 95, 99)
            ),
        )
    return results


def _drift(suite: _Bench, shown: bool, plots: str | None) -> "list[Result]":
    from aliquot.partition.simulation.suite import drift_cells

    results = suite.play(drift_cells(suite.base, [max(suite.loads)]), suite.quick)
    if shown:
        _head(suite, "the mix changes in the middle")
        _show_figure(results, "slice_acceptance", "memory slots admitted")
    return results


def _failures(suite: _Bench, shown: bool, plots: str | None) -> "list[Result]":
    from aliquot.partition.simulation.suite import failure_cells

    results = suite.play(failure_cells(suite.base, [min(suite.loads)]), suite.quick)
    if shown:
        _head(suite, "nodes of 8 GPUs fail, each every 200 mean durations, and are away for 2")
        _show_figure(results, "slice_acceptance", "memory slots admitted")
        click.echo("requests lost with their node, per run")
        _show(results, lambda result, name: f"{result.mean(name, 'evictions').mean:.1f}")
    return results


_SECTIONS: dict[Section, Callable[[_Bench, bool, str | None], "list[Result]"]] = {
    Section.LOSS: _loss,
    Section.MOVES: _moves,
    Section.QUEUEING: _queueing,
    Section.DRIFT: _drift,
    Section.FAILURES: _failures,
}


# --- tables ---


def _head(suite: _Bench, what: str) -> None:
    base = suite.base
    click.echo(
        f"== {what}: {base.gpus} GPUs, {len(suite.seeds)} seeds, "
        f"{base.horizon:g} mean durations of which {base.warm_up:g} are not counted"
    )


def _show(results: "Sequence[Result]", cell: "Callable[[Result, str], str]") -> None:
    table(
        ("POLICY", *(result.cell.name for result in results)),
        [
            (name, *(cell(result, name) if name in result.contenders else "-" for result in results))
            for name in results[0].contenders
        ],
    )
    click.echo()


def _show_figure(results: "Sequence[Result]", figure: str, what: str) -> None:
    """First fit as it is, the others by their difference to it."""
    from aliquot.partition.simulation.contenders import BASELINE

    click.echo(f"{what}: {BASELINE} in parts of those asked for, others in points against it")

    def cell(result: "Result", name: str) -> str:
        if name == BASELINE:
            return f"{result.mean(name, figure).mean:.4f}"
        return points(result.gain(name, figure))

    _show(results, cell)


def _show_gaps(results: "Sequence[Result]") -> None:
    click.echo("part of the gap in memory slots between first fit and free migration that is closed")
    _show(results, lambda result, name: closed(result, name, "slice_acceptance"))


def _show_costs(results: "Sequence[Result]") -> None:
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
                f"{fmean(_moved(result, name) for result in results):.2%}",
                decision(results[-1], name),
            )
            for name in results[0].contenders
        ],
    )
    click.echo()


def _moved(result: "Result", contender: str) -> float:
    """Moves by instances admitted."""
    moves = result.mean(contender, "moves").mean
    admitted = result.mean(contender, "creates").mean - moves
    return moves / admitted if admitted else 0.0
