"""`aliquot scheduler replay`: a recorded cycle, decided again."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aliquot.cli.output import Format, emit, output_option
from aliquot.cli.parameters import GivenPath
from aliquot.cli.scheduling.recorded import UnreadableRecording, read_recording

if TYPE_CHECKING:
    from aliquot.scheduler.core.cycle import Outcome
    from aliquot.scheduler.recording.case import Case
    from aliquot.scheduler.recording.document import Bound, Decided, Recording, Verdict

_NODES_SHOWN = 3


@click.command(short_help="Decide a recorded cycle again.")
@click.argument("file", type=GivenPath(exists=True, dir_okay=False))
@click.option(
    "--explain", "pod", metavar="[NAMESPACE/]POD", help="And say why this pod waits, or where it goes."
)
@output_option
@click.pass_context
def replay(context: click.Context, file: str, pod: str | None, output: Format) -> None:
    """A cycle that `aliquot scheduler run --record` wrote, or that failed, or a cluster as `aliquot scheduler snapshot` has it:
    decided again, without a cluster.

    Says `identical`, or what differs first from what was recorded.

    Exit codes: 0 it is identical, 1 it is not, 2 the file cannot be read, or is of another version.
    """
    from aliquot.scheduler.recording.document import Unreadable
    from aliquot.scheduler.recording.restoring import OtherPolicies, restored
    from aliquot.scheduler.recording.verdict import decided_again, first_difference

    recording = read_recording(Path(file))
    try:
        case = restored(recording)
    except (OtherPolicies, Unreadable) as error:
        raise UnreadableRecording(f"{file}: {error}") from error
    if pod is not None and "/" not in pod:
        pod = f"default/{pod}"
    if pod is not None and case.pending.job_of(pod) is None:
        raise click.BadParameter(f"there is no pod {pod} in {file}", param_hint="--explain")
    before = pod is not None and pod in case.snapshot.pods
    outcome, again = decided_again(case)
    difference = first_difference(recording.verdict, again) if recording.verdict is not None else ""
    told = _explained(case, outcome, pod, was_placed=before) if pod is not None else ""
    if output.is_table:
        _show(recording, again, difference)
        if told:
            click.echo(f"\n{pod}: {told}")
    else:
        emit(output, lambda: _document(recording, again, difference, told), columns=(), rows=())
    if difference:
        context.exit(1)


def _show(recording: "Recording", again: "Verdict", difference: str) -> None:
    from aliquot import __version__

    waiting = sum(bool(job.waiting) for job in recording.jobs)
    click.echo(f"{len(recording.nodes)} nodes, {len(recording.pods)} pods placed, {waiting} jobs waiting")
    if again.raised:
        click.echo(f"it fails: {again.raised}")
    rows = [
        *map(_told, again.decisions),
        *((one.job, "waits", _lack(one.placed, one.needed)) for one in again.blocked),
    ]
    if rows:
        emit(Format.TABLE, lambda: None, columns=("JOB", "DECIDED", ""), rows=rows)
    if difference and recording.aliquot != __version__:
        click.echo(f"note: it was recorded by aliquot {recording.aliquot}; this is {__version__}")
    if recording.verdict is None:
        click.echo("it holds no decision to compare with: it is how a cluster was")
    else:
        click.echo(f"differs: {difference}" if difference else "identical")


def _told(one: "Decided") -> tuple[str, str, str]:
    if not one.binds:
        return one.job, "evicted", f"it stayed below its minimum: {', '.join(one.after)}"
    return one.job, "placed", _where(one.binds) + _after(one.after)


def _where(binds: "tuple[Bound, ...]") -> str:
    nodes = list(dict.fromkeys(bind.node for bind in binds))
    shown = ", ".join(nodes[:_NODES_SHOWN]) + (", ..." if len(nodes) > _NODES_SHOWN else "")
    return f"{len(binds)} pods on {shown}" if len(binds) > 1 else f"on {shown}"


def _after(pods: tuple[str, ...]) -> str:
    return f", once {', '.join(pods)} went" if pods else ""


def _lack(placed: int, needed: int) -> str:
    return f"{placed} of {needed} pods find a node" if needed > 1 else ""


def _explained(case: "Case", outcome: "Outcome | None", pod: str, *, was_placed: bool) -> str:
    from aliquot.scheduler.core.cycle import why

    if was_placed:
        return "has its node already"
    if outcome is None:
        return "nothing was decided"
    for decision in outcome.decisions:
        for bind in decision.binds:
            if bind.pod.key == pod:
                return f"goes to {bind.placed.node}" + _after(tuple(one.key for one in decision.after))
    job = case.pending.job_of(pod)
    alike = case.pending.alike_of(job.spec.key) if job is not None else None
    for blocked in outcome.blocked:
        if alike is not None and blocked.alike == alike:
            return str(why(case.snapshot, case.pending, blocked, case.rankings, case.topologies))
    return "was not looked at: the limit of decisions in one cycle was reached" if outcome.more else "waits"


def _document(recording: "Recording", again: "Verdict", difference: str, told: str) -> dict[str, Any]:
    return {
        "identical": None if recording.verdict is None else not difference,
        "difference": difference,
        "recordedBy": recording.aliquot,
        "nowSeconds": recording.now_s,
        "nodes": len(recording.nodes),
        "verdict": again,
        **({"explained": told} if told else {}),
    }
