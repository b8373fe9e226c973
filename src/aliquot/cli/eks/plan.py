"""`aliquot eks plan`: an upgrade, decided before it begins; of one cluster, or of a fleet."""

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aliquot.cli.connect import cluster_options, connect
from aliquot.cli.eks.connecting import AwsOptions, aws_options, connect_eks
from aliquot.cli.eks.files import read_waivers, write
from aliquot.cli.eks.parameters import ConflictsType, MinorType, PinType, SmokeType, TagType, WindowType
from aliquot.cli.eks.reading import run
from aliquot.cli.output import counted, table
from aliquot.cli.parameters import Duration, GivenName, GivenPath
from aliquot.clock import SystemClock

if TYPE_CHECKING:
    from aliquot.eks.aws.boto import Boto
    from aliquot.eks.estate.estate import Estate
    from aliquot.eks.plan.making import Outcome, WithObjects
    from aliquot.eks.plan.plan import OnConflict, Options, Pin, Plan
    from aliquot.eks.upgrade.acts.smoke_job import SmokeJob
    from aliquot.eks.versions.minor import Minor
    from aliquot.windows import Window

NO_PLAN = 4
"""Exit code: there is no plan, and it says why."""


class PlanAs(StrEnum):
    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"


class _NoPlan(click.ClickException):
    exit_code = NO_PLAN


