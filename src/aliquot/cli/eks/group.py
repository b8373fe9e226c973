"""The group of the `eks` commands."""

import click

from aliquot.cli.lazy import LazyGroup

_COMMANDS = {
    "abort": ("aliquot.cli.eks.rollback", "abort", "Stop a run, and put back what it has begun."),
    "approve": ("aliquot.cli.eks.deciding", "approve", "Say yes to the hop that a run waits with."),
    "create": ("aliquot.cli.eks.create", "create", "Make a cluster from a file."),
    "delete": ("aliquot.cli.eks.delete", "delete", "Take away a cluster with all that was made for it."),
    "fake": (
        "aliquot.cli.eks.fake.command",
        "fake",
        "An AWS with EKS on this machine, whose clusters are emulated.",
    ),
    "fleet": ("aliquot.cli.eks.fleet", "fleet", "Upgrade many clusters in waves, by their plans."),
    "pause": ("aliquot.cli.eks.deciding", "pause", "Let nothing new begin."),
    "resume": ("aliquot.cli.eks.deciding", "resume", "End a pause."),
    "retry": ("aliquot.cli.eks.deciding", "retry", "Try the step that is held once more."),
    "rollback": ("aliquot.cli.eks.rollback", "rollback", "Back to the minor before, within seven days."),
    "status": ("aliquot.cli.eks.status", "status", "Runs, how far they are, and what they wait for."),
    "upgrade": ("aliquot.cli.eks.upgrade", "upgrade", "Upgrade a cluster in place, by a plan."),
    "plan": (
        "aliquot.cli.eks.plan",
        "plan",
        "Every hop and step of an upgrade, before it begins; nothing is changed.",
    ),
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
