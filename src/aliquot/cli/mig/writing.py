"""`aliquot mig export` and `aliquot mig generate`: configuration files, of what is there and of what could be."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from aliquot.cli.boards import complete_board
from aliquot.cli.mig.machines import Machine, Source, machines, refuse_losses, tell_losses
from aliquot.cli.mig.options import source_options
from aliquot.cli.mig.outcomes import Exit, MigError

if TYPE_CHECKING:
    from aliquot.gpu.mig_config.file import MigConfigFile
    from aliquot.gpu.mig_config.generate import Kind

_FORMATS = click.Choice(["yaml", "json"])


@click.command(short_help="Print how the GPUs are cut as a configuration file.")
@click.option(
    "-l",
    "--config-label",
    "name",
    default="current",
    show_default=True,
    envvar="MIG_PARTED_CONFIG_LABEL",
    help="The configuration's name in the file.",
)
@click.option("-o", "--output-format", "form", type=_FORMATS, default="yaml", show_default=True)
@source_options
def export(name: str, form: str, source: Source) -> None:
    """Print how the GPUs are cut as a configuration file, for other machines or for later."""
    from aliquot.gpu.mig_config import export as exporting
    from aliquot.node.advertise import known_profiles

    with machines(source) as found:
        machine = _one(found)
        refuse_losses(found)
        silent = [one for one in machine.gpus if one.failure is not None]
        if silent:
            raise MigError(
                Exit.DRIVER, [f"{machine.title(one)} does not answer: {one.failure}" for one in silent]
            )
        cuts = [exporting.cut(one.gpu, known_profiles(one), one.instances) for one in machine.gpus]
        for one in machine.gpus:
            for text in exporting.unsaid(one.gpu, known_profiles(one), one.instances):
                click.echo(f"warning: {machine.title(one)}: {text}", err=True)
    _print(exporting.export(cuts, name), form)


@click.command(short_help="Print the usual configurations of boards.")
@click.argument("boards", metavar="[BOARD]...", nargs=-1, shell_complete=complete_board)
@click.option("-o", "--output-format", "form", type=_FORMATS, default="yaml", show_default=True)
@source_options
def generate(boards: tuple[str, ...], form: str, source: Source) -> None:
    """Print the usual configurations for BOARDs, or for the GPUs at hand: none, one kind only, balanced."""
    from aliquot.gpu.mig_config.generate import generate as generated

    if boards:
        kinds = [_of_board(key) for key in dict.fromkeys(boards)]
    else:
        with machines(source) as found:
            kinds = _at_hand(_one(found))
            tell_losses(found)
    _print(generated(kinds), form)


def _one(found: Sequence[Machine]) -> Machine:
    if len(found) > 1:
        names = ", ".join(machine.name for machine in found[:3])
        raise click.UsageError(f"a configuration is for one machine: say which with --node ({names}, ...)")
    return found[0]


def _of_board(key: str) -> "Kind":
    from aliquot.gpu import boards
    from aliquot.gpu.mig_config.generate import kind_of_board

    try:
        kind = kind_of_board(boards.board(key))
    except boards.UnknownBoard as error:
        raise click.ClickException(str(error)) from error
    if not kind.profiles:
        raise click.ClickException(f"board '{key}' has no MIG, or nobody has published how it is cut")
    return kind


def _at_hand(machine: Machine) -> "list[Kind]":
    from aliquot.gpu.mig_config.generate import kinds_of_gpus
    from aliquot.node.advertise import known_profiles

    kinds = kinds_of_gpus((observed.gpu, known_profiles(observed)) for observed in machine.gpus)
    if not kinds:
        raise click.ClickException("no GPU here has MIG; name a board, like `aliquot mig generate h100-80gb`")
    return kinds


def _print(file: "MigConfigFile", form: str) -> None:
    from aliquot.gpu.mig_config.file import plain, spell

    if form == "yaml":
        click.echo(spell(file), nl=False)
        return
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(plain(file)), indent=2))
