"""`aliquot mig checkpoint`: the exact slices of each GPU into a file that `restore`, and mig-parted, bring back."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from aliquot.cli.mig.machines import Machine, Source, machines, refuse_losses
from aliquot.cli.mig.options import source_options
from aliquot.cli.mig.outcomes import Exit, MigError


@click.command(short_help="Write the exact slices of each GPU to a file.")
@click.option(
    "-f",
    "--checkpoint-file",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="MIG_PARTED_CHECKPOINT_FILE",
    help="Where to write it.  [default: standard output]",
)
@source_options
def checkpoint(path: Path | None, source: Source) -> None:
    """Write the MIG mode and the exact slices of each GPU, as mig-parted writes them."""
    with machines(source) as found:
        refuse_losses(found)
        text = _written(found)
    if path is None or str(path) == "-":
        sys.stdout.write(text)
        return
    try:
        partial = path.with_name(path.name + ".partial")
        partial.write_text(text)
        partial.replace(path)
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}; choose another file") from error


def _written(found: Sequence[Machine]) -> str:
    from aliquot.gpu.checkpoints import spell
    from aliquot.node.advertise import known_profiles

    silent = [
        f"{machine.title(observed)} does not answer: {observed.failure}"
        for machine in found
        for observed in machine.gpus
        if observed.failure is not None
    ]
    if silent:
        raise MigError(Exit.DRIVER, silent)
    return spell(
        (observed.gpu, known_profiles(observed), observed.instances)
        for machine in found
        for observed in machine.gpus
    )
