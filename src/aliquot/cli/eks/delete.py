"""`aliquot eks delete`: takes away what `aliquot eks create` has made, all of it."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aliquot.cli.eks.connecting import AwsOptions, aws_options
from aliquot.cli.eks.parameters import looking_option
from aliquot.cli.eks.records import RecordOptions, record_options
from aliquot.cli.parameters import GivenPath
from aliquot.counting import counted

if TYPE_CHECKING:
    from aliquot.eks.aws.boto import Boto


@click.command()
@click.argument("cluster", required=False)
@click.option(
    "-f",
    "--file",
    type=GivenPath(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Of which cluster and region: the file that it was made from.",
)
@click.option("--dry-run", is_flag=True, help="Show what goes, and take nothing away.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@looking_option
@record_options
@aws_options
def delete(
    cluster: str | None,
    file: Path | None,
    dry_run: bool,
    yes: bool,
    poll_s: float,
    records: RecordOptions,
    aws: AwsOptions,
) -> None:
    """Take away CLUSTER with all that was made for it, also where it was only half made.

    It goes by tags, names and paths, and needs no file. What was there before (a VPC, roles, keys) stays. The key of its
    Secrets is scheduled for deletion. It may be stopped or die anywhere: run it again, and it goes on.
    """
    from aliquot.document import DocumentError
    from aliquot.eks.aws.api import Failure
    from aliquot.eks.provision.cluster_config.reading import NAME, read
    from aliquot.eks.provision.deleting import NotGone
    from aliquot.eks.provision.remains import Stays

    if (cluster is None) == (file is None):
        raise click.UsageError("say which: CLUSTER, or -f FILE")
    if cluster is not None and not NAME.fullmatch(cluster):
        # EC2 takes * and ? in what it is asked for: a pattern would take the clusters of others along.
        raise click.UsageError(f"{cluster!r} is no name of a cluster: letters, digits, - and _ are expected")
    try:
        if file is not None:
            metadata = read(file).config.metadata
            cluster, aws = metadata.name, aws.at(metadata.region, file)
        door = aws.connect()
        asyncio.run(_delete(door, str(cluster), records, dry_run=dry_run, yes=yes, poll_s=poll_s))
    except (DocumentError, Failure, NotGone, Stays) as error:
        raise click.ClickException(str(error)) from None


async def _delete(
    door: "Boto", cluster: str, records: RecordOptions, *, dry_run: bool, yes: bool, poll_s: float
) -> None:
    from aliquot.eks.provision.deleting import Deletion
    from aliquot.eks.provision.names import Names

    async with door as api:
        names = Names(cluster, api.region, {})
        work = Deletion(api, names, pause=asyncio.sleep, tell=_say, every_s=poll_s)
        found = await work.remains()
        if work.unread:
            _say(
                f"not checked: {counted(len(work.unread), 'key', 'keys')} of KMS whose tags may not be read (kms:ListResourceTags)"
            )
        if not found:
            click.echo(f"nothing of {cluster} is there in {api.region}")
            return
        if dry_run or not yes:
            for one in found:
                click.echo(one.title)
        if dry_run:
            return
        _nobody_upgrades(records, cluster, api.region)
        if not yes:
            click.confirm(f"These {len(found)} go. Take them away?", abort=True, err=True)
        await work.run()
    click.echo(f"nothing of {cluster} is left")


def _nobody_upgrades(records: RecordOptions, cluster: str, region: str) -> None:
    """As far as the journal that is given, or lies where it does, knows. Raises click.ClickException."""
    from aliquot.eks.upgrade import lookup

    if not records.is_there:
        return
    with records.journal() as kept:
        going = [one for one in lookup.elsewhere(kept.runs(), cluster) if one.region in (region, "")]
    if going:
        raise click.ClickException(
            f"{cluster} is in run {going[0].id}, which is not over: end it first (aliquot eks abort {cluster} --leave)"
        )


def _say(line: str) -> None:
    click.echo(line, err=True)
