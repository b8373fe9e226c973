"""The group of the `partition` commands."""

import click

from aliquot.cli.partition.bench import bench
from aliquot.cli.partition.choose import choose
from aliquot.cli.partition.controller import controller
from aliquot.cli.partition.history import history
from aliquot.cli.partition.packing import pack
from aliquot.cli.partition.planning import plan
from aliquot.cli.partition.simulate import simulate
from aliquot.cli.partition.train import train


@click.group()
def partition() -> None:
    """Which GPU is cut how: the fewest GPUs for a demand, which way serves a need, and GPUs cut as pods need them."""


for command in (pack, plan, choose, controller, simulate, bench, history, train):
    partition.add_command(command)
