"""`--value-table`: what a cluster has learned of its own requests, for those who place by it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aliquot.cli.parameters import GivenPath

if TYPE_CHECKING:
    from aliquot.partition.value_tables import ValueTable


def value_table_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--value-table",
        "value_tables",
        metavar="FILE",
        type=GivenPath(exists=True, dir_okay=False),
        multiple=True,
        help="Tables that `aliquot partition train` wrote, beside those that are shipped: slices are made by them while requests are like those that they were learned from; may be given several times.",
    )(command)


def read_value_tables(paths: Sequence[str]) -> "tuple[ValueTable, ...]":
    from aliquot.partition.value_tables import BadTables, read

    try:
        return read({path: Path(path).read_bytes() for path in paths})
    except OSError as error:
        raise click.ClickException(f"--value-table: {error.filename}: {error.strerror}") from error
    except BadTables as error:
        raise click.ClickException(f"--value-table: {error}") from error
