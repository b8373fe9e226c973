"""The group of the `partition` commands."""

import click

from aliquot.cli.partition.bench import bench
from aliquot.cli.partition.choose import choose
from aliquot.cli.partition.packing import pack
from aliquot.cli.partition.simulate import simulate
from aliquot.cli.partition.train import train


@click.group()
def partition() -> None:
    """Which GPU is cut how: the fewest GPUs for a demand, and which way serves a need."""


for command in (pack, choose, simulate, bench, train):
    partition.add_command(command)
