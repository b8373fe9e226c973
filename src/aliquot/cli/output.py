"""What a command prints: tables for people, JSON or YAML with stable fields for programs."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

import click
import msgspec


class Format(StrEnum):
    TABLE = "table"
    WIDE = "wide"
    """A table with more columns; of the commands that have them."""
    JSON = "json"
    YAML = "yaml"

    @property
    def is_table(self) -> bool:
        return self in (Format.TABLE, Format.WIDE)


def output_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return _output_option(Format.TABLE, Format.JSON, Format.YAML)(command)


def wide_output_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return _output_option(*Format)(command)


def _output_option(*formats: Format) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    tables = " or ".join(f for f in formats if f.is_table)
    return click.option(
        "-o",
        "--output",
        type=click.Choice([f.value for f in formats]),
        default=Format.TABLE.value,
        callback=lambda _ctx, _param, value: Format(value),
        help=f"{tables} for people; json or yaml for programs.",
    )


def emit(
    output: Format, document: Callable[[], Any], *, columns: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    """Print what `document` gives (plain data or Structs) as JSON or YAML, or `rows` as a table."""
    if output is Format.JSON:
        click.echo(msgspec.json.format(msgspec.json.encode(document()), indent=2))
    elif output is Format.YAML:
        import yaml

        click.echo(yaml.safe_dump(msgspec.to_builtins(document()), sort_keys=False), nl=False)
    else:
        table(columns, rows)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Aligned as kubectl's tables are: three blanks between columns, none at the end, never wrapped."""
    lines = [columns, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(columns))]
    click.echo(
        "\n".join(
            "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )
    )


def counted(count: int, what: str) -> str:
    """`1 node`, `3 nodes`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
