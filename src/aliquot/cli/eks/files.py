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
    """A file whole or not at all; what else there is (a pipe, a device) is written into. Raises click.ClickException."""
    try:
        if path.exists() and not path.is_file():
            path.write_text(text)
            return
        # A link stays one.
        whole = path.resolve()
        beside = whole.with_name(f".{whole.name}.{os.getpid()}")
        try:
            beside.write_text(text)
            beside.replace(whole)
        finally:
            beside.unlink(missing_ok=True)
    except (OSError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or error
        raise click.ClickException(f"{path}: cannot be written: {why}") from None
