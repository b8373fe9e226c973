"""`aliquot operator`: every GPU node ready by itself."""

import click

from aliquot.cli.operator.doctor import doctor
from aliquot.cli.operator.run import run_operator


@click.group()
def operator() -> None:
    """The node software of GPU nodes, as GPUPolicies want it."""


operator.add_command(run_operator)
operator.add_command(doctor)
