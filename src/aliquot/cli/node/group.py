"""`aliquot node`: the agent of a GPU node, and what goes before and after it."""

import click

from aliquot.cli.node.discover import discover
from aliquot.cli.node.preview import preview
from aliquot.cli.node.run import run_agent


@click.group()
def node() -> None:
    """What runs on a GPU node."""


node.add_command(run_agent)
node.add_command(preview)
node.add_command(discover)
