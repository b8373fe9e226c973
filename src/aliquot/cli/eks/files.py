"""Files that the `eks` commands take and leave."""

import os
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from aliquot.eks.preflight.waivers import Waiver


def read_waivers(path: Path | None, today: date) -> "tuple[Waiver, ...]":
    """Raises click.ClickException."""
    from aliquot.document import DocumentError
    from aliquot.eks.preflight import waivers
    from aliquot.eks.preflight.checks.table import TITLES

    if path is None:
        return ()
    try:
        return waivers.read(path, TITLES, today)
    except (DocumentError, waivers.WaiverError) as error:
        raise click.ClickException(str(error)) from None


def write(path: Path, text: str) -> None:
    """Whole or not at all. Raises click.ClickException."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text)
        beside.replace(path)
    except OSError as error:
        raise click.ClickException(f"{path}: cannot be written: {error.strerror or error}") from None
