"""`aliquot access templates offered`: what a server has for whoever calls."""

from typing import Any

import click

from aliquot.cli.access.calling import Server, server_options
from aliquot.cli.output import Format, emit, wide_output_option
from aliquot.kube import duration

_COLUMNS = ["NAME", "TIER", "WHERE", "DEFAULT", "MOST", "AGREE", "STEP-UP", "TICKET", "YOU MAY"]


@click.command()
@click.option("--mine", is_flag=True, help="Only what you may ask for.")
@wide_output_option
@server_options
def offered(server: Server, mine: bool, output: Format) -> None:
    """The templates of a server, and what you may do with each: ask for it, also in an emergency, or agree to it."""
    items = server.get("/v1/templates")["items"]
    if mine:
        items = [one for one in items if one["mayAsk"] or one["mayAskInEmergency"]]
    columns = list(_COLUMNS)
    rows = [_row(one) for one in items]
    if output is Format.WIDE:
        columns.append("DESCRIPTION")
        rows = [[*row, one["description"]] for row, one in zip(rows, items, strict=True)]
    emit(output, lambda: items, columns=columns, rows=rows)


def _row(one: dict[str, Any]) -> list[str]:
    may = [
        word
        for word, is_so in (
            ("ask", one["mayAsk"]),
            ("ask in emergency", one["mayAskInEmergency"]),
            ("agree", one["mayApprove"]),
        )
        if is_so
    ]
    proof, slots = one["stepUp"], one["quorum"].get("slots", [])
    return [
        one["name"],
        one["tier"],
        "cluster" if one["clusterWide"] else "namespace",
        duration.text(one["defaultDurationS"]),
        duration.text(one["maxDurationS"]),
        str(len(slots)) if slots else "nobody",
        f"{proof['request']}/{proof['approval']}",
        one["ticket"]["need"],
        ", ".join(may) or "-",
    ]
