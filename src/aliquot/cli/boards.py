"""Boards of the catalogue on the command line: shown, and completed by the shell."""

from typing import TYPE_CHECKING

import click

from aliquot.cli.output import Format, emit, output_option, table

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from aliquot.gpu.boards import Board


def complete_board(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    from click.shell_completion import CompletionItem

    from aliquot.gpu import boards

    return [
        CompletionItem(board.key, help=board.product)
        for board in boards.boards()
        if board.key.startswith(incomplete)
    ]


def complete_gpus(ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """The board of the last of several groups, as in `h100-80gb:8,l4`."""
    before, comma, last = incomplete.rpartition(",")
    items = complete_board(ctx, param, last)
    for item in items:
        item.value = before + comma + item.value
    return items


@click.command("boards")
@click.argument("key", required=False, shell_complete=complete_board)
@output_option
def list_boards(key: str | None, output: Format) -> None:
    """Boards of the catalogue, or the MIG profiles of the board KEY. What nobody has published is shown as ?."""
    from aliquot.gpu import boards

    if key is not None:
        try:
            _show(boards.board(key), output)
        except boards.UnknownBoard as error:
            raise click.ClickException(str(error)) from error
        return
    emit(
        output,
        boards.boards,
        columns=("BOARD", "PRODUCT", "MEMORY", "ARCHITECTURE", "CC", "MIG PROFILES"),
        rows=[
            (
                board.key,
                board.product,
                _known(board.memory_mib, " MiB"),
                board.architecture,
                board.compute_capability,
                " ".join(profile.name for profile in board.mig.profiles) if board.mig else "no MIG",
            )
            for board in boards.boards()
        ],
    )


def _show(board: "Board", output: Format) -> None:
    if output is not Format.TABLE:
        emit(output, lambda: board, columns=(), rows=())
        return
    mig = board.mig
    click.echo(
        f"{board.key}: {board.product}, {_known(board.memory_mib, ' MiB')}, {board.architecture}, "
        + ("no MIG" if mig is None else f"MIG with {_known(mig.memory_slots)} memory slots")
    )
    if mig is None:
        return
    click.echo()
    table(
        ("PROFILE", "ID", "COMPUTE", "SLOTS", "STARTS", "MEMORY", "SM", "MAX"),
        [
            (
                profile.name,
                _known(profile.id),
                str(profile.compute_slices),
                _known(profile.memory_slots),
                ",".join(map(str, profile.starts)) if profile.starts is not None else "?",
                _known(profile.memory_mib, " MiB"),
                _known(profile.multiprocessors),
                str(profile.max_instances),
            )
            for profile in mig.profiles
        ],
    )


def _known(figure: int | None, unit: str = "") -> str:
    return "?" if figure is None else f"{figure}{unit}"
