"""`aliquot explain`: why a job waits, when it starts, and what would let it run now."""

from collections.abc import Collection
from typing import TYPE_CHECKING

import click

from aliquot.cli.connect import cluster_options, connect, run
from aliquot.cli.logs import silent
from aliquot.cli.output import Format, emit, output_option, table
from aliquot.cli.parameters import Duration, GivenName
from aliquot.cli.scheduling.recorded import scheduler_names_option

if TYPE_CHECKING:
    from aliquot.kube.client import Client
    from aliquot.scheduler.explaining import Answer, Subject

_KINDS = {
    "pod": "pod",
    "pods": "pod",
    "po": "pod",
    "podgroup": "podgroup",
    "podgroups": "podgroup",
    "apg": "podgroup",
}
_ORDINALS = {1: "st", 2: "nd", 3: "rd"}


@click.command()
@click.argument("which", metavar="pod/[NAMESPACE/]NAME|podgroup/[NAMESPACE/]NAME")
@click.option("-n", "--namespace", type=GivenName(), help="As kubectl: of the context, else default.")
@scheduler_names_option
@click.option(
    "--ageing",
    "ageing_s",
    type=Duration(least_s=1),
    help="What the scheduler runs with.  [default: nothing, as of the scheduler]",
)
@cluster_options
@output_option
def explain(
    which: str,
    namespace: str | None,
    names: tuple[str, ...],
    ageing_s: float | None,
    kubeconfig: str | None,
    context: str | None,
    output: Format,
) -> None:
    """Why a pod or a PodGroup waits, who is before it, when it is likely to start, and the changes that would let it run, the
    cheapest first. Changes nothing."""
    kind, name, given = _read(which)
    if given and namespace and given != namespace:
        raise click.UsageError(
            f"{which} is in namespace {given}, and --namespace says {namespace}: give one of them."
        )
    with silent():
        answer: Answer = run(
            lambda: _asked(kind, name, given or namespace, names, ageing_s, kubeconfig, context)
        )
    if output.is_table:
        _show(answer)
    else:
        emit(output, lambda: answer, columns=(), rows=())


def _read(which: str) -> tuple[str, str, str]:
    """Kind, name, and namespace if it is told."""
    kind, _, rest = which.partition("/")
    namespace, _, name = rest.rpartition("/")
    if kind not in _KINDS or not name or "/" in namespace:
        raise click.UsageError(
            f"{which!r} names nothing: give pod/NAME, pod/NAMESPACE/NAME or podgroup/NAME."
        )
    return _KINDS[kind], name, namespace


async def _asked(
    kind: str,
    name: str,
    namespace: str | None,
    names: Collection[str],
    ageing_s: float | None,
    kubeconfig: str | None,
    context: str | None,
) -> "Answer":
    from aliquot.clock import SystemClock
    from aliquot.kube import kubeconfig as configuration
    from aliquot.scheduler import explaining

    async with connect(kubeconfig, context) as client:
        where = namespace or configuration.load(kubeconfig, context).namespace
        subject: Subject = explaining.Subject(kind, where, name)
        try:
            return await explaining.explain(
                client,
                subject,
                clock=SystemClock(),
                names=names or await default_names(client),
                ageing_s=ageing_s,
            )
        except explaining.Unknown as unknown:
            raise click.ClickException(str(unknown)) from unknown
        except TimeoutError:
            raise click.ClickException(
                "the API server did not answer all that was asked of it within 30 s; try again"
            ) from None


async def default_names(client: "Client") -> tuple[str, ...]:
    """An emulated cluster has no other scheduler: ours answers to the name of Kubernetes' own there."""
    return ("aliquot", "default-scheduler") if await is_emulated(client) else ("aliquot",)


async def is_emulated(client: "Client") -> bool:
    import msgspec

    version = msgspec.json.decode(await client.get_raw("/version"))
    return str(version.get("gitVersion", "")).endswith("+aliquot")


def _show(answer: "Answer") -> None:
    click.echo(answer.told)
    facts = []
    if answer.why is not None:
        facts.append(("reason", answer.why.reason))
        if answer.why.detail:
            facts.append(("nodes", answer.why.detail))
    if answer.members is not None and answer.members.needed > 1:
        has = answer.members
        facts.append(("members", f"{has.needed} needed, {has.exist} exist, {has.placed} placed"))
        if not answer.told.startswith(answer.job):
            facts.append(("job", answer.job))
    if answer.position is not None:
        facts.append(
            ("in line", f"{answer.position}{_ordinal(answer.position)} of {answer.line}{_of_queue(answer)}")
        )
    if answer.usage is not None:
        facts.append(("had", answer.usage.told))
    if answer.start_told:
        facts.append(("start", answer.start_told))
    if facts:
        width = max(len(name) for name, _ in facts)
        click.echo("\n".join(f"  {name.ljust(width)}   {value}" for name, value in facts))
    if answer.queues:
        click.echo()
        table(
            ("QUEUE", "RESOURCE", "ALLOCATED", "REQUESTED", "QUOTA", "LIMIT", "FAIR SHARE", "PENDING JOBS"),
            [
                (
                    one.queue,
                    one.resource,
                    one.allocated,
                    one.requested,
                    one.quota or "-",
                    one.limit or "-",
                    one.fair_share,
                    str(one.pending_jobs),
                )
                for one in answer.queues
            ],
        )
    if answer.ahead:
        click.echo()
        table(
            ("BEFORE IT", "ASKS FOR", "PRIORITY"),
            [(one.job, one.asks, str(one.priority)) for one in answer.ahead],
        )
    if answer.changes:
        click.echo("\nIt would run now, if you did one of these, the cheapest first:")
        for number, change in enumerate(answer.changes, start=1):
            click.echo(f"  {number}. {', and '.join(change.steps)}")


def _of_queue(answer: "Answer") -> str:
    return f" in queue {answer.queues[0].queue}" if answer.queues else ""


def _ordinal(number: int) -> str:
    return "th" if 10 < number % 100 < 20 else _ORDINALS.get(number % 10, "th")
