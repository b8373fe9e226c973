"""The group of the `eks` commands."""

import click

from aliquot.cli.lazy import LazyGroup

_COMMANDS = {
    "preflight": (
        "aliquot.cli.eks.preflight",
        "preflight",
        "What speaks against an upgrade; nothing is changed.",
    ),
    "versions": (
        "aliquot.cli.eks.versions",
        "versions",
        "Which minors EKS supports until when, and what staying costs.",
    ),
}


@click.command(cls=LazyGroup, listed=_COMMANDS)
def eks() -> None:
    """EKS: provision, check, upgrade in place, and come back if it goes wrong."""
