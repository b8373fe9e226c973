"""`aliquot access log checkpoint`, `proof`, `consistency`, `entries`: the log as its server gives it, onto standard output."""

import json

import click

from aliquot.cli.access.calling import Server, server_options

_FORMS = ("cloudevents", "ocsf", "csv")


@click.command()
@server_options
def checkpoint(server: Server) -> None:
    """The log's head, signed: keep it, and 'verify --checkpoint' shows that the log went on from it."""
    click.echo(server.page("/v1/log/checkpoint")[0], nl=False)


@click.command()
@click.argument("entry", type=click.IntRange(min=0))
@server_options
def proof(server: Server, entry: int) -> None:
    """That ENTRY, a number, is in the log: for 'verify-entry'."""
    click.echo(server.page(f"/v1/log/proof?entry={entry}")[0], nl=False)


@click.command()
@click.argument("size", type=click.IntRange(min=0))
@server_options
def consistency(server: Server, size: int) -> None:
    """That the log goes on from its first SIZE entries, as a witness is asked (c2sp.org/tlog-witness)."""
    click.echo(server.page(f"/v1/log/consistency?from={size}")[0], nl=False)


@click.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(_FORMS),
    default="csv",
    show_default=True,
    help="As 'export' has it.",
)
@click.option(
    "--from",
    "first",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="The first entry's number.",
)
@click.option("--without-personal", is_flag=True, help="Leave out what people wrote.")
@server_options
def entries(server: Server, form: str, first: int, without_personal: bool) -> None:
    """The log from an entry on, for other systems: events one on each line, or a table. It proves nothing; 'dump' and 'verify' do."""
    personal = "false" if without_personal else "true"
    path = f"/v1/log/entries?format={form}&from={first}&personal={personal}"
    columns = ""
    while path:
        text, path = server.page(path)
        if form == "cloudevents":
            text = "".join(f"{json.dumps(event, ensure_ascii=False)}\n" for event in json.loads(text))
        elif form == "csv":
            # Each page of a table has the names of its columns.
            first_line, _, rows = text.partition("\n")
            text, columns = (rows, columns) if columns else (text, first_line)
        click.echo(text, nl=False)
