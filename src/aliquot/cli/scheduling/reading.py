"""Trace files, with errors in one line that names file and line."""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol, TypeVar

import click

_Read = TypeVar("_Read", covariant=True)


class Reader(Protocol[_Read]):
    def __call__(self, lines: Iterable[str], *, source: str) -> _Read: ...


def read(path: str, reader: Reader[_Read]) -> _Read:
    from aliquot.scheduler.simulation.trace import TraceError

    try:
        with Path(path).open(encoding="utf-8", newline="") as lines:
            return reader(lines, source=path)
    except TraceError as error:
        raise click.ClickException(str(error)) from error
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{path}: it is no text in UTF-8 ({error.reason})") from error
