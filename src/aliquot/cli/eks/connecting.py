"""Which AWS account the `eks` commands talk to: options, and the door made of them."""

import base64
import os
import random
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from aliquot.eks.aws.boto import Boto
    from aliquot.eks.estate.estate import Cluster


def aws_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--profile", metavar="NAME", help="Of ~/.aws/config; else AWS_PROFILE, else the default."
        ),
        click.option("--region", metavar="REGION", help="Else AWS_REGION, else the profile's."),
        click.option(
            "--endpoint-url",
            metavar="URL",
            help="Where AWS is, other than AWS says: a fake, or an endpoint of your VPC. Else AWS_ENDPOINT_URL.",
        ),
    ):
        command = option(command)
    return command


_URL = re.compile(r"https?://([A-Za-z0-9_.-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?(/\S*)?")


def connect(region: str | None, profile: str | None, endpoint_url: str | None) -> "Boto":
    """Raises click.ClickException."""
    try:
        from aliquot.eks.aws.boto import Boto
    except ImportError:
        raise click.ClickException("boto3 is not installed: pip install 'aliquot[eks]'") from None
    from aliquot.eks.aws.api import Failure

    url = endpoint_url or os.environ.get("AWS_ENDPOINT_URL")
    if url and not _URL.fullmatch(url):
        raise click.ClickException(f"{url!r} is no address of AWS: write it as http://127.0.0.1:4566")
    try:
        return Boto(region=region, profile=profile, endpoints={"": url} if url else None)
    except Failure as error:
        raise click.ClickException(error.message) from None


@asynccontextmanager
async def connect_eks(api: "Boto", cluster: "Cluster") -> AsyncIterator[Any]:
    """A `kube.Client` on a cluster of EKS, as whoever we are at AWS. Raises Failure."""
    from aliquot.clock import SystemClock
    from aliquot.kube.client import Client
    from aliquot.kube.kubeconfig import Connection, KubeconfigError

    tokens = await api.kubernetes_tokens(cluster.name)
    connection = Connection(
        server=cluster.endpoint,
        ca=base64.b64decode(cluster.authority),
        source=f"EKS cluster {cluster.name}",
    )
    try:
        transport = connection.transport(tokens)
    except KubeconfigError as error:
        raise click.ClickException(str(error)) from None
    try:
        yield Client(transport, clock=SystemClock(), rng=random.Random())
    finally:
        await transport.close()


def of_cluster(kubeconfig: str | None, context: str | None, cluster: "Cluster") -> None:
    """What is written to is the cluster that AWS is asked of: by its address, or by who has signed its certificate (through a tunnel).
    Raises click.ClickException."""
    from aliquot.kube import kubeconfig as configuration

    try:
        connection = configuration.load(kubeconfig, context)
    except configuration.KubeconfigError as error:
        raise click.ClickException(str(error)) from None
    at_its_address = connection.server.rstrip("/").lower() == cluster.endpoint.rstrip("/").lower()
    signed = (connection.ca or b"").strip() == base64.b64decode(cluster.authority).strip()
    if not at_its_address and not signed:
        raise click.ClickException(
            f"{connection.source} leads to {connection.server}, which is not {cluster.name}: that is at {cluster.endpoint}, "
            "and its certificate authority is another one; leave --kubeconfig and --context out, or name the right one"
        )
