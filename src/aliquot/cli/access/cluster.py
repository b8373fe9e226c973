"""`aliquot access cluster-objects` and `aliquot access sentinel`: what stands in a cluster for break glass."""

import random
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from aliquot import __version__
from aliquot.cli.access.templates import bindings_option, documents_in, read_bindings
from aliquot.cli.connect import cluster_options, connect, serve
from aliquot.cli.metrics import metrics_options, serving_metrics
from aliquot.cli.parameters import GivenPath

if TYPE_CHECKING:
    from aliquot.access.core.templates.template import Template


@click.command("cluster-objects")
@click.argument("files", nargs=-1, metavar="[TEMPLATE...]", type=GivenPath())
@bindings_option
@click.option(
    "--image",
    envvar="ALIQUOT_IMAGE",
    show_envvar=True,
    default=f"aliquot:{__version__}",
    show_default=True,
    metavar="REPOSITORY/NAME:TAG",
    help="Aliquot's image, for the sentinel.",
)
@click.option(
    "--longest-days",
    type=click.IntRange(1, 90),
    default=7,
    show_default=True,
    help="No object of a grant may say an end that is later than so many days after it was made.",
)
@click.option(
    "--token-reviews",
    is_flag=True,
    help="People prove who they are by this cluster's own tokens: the server's agent may ask whose one is (system:auth-delegator).",
)
def cluster_objects(
    files: tuple[str, ...], bindings: str | None, image: str, longest_days: int, token_reviews: bool
) -> None:
    """Policies, accounts, roles and the sentinel, for a cluster in which grants of the shipped templates, and of those in the files
    or directories TEMPLATE..., are to be made. Apply it anew when templates change."""
    from aliquot.access.cluster import installation
    from aliquot.cli.access.manifests import manifests

    made, held = installation.of_templates(_templates(files, bindings))
    objects = (
        *installation.objects(made, held, longest_s=longest_days * 24 * 3600, token_reviews=token_reviews),
        installation.sentinel(image),
    )
    click.echo(manifests(objects), nl=False)


def _templates(files: tuple[str, ...], bindings: str | None) -> "Iterable[Template]":
    from aliquot.access.core.templates.catalogue import catalogue
    from aliquot.document import DocumentError

    try:
        return catalogue(documents_in(files), read_bindings(bindings) or {}).values()
    except DocumentError as error:
        raise click.ClickException(str(error)) from error


@click.command("sentinel")
@metrics_options
@cluster_options
def sentinel(metrics_port: int, metrics_address: str, kubeconfig: str | None, context: str | None) -> None:
    """Delete what says that it is of a grant, and whose end has passed or cannot be read. Runs until stopped; needs nobody else."""
    serve(lambda: _watch((metrics_address, metrics_port), kubeconfig, context))


async def _watch(metrics: tuple[str, int], kubeconfig: str | None, context: str | None) -> None:
    from aliquot.access.cluster.sentinel import Sentinel

    async with connect(kubeconfig, context) as client:
        watching = Sentinel(client, rng=random.Random())
        async with serving_metrics(watching.metrics, *metrics, waits_for=watching.waits_for):
            await watching.run()
