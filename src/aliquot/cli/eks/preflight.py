"""`aliquot eks preflight`: what speaks against an upgrade."""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aliquot.cli.connect import cluster_options, connect
from aliquot.cli.eks.component_options import chosen, component_options
from aliquot.cli.eks.connecting import AwsOptions, aws_options, connect_eks
from aliquot.cli.eks.files import read_waivers, write
from aliquot.cli.eks.parameters import MinorType
from aliquot.cli.eks.reading import run
from aliquot.cli.parameters import GivenPath
from aliquot.clock import SystemClock

if TYPE_CHECKING:
    from aliquot.eks.aws.boto import Boto
    from aliquot.eks.estate.estate import Cluster, Estate
    from aliquot.eks.preflight.subject import Need, Subject
    from aliquot.eks.preflight.verdict import Preflight
    from aliquot.eks.sightings.sighting import Unchecked
    from aliquot.eks.versions.minor import Minor


class _As(StrEnum):
    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    JUNIT = "junit"
    HTML = "html"


@click.command()
@click.argument("cluster", required=False)
@click.option(
    "--to", required=True, type=MinorType(), metavar="MINOR", help="Where the upgrade leads, as 1.33."
)
@click.option(
    "--from",
    "now",
    type=MinorType(),
    metavar="MINOR",
    help="Where it begins, of manifests: the minor before --to, if left out.",
)
@click.option(
    "--manifests",
    multiple=True,
    type=GivenPath(exists=True, path_type=Path),
    metavar="PATH",
    help="Also a file, or a directory with all below it. Several may be given.",
)
@click.option(
    "--helm",
    is_flag=True,
    help="Also the releases of Helm in the cluster; it takes the right to read Secrets.",
)
@click.option("--kubernetes", is_flag=True, help="A cluster that is none of EKS: by --kubeconfig alone.")
@click.option(
    "--waivers",
    type=GivenPath(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="What you decided to live with, each with a reason and an end.",
)
@click.option(
    "--fail-on",
    type=click.Choice(["block", "warn"]),
    default="block",
    show_default=True,
    help="What the exit code tells of.",
)
@click.option("--allow-unchecked", is_flag=True, help="Pass although something could not be read.")
@click.option(
    "-o", "--output", type=click.Choice([one.value for one in _As]), default="text", help="How it is printed."
)
@click.option(
    "--out",
    type=GivenPath(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Into that file; a summary is printed.",
)
@component_options
@cluster_options
@aws_options
@click.pass_context
def preflight(
    ctx: click.Context,
    cluster: str | None,
    to: "Minor",
    now: "Minor | None",
    manifests: tuple[Path, ...],
    helm: bool,
    kubernetes: bool,
    waivers: Path | None,
    fail_on: str,
    allow_unchecked: bool,
    output: str,
    out: Path | None,
    tables: tuple[Path, ...],
    components: tuple[str, ...],
    targets: tuple[str, ...],
    kubeconfig: str | None,
    context: str | None,
    aws: AwsOptions,
) -> None:
    """What speaks against an upgrade of CLUSTER, or against manifests; nothing is changed.

    CLUSTER is one of EKS. Its API server is reached by its own access (sts), or by --kubeconfig. With --kubernetes it is any
    cluster, and only what its API server says is looked at.

    Exit codes: 0 nothing blocks; 4 something blocks; 5 there are warnings (--fail-on warn); 6 something could not be
    checked; 1 the preflight itself failed.
    """
    from msgspec.structs import replace

    from aliquot.eks.preflight.checks.table import CHECKS
    from aliquot.eks.preflight.judging import judge
    from aliquot.eks.preflight.verdict import FailOn

    if not manifests and not cluster and not kubernetes:
        raise click.UsageError("say what to look at: CLUSTER, --kubernetes or --manifests PATH")
    if kubernetes and cluster:
        raise click.UsageError("--kubernetes is of the cluster that --kubeconfig names: leave CLUSTER out")
    if now is not None and now > to:
        raise click.UsageError(f"{now} is ahead of {to}: an upgrade leads on; --from is where it begins")
    known, versions = chosen(tables, components, targets)
    subject = replace(_of_files(manifests, now or to.previous, to), removals=known, components=versions)
    decided = read_waivers(waivers, subject.today)
    if kubernetes:
        subject = run(_of_kubernetes(subject, kubeconfig, context, helm=helm))
    elif cluster:
        door = aws.connect()
        subject = run(_of_eks(subject, door, cluster, kubeconfig, context, helm=helm))
    result = judge(subject, CHECKS, decided)
    text = _text(result, _As(output))
    if out is not None:
        write(out, text)
        click.echo(result.summary)
    else:
        click.echo(text, nl=False)
    ctx.exit(result.code(FailOn(fail_on), unchecked_passes=allow_unchecked))


async def _of_kubernetes(
    subject: "Subject", kubeconfig: str | None, context: str | None, *, helm: bool
) -> "Subject":
    from aliquot.eks.estate.reading import of_kubernetes
    from aliquot.eks.preflight.subject import Need
    from aliquot.kube.errors import ApiError

    async with connect(kubeconfig, context) as client:
        try:
            estate = await of_kubernetes(
                client, context or "the cluster", subject.removals, helm=helm, clock=SystemClock()
            )
        except (ApiError, ValueError) as error:
            raise click.ClickException(str(error)) from None
    _leads_on(subject.to, estate.cluster)
    return _with(subject, estate, {Need.SIGHTINGS, Need.OBJECTS})


async def _of_eks(
    subject: "Subject", door: "Boto", name: str, kubeconfig: str | None, context: str | None, *, helm: bool
) -> "Subject":
    from msgspec.structs import replace

    from aliquot.eks.aws.api import Failure
    from aliquot.eks.estate.reading import from_aws, with_objects
    from aliquot.eks.preflight.subject import Need
    from aliquot.kube.errors import ApiError

    async with door as api:
        try:
            estate = await from_aws(api, name, clock=api.clock)
            _leads_on(subject.to, estate.cluster)
            if kubeconfig or context:
                async with connect(kubeconfig, context) as client:
                    estate = await with_objects(estate, client, subject.removals, helm=helm)
            else:
                async with connect_eks(api, estate.cluster) as client:
                    estate = await with_objects(estate, client, subject.removals, helm=helm)
        except (Failure, ApiError) as error:
            raise click.ClickException(str(error)) from None
    # What AWS says of dates is compared with the day that it is there.
    there = replace(subject, today=datetime.fromtimestamp(estate.read_s, UTC).date())
    return _with(there, estate, {Need.SIGHTINGS, Need.OBJECTS, Need.AWS})


def _leads_on(to: "Minor", cluster: "Cluster") -> None:
    if to <= cluster.minor:
        raise click.ClickException(
            f"{cluster.name} is at {cluster.minor} already: --to has to be a later minor"
        )


def _with(subject: "Subject", estate: "Estate", needs: "set[Need]") -> "Subject":
    from msgspec.structs import replace

    return replace(
        subject,
        name=", ".join(part for part in (estate.cluster.name, subject.name) if part),
        now=estate.cluster.minor,
        has=subject.has | needs,
        estate=estate,
        sightings=(*subject.sightings, *estate.sightings),
        unchecked=(*subject.unchecked, *estate.unchecked),
    )


def _of_files(paths: tuple[Path, ...], now: "Minor", to: "Minor") -> "Subject":
    from aliquot.eks.preflight.subject import Need, Subject
    from aliquot.eks.sightings.files import in_directory
    from aliquot.eks.sightings.sighting import Sighting

    sightings: list[Sighting] = []
    unchecked: list[Unchecked] = []
    for path in paths:
        for found in in_directory(path):
            if isinstance(found, Sighting):
                sightings.append(found)
            else:
                unchecked.append(found)
    return Subject(
        name=", ".join(str(path) for path in paths),
        now=now,
        to=to,
        today=datetime.fromtimestamp(SystemClock().now(), UTC).date(),
        has=frozenset({Need.SIGHTINGS} if paths else ()),
        sightings=tuple(sightings),
        unchecked=tuple(unchecked),
    )


def _text(result: "Preflight", output: _As) -> str:
    import msgspec

    from aliquot.eks.preflight.checks.table import TITLES

    if output is _As.JSON:
        from aliquot.eks.preflight.reports import as_json

        return msgspec.json.format(msgspec.json.encode(as_json.document(result)), indent=2).decode() + "\n"
    if output is _As.SARIF:
        from aliquot.eks.preflight.reports import sarif

        return (
            msgspec.json.format(msgspec.json.encode(sarif.document(result, TITLES)), indent=2).decode() + "\n"
        )
    if output is _As.JUNIT:
        from aliquot.eks.preflight.reports import junit

        return junit.text(result)
    if output is _As.HTML:
        from aliquot.eks.preflight.reports import html

        return html.text(result, TITLES)
    from aliquot.eks.preflight.reports import text

    return text.text(result)
