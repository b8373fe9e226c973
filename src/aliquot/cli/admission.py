"""`aliquot admission`: what is done to pods at the door."""

import click

from aliquot.cli.connect import cluster_options, connect, run
from aliquot.cli.parameters import GivenName

_scheduler_option = click.option(
    "--scheduler-name",
    type=GivenName(),
    default="aliquot",
    show_default=True,
    help="The scheduler of pods that ask for a GPUClass and name none but the default one.",
)


@click.group()
def admission() -> None:
    """What is done to pods at the door: one that names a GPUClass asks for its resource, and is our scheduler's."""


@admission.command()
@_scheduler_option
@click.option("--dry-run", is_flag=True, help="Let the cluster judge it, and change nothing.")
@cluster_options
def install(scheduler_name: str, dry_run: bool, kubeconfig: str | None, context: str | None) -> None:
    """Give the cluster the policies by which it changes the pods itself. Safe to repeat."""
    for line in run(lambda: _install(scheduler_name, dry_run, kubeconfig, context)):
        click.echo(line)


async def _install(scheduler: str, dry_run: bool, kubeconfig: str | None, context: str | None) -> list[str]:
    from aliquot.admission import installation

    async with connect(kubeconfig, context) as client:
        version = await installation.served_version(client)
        if not version:
            raise click.ClickException(
                "the cluster serves no MutatingAdmissionPolicy (Kubernetes 1.36, or its feature gate before); without it "
                "pods ask by resources.limits, class.aliquot.dev/NAME, and name the scheduler themselves"
            )
        objects = installation.policies(version, scheduler=scheduler)
        await installation.apply(client, objects, dry_run=dry_run)
    done = "would be applied" if dry_run else "applied"
    return [f"{one['kind']} {one['metadata']['name']} ({one['apiVersion']}): {done}" for one in objects]
