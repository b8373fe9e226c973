"""What a command prints: tables for people, JSON or YAML with stable fields for programs."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

import click
import msgspec


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


def output_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "-o",
        "--output",
        type=click.Choice([f.value for f in Format]),
        default=Format.TABLE.value,
        callback=lambda _ctx, _param, value: Format(value),
        help="table for people; json or yaml for programs.",
    )(command)


def emit(output: Format, document: Any, *, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print `document` (plain data or Structs) as JSON or YAML, or `rows` as a table."""
    if output is Format.JSON:
        click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2))
    elif output is Format.YAML:
        import yaml

        click.echo(yaml.safe_dump(msgspec.to_builtins(document), sort_keys=False), nl=False)
    else:
        table(columns, rows)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Aligned as kubectl's tables are: three blanks between columns, none at the end, never wrapped."""
    lines = [columns, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(columns))]
    for line in lines:
        click.echo("   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
