"""The data files of this room. They are ours: a mistake in them is a defect, and tests read them all."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from aliquot.eks.versions import minor

T = TypeVar("T")

_DIRECTORY = Path(__file__).parent / "data"


def document(name: str, type_: type[T]) -> T:
    return msgspec.yaml.decode((_DIRECTORY / name).read_bytes(), type=type_, dec_hook=minor.dec_hook)


def rows(name: str) -> Iterator[dict[str, str]]:
    with (_DIRECTORY / name).open(newline="") as file:
        yield from csv.DictReader(line for line in file if not line.startswith("#"))
