"""Which AWS account the `eks` commands talk to: options, and the doors made of them."""

import base64
import os
import random
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from aliquot.cli.eks.parameters import gathered, known_region

if TYPE_CHECKING:
    from aliquot.eks.aws.boto import Boto
    from aliquot.eks.estate.estate import Cluster


_URL = re.compile(r"https?://([A-Za-z0-9_.-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?(/\S*)?")


@dataclass(frozen=True, kw_only=True)
class AwsOptions:
    """Which account and region, and where it answers."""

    region: str | None = None
    profile: str | None = None
    endpoint_url: str | None = None

    def at(self, region: str, of: object) -> "AwsOptions":
        """There, for `of` says so. Raises click.UsageError where an option says another one."""
        if self.region not in (None, region):
            raise click.UsageError(f"--region {self.region}, but {of} has {region}: leave it out")
        return replace(self, region=region)

    def connect(self) -> "Boto":
        """Raises click.ClickException."""
        try:
            from aliquot.eks.aws.boto import Boto
        except ImportError:
            raise click.ClickException("boto3 is not installed: pip install 'aliquot[eks]'") from None
        from aliquot.eks.aws.api import Failure

        url = self.endpoint_url or os.environ.get("AWS_ENDPOINT_URL")
        if url and not _URL.fullmatch(url):
            raise click.ClickException(f"{url!r} is no address of AWS: write it as http://127.0.0.1:4566")
        try:
            return Boto(region=self.region, profile=self.profile, endpoints={"": url} if url else None)
        except Failure as error:
            raise click.ClickException(error.message) from None


def aws_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """They reach the command as `aws: AwsOptions`."""
    command = gathered(command, "aws", AwsOptions)
    for option in (
        click.option(
            "--profile", metavar="NAME", help="Of ~/.aws/config; else AWS_PROFILE, else the default."
        ),
        click.option(
            "--region", metavar="REGION", callback=known_region, help="Else AWS_REGION, else the profile's."
        ),
        click.option(
            "--endpoint-url",
            metavar="URL",
            help="Where AWS is, other than AWS says: a fake, or an endpoint of your VPC. Else AWS_ENDPOINT_URL.",
        ),
    ):
        command = option(command)
    return command


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
