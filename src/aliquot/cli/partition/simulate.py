"""`aliquot partition simulate`: one workload, the policies beside each other."""

from typing import TYPE_CHECKING, Any

import click

from aliquot.cli.output import Format, emit, output_option
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
    from aliquot.partition.simulation.suite import Cell, Result

_MIXES = ("uniform", "skew-small", "skew-big", "bimodal")
_DURATIONS = ("exponential", "constant", "heavy-tailed")


@click.command(short_help="Play requests on a simulated fleet, policy beside policy.")
@click.option("--mix", type=click.Choice(_MIXES), default="uniform", show_default=True, help="Who asks.")
@click.option(
    "--load",
    type=click.FloatRange(min=0, min_open=True),
    default=0.85,
    show_default=True,
    help="Offered memory slots by those of the fleet.",
)
@click.option("--gpus", type=click.IntRange(min=1), default=100, show_default=True, help="Size of the fleet.")
@click.option("--seeds", type=click.IntRange(min=1), default=10, show_default=True, help="Runs.")
@click.option(
    "--horizon",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="Length of a run, in mean durations of a request.",
)
@click.option(
    "--warm-up",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    help="What of it is not counted.",
)
@click.option(
    "--durations",
    type=click.Choice(_DURATIONS),
    default=_DURATIONS[0],
    show_default=True,
    help="How they spread.",
)
@click.option("--queueing", is_flag=True, help="Who finds no room waits.  [default: is turned away]")
@click.option("--drift-to", type=click.Choice(_MIXES), help="The mix from the middle of the run on.")
@click.option(
    "--node-failures",
    type=click.FloatRange(min=0, min_open=True),
    metavar="TIME",
    help="Nodes of 8 GPUs fail, each after this time on average, and are away for 2 mean durations.",
)
@run_options
@output_option
def simulate(
    board: str,
    policies: tuple[str, ...],
    processes: int | None,
    plots: str | None,
    output: Format,
    seeds: int,
    **workload: Any,
) -> None:
    """Play requests on a simulated fleet of MIG GPUs: who is admitted, what is wasted, what moves.

    Every policy meets the same requests, seed by seed, and is compared with first fit: differences are in percentage
    points with their 95 % confidence interval. Time is in mean durations of a request.
    """
    from time import perf_counter

    from aliquot.partition.simulation.suite import play_suite

    profiles, contenders, cell = profiles_of(board), chosen(policies), _cell(**workload)
    with spread_over(processes) as spread:
        [result] = play_suite(profiles, [cell], contenders, range(seeds), spread=spread, timer=perf_counter)
    columns, rows = table_of(result)
    emit(output, lambda: document_of(result), columns=columns, rows=rows)
    if plots is not None:
        from aliquot.cli.partition.plots import plot_result

        plot_result(result, plots)


def _cell(
    *,
    mix: str,
    load: float,
    gpus: int,
    horizon: float,
    warm_up: float,
    durations: str,
    queueing: bool,
    drift_to: str | None,
    node_failures: float | None,
) -> "Cell":
    from aliquot.partition.simulation.suite import Cell
    from aliquot.partition.simulation.workload import MIXES, Drift, Durations, Outages, Workload

    drift = Drift(MIXES[drift_to], (warm_up + horizon) / 2) if drift_to is not None else None
    workload = Workload(MIXES[mix], load, gpus, horizon, warm_up, Durations(durations), drift)
    counted(workload)
    return Cell(
        f"{mix} {load:g}",
        workload,
        queueing,
        Outages(mean_time_between=node_failures) if node_failures is not None else None,
    )


def table_of(result: "Result") -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and rows; of waits and evictions only where there can be any."""
    waits, failures = result.cell.queueing, result.cell.outages is not None
    columns = (
        *("POLICY", "REQUESTS", "+- PT", "SLICES", "+- PT", "GAP CLOSED", "USE", "GPUS", "WASTED C/M"),
        *(("WAIT P50/P95/P99",) if waits else ()),
        *("CREATES", "DESTROYS", "MOVES"),
        *(("EVICTED",) if failures else ()),
        "DECISION P50/P99",
    )
    rows = []
    for name in result.contenders:
        figures = {figure: result.mean(name, figure).mean for figure in _FIGURES}
        rows.append(
            (
                name,
                f"{figures['request_acceptance']:.4f}",
                points(result.gain(name, "request_acceptance")),
                f"{figures['slice_acceptance']:.4f}",
                points(result.gain(name, "slice_acceptance")),
                closed(result, name, "slice_acceptance"),
                f"{figures['utilisation']:.3f}",
                f"{figures['gpus_in_use']:.1f}",
                f"{figures['wasted_compute_slices']:.1f}/{figures['wasted_memory_slots']:.1f}",
                *(("/".join(f"{figures[f'wait_p{p}']:.2f}" for p in (50, 95, 99)),) if waits else ()),
                *(f"{figures[figure]:.0f}" for figure in ("creates", "destroys", "moves")),
                *((f"{figures['evictions']:.0f}",) if failures else ()),
                decision(result, name),
            )
        )
    return columns, rows


def decision(result: "Result", contender: str) -> str:
    p50, p99 = (result.timed(contender, f"decision_p{p}_us") for p in (50, 99))
    return f"{p50:.1f}/{p99:.1f} us" if p50 else "-"


_FIGURES = (
    *("request_acceptance", "slice_acceptance", "utilisation", "wait_p50", "wait_p95", "wait_p99"),
    *("gpus_in_use", "wasted_compute_slices", "wasted_memory_slots"),
    *("creates", "destroys", "moves", "evictions"),
)


def document_of(result: "Result") -> dict[str, Any]:
    """Means over seeds; `vsFirstFit` in the same units, with half the width of the 95 % interval."""
    return {
        "cell": result.cell.name,
        "seeds": len(result.runs),
        "policies": {
            name: {
                **{_camel(figure): result.mean(name, figure).mean for figure in _FIGURES},
                "vsFirstFit": {
                    _camel(figure): {
                        "mean": result.gain(name, figure).mean,
                        "halfWidth": _finite(result.gain(name, figure).half_width),
                    }
                    for figure in ("request_acceptance", "slice_acceptance", "utilisation", "wait_p95")
                },
                "gapClosed": result.gap_closed(name, "slice_acceptance"),
                "decisionP50Us": result.timed(name, "decision_p50_us"),
                "decisionP99Us": result.timed(name, "decision_p99_us"),
            }
            for name in result.contenders
        },
    }


def _finite(width: float) -> float | None:
    return width if width != float("inf") else None


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
