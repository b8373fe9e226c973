"""`aliquot eks rollback` and `abort`: the ways back, before the control plane has gone on and after it."""

from typing import TYPE_CHECKING

import click

from aliquot.cli.eks.driving import drive, read, until_stopped, who_drives
from aliquot.cli.eks.plan import PlanAs, pin_options, show_plan
from aliquot.cli.eks.reaching import Gone, Reached, RunOptions, of_this_cluster, run_options
from aliquot.cli.eks.records import cluster_of, no_run, plan_of, somebody, take_over, the_run
from aliquot.cli.output import table
from aliquot.clock import SystemClock

if TYPE_CHECKING:
    from aliquot.eks.plan.plan import Pin, Plan
    from aliquot.eks.upgrade.doing import Doors
    from aliquot.eks.upgrade.journal import Journal, Run, Standing
    from aliquot.eks.upgrade.states import Abort

_BACK = "rolled back"
_LEFT = "left where it was"


@click.command()
@click.argument("cluster")
@click.option("--dry-run", is_flag=True, help="Show the way back, and go none of it.")
@click.option("--yes", is_flag=True, help="Go, without being asked.")
@pin_options
@click.option(
    "-o",
    "--output",
    type=click.Choice([one.value for one in PlanAs]),
    default="text",
    help="How the way is printed.",
)
@run_options
@click.pass_context
def rollback(
    ctx: click.Context,
    cluster: str,
    dry_run: bool,
    yes: bool,
    releases: "tuple[Pin, ...]",
    templates: "tuple[Pin, ...]",
    output: str,
    given: RunOptions,
) -> None:
    """Take CLUSTER back to the minor before: within seven days of its upgrade, and not once it has been upgraded again.

    Nodes go first, then add-ons that the minor before does not know, and the control plane last. An upgrade that is held in the
    middle is turned round. Node groups go back to the release and launch template that they had before, where the journal knows it. Where
    EKS does not go back, it says why.

    Exit codes: as of upgrade.
    """
    with given.records.journal() as kept:
        if output != PlanAs.TEXT and not dry_run:
            raise click.UsageError(f"-o {output} shows the way: with --dry-run")
        pins = (*releases, *templates)
        work = _back(given, kept, cluster, pins, PlanAs(output), dry_run=dry_run, yes=yes)
        ctx.exit(until_stopped(work, f"aliquot eks upgrade {cluster} goes on with the run that there is"))


async def _back(
    given: RunOptions,
    kept: "Journal",
    cluster: str,
    pins: "tuple[Pin, ...]",
    output: PlanAs,
    *,
    dry_run: bool,
    yes: bool,
) -> int:
    from aliquot.eks.plan.plan import CannotPlan
    from aliquot.eks.upgrade import lookup

    async with given.reach(cluster_of(kept, cluster)) as there:
        doors = there.doors
        turned = lookup.going(kept.runs(), there.cluster.arn)
        standing = kept.standing(turned.id) if turned else []
        try:
            plan = await _plan(there, kept, turned, standing, pins)
        except CannotPlan as error:
            raise click.ClickException(str(error)) from None
        _show(plan, output)
        if dry_run:
            return 0
        if not yes:
            click.confirm(f"Take {plan.cluster} back to {plan.to}?", abort=True, err=True)
        if given.take_over:
            take_over(kept, the_run(kept, there.cluster.arn))
        run = _turned(doors, kept, turned.id, plan, _BACK, standing) if turned else _begun(doors, kept, plan)
        return await drive(doors, kept, run, plan, poll_s=given.poll_s)


async def _plan(
    there: Reached, kept: "Journal", turned: "Run | None", standing: "list[Standing]", pins: "tuple[Pin, ...]"
) -> "Plan":
    from aliquot.eks.plan import pins as pinned
    from aliquot.eks.plan import targets, turning, undoing
    from aliquot.eks.upgrade import lookup
    from aliquot.eks.upgrade.states import Abort

    doors, cluster = there.doors, there.cluster
    before = None
    if turned is not None:
        before = plan_of(kept, turned.id)
        of_this_cluster(cluster, before)
        stops = await _stops(doors, before, standing)
        if stops is not Abort.ROLLBACK and not undoing.has_gone_on(before.steps, standing):
            raise click.ClickException(
                f"the control plane of {cluster.name} has not gone on yet: aliquot eks abort {cluster.name}"
            )
    elif (led := lookup.led_to(kept.runs(), cluster.arn)) is not None:
        before = plan_of(kept, led.id)
    estate = await read(doors, cluster.name)
    now = estate.cluster
    pinned.check(estate, pins, now.minor.previous)
    options = turning.options(before, now.minor, pins)
    lead = await targets.read(doors.api, estate, now.minor.previous, options, region=now.region)
    return turning.back(estate, lead, options, before if turned else None, standing)


async def _stops(doors: "Doors", plan: "Plan", standing: "list[Standing]") -> "Abort":
    """Raises Failure."""
    from aliquot.eks.plan import turning, undoing
    from aliquot.eks.upgrade.acts import control_plane

    act = undoing.on_its_way(plan.steps, standing)
    seen = None if act is None else await control_plane.look(act, doors)
    try:
        return turning.stops(plan, standing, seen)
    except turning.CannotTurn as error:
        raise click.ClickException(str(error)) from None


