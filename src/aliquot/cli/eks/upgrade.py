"""`aliquot eks upgrade`: goes through a plan, step by step, and on from where it stood."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aliquot.cli.eks.deciding import approved
from aliquot.cli.eks.driving import drive, read, until_stopped
from aliquot.cli.eks.reaching import Reached, RunOptions, in_this_place, of_this_cluster, run_options
from aliquot.cli.eks.records import cluster_of, no_run, plan_of, take_over, the_run
from aliquot.cli.output import table
from aliquot.cli.parameters import GivenPath

if TYPE_CHECKING:
    from aliquot.eks.plan.plan import Plan
    from aliquot.eks.upgrade.journal import Journal, Run


@click.command()
@click.argument("cluster")
@click.option(
    "--plan",
    "plan_file",
    type=GivenPath(dir_okay=False, exists=True, path_type=Path),
    metavar="FILE",
    help="To begin: what `aliquot eks plan --out FILE` wrote. Left out, the run that there is goes on.",
)
@click.option(
    "--dry-run", is_flag=True, help="See whether it may be applied and what is left to do, and do nothing."
)
@click.option("--yes", is_flag=True, help="Approve the plan, too, with every gate in it: you have read it.")
@run_options
@click.pass_context
def upgrade(
    ctx: click.Context,
    cluster: str,
    plan_file: Path | None,
    dry_run: bool,
    yes: bool,
    given: RunOptions,
) -> None:
    """Upgrade CLUSTER in place, by a plan that was shown before.

    A plan is refused if the cluster is not as it was when the plan was made. This command may die at any moment: run it again
    without --plan, and it looks at how things are and goes on. Nothing is forced.

    Exit codes: 0 done; 3 a person has to decide (it says what, and why); 1 it failed.
    """
    with given.records.journal() as kept:
        work = _go(given, kept, cluster, plan_file, dry_run=dry_run, yes=yes)
        ctx.exit(until_stopped(work, f"aliquot eks upgrade {cluster} goes on from there"))


async def _go(
    given: RunOptions, kept: "Journal", cluster: str, plan_file: Path | None, *, dry_run: bool, yes: bool
) -> int:
    async with given.reach(cluster_of(kept, cluster)) as there:
        if dry_run:
            _show(kept, *await _found(there, kept, plan_file))
            return 0
        if given.take_over:
            take_over(kept, the_run(kept, there.cluster.arn))
        run, plan = await begun(there, kept, plan_file)
        if yes:
            approved(kept, run, plan, every_gate=True)
        return await drive(there.doors, kept, run, plan, poll_s=given.poll_s)


async def begun(there: Reached, kept: "Journal", plan_file: Path | None) -> "tuple[str, Plan]":
    """The run that goes on, or one that begins with this plan, and its plan: one that was turned has another than that it is named after.
    Raises Failure, ApiError, Held, click.ClickException."""
    run, plan = await _found(there, kept, plan_file)
    if plan_file is not None and run == "":
        # As it was written: its id is of that.
        text = await asyncio.to_thread(plan_file.read_bytes)
        steps = [step.id for step in plan.steps]
        kept.begin(plan.id, plan.cluster, text, steps, there.doors.clock.now(), arn=there.cluster.arn)
    return run or plan.id, plan


async def _found(there: Reached, kept: "Journal", plan_file: Path | None) -> "tuple[str, Plan]":
    """The run that goes on, empty where one is to begin, and the plan. Nothing is written."""
    from aliquot.eks.plan import plan as plans
    from aliquot.eks.plan.hashing import differs
    from aliquot.eks.upgrade import lookup

    cluster, doors = there.cluster, there.doors
    run = lookup.going(kept.runs(), cluster.arn)
    if plan_file is None:
        if run is None:
            raise click.ClickException(
                f"{no_run(kept, cluster.name, cluster.region)}; "
                f"begin one with --plan FILE (aliquot eks plan {cluster.name} --to MINOR --out FILE)"
            )
        return _going_on(there, kept, run)
    try:
        plan = plans.read(plan_file)
    except plans.BadPlan as error:
        raise click.ClickException(str(error)) from None
    if plan.cluster != cluster.name:
        raise click.ClickException(f"{plan_file}: it is of cluster {plan.cluster}, not of {cluster.name}")
    if run is not None and run.id == plan.id:
        return _going_on(there, kept, run)
    in_this_place(cluster, plan, f"{plan_file}: it")
    differences = differs(plan, await read(doors, cluster.name))
    if differences:
        named = "\n".join(f"  {one}" for one in differences)
        raise click.ClickException(
            f"{plan_file}: {cluster.name} is not as it was when this was planned: plan anew\n{named}"
        )
    if run is not None:
        raise click.ClickException(
            f"{cluster.name} has run {run.id}, which is not over: go on with it, or abort it"
        )
    return "", plan


def _show(kept: "Journal", run: str, plan: "Plan") -> None:
    from aliquot.eks.upgrade.journal import Phase

    over = {one.step for one in kept.standing(run) if one.phase in (Phase.DONE, Phase.LEFT)} if run else set()
    left = [step for step in plan.steps if step.id not in over]
    table(["STEP", "WHAT", "DISTURBS"], [[step.id, step.what, step.disrupts or "-"] for step in left])


def _going_on(there: Reached, kept: "Journal", run: "Run") -> "tuple[str, Plan]":
    plan = plan_of(kept, run.id)
    of_this_cluster(there.cluster, plan)
    return run.id, plan
