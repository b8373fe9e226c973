"""`aliquot eks status`: runs, how far they are, and what they wait for."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from aliquot.cli.eks.records import RecordOptions, record_options, region_option
from aliquot.cli.output import Format, emit, output_option
from aliquot.clock import SystemClock

if TYPE_CHECKING:
    from aliquot.eks.upgrade.journal import Journal, Run


@click.command()
@click.argument("cluster", required=False)
@region_option
@click.option("--log", is_flag=True, help="All that was intended, asked, answered and decided.")
@record_options
@output_option
def status(
    cluster: str | None, region: str | None, log: bool, records: RecordOptions, output: Format
) -> None:
    """Runs of all clusters; with CLUSTER (its name, its ARN, or a run's id) the steps of its newest one."""
    from aliquot.eks.upgrade import lookup

    with records.journal() as kept:
        if cluster is None:
            _runs(kept, [one for one in kept.runs() if region in (None, one.region)], output)
            return
        runs = lookup.runs_of(kept.runs(), cluster, region)
        if not runs:
            raise click.ClickException(f"{cluster} has had no run: this journal knows none")
        if log:
            _log(kept, runs[-1], output)
        else:
            _steps(kept, runs[-1], output)


def _runs(kept: "Journal", runs: "list[Run]", output: Format) -> None:
    found = [(one, *_far(kept, one)) for one in runs]
    emit(
        output,
        lambda: [
            {
                "cluster": one.cluster,
                "arn": one.arn,
                "run": one.id,
                "began": _at(one.began_s),
                "is": how,
                "done": done,
            }
            for one, how, done in found
        ],
        columns=["CLUSTER", "REGION", "RUN", "BEGAN", "DONE", "IS"],
        rows=[
            [one.cluster, one.region or "-", one.id, _at(one.began_s), done, how] for one, how, done in found
        ],
    )


def _far(kept: "Journal", run: "Run") -> tuple[str, str]:
    from aliquot.eks.upgrade.journal import Phase

    standing = [one for one in kept.standing(run.id) if one.phase is not Phase.LEFT]
    done = sum(1 for one in standing if one.phase is Phase.DONE)
    held = next((one.told for one in standing if one.phase is Phase.HELD), "")
    at, waits = next(((one.step, one.told) for one in standing if one.phase is not Phase.DONE), ("", ""))
    if run.over:
        how = run.over
    elif held:
        how = f"held at {at}: {held}" + (f"; paused, too: {run.paused}" if run.paused else "")
    elif run.paused:
        how = f"paused before {at}: {run.paused}"
    elif run.until_s > SystemClock().now():
        how = f"at {at}, {run.owner} drives it" + (f": {waits}" if waits else "")
    else:
        how = f"at {at}, nobody drives it: aliquot eks upgrade {run.cluster} goes on"
    return how, f"{done} of {len(standing)}"


def _steps(kept: "Journal", run: "Run", output: Format) -> None:
    standing = kept.standing(run.id)
    how, done = _far(kept, run)
    emit(
        output,
        lambda: {
            "run": run.id,
            "cluster": run.cluster,
            "arn": run.arn,
            "is": how,
            "steps": [
                {
                    "step": one.step,
                    "phase": str(one.phase),
                    "attempt": one.attempt,
                    "told": one.told,
                    "since": _at(one.since_s),
                }
                for one in standing
            ],
        },
        columns=["STEP", "PHASE", "SINCE", "TOLD"],
        rows=[[one.step, str(one.phase), _at(one.since_s), one.told] for one in standing],
    )
    if output.is_table:
        click.echo(f"\n{run.id}: {done} done; {how}")


def _log(kept: "Journal", run: "Run", output: Format) -> None:
    entries = kept.entries(run.id)
    emit(
        output,
        lambda: [
            {"number": one.number, "at": _at(one.at_s), "step": one.step, "kind": one.kind, **_body(one.body)}
            for one in entries
        ],
        columns=["AT", "STEP", "WHAT", "OF"],
        rows=[
            [
                _at(one.at_s),
                one.step or "-",
                one.kind,
                ", ".join(f"{k}: {v}" for k, v in one.body.items() if v),
            ]
            for one in entries
        ],
    )


def _body(body: dict[str, Any]) -> dict[str, Any]:
    return {"body": body} if body else {}


def _at(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"
