"""`aliquot access server-objects`: the server, as it stands in a cluster."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aliquot import __version__
from aliquot.cli.parameters import GivenPath

if TYPE_CHECKING:
    from aliquot.access.serving.configuration import Configuration


@click.command("server-objects")
@click.argument("path", metavar="CONFIG", type=GivenPath(dir_okay=False))
@click.option(
    "--image",
    envvar="ALIQUOT_IMAGE",
    show_envvar=True,
    default=f"aliquot:{__version__}",
    show_default=True,
    metavar="REPOSITORY/NAME:TAG",
)
@click.option(
    "--replicas",
    type=click.IntRange(1, 9),
    help="Servers beside each other.  [default: 2 on PostgreSQL, 1 on SQLite]",
)
@click.option(
    "--storage",
    default="",
    metavar="SIZE",
    help="Of the volume that SQLite lies on [default: 10Gi]; on PostgreSQL, of one for each server's journal, which else goes with its pod.",
)
@click.option("--storage-class", default="", help="Of that volume.  [default: the cluster's own]")
@click.option(
    "--egress-port",
    "ports",
    type=click.IntRange(1, 65_535),
    multiple=True,
    help="A port that it has to reach beside 443, 6443 and those that the configuration names.",
)
@click.option("--alerts", is_flag=True, help="A PrometheusRule too, for clusters that have its kind.")
def server_objects(
    path: str,
    image: str,
    replicas: int | None,
    storage: str,
    storage_class: str,
    ports: tuple[int, ...],
    alerts: bool,
) -> None:
    """Deployment, Service, account, NetworkPolicy, PodDisruptionBudget and ConfigMap of a server with the configuration CONFIG. What
    lies beside it and is no secret is in the ConfigMap; how to make the Secret of the rest is told on standard error."""
    from aliquot.access.serving import objects
    from aliquot.access.serving.alerts import prometheus_rule
    from aliquot.access.serving.configuration import load
    from aliquot.cli.access.manifests import manifests
    from aliquot.document import DocumentError
    from aliquot.kube.roles import NAMESPACE

    try:
        configuration = load(Path(path))
        secrets = sorted(set(_secrets(configuration)))
        wanted = objects.Wanted(
            image=image,
            files=dict(_files(Path(path), configuration)),
            secrets=secrets,
            replicas=replicas or (1 if configuration.database.startswith("sqlite") else 2),
            storage=storage,
            storage_class=storage_class,
            ports=ports,
        )
        made = objects.objects(configuration, wanted)
    except (DocumentError, objects.NotServable) as error:
        raise click.ClickException(str(error)) from error
    click.echo(manifests((*made, *((prometheus_rule(),) if alerts else ()))), nl=False)
    keys = " ".join(f"--from-file={objects.key_of(one)}={one}" for one in secrets)
    click.echo(
        f"# its Secret, where {Path(path).name} is: kubectl create secret generic {objects.SECRET} -n {NAMESPACE} {keys}",
        err=True,
    )


def _secrets(configuration: "Configuration") -> Iterator[str]:
    from aliquot.access.serving.paths import PUBLIC, named

    yield from (one for field, one in named(configuration) if field not in PUBLIC)


def _files(path: Path, configuration: "Configuration") -> Iterator[tuple[str, str]]:
    """Raises DocumentError."""
    from aliquot import document
    from aliquot.access.serving.objects import CONFIGURATION
    from aliquot.access.serving.paths import PUBLIC, named

    yield CONFIGURATION, document.read(path)
    for field, one in named(configuration):
        if field not in PUBLIC:
            continue
        there = path.parent / one
        if there.is_dir():
            yield from ((f"{one}/{each.name}", document.read(each)) for each in sorted(there.glob("*.yaml")))
        else:
            yield one, document.read(there)
