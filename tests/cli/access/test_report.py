"""`aliquot access report`: what the server tells, as a page, tables, lines, and on the terminal."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.access.reports.story import story
from tests.cli.access.test_calling import run, server, token

__all__ = ["server", "token"]

PATH = "/v1/reports/revocation?from=2026-01-01"


@pytest.fixture
def lines() -> bytes:
    return b"".join(story().reports["revocation"].lines)


def called(server: Any, token: Path, *arguments: str) -> Result:
    return run(server.url, token, "report", "revocation", "--from", "2026-01-01", *arguments)


def test_the_first_rows_are_shown(server: Any, token: Path, lines: bytes) -> None:
    server.answers[PATH] = (200, lines)
    found = called(server, token)
    assert found.exit_code == 0, found.output
    assert "Revocation latency" in found.output
    assert story().ids["agreed"] in found.output
    ((method, path, headers, _),) = server.seen
    assert (method, path, headers["accept"]) == ("GET", PATH, "application/jsonl")


def test_it_is_written_in_every_form_that_is_asked_for(
    server: Any, token: Path, lines: bytes, tmp_path: Path
) -> None:
    server.answers[f"{PATH}&to=2026-02-01"] = (200, lines)
    names = {name: str(tmp_path / name) for name in ("html", "csv", "raw")}
    options = [part for name, path in names.items() for part in (f"--{name}", path)]
    found = called(server, token, "--to", "2026-02-01", *options)
    assert (found.exit_code, found.output) == (0, "")
    assert Path(names["raw"]).read_bytes() == lines
    assert "<h1>Revocation latency</h1>" in Path(names["html"]).read_text()
    table = Path(names["csv"]).read_text(encoding="utf-8-sig")
    rows = list(csv.reader(io.StringIO(table, newline="")))
    assert rows[0] == ["report", "Revocation latency"]
    assert [row for row in rows if row and row[0] == story().ids["agreed"]]


@pytest.mark.parametrize(
    ("status", "answer", "message"),
    [
        (403, {"detail": "you are not of those who may have reports"}, "not of those who may have reports"),
        (200, {}, "it is no report"),
        (200, b"", "it is no report"),
        (200, b"<html>", "it is no report"),
    ],
)
def test_what_is_no_report_is_one_line(
    server: Any, token: Path, status: int, answer: object, message: str
) -> None:
    server.answers[PATH] = (status, answer)
    found = called(server, token)
    assert found.exit_code == 1
    assert message in found.output
    assert found.output.count("\n") == 1


def test_one_that_was_cut_off_is_told(server: Any, token: Path, lines: bytes) -> None:
    server.answers[PATH] = (200, lines[:-200])
    found = called(server, token)
    assert found.exit_code == 1
    assert "cut off or altered" in found.output


def test_a_file_that_cannot_be_written_is_told(server: Any, token: Path, lines: bytes) -> None:
    server.answers[PATH] = (200, lines)
    found = called(server, token, "--html", "/nowhere/report.html")
    assert (found.exit_code, "/nowhere/report.html: No such file" in found.output) == (1, True)
