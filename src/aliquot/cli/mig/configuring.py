"""The configuration that `-f FILE -c NAME` names, as goals for the GPUs of machines."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aliquot.cli.mig.machines import Machine, refuse_losses

if TYPE_CHECKING:
    from aliquot.cli.mig.planning import Goals
    from aliquot.gpu.mig_config.file import Entry
    from aliquot.node.mig.reconfiguration import Goal, Refused


def config_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "-m",
            "--mode-only",
            is_flag=True,
            envvar="MIG_PARTED_MODE_CHANGE_ONLY",
            help="The MIG mode alone; slices may be as they are.",
        ),
        click.option(
            "-c",
            "--selected-config",
            "name",
            metavar="NAME",
            envvar="MIG_PARTED_SELECTED_CONFIG",
            help="Which of its configurations; one alone needs no name.",
        ),
        click.option(
            "-f",
            "--config-file",
            "file",
            metavar="FILE",
            required=True,
            envvar="MIG_PARTED_CONFIG_FILE",
            help="A configuration file of mig-parted, '-' for standard input.",
        ),
    ):
        command = option(command)
    return command


def chosen(file: str, name: str | None) -> "tuple[Entry, ...]":
    """Raises click.ClickException with the place and the fix."""
    from aliquot.document import DocumentError
    from aliquot.gpu.mig_config.file import NoSuchConfig, load, parse

    try:
        read = parse(sys.stdin.read(), source="standard input") if file == "-" else load(Path(file))
        return read.choose(name)
    except DocumentError as error:
        raise click.ClickException(str(error)) from error
    except NoSuchConfig as error:
        raise click.ClickException(f"{file}: {error}") from error


def refuse_lost(found: "Sequence[Machine]", entries: "Sequence[Entry]") -> None:
    """Raises MigError where a GPU that the configuration may be for cannot be reached."""
    from aliquot.gpu.mig_config.selection import concerned

    refuse_losses(found, concerned(entries))


def goals(
    entries: "Sequence[Entry]", *, mode_only: bool, all_matched: bool = False
) -> "Callable[[Machine], Goals]":
    """`all_matched`: every GPU with MIG has to be somebody's. Raises click.ClickException, when it is called."""
    from aliquot.gpu.driver import MigState
    from aliquot.gpu.mig_config.selection import SelectionError, select
    from aliquot.node.mig.goals import goal

    known: dict[object, Goal | Refused] = {}

    def of(machine: Machine) -> "Goals":
        place = f"node {machine.name}: " if machine.name else ""
        try:
            selection = select(
                entries, [observed.gpu for observed in machine.gpus], [lost.index for lost in machine.lost]
            )
        except SelectionError as error:
            raise click.ClickException(f"{place}{error}") from error
        cuttable = [gpu for gpu in selection.unmatched if gpu.mig is not MigState.UNSUPPORTED]
        if all_matched and cuttable:
            left = ", ".join(str(gpu.index) for gpu in cuttable)
            raise click.ClickException(f"{place}no entry of the configuration is for GPU {left}")
        found: dict[str, Goal | Refused] = {}
        for observed in machine.gpus:
            entry = selection.entries.get(observed.gpu.uuid)
            if entry is None:
                continue
            # One for all GPUs of a kind: fleets have thousands.
            key = id(entry), observed.gpu.board, observed.profiles
            if key not in known:
                known[key] = goal(entry, observed, mode_only=mode_only)
            found[observed.gpu.uuid] = known[key]
        return found

    return of
