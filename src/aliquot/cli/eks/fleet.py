"""`aliquot eks fleet`: many clusters by their plans, wave after wave; one that is held lets no other begin."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aliquot.cli.eks.connecting import AwsOptions, aws_options
from aliquot.cli.eks.deciding import approved
from aliquot.cli.eks.driving import HELD, drive, until_stopped
from aliquot.cli.eks.reaching import RunOptions, poll_option, reach
from aliquot.cli.eks.records import RecordOptions, record_options
from aliquot.cli.eks.upgrade import begun
from aliquot.cli.output import table
from aliquot.cli.parameters import GivenPath

if TYPE_CHECKING:
    from aliquot.eks.aws.boto import Boto
    from aliquot.eks.plan.plan import Plan
    from aliquot.eks.upgrade.journal import Journal
    from aliquot.eks.upgrade.waves import Member, Progress


@click.command()
@click.option(
    "--plans",
    "directory",
    required=True,
    type=GivenPath(file_okay=False, exists=True, path_type=Path),
    metavar="DIR",
    help="Of plans, a file each: what `aliquot eks plan --all --out DIR` wrote.",
)
@click.option(
    "--wave-tag",
    default="aliquot.dev/wave",
    show_default=True,
    metavar="TAG",
    help="The tag of a cluster that says its wave: 1, 2 ...; without it a cluster is of the last one.",
)
@click.option(
    "--at-once",
    type=click.IntRange(1, 100),
    default=3,
    show_default=True,
    help="Of one wave, at the same time.",
)
@click.option(
    "--yes", is_flag=True, help="Approve the plans, too, with every gate in them: you have read them."
)
@click.option("--dry-run", is_flag=True, help="Show the waves and how far each cluster is.")
@poll_option
@aws_options
@record_options
@click.pass_context
def fleet(
    ctx: click.Context,
    directory: Path,
    wave_tag: str,
    at_once: int,
    yes: bool,
    dry_run: bool,
    poll_s: float,
    aws: AwsOptions,
    records: RecordOptions,
) -> None:
    """Upgrade all clusters that have a plan in DIR: the next wave begins once the one before is done.

    Run it again after whatever made it stop: those that are done are done, the others go on; those in the middle also while another
    one is held.

    Exit codes: 0 all are done; 3 a cluster is held; 1 it failed.
    """
    plans = _plans(directory)
    given = RunOptions(aws=aws, records=records, poll_s=poll_s)
    with records.journal() as kept:
        work = _Fleet(given, kept, plans, at_once, yes=yes).go(wave_tag, dry_run=dry_run)
        ctx.exit(until_stopped(work, "the same command once more goes on"))


def _plans(directory: Path) -> "dict[str, tuple[Path, Plan]]":
    from aliquot.eks.plan.plan import BadPlan, read

    found: dict[str, tuple[Path, Plan]] = {}
    for path in sorted(directory.glob("*.json")):
        try:
            plan = read(path)
        except BadPlan as error:
            raise click.ClickException(str(error)) from None
        if plan.cluster in found:
            raise click.ClickException(
                f"{path}: {found[plan.cluster][0].name} is of cluster {plan.cluster}, too: leave one"
            )
        found[plan.cluster] = (path, plan)
    if not found:
        raise click.ClickException(f"{directory}: there is no plan in it (*.json)")
    return found


class _Fleet:
    def __init__(
        self,
        given: RunOptions,
        kept: "Journal",
        plans: "dict[str, tuple[Path, Plan]]",
        at_once: int,
        *,
        yes: bool,
    ) -> None:
        self._given = given
        self._kept = kept
        self._plans = plans
        self._at_once = at_once
        self._yes = yes
        self._progress = {name: self._recorded(name) for name in plans}
        self._waves: dict[str, str] = {}

    async def go(self, wave_tag: str, *, dry_run: bool) -> int:
        from aliquot.eks.aws.api import Failure
        from aliquot.eks.upgrade.waves import Progress, next_clusters, waits_for

        async with self._given.aws.connect() as api:
            for name in self._plans:
                try:
                    told = (await api.call("eks", "DescribeCluster", name=name))["cluster"]
                except Failure as error:
                    raise click.ClickException(str(error)) from None
                self._waves[name] = told.get("tags", {}).get(wave_tag, "")
            self._show()
            if dry_run:
                return 0
            going: dict[asyncio.Task[bool], str] = {}
            while True:
                for name in next_clusters(self._members(), self._at_once):
                    self._progress[name] = Progress.GOING
                    going[asyncio.create_task(self._one(api, name))] = name
                if not going:
                    break
                ended, _ = await asyncio.wait(going, return_when=asyncio.FIRST_COMPLETED)
                for task in ended:
                    name = going.pop(task)
                    # A run that was turned comes to its end, too: back where it was.
                    self._progress[name] = self._recorded(name) if task.result() else Progress.HELD
        self._show()
        why = waits_for(self._members())
        if why:
            click.echo(why, err=True)
        return HELD if why else 0

    async def _one(self, api: "Boto", cluster: str) -> bool:
        """Whether it came to its end. What goes wrong is a line, and holds the fleet."""
        from aliquot.eks.aws.api import Failure
        from aliquot.eks.upgrade.journal import Held
        from aliquot.kube.errors import ApiError

        path, _ = self._plans[cluster]
        try:
            async with reach(api, cluster, self._given) as there:
                run, plan = await begun(there, self._kept, path)
                if self._yes:
                    approved(self._kept, run, plan, every_gate=True)
                code = await drive(
                    there.doors, self._kept, run, plan, poll_s=self._given.poll_s, before=f"{cluster}  "
                )
        except (Failure, ApiError, Held) as error:
            click.echo(f"{cluster}  {error}", err=True)
            return False
        except click.ClickException as error:
            click.echo(f"{cluster}  {error.message}", err=True)
            return False
        return code == 0

    def _recorded(self, cluster: str) -> "Progress":
        from aliquot.eks.upgrade.waves import Progress, recorded

        run = self._plans[cluster][1].id
        found = next((one for one in self._kept.runs() if one.id == run), None)
        if found is None:
            return Progress.TO_COME
        return recorded(found.over, (one.phase for one in self._kept.standing(run)))

    def _members(self) -> "list[Member]":
        from aliquot.eks.upgrade.waves import Member

        return [
            Member(cluster=name, wave=self._waves[name], progress=progress)
            for name, progress in self._progress.items()
        ]

    def _show(self) -> None:
        from aliquot.eks.upgrade.waves import order

        members = self._members()
        rows = [
            [one.wave or "-", one.cluster, str(one.progress)]
            for wave in order(members)
            for one in sorted(members, key=lambda one: one.cluster)
            if one.wave == wave
        ]
        table(["WAVE", "CLUSTER", "IS"], rows)
