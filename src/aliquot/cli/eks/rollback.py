"""`aliquot eks rollback` and `abort`: the ways back, before the control plane has gone on and after it."""

from typing import TYPE_CHECKING

import click

from aliquot.cli.eks.driving import drive, read, until_stopped, who_drives
from aliquot.cli.eks.reaching import Gone, Reached, RunOptions, of_this_cluster, run_options
from aliquot.cli.eks.records import cluster_of, no_run, plan_of, somebody, take_over, the_run
from aliquot.cli.output import table
from aliquot.clock import SystemClock

if TYPE_CHECKING:
    from aliquot.eks.plan.plan import Plan
    from aliquot.eks.upgrade.doing import Doors
    from aliquot.eks.upgrade.journal import Journal, Run, Standing
    from aliquot.eks.upgrade.states import Abort
    from aliquot.eks.upgrade.steps import Step

_BACK = "rolled back"
_LEFT = "left where it was"


@click.command()
@click.argument("cluster")
@click.option("--dry-run", is_flag=True, help="Show the way back, and go none of it.")
@click.option("--yes", is_flag=True, help="Go, without being asked.")
@run_options
@click.pass_context
def rollback(
    ctx: click.Context,
    cluster: str,
    dry_run: bool,
    yes: bool,
    given: RunOptions,
) -> None:
    """Take CLUSTER back to the minor before: within seven days of its upgrade, and not once it has been upgraded again.

    Nodes go first, then add-ons that the minor before does not know, and the control plane last. An upgrade that is held in the
    middle is turned round. Where EKS does not go back, it says why.

    Exit codes: as of upgrade.
    """
    with given.records.journal() as kept:
        work = _back(given, kept, cluster, dry_run=dry_run, yes=yes)
        ctx.exit(until_stopped(work, f"aliquot eks upgrade {cluster} goes on with the run that there is"))


async def _back(given: RunOptions, kept: "Journal", cluster: str, *, dry_run: bool, yes: bool) -> int:
    from aliquot.eks.plan.plan import CannotPlan
    from aliquot.eks.upgrade import lookup

    async with given.reach(cluster_of(kept, cluster)) as there:
        doors = there.doors
        if given.take_over:
            take_over(kept, the_run(kept, there.cluster.arn))
        turned = lookup.going(kept.runs(), there.cluster.arn)
        standing = kept.standing(turned.id) if turned else []
        try:
            plan = await _plan(there, kept, turned.id if turned else "", standing)
        except CannotPlan as error:
            raise click.ClickException(str(error)) from None
        _show(plan)
        if dry_run:
            return 0
        if not yes:
            click.confirm(f"Take {plan.cluster} back to {plan.to}?", abort=True, err=True)
        run = _turned(doors, kept, turned.id, plan, _BACK, standing) if turned else _begun(doors, kept, plan)
        return await drive(doors, kept, run, plan, poll_s=given.poll_s)


async def _plan(there: Reached, kept: "Journal", run: str, standing: "list[Standing]") -> "Plan":
    from aliquot.eks.plan import going_back, targets, undoing
    from aliquot.eks.plan import plan as plans
    from aliquot.eks.upgrade.states import Abort

    doors, cluster = there.doors, there.cluster.name
    undo: tuple[Step, ...] = ()
    options, taken = plans.Options(), []
    if run:
        before = plan_of(kept, run)
        of_this_cluster(there.cluster, before)
        stops = await _stops(doors, before, standing)
        if stops is not Abort.ROLLBACK and not undoing.has_gone_on(before.steps, standing):
            raise click.ClickException(
                f"the control plane of {cluster} has not gone on yet: aliquot eks abort {cluster}"
            )
        options, taken = before.options, [one.step for one in standing]
        undo = undoing.left(before.steps, standing)
    estate = await read(doors, cluster)
    now = estate.cluster
    lead = await targets.read(doors.api, estate, now.minor.previous, options, region=now.region)
    way = going_back.plan(estate, lead, options, undo=undo)
    return plans.instead(way, way.steps, taken)


async def _stops(doors: "Doors", plan: "Plan", standing: "list[Standing]") -> "Abort":
    """What stopping comes to. Of a control plane that was asked to go on the journal does not know: AWS does. Raises Failure."""
    from aliquot.eks.estate.updates import Progress
    from aliquot.eks.plan import undoing
    from aliquot.eks.upgrade.acts import control_plane
    from aliquot.eks.upgrade.states import Abort

    act = undoing.on_its_way(plan.steps, standing)
    if act is not None:
        seen = await control_plane.look(act, doors)
        running = [one.id for one in seen.updates if one.progress is Progress.IN_PROGRESS]
        if running:
            raise click.ClickException(
                f"EKS is at update {running[-1]} of the control plane of {plan.cluster}, which nobody can stop: "
                "once it is over, say this again"
            )
        if seen.version == str(act.to):
            return Abort.ROLLBACK
    return undoing.may_stop(plan.steps, standing)


def _show(plan: "Plan") -> None:
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
        work = _abort(given, kept, cluster, yes=yes, leave=leave)
        ctx.exit(until_stopped(work, f"aliquot eks upgrade {cluster} goes on with the run that there is"))


async def _abort(given: RunOptions, kept: "Journal", cluster: str, *, yes: bool, leave: bool) -> int:
    from aliquot.eks.plan import plan as plans
    from aliquot.eks.plan import undoing
    from aliquot.eks.upgrade import lookup
    from aliquot.eks.upgrade.states import Abort

    named = cluster_of(kept, cluster)
    if not lookup.elsewhere(kept.runs(), named):
        raise click.ClickException(no_run(kept, cluster))
    try:
        async with given.reach(named) as there:
            run = the_run(kept, there.cluster.arn)
            if given.take_over:
                take_over(kept, run)
            plan, standing = plan_of(kept, run.id), kept.standing(run.id)
            of_this_cluster(there.cluster, plan)
            steps = undoing.left(plan.steps, standing)
            gone_on = await _stops(there.doors, plan, standing) is Abort.ROLLBACK
            if gone_on and not leave:
                raise click.ClickException(
                    f"the control plane of {cluster} has gone on: aliquot eks rollback {cluster}, or retry and go on; "
                    f"or aliquot eks abort {cluster} --leave, and plan the rest anew"
                )
            for step in steps:
                click.echo(f"puts back: {step.what}")
            for line in undoing.stays(plan.steps, standing):
                click.echo(f"mind: {line}")
            if not yes:
                click.confirm(f"Stop {run.id}?", abort=True, err=True)
            turned = plans.instead(plan, steps, [one.step for one in standing])
            _turned(there.doors, kept, run.id, turned, _LEFT if gone_on else "aborted", standing)
            return await drive(there.doors, kept, run.id, turned, poll_s=given.poll_s)
    except Gone as gone:
        if not leave:
            raise
        region = gone.region
    run = the_run(kept, named, region)
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
