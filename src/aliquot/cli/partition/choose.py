"""`aliquot partition choose`: the ways to give a container part of a GPU, each with its price and its risk."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aliquot.cli.boards import complete_board
from aliquot.cli.connect import cluster_options, connect, run
from aliquot.cli.output import Format, emit, output_option, table
from aliquot.cli.parameters import GivenName

if TYPE_CHECKING:
    from aliquot.gpu.boards import Board
    from aliquot.kube.api.gpuclass import GPUClassSpec
    from aliquot.partition.mechanism import Priced, Unfit


@click.command(short_help="The ways that serve a need on a board, with price and risk.")
@click.option(
    "--board",
    "board_key",
    metavar="BOARD",
    required=True,
    shell_complete=complete_board,
    help="The board to be on; `aliquot gpu boards` lists them.",
)
@click.option("--memory", default="", metavar="QUANTITY", help="At least so much, like 9Gi.")
@click.option(
    "--compute-percent",
    type=click.IntRange(0, 100),
    default=0,
    metavar="PERCENT",
    help="At least this part of a GPU's compute.",
)
@click.option(
    "--isolation",
    type=click.Choice(["None", "Limits", "Hardware"], case_sensitive=False),
    default="None",
    show_default=True,
    help="From others on the same GPU.",
)
@click.option(
    "--class",
    "class_",
    type=GivenName(),
    metavar="FILE|NAME",
    help="What this GPUClass asks for: a file (with a / or an ending), or the name of one in the cluster.",
)
@output_option
@cluster_options
def choose(
    board_key: str,
    memory: str,
    compute_percent: int,
    isolation: str,
    class_: str | None,
    output: Format,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """The ways to give a container part of a GPU on a board, those that waste least first; what each leaves open to its
    neighbours; and the ways that do not serve, with why.

    A pod of a GPUClass gets the first of them for which there is room.
    """
    from aliquot.gpu import boards
    from aliquot.kube.quantity import QuantityError
    from aliquot.partition.demand import judged, may_be_on
    from aliquot.partition.served import board_here

    try:
        board = boards.board(board_key)
    except boards.UnknownBoard as error:
        raise click.ClickException(str(error)) from error
    spec = _spec(class_, memory, compute_percent, isolation, kubeconfig, context)
    if not may_be_on(spec, board.key):
        listed = ", ".join(spec.boards)
        raise click.ClickException(f"class {class_} is for boards {listed}, and not for '{board.key}'")
    try:
        found, unfit = judged(spec, board_here(board.key, tuple(_profiles(board)), board.memory_mib))
    except QuantityError as error:
        raise click.ClickException(f"memory: {error}") from error
    if not output.is_table:
        emit(output, lambda: _plain(board, spec, found, unfit), columns=(), rows=())
        return
    if found:
        table(
            ("WAY", "MEMORY", "COMPUTE", "ISOLATION", "WASTES MEMORY", "WASTES COMPUTE"),
            [_row(one) for one in found],
        )
    else:
        click.echo(f"no way serves on {board.key}")
    for title, lines in (
        ("risk", _risks(found)),
        ("does not serve", [f"{u.what}: {u.reason}" for u in unfit]),
    ):
        for line in lines:
            click.echo(f"{title}: {line}")


def _spec(
    class_: str | None,
    memory: str,
    compute_percent: int,
    isolation: str,
    kubeconfig: str | None,
    context: str | None,
) -> "GPUClassSpec":
    from aliquot.kube.api.gpuclass import GPUClassSpec, Isolation

    given = bool(memory or compute_percent or isolation != "None")
    if class_ is None:
        if not memory and not compute_percent:
            raise click.UsageError("give --memory, --compute-percent or --class")
        return GPUClassSpec(memory=memory, compute_percent=compute_percent, isolation=Isolation(isolation))
    if given:
        raise click.UsageError(
            "--class says what is needed: leave --memory, --compute-percent and --isolation out"
        )
    if "/" in class_ or Path(class_).suffix in (".yaml", ".yml", ".json"):
        return _of_file(class_)
    spec: GPUClassSpec = run(lambda: _of_cluster(class_, kubeconfig, context))
    return spec


def _of_file(path: str) -> "GPUClassSpec":
    from aliquot import document
    from aliquot.partition import class_file

    try:
        return class_file.parse(document.read(Path(path)), source=path)
    except document.DocumentError as error:
        raise click.ClickException(str(error)) from error


async def _of_cluster(name: str, kubeconfig: str | None, context: str | None) -> "GPUClassSpec":
    from aliquot.kube.api.gpuclass import GPUClass
    from aliquot.kube.resources import GPUCLASSES

    async with connect(kubeconfig, context) as client:
        found: GPUClass = await client.get(GPUCLASSES, name, into=GPUClass)
    return found.spec


def _profiles(board: "Board") -> "tuple[Any, ...]":
    return board.mig.instance_profiles() if board.mig is not None else ()


def _row(one: "Priced") -> tuple[str, ...]:
    return (
        str(one.way),
        _gib(one.memory_mib),
        f"{one.compute_percent:.0f} %",
        one.isolation,
        _gib(one.wasted_memory_mib),
        f"{one.wasted_compute_percent:.0f} %",
    )


def _gib(mib: int | None) -> str:
    return "?" if mib is None else f"{mib / 1024:.1f} GiB"


def _risks(found: "Sequence[Priced]") -> list[str]:
    return list(dict.fromkeys(text for one in found if (text := _risk(one))))


def _risk(one: "Priced") -> str:
    from aliquot.kube.api.gpunode import SHARING_RISKS
    from aliquot.partition.ways import GpuWay

    return SHARING_RISKS.get(one.way.sharing, "") if isinstance(one.way, GpuWay) else ""


def _plain(
    board: "Board", spec: "GPUClassSpec", found: "Sequence[Priced]", unfit: "Sequence[Unfit]"
) -> dict[str, Any]:
    return {
        "board": board.key,
        "memory": spec.memory,
        "computePercent": spec.compute_percent,
        "isolation": spec.isolation.value,
        "ways": [
            {
                "way": str(one.way),
                "memoryMib": one.memory_mib,
                "computePercent": round(one.compute_percent, 1),
                "isolation": one.isolation.value,
                "wastedMemoryMib": one.wasted_memory_mib,
                "wastedComputePercent": round(one.wasted_compute_percent, 1),
                "waste": round(one.waste, 4),
                "risk": _risk(one),
            }
            for one in found
        ],
        "unfit": [{"way": one.what, "reason": one.reason} for one in unfit],
    }
