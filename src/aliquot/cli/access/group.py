"""The group of the `access` commands."""

import click

from aliquot.cli.lazy import LazyGroup

_COMMANDS = {
    "templates": (
        "aliquot.cli.access.templates",
        "templates",
        "What may be asked for: the templates that are shipped, and checks of your own.",
    ),
    "log": (
        "aliquot.cli.access.log",
        "log",
        "The log: check it offline, export it, witness it as another team.",
    ),
}


@click.command(cls=LazyGroup, listed=_COMMANDS)
def access() -> None:
    """Break glass: into production for a while, asked for, approved, recorded, and out again."""
