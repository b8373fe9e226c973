"""`aliquot access report`: who could have what and had it, for auditors."""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import IO
from urllib.parse import quote, urlencode

import click

from aliquot.cli.access.calling import Server, server_options
from aliquot.cli.parameters import GivenPath

_FILE = GivenPath(dir_okay=False)


@click.command()
@click.argument("name")
@click.option("--from", "from_", required=True, help="A day like 2026-11-01 (UTC), or a moment.")
@click.option("--to", default="", help="The same; not in it any more.  [default: now]")
@click.option("--html", type=_FILE, help="Write a page that needs nothing else.")
@click.option("--csv", type=_FILE, help="Write tables for a spreadsheet.")
@click.option("--raw", type=_FILE, help="Write the lines themselves, for 'aliquot access log verify-report'.")
@server_options
def report(
    server: Server, name: str, from_: str, to: str, html: str | None, csv: str | None, raw: str | None
) -> None:
    """A report for auditors: what happened in a period, and where in the log it is from.

    NAME is access-review, approvals, emergencies, revocation, use, kill-switch or log-integrity. Without a file to write, the first rows
    of it are shown. That it was drawn is logged.
    """
    from aliquot.access.reports.document import NoReport
    from aliquot.access.reports.forms.comma_separated import comma_separated
    from aliquot.access.reports.forms.page import page
    from aliquot.access.reports.forms.terminal import terminal

    asked = urlencode({"from": from_, **({"to": to} if to else {})})
    with tempfile.TemporaryFile() as file:
        with server.lines(f"/v1/reports/{quote(name, safe='')}?{asked}", "application/jsonl") as answer:
            shutil.copyfileobj(answer, file)
        try:
            if not (html or csv or raw):
                for line in terminal(_again(file)):
                    click.echo(line)
            _write(html, lambda: (piece.encode() for piece in page(_again(file))))
            # A spreadsheet takes it for UTF-8 by this mark alone.
            _write(csv, lambda: (line.encode() for line in chain(["\ufeff"], comma_separated(_again(file)))))
            _write(raw, lambda: _again(file))
        except NoReport as error:
            raise click.ClickException(f"{server.url}: {error}") from error


def _again(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    return iter(file)


def _write(path: str | None, pieces: Callable[[], Iterable[bytes]]) -> None:
    if path is None:
        return
    try:
        with Path(path).open("wb") as file:
            file.writelines(pieces())
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from error
