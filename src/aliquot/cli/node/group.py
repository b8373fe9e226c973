"""`aliquot node`: the agent of a GPU node, and what goes before and after it."""

import click

from aliquot.cli.node.discover import discover
from aliquot.cli.node.preview import preview
from aliquot.cli.node.run import run_agent
from aliquot.cli.node.validate import validate
from aliquot.cli.node.workload import workload


@click.group()
def node() -> None:
    """What runs on a GPU node."""


node.add_command(run_agent)
node.add_command(preview)
node.add_command(discover)
node.add_command(validate)
node.add_command(workload)
