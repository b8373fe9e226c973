"""The group of the `access` commands."""

import click

from aliquot.cli.lazy import LazyGroup

_COMMANDS = {
    "cluster-objects": (
        "aliquot.cli.access.cluster",
        "cluster_objects",
        "What a cluster needs before the first grant, as YAML for kubectl apply.",
    ),
    "sentinel": (
        "aliquot.cli.access.cluster",
        "sentinel",
        "Delete what of grants is past due, by itself, with no database.",
    ),
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
