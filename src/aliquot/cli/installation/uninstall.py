"""`aliquot uninstall`: takes Aliquot out of a cluster."""

import sys
from typing import TYPE_CHECKING

import click

from aliquot.cli.connect import cluster_options, connect, run
from aliquot.cli.installation.namespace import namespace_option

if TYPE_CHECKING:
    from aliquot.installation.leaving import Options


@click.command()
@click.option(
    "--purge",
    is_flag=True,
    help="Also the definitions of our kinds, and with them all GPUPolicies, GPUClasses, Queues.",
)
@click.option(
    "--nodes-only",
    is_flag=True,
    help="What is on nodes, and what the operator has made; Helm takes the rest.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--yes", is_flag=True, help="Do it without a question.")
@namespace_option
@cluster_options
def uninstall(
    purge: bool, nodes_only: bool, dry_run: bool, yes: bool, kubeconfig: str | None, context: str | None
) -> None:
    """Take out all that was installed, and give the nodes back: no label, annotation or cordon of ours stays. GPUs stay cut as
    they are; pods that have them go on. Works when the operator is dead, and can be repeated."""
    if purge and nodes_only:
        raise click.UsageError("--purge and --nodes-only: take one of them")
    from aliquot.installation.leaving import Options

    run(lambda: _uninstall(Options(nodes_only=nodes_only, purge=purge), dry_run, yes, kubeconfig, context))


async def _uninstall(
    options: "Options", dry_run: bool, yes: bool, kubeconfig: str | None, context: str | None
) -> None:
    from aliquot.installation import cluster, leaving

    async with connect(kubeconfig, context) as client:
        if parts := await cluster.run_by_up(client):
            raise click.ClickException(
                f"the {parts} of this emulated cluster run in the process of 'aliquot up', and would put all back: stop it with "
                "'aliquot down'; after 'aliquot up --operator --operator-outside' nothing runs but what is installed"
            )
        release = "" if options.nodes_only else await cluster.release(client)
        if release:
            namespace, _, name = release.partition("/")
            raise click.ClickException(
                f"Helm has installed it: helm uninstall {name} --namespace {namespace}"
            )
        if not yes:
            lines = [line async for line in leaving.plan(client, options)]
            for line in lines:
                click.echo(line)
            if not lines:
                click.echo("there is nothing of Aliquot")
            if dry_run or not lines:
                return
            if not sys.stdin.isatty():
                raise click.ClickException("nobody can be asked here: give --yes")
            click.confirm("do it?", abort=True)
        elif dry_run:
            raise click.UsageError("--dry-run and --yes: take one of them")
        async for line in leaving.leave(client, options):
            click.echo(line)
