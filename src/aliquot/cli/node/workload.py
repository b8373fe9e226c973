"""`aliquot node workload`: what the validator's pod runs."""

from contextlib import suppress
from pathlib import Path

import click

_TERMINATION_LOG = Path("/dev/termination-log")


@click.command()
def workload() -> None:
    """Add numbers on the first GPU of this container, and see that they are right. Needs libcuda.so.1, and no compiler."""
    from aliquot.node.validation.vector_add import CudaError, load, vector_add

    try:
        done = vector_add(load())
    except CudaError as error:
        raise click.ClickException(str(error)) from error
    click.echo(done)
    if _TERMINATION_LOG.exists():
        # The validator reads it there, and needs no right to read logs.
        with suppress(OSError):
            _TERMINATION_LOG.write_text(f"{done}\n")
