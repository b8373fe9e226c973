"""`aliquot eks approve|pause|resume|retry`: what people say of a run that goes on, from wherever its journal is."""

from pathlib import Path

import click

from aliquot.cli.eks.records import journal, record_options, somebody, the_run
from aliquot.clock import SystemClock


@click.command()
@click.argument("cluster")
@record_options
def approve(cluster: str, data: Path | None, journal_url: str | None) -> None:
    """Say yes to the plan that CLUSTER waits with."""
    from aliquot.eks.plan import plan as plans
    from aliquot.eks.upgrade.acts.approval import APPROVE
    from aliquot.eks.upgrade.doing import Decision
    from aliquot.eks.upgrade.journal import Phase

    with journal(journal_url, data) as kept:
        run, now_s = the_run(kept, cluster), SystemClock().now()
        plan = plans.decode(kept.plan(run.id))
        said = Decision(kind=APPROVE, step="", by=somebody(), at_s=now_s, body={"hash": plan.id})
        kept.decide(run.id, said)
        if any(one.phase is Phase.HELD for one in kept.standing(run.id)):
            kept.retry(run.id, now_s)
    click.echo(f"{run.id} is approved by {somebody()}; aliquot eks upgrade {run.cluster} goes on")


@click.command()
@click.argument("cluster")
@click.option("--reason", required=True, help="For whoever finds it paused.")
@record_options
def pause(cluster: str, reason: str, data: Path | None, journal_url: str | None) -> None:
    """Let nothing new begin; what EKS has begun is seen to its end."""
    with journal(journal_url, data) as kept:
        run = the_run(kept, cluster)
        kept.pause(run.id, f"{reason} ({somebody()})", SystemClock().now())
    click.echo(f"{run.id} is paused: aliquot eks resume {run.cluster}")


@click.command()
@click.argument("cluster")
@record_options
def resume(cluster: str, data: Path | None, journal_url: str | None) -> None:
    """End a pause."""
    with journal(journal_url, data) as kept:
        run = the_run(kept, cluster)
        if not run.paused:
            raise click.ClickException(f"{run.id} is not paused")
        kept.pause(run.id, "", SystemClock().now())
    click.echo(
        f"{run.id} is not paused any more; aliquot eks upgrade {run.cluster} goes on, if nobody drives it"
    )


@click.command()
@click.argument("cluster")
@click.option(
    "--gangs",
    type=click.Choice(["scale", "evict"]),
    help="What is to become of gangs that cannot be suspended, in this step.",
)
@record_options
def retry(cluster: str, gangs: str | None, data: Path | None, journal_url: str | None) -> None:
    """Try the step that is held once more: its cause is put right."""
    from aliquot.eks.upgrade.doing import Decision

    with journal(journal_url, data) as kept:
        run, now_s = the_run(kept, cluster), SystemClock().now()
        step = kept.retry(run.id, now_s)
        if gangs is not None:
            kept.decide(run.id, Decision(kind=gangs, step=step, by=somebody(), at_s=now_s))
    click.echo(f"{step} is tried once more; aliquot eks upgrade {run.cluster} goes on")
