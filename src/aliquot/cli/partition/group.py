"""The group of the `partition` commands."""

import click

from aliquot.cli.partition.packing import pack


@click.group()
def partition() -> None:
    """Which GPU is cut how: the fewest GPUs for a demand, and how to make room for what waits."""


for command in (pack,):
    partition.add_command(command)
