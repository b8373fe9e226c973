"""`aliquot eks approve|pause|resume|retry`: what people say of a run that goes on, from wherever its journal is."""

from typing import TYPE_CHECKING

import click

from aliquot.cli.eks.records import RecordOptions, plan_of, record_options, region_option, somebody, the_run
from aliquot.clock import SystemClock

if TYPE_CHECKING:
    from aliquot.eks.plan.plan import Plan
    from aliquot.eks.upgrade.journal import Journal


@click.command()
@click.argument("cluster")
@click.option("--all", "every_gate", is_flag=True, help="To all of the plan: the gates of later hops, too.")
@region_option
@record_options
def approve(cluster: str, every_gate: bool, region: str | None, records: RecordOptions) -> None:
    """Say yes to the hop that CLUSTER waits with, or comes to next. Each hop of a plan has a gate of its own."""
    with records.journal() as kept:
        run = the_run(kept, cluster, region)
        gates = approved(kept, run.id, plan_of(kept, run.id), every_gate=every_gate)
    if not gates:
        raise click.ClickException(f"{run.id} has no gate left to approve: aliquot eks status {run.cluster}")
    click.echo(
        f"{', '.join(gates)} of {run.id} is approved by {somebody()}; aliquot eks upgrade {run.cluster} goes on"
    )


def approved(kept: "Journal", run: str, plan: "Plan", *, every_gate: bool) -> tuple[str, ...]:
    """The gates that are open now. The run goes on if it was held for want of that. What else holds it, a yes does not mend."""
    from aliquot.eks.upgrade.acts.approval import APPROVE
    from aliquot.eks.upgrade.approving import gates_left
    from aliquot.eks.upgrade.doing import Decision
    from aliquot.eks.upgrade.journal import Phase

    now_s, standing = SystemClock().now(), kept.standing(run)
    left = gates_left(plan.steps, standing)
    gates = left if every_gate else left[:1]
    for gate in gates:
        said = Decision(kind=APPROVE, step=gate, by=somebody(), at_s=now_s, body={"hash": plan.id})
        kept.decide(run, said)
    if any(one.phase is Phase.HELD and one.step in gates for one in standing):
        kept.retry(run, now_s)
    return gates


@click.command()
@click.argument("cluster")
@region_option
@click.option("--reason", required=True, help="For whoever finds it paused.")
@record_options
def pause(cluster: str, region: str | None, reason: str, records: RecordOptions) -> None:
    """Let nothing new begin; what EKS has begun is seen to its end."""
    with records.journal() as kept:
        run = the_run(kept, cluster, region)
        kept.pause(run.id, f"{reason} ({somebody()})", SystemClock().now())
    click.echo(f"{run.id} is paused: aliquot eks resume {run.cluster}")


@click.command()
@click.argument("cluster")
@region_option
@record_options
def resume(cluster: str, region: str | None, records: RecordOptions) -> None:
    """End a pause."""
    with records.journal() as kept:
        run = the_run(kept, cluster, region)
        if not run.paused:
            raise click.ClickException(f"{run.id} is not paused")
        kept.pause(run.id, "", SystemClock().now())
    click.echo(
        f"{run.id} is not paused any more; aliquot eks upgrade {run.cluster} goes on, if nobody drives it"
    )


@click.command()
@click.argument("cluster")
@region_option
@click.option(
    "--gangs",
    type=click.Choice(["scale", "evict"]),
    help="What is to become of gangs that cannot be suspended, in this step.",
)
@click.option(
    "--no-gpu-canary",
    is_flag=True,
    help="Go on without trying a GPU node first, in this hop and those to come; one that is there goes.",
)
@click.option(
    "--accept",
    is_flag=True,
    help="Let what a step that only looks (health, counts, soak) finds wrong not hold the run; the log keeps who said so.",
)
@record_options
def retry(
    cluster: str,
    region: str | None,
    gangs: str | None,
    no_gpu_canary: bool,
    accept: bool,
    records: RecordOptions,
) -> None:
    """Try the step that is held once more: its cause is put right, or accepted."""
    from aliquot.eks.upgrade.canaries import LEAVE_OUT
    from aliquot.eks.upgrade.doing import ACCEPT, Decision

    with records.journal() as kept:
        run, now_s = the_run(kept, cluster, region), SystemClock().now()
        told = _may_be_accepted(kept, run.id) if accept else ""
        step = kept.retry(run.id, now_s)
        if accept:
            kept.decide(
                run.id, Decision(kind=ACCEPT, step=step, by=somebody(), at_s=now_s, body={"told": told})
            )
        if gangs is not None:
            kept.decide(run.id, Decision(kind=gangs, step=step, by=somebody(), at_s=now_s))
        if no_gpu_canary:
            kept.decide(run.id, Decision(kind=LEAVE_OUT, step="", by=somebody(), at_s=now_s))
    click.echo(f"{step} is tried once more; aliquot eks upgrade {run.cluster} goes on")


def _may_be_accepted(kept: "Journal", run: str) -> str:
    """What it says. Raises click.ClickException where the step that is held does more than look."""
    from aliquot.eks.upgrade.acts.table import DOINGS
    from aliquot.eks.upgrade.journal import Phase

    found = next((one for one in kept.standing(run) if one.phase is Phase.HELD), None)
    held, told = ("", "") if found is None else (found.step, found.told)
    step = next((one for one in plan_of(kept, run).steps if one.id == held), None)
    if step is not None and not DOINGS[type(step.act)].heeds_accept:
        raise click.ClickException(
            f"{held} is not there to be accepted: put right what holds it, and retry without --accept"
        )
    return told