def _show(plan: "Plan", output: PlanAs) -> None:
    if output is not PlanAs.TEXT:
        show_plan(plan, output)
        return
    click.echo(f"{plan.cluster}: back from {plan.now} to {plan.to}")
    table(["STEP", "WHAT", "DISTURBS"], [[step.id, step.what, step.disrupts or "-"] for step in plan.steps])
    for note in plan.notes:
        click.echo(f"mind: {note}")


def _begun(doors: "Doors", kept: "Journal", plan: "Plan") -> str:
    from aliquot.eks.plan import plan as plans

    steps = [step.id for step in plan.steps]
    now_s = doors.clock.now()
    kept.begin(plan.id, plan.cluster, plans.encode(plan), steps, now_s, arn=plan.arn, ends=_BACK)
    return plan.id


def _turned(
    doors: "Doors", kept: "Journal", run: str, plan: "Plan", ends: str, standing: "list[Standing]"
) -> str:
    """`standing`: with which the plan was made. Raises Held where somebody went on meanwhile."""
    from aliquot.eks.plan import plan as plans
    from aliquot.eks.upgrade.journal import Held
    from aliquot.eks.upgrade.runner import LEASE_S

    now_s, owner = doors.clock.now(), who_drives()
    kept.lease(run, owner, now_s, LEASE_S)
    if kept.standing(run) != standing:
        kept.release(run, owner)
        raise Held(f"{run} went on meanwhile: say this again")
    steps = [step.id for step in plan.steps]
    kept.turn(run, owner, plans.encode(plan), steps, ends=ends, by=somebody(), now_s=now_s)
    return run


@click.command()
@click.argument("cluster")
@click.option("--dry-run", is_flag=True, help="Show what would be put back, and stop nothing.")
@click.option("--yes", is_flag=True, help="Stop it, without being asked.")
@click.option(
    "--leave",
    is_flag=True,
    help="Also once the control plane has gone on: the run ends there, and the rest is planned anew.",
)
@run_options
@click.pass_context
def abort(
    ctx: click.Context,
    cluster: str,
    dry_run: bool,
    yes: bool,
    leave: bool,
    given: RunOptions,
) -> None:
    """Stop the run of CLUSTER, and put back what it has begun: what stands still goes on, and suspended jobs, too.

    Once the control plane has gone on, it does not go back by this: go on, roll back, or end the run there (--leave), where
    a step can never be done. Of a cluster that is gone, --leave ends the run.

    Exit codes: as of upgrade.
    """
    with given.records.journal() as kept:
        work = _abort(given, kept, cluster, dry_run=dry_run, yes=yes, leave=leave)
        ctx.exit(until_stopped(work, f"aliquot eks upgrade {cluster} goes on with the run that there is"))


async def _abort(
    given: RunOptions, kept: "Journal", cluster: str, *, dry_run: bool, yes: bool, leave: bool
) -> int:
    from aliquot.eks.plan import turning, undoing
    from aliquot.eks.upgrade import lookup
    from aliquot.eks.upgrade.states import Abort

    named = cluster_of(kept, cluster)
    if not lookup.elsewhere(kept.runs(), named):
        raise click.ClickException(no_run(kept, cluster))
    try:
        async with given.reach(named) as there:
            run = the_run(kept, there.cluster.arn)
            plan, standing = plan_of(kept, run.id), kept.standing(run.id)
            of_this_cluster(there.cluster, plan)
            turned = turning.stopped(plan, standing)
            gone_on = await _stops(there.doors, plan, standing) is Abort.ROLLBACK
            if gone_on and not leave:
                raise click.ClickException(
                    f"the control plane of {cluster} has gone on: aliquot eks rollback {cluster}, or retry and go on; "
                    f"or aliquot eks abort {cluster} --leave, and plan the rest anew"
                )
            for step in turned.steps:
                click.echo(f"puts back: {step.what}")
            for line in undoing.stays(plan.steps, standing):
                click.echo(f"mind: {line}")
            if dry_run:
                return 0
            if not yes:
                click.confirm(f"Stop {run.id}?", abort=True, err=True)
            if given.take_over:
                take_over(kept, run)
            _turned(there.doors, kept, run.id, turned, _LEFT if gone_on else "aborted", standing)
            return await drive(there.doors, kept, run.id, turned, poll_s=given.poll_s)
    except Gone as gone:
        if not leave:
            raise
        region = gone.region
    run = the_run(kept, named, region)
    if dry_run:
        click.echo(f"the cluster {run.cluster} of {run.id} is gone: it would end the run")
        return 0
    if given.take_over:
        take_over(kept, run)
    return _gone(kept, run, yes=yes)


def _gone(kept: "Journal", run: "Run", *, yes: bool) -> int:
    """There is nothing to put back, and nobody to ask for it."""
    from aliquot.eks.upgrade.runner import LEASE_S

    if not yes:
        click.confirm(f"The cluster {run.cluster} of {run.id} is gone. End the run?", abort=True, err=True)
    now_s, owner = SystemClock().now(), who_drives()
    kept.lease(run.id, owner, now_s, LEASE_S)
    kept.end(run.id, owner, _LEFT, now_s)
    kept.release(run.id, owner)
    click.echo(f"{run.id} is {_LEFT}: its cluster is gone")
    return 0
