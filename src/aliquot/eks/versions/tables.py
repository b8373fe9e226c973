"""Tables of your own: which API versions end in what you run, in the form of pluto's `versions.yaml`, read strictly.

What is shipped cannot be said otherwise: a row that is there already is refused, so that nobody overrules by accident.
"""

import re
from pathlib import Path

from msgspec import Struct

from aliquot.document import Document, parse, read
from aliquot.eks.versions.minor import Minor
from aliquot.eks.versions.removals import ANY_KIND, KUBERNETES, Removal, Removals, Served, Stage

_VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?", re.ASCII)
_PLUTOS_KUBERNETES = "k8s"


class _Row(Struct, frozen=True, rename="kebab", forbid_unknown_fields=True, kw_only=True):
    version: str
    kind: str = ""
    deprecated_in: str = ""
    removed_in: str = ""
    replacement_api: str = ""
    replacement_available_in: str = ""
    component: str


class _File(Struct, frozen=True, rename="kebab", forbid_unknown_fields=True, kw_only=True):
    deprecated_versions: tuple[_Row, ...]
    target_versions: dict[str, str] = {}


class Table(Struct, frozen=True, kw_only=True):
    rows: tuple[Removal, ...]
    targets: dict[str, Minor]
    """Which version of a component is there, if nothing else says so."""


def load(path: Path, known: Removals) -> Table:
    """Raises DocumentError: which row of which file."""
    document = parse(read(path), source=str(path))
    file = document.into(_File)
    rows: dict[tuple[str, str, str], Removal] = {}
    for index, one in enumerate(file.deprecated_versions):
        row = _removal(document, index, one)
        key = (row.group, row.version, row.kind)
        named = f"{one.version} {one.kind}".strip()
        if key in rows:
            raise document.error(_at(index), f"{named} is in this table twice")
        if known.has(row):
            raise document.error(
                _at(index), f"{named} is in the shipped table, which is not overruled: take it out"
            )
        rows[key] = row
    targets = {
        name: _minor(document, ("target-versions", name), version)
        for name, version in file.target_versions.items()
    }
    return Table(rows=tuple(rows.values()), targets=targets)


def _at(index: int, *field: str) -> tuple[str | int, ...]:
    return ("deprecated-versions", index, *field)


def _removal(document: Document, index: int, row: _Row) -> Removal:
    group, slash, version = row.version.rpartition("/")
    if not slash and "." in row.version:
        # As pluto has it: every version of a group.
        group, version = row.version, ""
    if not row.version or not row.component:
        raise document.error(_at(index), "a row has a version and a component")
    if not row.deprecated_in and not row.removed_in:
        raise document.error(_at(index), "say in deprecated-in or removed-in when it ends")
    component = KUBERNETES if row.component == _PLUTOS_KUBERNETES else row.component
    deprecated = _optional(document, index, "deprecated-in", row.deprecated_in)
    removed = _optional(document, index, "removed-in", row.removed_in)
    return Removal(
        component=component,
        group=group,
        version=version,
        kind=row.kind or ANY_KIND,
        resource="",
        stage=Stage.BETA if component == KUBERNETES else Stage.CRD,
        deprecated=deprecated or removed,
        removed=removed,
        served=Served.YES,
        use=row.replacement_api,
    )


def _optional(document: Document, index: int, field: str, text: str) -> Minor | None:
    return _minor(document, _at(index, field), text) if text else None


def _minor(document: Document, path: tuple[str | int, ...], text: str) -> Minor:
    try:
        return component_minor(text)
    except ValueError as error:
        raise document.error(path, str(error)) from None


def component_minor(text: str) -> Minor:
    """Of "v1.16.0". Raises ValueError."""
    found = _VERSION.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no version: write it as v1.16.0")
    if int(found[3] or 0):
        raise ValueError(f"{text}: minors alone are compared: write v{found[1]}.{found[2]}.0 or the next")
    return Minor(int(found[1]), int(found[2]))
