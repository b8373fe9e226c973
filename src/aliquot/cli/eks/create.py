"""`aliquot eks create`: a new cluster with its network, rights, nodes and Aliquot's operator, from a file."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aliquot.cli.eks.connecting import AwsOptions, aws_options
from aliquot.cli.eks.parameters import looking_option
from aliquot.cli.parameters import GivenPath
from aliquot.clock import SystemClock
from aliquot.counting import counted

if TYPE_CHECKING:
    from aliquot.eks.aws.boto import Boto
    from aliquot.eks.provision.cluster_config.reading import Wanted
    from aliquot.eks.provision.looking import Found
    from aliquot.eks.provision.provisioning import Provision


@click.command()
@click.option(
    "-f",
    "--file",
    required=True,
    type=GivenPath(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A ClusterConfig of eksctl.io/v1alpha5; docs/eks.md says what of it is done.",
)
@click.option("--dry-run", is_flag=True, help="Print every call with its parameters, and make nothing.")
@click.option("--yes", is_flag=True, help="Do not ask: you know what it makes and costs.")
@click.option(
    "--operator/--no-operator",
    default=True,
    show_default=True,
    help="Install Aliquot into the cluster at the end, as `aliquot install` does.",
)
@looking_option
@aws_options
def create(
    file: Path,
    dry_run: bool,
    yes: bool,
    operator: bool,
    poll_s: float,
    aws: AwsOptions,
) -> None:
    """Make an EKS cluster: VPC, roles, control plane, add-ons, node groups with GPUs, and Aliquot in it.

    It looks before each thing it makes, so it may be stopped or die anywhere: run it again, and it goes on. Run again later
    it makes what is missing, and tells where the cluster is not as the file has it; it changes nothing that is there.
    """
    from aliquot.document import DocumentError
    from aliquot.eks.aws.api import Failure
    from aliquot.eks.provision.cluster_config.reading import read
    from aliquot.eks.provision.creating import NotMade
    from aliquot.eks.provision.looking import NotOurs, Twice

    try:
        wanted = read(file)
        door = aws.at(wanted.config.metadata.region, file).connect()
        asyncio.run(_create(door, wanted, dry_run=dry_run, yes=yes, operator=operator, poll_s=poll_s))
    except (DocumentError, Failure, NotMade, NotOurs, Twice) as error:
        raise click.ClickException(str(error)) from None


async def _create(
    door: "Boto", wanted: "Wanted", *, dry_run: bool, yes: bool, operator: bool, poll_s: float
) -> None:
    from aliquot.eks.provision import provisioning
    from aliquot.eks.provision.creating import Creation
    from aliquot.eks.provision.differences import differences
    from aliquot.eks.provision.wanted.cluster import CLUSTER
    from aliquot.eks.versions import calendar

    name = wanted.config.metadata.name
    today = datetime.fromtimestamp(SystemClock().now(), UTC).date()
    async with door as api:
        seen = await provisioning.look(api, wanted, calendar.shipped(), today, asyncio.sleep)
        for note in seen.graph.notes:
            _say(f"note: {note}")
        refused = list(seen.wrong)
        if refused:
            raise click.ClickException(refused[0])
        if dry_run:
            _print(seen)
            return
        _summary(seen, name)
        if seen.missing and not yes:
            click.confirm("Make it?", abort=True, err=True)
        creation = Creation(api, name, pause=asyncio.sleep, tell=_say, every_s=poll_s)
        await creation.run(seen.graph.resources)
        for line in differences(seen.graph.resources, creation.known):
            _say(f"note: {line}")
        if operator:
            await _operator(api, creation.known[CLUSTER])
    made = f"{len(creation.made)} made" if creation.made else "nothing was missing"
    click.echo(f"cluster {name} is there ({made}); kubectl reaches it after")
    click.echo(f"  aws eks update-kubeconfig --name {name} --region {wanted.config.metadata.region}")


def _summary(seen: "Provision", name: str) -> None:
    _say(f"{len(seen.missing)} of {len(seen.graph.resources)} resources of {name} are missing")
    if seen.missing:
        for line in seen.costs.lines():
            _say(line)


def _print(seen: "Provision") -> None:
    from aliquot.eks.provision.checking import shown

    for one in seen.missing:
        call = one.make
        click.echo(f"# {one.title}")
        click.echo(f"{call.service}:{call.operation} {json.dumps(shown(call.parameters))}")
    click.echo(
        f"# {counted(len(seen.missing), 'call', 'calls')}; {len(seen.there)} of {len(seen.graph.resources)} are there"
    )
    for line in seen.costs.lines():
        click.echo(f"# {line}")


async def _operator(api: "Boto", cluster: "Found") -> None:
    from aliquot.cli.eks.connecting import connect_eks
    from aliquot.cli.eks.operator_step import NotInstalled, install
    from aliquot.eks.estate.reading_aws import cluster as cluster_of

    told = await cluster_of(api, cluster["name"])
    try:
        async with connect_eks(api, told) as client:
            await install(client, _say)
    except NotInstalled as error:
        raise click.ClickException(
            f"the cluster is there, Aliquot is not in it: {error}; run it again, or `aliquot install` from where its"
            " API server can be reached (--no-operator leaves it out)"
        ) from None


def _say(line: str) -> None:
    click.echo(line, err=True)
