"""`aliquot access review`, `kill`, `clear`: for those who look after all."""

import secrets
from typing import Any
from urllib.parse import quote

import click

from aliquot.cli.access.asking import confirm
from aliquot.cli.access.calling import Server, server_options
from aliquot.cli.access.showing import in_outage, person
from aliquot.cli.output import Format, emit, output_option

_OUTCOMES = ("justified", "unjustified", "inconclusive")


@click.command()
@click.argument("grant", metavar="GRANT")
@click.argument("outcome", type=click.Choice(_OUTCOMES))
@click.option("-m", "--note", required=True, help="What you have found.")
@click.option("--ticket", default="", help="Where there was none and should have been.")
@output_option
@server_options
def review(server: Server, grant: str, outcome: str, note: str, ticket: str, output: Format) -> None:
    """Say whether GRANT, which is over, was used for what it was given for."""
    found = server.get(f"/v1/requests/{quote(grant, safe='')}")
    body = {"digest": found["digest"], "outcome": outcome, "note": note, "ticket": ticket}
    after = server.post(f"/v1/reviews/{quote(grant, safe='')}", body)
    if output is Format.TABLE:
        click.echo(f"{after['id']}: {after['reviewState']}")
    else:
        emit(output, lambda: after, columns=(), rows=())


@click.command()
@click.option("-m", "--because", "why", required=True, help="For everybody, and the log.")
@output_option
@server_options
def kill(server: Server, why: str, output: Format) -> None:
    """Pull the kill switch: every grant ends now, and nobody is let in until two people clear it."""
    switch = server.post("/v1/killswitch:pull", {"why": why}, Idempotency_Key=secrets.token_hex(16))
    _tell(switch, output)


@click.command()
@click.option(
    "--pull",
    type=click.IntRange(min=1),
    help="The pull that you mean.  [default: you are shown it, and asked]",
)
@output_option
@server_options
def clear(server: Server, pull: int | None, output: Format) -> None:
    """Agree to let people in again after the kill switch was pulled. It takes two."""
    switch = server.get("/v1/killswitch")
    if not switch["isPulled"]:
        raise click.ClickException("the kill switch is not pulled")
    click.echo(_told(switch), err=output is not Format.TABLE)
    if switch.get("pulledInOutage"):
        raise click.ClickException("it can be cleared once the database knows of it: try again then")
    if pull is None:
        confirm("Let people in again?", f"--pull {switch['pulls']}", output)
        pull = switch["pulls"]
    _tell(server.post("/v1/killswitch:clear", {"pull": pull}), output)


def _tell(switch: dict[str, Any], output: Format) -> None:
    if output is Format.TABLE:
        click.echo(_told(switch))
    else:
        emit(output, lambda: switch, columns=(), rows=())


def _told(switch: dict[str, Any]) -> str:
    if "isJournaled" in switch:
        return str(switch["detail"])
    if not switch["isPulled"]:
        return "the kill switch is clear"
    here = switch.get("pulledInOutage")
    which = "here, in an outage" if here else f"pull {switch['pulls']}"
    agreed = [person(one) for one in switch["clearing"]] or ["nobody"]
    return "\n".join(
        (
            f"the kill switch is pulled: {which}, at {switch['pulledAt']}",
            *(f"  {one}" for one in (in_outage(here) if here else ())),
            f"  by         {person(switch['pulledBy'])}",
            "  because",
            *(f"    | {line}" for line in switch["why"].splitlines()),
            "  agreed to clear it",
            *(f"    {one}" for one in agreed),
        )
    )
