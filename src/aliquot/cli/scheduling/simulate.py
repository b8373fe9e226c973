"""`aliquot scheduler simulate`: a recorded workload, the policies beside each other."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from aliquot.cli.output import Format, emit, output_option
from aliquot.cli.parameters import GivenPath
from aliquot.cli.partition.simulating import spread_over

if TYPE_CHECKING:
    from aliquot.scheduler.simulation.suite import Result
    from aliquot.scheduler.simulation.trace import Node, Pod

_POLICIES = ("aliquot", "fgd", "bestfit", "packing", "clustering", "dotprod", "random")
"""As `simulation.policies` has them, which is read when one is played."""
_FORMATS = ("openb",)

_Read = TypeVar("_Read")


class _Policies(click.ParamType[tuple[str, ...]]):
    """Names with commas between them."""

    name = "names"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        names = tuple(dict.fromkeys(name.strip() for name in str(value).split(",")))
        for name in names:
            if name not in _POLICIES:
                self.fail(f"there is no policy '{name}'; there are {', '.join(_POLICIES)}", param, ctx)
        return names


@click.command(short_help="Play a recorded workload, policy beside policy.")
@click.option(
    "--format",
    "trace_format",
    type=click.Choice(_FORMATS),
    default="openb",
    show_default=True,
    help="Of the files: openb is Alibaba's GPU trace of 2023.",
)
@click.option(
    "--nodes", "nodes_path", type=GivenPath(exists=True, dir_okay=False), required=True, help="CSV of nodes."
)
@click.option(
    "--pods", "pods_path", type=GivenPath(exists=True, dir_okay=False), required=True, help="CSV of pods."
)
@click.option(
    "--policy",
    "policies",
    type=_Policies(),
    default="aliquot,fgd,bestfit,random",
    show_default=True,
    help=f"Of {', '.join(_POLICIES)}. All are compared with the first.",
)
@click.option("--seeds", type=click.IntRange(min=1), default=10, show_default=True, help="Runs: 42, 43, ...")
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    help="Run seeds in this many processes.  [default: as many as there are cores]",
)
@output_option
def simulate(
    trace_format: str,
    nodes_path: str,
    pods_path: str,
    policies: tuple[str, ...],
    seeds: int,
    processes: int | None,
    output: Format,
) -> None:
    """How much of a cluster's GPUs each policy gets to use.

    The pods of the list come in random order, then pods drawn from it, until 1.3 times the GPUs are asked for. None
    leaves; who does not fit is turned away. Allocation is in percent of all GPUs, when as many were asked for as there
    are, and at the end; every policy meets the same pods, seed by seed. Decisions are counted by CPU time.
    """
    from time import process_time

    try:
        from aliquot.scheduler.simulation.suite import FIRST_SEED, play_suite
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"{error}; simulations need numpy: pip install 'aliquot[partition]'"
        ) from error

    nodes, pods = _trace(trace_format, nodes_path, pods_path)
    with spread_over(min(seeds, processes) if processes else (1 if seeds == 1 else None)) as spread:
        result = play_suite(
            nodes, pods, policies, range(FIRST_SEED, FIRST_SEED + seeds), spread=spread, timer=process_time
        )
    columns, rows = table_of(result)
    emit(output, lambda: document_of(result), columns=columns, rows=rows)


def _trace(trace_format: str, nodes: str, pods: str) -> "tuple[Sequence[Node], Sequence[Pod]]":
    from aliquot.scheduler.simulation import openb

    readers = {"openb": (openb.read_nodes, openb.read_pods)}
    read_nodes, read_pods = readers[trace_format]
    return _read(nodes, read_nodes), _read(pods, read_pods)


def _read(path: str, read: "Callable[..., Sequence[_Read]]") -> "Sequence[_Read]":
    from aliquot.scheduler.simulation.trace import TraceError

    try:
        with Path(path).open(encoding="utf-8", newline="") as lines:
            return read(lines, source=path)
    except TraceError as error:
        raise click.ClickException(str(error)) from error
    except UnicodeDecodeError as error:
        raise click.ClickException(
            f"{path}: it is no text in UTF-8 ({error.reason}); give a CSV file"
        ) from error


def table_of(result: "Result") -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    from aliquot.scheduler.simulation.suite import SHOWN

    against = result.policies[0].upper()
    columns = ["POLICY"]
    for percent in SHOWN:
        columns += [f"ALLOCATED @{percent}", f"VS {against}"]
    rows = []
    for policy in result.policies:
        cells = [policy]
        for percent in SHOWN:
            cells += [_spelled(result, policy, percent), _difference(result, policy, percent)]
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
