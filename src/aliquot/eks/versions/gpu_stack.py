"""Which version of the software of GPU nodes goes with which minor, and with which containerd."""

import re
from functools import cache

from msgspec import Struct, field

from aliquot.eks.versions.changes import Severity
from aliquot.eks.versions.minor import Minor
from aliquot.eks.versions.shipped import document

Version = tuple[int, ...]

_VERSION = re.compile(r"v?(\d+(?:\.\d+){1,2})(?![\d.])", re.ASCII)


class Row(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    since: str = field(name="from")
    newest: Minor
    last: Minor | None = None
    containerd: str = ""
    source: str


class Component(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: str
    images: tuple[str, ...]
    csvs: tuple[str, ...] = ()
    severity: Severity
    rows: tuple[Row, ...]

    def row(self, version: Version) -> Row | None:
        """None: it is older than all that is known of it."""
        found = [row for row in self.rows if numbers(row.since) <= version]
        return found[-1] if found else None

    def knows(self, version: Version) -> bool:
        """It is not of a release series that came after the table."""
        return version[:2] <= numbers(self.rows[-1].since)[:2]

    def first_for(self, minor: Minor) -> str:
        """The first version that was tried with a minor; empty: none was, as far as is known."""
        return next((row.since for row in self.rows if row.newest >= minor), "")

    def first_with(self, containerd: str) -> str:
        return next(
            (
                row.since
                for row in self.rows
                if row.containerd and numbers(row.containerd) >= numbers(containerd)
            ),
            "",
        )


def parse(text: str) -> Version | None:
    """Of a tag: `v25.3.0`, `v0.17.1-ubi9`. None: it has no version."""
    match = _VERSION.match(text)
    return numbers(match[1]) if match else None


def numbers(text: str) -> Version:
    return tuple(int(part) for part in text.split("."))


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    sources: dict[str, str]
    components: tuple[Component, ...]


@cache
def shipped() -> tuple[Component, ...]:
    file = document("gpu_stack.yaml", _File)
    unknown = {row.source for one in file.components for row in one.rows} - set(file.sources)
    assert not unknown, f"gpu_stack.yaml: sources that are not named: {unknown}"
    return file.components


def of_image(name: str) -> Component | None:
    """By the last part of an image's name, without its tag."""
    return next((one for one in shipped() if name in one.images), None)


def of_csv(name: str) -> Component | None:
    """By what OLM calls it, without the version."""
    return next((one for one in shipped() if name in one.csvs), None)
