"""`aliquot operator doctor`: what is wrong, and what to do."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from aliquot.cli.connect import cluster_options, connect, run
from aliquot.cli.output import Format, counted, emit, output_option
from aliquot.kube.roles import NAMESPACE

if TYPE_CHECKING:
    from aliquot.operator.doctor.findings import Finding

_MOST_NAMED = 3
_INDENT = " " * 7
_WIDTH = 110


@click.command()
@click.option("--namespace", default=NAMESPACE, show_default=True, help="Of the installation.")
@output_option
@cluster_options
@click.pass_context
def doctor(
    ctx: click.Context, namespace: str, output: Format, kubeconfig: str | None, context: str | None
) -> None:
    """Look at the installation, at GPUPolicies and at every node with GPUs, and say what is wrong and what to do about it.
    Only reads. Exit code 0: nothing is to be done; 1: something is."""
    from aliquot.operator.doctor.findings import Weight

    findings, nodes = run(lambda: _examine(namespace, kubeconfig, context))
    to_do = [one for one in findings if one.weight is Weight.TO_DO]
    if output.is_table:
        for one in findings:
            _say(one)
        click.echo(_summed(len(to_do), nodes))
    else:
        emit(output, lambda: _document(findings, not to_do), columns=(), rows=())
    ctx.exit(1 if to_do else 0)


async def _examine(
    namespace: str, kubeconfig: str | None, context: str | None
) -> "tuple[Sequence[Finding], int]":
    from aliquot.admission import cert_manager, registration
    from aliquot.admission.policy import NAME
    from aliquot.operator.doctor.examining import examine
    from aliquot.operator.doctor.reading import WebhookNames, read

    webhook = WebhookNames(NAME, registration.SECRET, cert_manager.SECRET)
    async with connect(kubeconfig, context) as client:
        seen = await read(client, namespace=namespace, webhook=webhook)
    return examine(seen), len(seen.nodes)


def _say(finding: "Finding") -> None:
    about = (
        f"{finding.kind} {_named(finding.names)}: "
        if finding.names
        else f"{finding.kind}: "
        if finding.kind
        else ""
    )
    click.echo(f"{finding.weight.upper():6} {about}{finding.reason}")
    for line in textwrap.wrap(finding.message, _WIDTH, break_long_words=False, break_on_hyphens=False):
        click.echo(f"{_INDENT}{line}")
    if finding.advice:
        # In one line: it has commands, to be copied.
        click.echo(f"{_INDENT}-> {finding.advice}")


def _named(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    first = ", ".join(names[:_MOST_NAMED])
    return f"{first} and {more} more" if more > 0 else first


def _summed(to_do: int, nodes: int) -> str:
    if to_do:
        return f"{counted(to_do, 'thing')} to do."
    return f"Nothing is to be done; looked at {counted(nodes, 'node')}."


def _document(findings: "Sequence[Finding]", is_well: bool) -> dict[str, Any]:
    return {
        "well": is_well,
        "findings": [
            {
                "weight": str(one.weight),
                "kind": one.kind,
                "names": list(one.names),
                "reason": one.reason,
                "message": one.message,
                "advice": one.advice,
            }
            for one in findings
        ],
    }
