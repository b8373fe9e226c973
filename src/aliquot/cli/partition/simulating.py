"""What `simulate` and `bench` have in common: options, processes, and how results are shown."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from aliquot.cli.boards import complete_board
from aliquot.cli.parameters import GivenPath

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

    from aliquot.gpu.driver import InstanceProfile
    from aliquot.partition.simulation.metrics import Estimate
    from aliquot.partition.simulation.suite import Result, Spread
    from aliquot.partition.simulation.workload import Workload


def complete_policy(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    from aliquot.partition.simulation.contenders import CONTENDERS

    return [name for name in CONTENDERS if name.startswith(incomplete)]


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--plots",
            type=GivenPath(file_okay=False),
            help="Draw the results as PNG files into this directory.",
        ),
        click.option(
            "--processes",
            type=click.IntRange(min=1),
            help="Run seeds in this many processes.  [default: as many as there are cores]",
        ),
        click.option(
            "--policy",
            "policies",
            metavar="NAME",
            multiple=True,
            shell_complete=complete_policy,
            help="Policy to play, beside first fit; may be given several times.  [default: all]",
        ),
        click.option(
            "--board",
            default="h100-80gb",
            show_default=True,
            shell_complete=complete_board,
            help="Board of all GPUs.",
        ),
    ):
        command = option(command)
    return command


def profiles_of(key: str) -> "tuple[InstanceProfile, ...]":
    from aliquot.gpu import boards
    from aliquot.partition.board_states import ordinary
    from aliquot.partition.simulation.workload import MIXES

    try:
        board = boards.board(key)
    except boards.UnknownBoard as error:
        raise click.ClickException(str(error)) from error
    found = ordinary(board.mig.instance_profiles()) if board.mig is not None else ()
    if len(found) != len(MIXES["uniform"].shares):
        raise click.ClickException(
            f"the mixes are of the six profiles of an A100 or H100; board '{key}' has {len(found) or 'none'}"
        )
    return found


def counted(workload: "Workload") -> None:
    """Refuses one of which nothing would be."""
    if workload.warm_up >= workload.horizon:
        raise click.ClickException(
            f"nothing is counted: the warm-up of {workload.warm_up:g} takes the whole {workload.horizon:g}"
        )


def chosen(policies: Sequence[str]) -> list[str]:
    """With first fit, to which all are compared."""
    from aliquot.partition.simulation.contenders import (
        BASELINE,
        CONTENDERS,
        UnknownContender,
        contender_of,
    )

    try:
        given = [contender_of(name).name for name in policies]
    except UnknownContender as error:
        raise click.ClickException(str(error)) from error
    return list(dict.fromkeys((BASELINE, *given))) if given else list(CONTENDERS)


@contextmanager
def spread_over(processes: int | None) -> "Iterator[Spread]":
    """Jobs keep their order. One process: this one."""
    import os

    from aliquot.partition.simulation.hindsight import NotProven

    count = processes or len(os.sched_getaffinity(0))
    try:
        if count == 1:
            yield map
            return
        with _pool(count) as pool:
            yield pool.map
    except NotProven as error:
        raise click.ClickException(str(error)) from error


@contextmanager
def _pool(count: int) -> "Iterator[ProcessPoolExecutor]":
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def points(found: "Estimate") -> str:
    """A difference of parts, in percentage points: `+1.36 ±0.08`; of one seed without its spread."""
    width = f" ±{100 * found.half_width:.2f}" if found.half_width < 1 else ""
    return f"{100 * found.mean:+.2f}{width}"


def durations(found: "Estimate") -> str:
    """A difference of times, in mean durations: `-0.052 ±0.013`; of one seed without its spread."""
    width = f" ±{found.half_width:.3f}" if found.half_width != float("inf") else ""
    return f"{found.mean:+.3f}{width}"


def closed(result: "Result", contender: str, figure: str, reference: str | None = None) -> str:
    from aliquot.partition.simulation.contenders import REFERENCE

    gap = result.gap_closed(contender, figure, reference or REFERENCE)
    return "-" if gap is None else f"{gap:.0%}"
