"""`aliquot access review`, `kill`, `clear`: for those who look after all."""

import secrets
from typing import Any
from urllib.parse import quote

import click

from aliquot.cli.access.calling import Server, server_options

_OUTCOMES = ("justified", "unjustified", "inconclusive")


@click.command()
@click.argument("grant", metavar="GRANT")
@click.argument("outcome", type=click.Choice(_OUTCOMES))
@click.option("-m", "--note", required=True, help="What you have found.")
@click.option("--ticket", default="", help="Where there was none and should have been.")
@server_options
def review(server: Server, grant: str, outcome: str, note: str, ticket: str) -> None:
    """Say whether GRANT, which is over, was used for what it was given for."""
    found = server.get(f"/v1/requests/{quote(grant, safe='')}")
    body = {"digest": found["digest"], "outcome": outcome, "note": note, "ticket": ticket}
    after = server.post(f"/v1/reviews/{quote(grant, safe='')}", body)
    click.echo(f"{grant}: {after['reviewState']}")


@click.command()
@click.option("-m", "--because", "why", required=True, help="For everybody, and the log.")
@server_options
def kill(server: Server, why: str) -> None:
    """Pull the kill switch: every grant ends now, and nobody is let in until two people clear it."""
    switch = server.post("/v1/killswitch:pull", {"why": why}, Idempotency_Key=secrets.token_hex(16))
    click.echo(_told(switch))


@click.command()
@click.option(
    "--pull",
    type=click.IntRange(min=1),
    help="The pull that you mean.  [default: you are shown it, and asked]",
)
@server_options
def clear(server: Server, pull: int | None) -> None:
    """Agree to let people in again after the kill switch was pulled. It takes two."""
    switch = server.get("/v1/killswitch")
    if not switch["isPulled"]:
        raise click.ClickException("the kill switch is not pulled")
    click.echo(_told(switch))
    if pull is None:
        click.confirm("Let people in again?", abort=True)
        pull = switch["pulls"]
    click.echo(_told(server.post("/v1/killswitch:clear", {"pull": pull})))


def _told(switch: dict[str, Any]) -> str:
    if not switch["isPulled"]:
        return "the kill switch is clear"
    by, why = switch["pulledBy"]["subject"], " ".join(switch["why"].split())
    agreed = ", ".join(one["subject"] for one in switch["clearing"]) or "nobody"
    return f"pull {switch['pulls']} by {by} at {switch['pulledAt']}: {why}; agreed to clear it: {agreed}"
