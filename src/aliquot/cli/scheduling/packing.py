"""A recorded list of pods, put into a cluster until nothing fits any more: one policy of placement beside the other."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aliquot.cli.output import Format, emit
from aliquot.cli.partition.simulating import spread_over
from aliquot.cli.scheduling.reading import read

if TYPE_CHECKING:
    from aliquot.scheduler.simulation.suite import Result


@dataclass(frozen=True, slots=True)
class AskedOfPacking:
    nodes_path: str
    pods_path: str
    policies: tuple[str, ...]
    seeds: int
    """How many."""
    processes: int | None
    """None: as many as there are cores."""
    plot: str | None


def play_packing(asked: AskedOfPacking, output: Format, timer: Callable[[], float]) -> None:
    try:
        from aliquot.scheduler.simulation.suite import FIRST_SEED, play_suite
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"{error}; simulations need numpy: pip install 'aliquot[partition]'"
        ) from error
    from aliquot.scheduler.simulation.openb import read_nodes, read_pods

    if not Path(asked.nodes_path).is_file():
        raise click.BadParameter(
            f"there is no file '{asked.nodes_path}'; openb takes a CSV of nodes", param_hint="--nodes"
        )
    nodes, pods = read(asked.nodes_path, read_nodes), read(asked.pods_path, read_pods)
    with spread_over(
        min(asked.seeds, asked.processes) if asked.processes else (1 if asked.seeds == 1 else None)
    ) as spread:
        result = play_suite(
            nodes,
            pods,
            asked.policies,
            range(FIRST_SEED, FIRST_SEED + asked.seeds),
            spread=spread,
            timer=timer,
        )
    columns, rows = table_of(result)
    emit(output, lambda: document_of(result), columns=columns, rows=rows)
    if asked.plot:
        from aliquot.cli.scheduling.plots import draw_packing

        draw_packing(result, asked.plot)


def table_of(result: "Result") -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    from aliquot.scheduler.simulation.suite import SHOWN

    against = result.policies[0].upper()
    columns = ["POLICY"]
    for percent in SHOWN:
        columns += [f"ALLOCATED @{percent}", f"VS {against}", f"FRAGMENTED @{percent}"]
    rows = []
    for policy in result.policies:
        cells = [policy]
        for percent in SHOWN:
            fragmented = result.fragmentation(policy, percent)
            cells += [_spelled(result, policy, percent), _difference(result, policy, percent)]
            cells.append("-" if fragmented is None else f"{fragmented:.2f}")
        away, speed = result.turned_away(policy), result.decisions_per_s(policy)
        rows.append((*cells, f"{away:,.0f}", f"{speed:,.0f}"))
    return (*columns, "TURNED AWAY", "DECISIONS/S"), rows


def _spelled(result: "Result", policy: str, percent: int) -> str:
    deviation = result.deviation(policy, percent)
    return f"{result.mean(policy, percent):.2f}" + (f" ±{deviation:.2f}" if deviation is not None else "")


def _difference(result: "Result", policy: str, percent: int) -> str:
    if policy == result.policies[0]:
        return "-"
    found = result.difference(policy, percent)
    return f"{found.mean:+.2f}" + (f" ±{found.half_width:.2f}" if _finite(found.half_width) else "")


def document_of(result: "Result") -> dict[str, Any]:
    """Allocation in percent; differences to the first policy with half the width of their 95 % interval."""
    return {
        "runs": [
            {
                "policy": run.policy,
                "seed": run.seed,
                **_by_load(run.allocation_percent),
                "turned_away": run.turned_away,
                "decisions_per_s": run.decisions_per_s,
            }
            for run in result.runs
        ],
        "policies": {policy: _of_policy(result, policy) for policy in result.policies},
    }


def _of_policy(result: "Result", policy: str) -> dict[str, Any]:
    from aliquot.scheduler.simulation.suite import SHOWN

    differences = [result.difference(policy, percent) for percent in SHOWN]
    return {
        "mean": _by_load([result.mean(policy, percent) for percent in SHOWN]),
        "fragmented": _by_load([result.fragmentation(policy, percent) for percent in SHOWN]),
        "sd": _by_load([result.deviation(policy, percent) for percent in SHOWN]),
        "difference": {
            "to": result.policies[0],
            **_by_load(
                [{"mean": found.mean, "half_width": _finite(found.half_width)} for found in differences]
            ),
        },
        "decisions_per_s": result.decisions_per_s(policy),
    }


def _by_load(values: Iterable[Any]) -> dict[str, Any]:
    from aliquot.scheduler.simulation.suite import SHOWN

    return {f"allocation_at_{percent}": value for percent, value in zip(SHOWN, values, strict=True)}


def _finite(width: float) -> float | None:
    return width if width != float("inf") else None