def pin_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """They reach the command as `releases` and `templates`."""
    for option in (
        click.option(
            "--template",
            "templates",
            multiple=True,
            type=PinType("template_version"),
            metavar="GROUP@MINOR=VERSION",
            help="The version of its launch template at a minor: of groups with an AMI of your own.",
        ),
        click.option(
            "--release",
            "releases",
            multiple=True,
            type=PinType("release"),
            metavar="GROUP@MINOR=RELEASE",
            help="The AMI's release of a node group at a minor, instead of the newest.",
        ),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("cluster", required=False, type=GivenName())
@click.option("--to", required=True, type=MinorType(), metavar="MINOR", help="Where it leads, as 1.33.")
@click.option("--all", "everything", is_flag=True, help="Every cluster of the account and region.")
@click.option(
    "--selector",
    "tags",
    multiple=True,
    type=TagType(),
    metavar="TAG=VALUE",
    help="Every cluster with this tag; several are all asked for.",
)
@click.option(
    "--soak",
    "soak_s",
    type=Duration(least_s=0),
    default="24h",
    show_default=True,
    metavar="DURATION",
    help="Between two hops: the second ends the right to roll the first one back.",
)
@click.option(
    "--checkpoint",
    "checkpoint_s",
    type=Duration(least_s=0),
    default="15m",
    show_default=True,
    metavar="DURATION",
    help="Gangs have so long to save what they have done, before they are suspended.",
)
@click.option(
    "--scale-gangs",
    is_flag=True,
    help="Gangs that cannot be suspended (LeaderWorkerSet) are scaled to none while their nodes go.",
)
@click.option(
    "--evict-gangs", is_flag=True, help="Those that cannot be scaled either are left to EKS to evict."
)
@click.option(
    "--window",
    "windows",
    multiple=True,
    type=WindowType(),
    metavar="WINDOW",
    help="'0 22 * * 6 for 6h in Europe/Berlin': steps that people may notice begin in it. Several may be given.",
)
@click.option(
    "--no-surge",
    multiple=True,
    type=GivenName(),
    metavar="GROUP",
    help="A node group for which there is no capacity beside what it has: old nodes go first.",
)
@click.option(
    "--no-gpu-canary",
    is_flag=True,
    help="Try no GPU node of the new release before the first GPU group is rolled: there is none to be had.",
)
@click.option(
    "--blue-green",
    multiple=True,
    type=GivenName(),
    metavar="GROUP",
    help="A node group that another one takes the place of: for jobs that nobody can suspend, and that run for longer than EKS waits.",
)
@click.option(
    "--drain-limit",
    "drain_limit_s",
    type=Duration(least_s=60),
    default="24h",
    show_default=True,
    metavar="DURATION",
    help="Such jobs are waited for so long, with --blue-green.",
)
@pin_options
@click.option(
    "--conflicts",
    multiple=True,
    type=ConflictsType(),
    metavar="ADDON=POLICY",
    help="What becomes of an add-on's fields that somebody changed in the cluster: preserve (without this), overwrite, or none: it fails.",
)
@click.option(
    "--smoke",
    "smokes",
    multiple=True,
    type=SmokeType(),
    metavar="[GROUP=]FILE",
    help="A Job (batch/v1) that has to succeed: on that group after its roll, else before each hop and at its end.",
)
@click.option(
    "--waivers",
    type=GivenPath(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="For the preflight of each hop, as of aliquot eks preflight.",
)
@click.option(
    "--allow-unchecked", is_flag=True, help="Let the preflight pass although something could not be read."
)
@click.option(
    "--helm", is_flag=True, help="Let the preflight of each hop look at releases of Helm, too (Secrets)."
)
@click.option("--aws-only", is_flag=True, help="Ask no API server: gangs and who moves are not known.")
@click.option(
    "-o",
    "--output",
    type=click.Choice([one.value for one in PlanAs]),
    default="text",
    help="How it is printed.",
)
@click.option(
    "--out",
    type=GivenPath(path_type=Path),
    metavar="PATH",
    help="The plan as JSON into this file, for aliquot eks upgrade; of a fleet, into this directory.",
)
@cluster_options
@aws_options
def plan(
    cluster: str | None,
    to: "Minor",
    everything: bool,
    tags: tuple[tuple[str, str], ...],
    soak_s: float,
    checkpoint_s: float,
    scale_gangs: bool,
    evict_gangs: bool,
    windows: "tuple[Window, ...]",
    no_surge: tuple[str, ...],
    no_gpu_canary: bool,
    blue_green: tuple[str, ...],
    drain_limit_s: float,
    releases: "tuple[Pin, ...]",
    templates: "tuple[Pin, ...]",
    conflicts: "tuple[OnConflict, ...]",
    smokes: "tuple[SmokeJob, ...]",
    waivers: Path | None,
    allow_unchecked: bool,
    helm: bool,
    aws_only: bool,
    output: str,
    out: Path | None,
    kubeconfig: str | None,
    context: str | None,
    aws: AwsOptions,
) -> None:
    """Every hop and every step of an upgrade of CLUSTER, before anything is changed; nothing is written to it.

    With --all or --selector it is a fleet: a row for each cluster, and with --out DIR a plan for each.

    Exit codes: 0 planned, or there is nothing to do; 4 there is no plan (of some cluster), and it says why; 1 it failed.
    """
    from aliquot.eks.plan.plan import Options

    is_fleet = everything or bool(tags)
    if is_fleet == bool(cluster):
        raise click.UsageError("say what to plan for: CLUSTER, or --all or --selector TAG=VALUE")
    if is_fleet and (kubeconfig or context):
        raise click.UsageError("--kubeconfig and --context are of one cluster: name it")
    if aws_only and (kubeconfig or context):
        raise click.UsageError("--aws-only asks no API server: leave --kubeconfig and --context out")
    if is_fleet and (
        no_surge or blue_green or releases or templates or conflicts or any(one.group for one in smokes)
    ):
        raise click.UsageError(
            "--no-surge, --blue-green, --release, --template, --conflicts and --smoke GROUP=FILE are of one cluster: name it"
        )
    if aws_only and blue_green:
        raise click.UsageError("--blue-green asks the API server who runs there: leave --aws-only out")
    if is_fleet and output != PlanAs.TEXT:
        raise click.UsageError("of a fleet there is a table; --out DIR writes a plan for each cluster")
    options = Options(
        soak_s=soak_s,
        checkpoint_s=checkpoint_s,
        scale_gangs=scale_gangs,
        evict_gangs=evict_gangs,
        windows=windows,
        smokes=smokes,
        no_surge=no_surge,
        no_gpu_canary=no_gpu_canary,
        blue_green=blue_green,
        drain_limit_s=drain_limit_s,
        pins=(*releases, *templates),
        conflicts=conflicts,
        waivers=read_waivers(waivers, datetime.fromtimestamp(SystemClock().now(), UTC).date()),
        allow_unchecked=allow_unchecked,
        helm=helm,
    )
    door = aws.connect()
    if cluster:
        made = run(_one(door, cluster, to, options, kubeconfig, context, aws_only=aws_only))
        if made is not None:
            _show(made, PlanAs(output), out)
        return
    outcomes = run(_fleet(door, dict(tags), to, options, aws_only=aws_only))
    _show_fleet(outcomes, to, out)
    if any(one.why and not one.is_there for one in outcomes):
        raise click.exceptions.Exit(NO_PLAN)


async def _one(
    door: "Boto",
    cluster: str,
    to: "Minor",
    options: "Options",
    kubeconfig: str | None,
    context: str | None,
    *,
    aws_only: bool,
) -> "Plan | None":
    """None: there is nothing to do, which has been said."""
    from aliquot.eks.aws.api import Failure
    from aliquot.eks.plan.making import make
    from aliquot.eks.plan.plan import CannotPlan, NothingToDo
    from aliquot.kube.errors import ApiError

    async with door as api:
        asked = _objects(api, kubeconfig, context, aws_only=aws_only)
        try:
            return await make(
                api, cluster, to, options, region=api.region, clock=api.clock, with_objects=asked
            )
        except NothingToDo as error:
            # Not where whoever wants JSON or Markdown reads it.
            click.echo(str(error), err=True)
            return None
        except CannotPlan as error:
            raise _NoPlan(str(error)) from None
        except ApiError as error:
            raise click.ClickException(
                f"the API server of {cluster}: {error}; --aws-only plans without it"
            ) from None
        except Failure as error:
            raise click.ClickException(str(error)) from None


async def _fleet(
    door: "Boto", tags: dict[str, str], to: "Minor", options: "Options", *, aws_only: bool
) -> "tuple[Outcome, ...]":
    from aliquot.eks.aws.api import Failure
    from aliquot.eks.aws.remembering import Remembering
    from aliquot.eks.plan.making import make_all, names

    async with door as api:
        try:
            found = await names(api, tags)
        except Failure as error:
            raise click.ClickException(str(error)) from None
        if not found:
            asked = ", ".join(f"{key}={value}" for key, value in tags.items())
            raise click.ClickException(
                f"{api.region} has no EKS cluster" + (f" with the tag {asked}" if asked else "")
            )
        return await make_all(
            Remembering(api),
            found,
            to,
            options,
            region=api.region,
            clock=api.clock,
            with_objects=_objects(api, None, None, aws_only=aws_only),
        )


def _objects(api: "Boto", kubeconfig: str | None, context: str | None, *, aws_only: bool) -> "WithObjects":
    from aliquot.eks.estate.reading import with_objects
    from aliquot.eks.versions import removals

    async def asked(estate: "Estate") -> "Estate":
        if aws_only:
            return estate
        reached = connect(kubeconfig, context) if kubeconfig or context else connect_eks(api, estate.cluster)
        async with reached as client:
            return await with_objects(estate, client, removals.shipped(), helm=False)

    return asked


def _show(made: "Plan", output: PlanAs, out: Path | None) -> None:
    if out is not None:
        write(out, _text(made))
    show_plan(made, output)
    if out is not None and output is PlanAs.TEXT:
        click.echo(f"to apply it: aliquot eks upgrade {made.cluster} --plan {out}")


def show_plan(made: "Plan", output: PlanAs) -> None:
    from aliquot.eks.plan import runbook, text

    match output:
        case PlanAs.JSON:
            click.echo(_text(made), nl=False)
        case PlanAs.MARKDOWN:
            click.echo(runbook.markdown(made), nl=False)
        case PlanAs.TEXT:
            table(text.COLUMNS, text.rows(made))
            click.echo()
            for line in text.summary(made):
                click.echo(line)


def _show_fleet(outcomes: "tuple[Outcome, ...]", to: "Minor", out: Path | None) -> None:
    from aliquot.eks.plan import text

    if out is not None:
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise click.ClickException(f"{out}: cannot be made: {error.strerror or error}") from None
        for one in outcomes:
            if one.plan is not None:
                write(out / f"{one.cluster}.json", _text(one.plan))
    table(text.FLEET_COLUMNS, [text.fleet_row(one) for one in outcomes])
    planned = sum(1 for one in outcomes if one.plan is not None)
    there = sum(1 for one in outcomes if one.is_there)
    click.echo(
        f"\n{counted(len(outcomes), 'cluster')} to {to}: {planned} planned, {there} there already, "
        f"{len(outcomes) - planned - there} without a plan"
    )


def _text(made: "Plan") -> str:
    import msgspec

    from aliquot.eks.plan import plan as plans

    return msgspec.json.format(plans.encode(made), indent=2).decode() + "\n"
