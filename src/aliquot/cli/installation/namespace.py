"""The namespace of an installation is not to be chosen. Who tries, as with other charts, hears why."""

import click

from aliquot.kube.roles import NAMESPACE


def namespace_option(command: click.decorators.FC) -> click.decorators.FC:
    return click.option("-n", "--namespace", hidden=True, expose_value=False, callback=_only_ours)(command)


def _only_ours(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value not in (None, NAMESPACE):
        raise click.BadParameter(
            f"'{value}': Aliquot is in {NAMESPACE} alone, where its node agents, roles and webhook look for what is "
            "theirs, and once in a cluster. Leave it out."
        )
