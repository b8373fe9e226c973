"""Tables and metadata-only answers, and which of them a client asks for."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from functools import cache
from importlib import resources
from typing import Any

from aliquot.emulator.discovery import ResourceType
from aliquot.emulator.http import accept
from aliquot.emulator.tables import cells, custom, pods
from aliquot.emulator.tables.custom import Column
from aliquot.emulator.tables.parts import Cells, Object
from aliquot.emulator.versions import STANDARD

_GROUP = "meta.k8s.io"


class Form(Enum):
    OBJECT = "object"
    TABLE = "Table"
    METADATA = "PartialObjectMetadata"


class IncludeObject(StrEnum):
    """How much of each object a Table carries beside its cells (query parameter `includeObject`)."""

    NONE = "None"
    METADATA = "Metadata"
    OBJECT = "Object"


@dataclass(frozen=True, slots=True)
class Rendering:
    """The form of an answer; `version` is that of the meta.k8s.io kinds, v1 or v1beta1."""

    form: Form = Form.OBJECT
    version: str = "v1"
    in_yaml: bool = False


PLAIN = Rendering()


@cache
def rendering(accept_header: str) -> Rendering | None:
    """What the client prefers of what can be answered; None when it takes neither JSON nor YAML (406).

    PartialObjectMetadata and PartialObjectMetadataList are one form: which of them fits is known from the request.
    """
    if not accept_header:
        return PLAIN
    for media in accept.parse(accept_header):
        if not (media.is_json or media.is_yaml):
            continue
        if not media.as_:
            return Rendering(in_yaml=media.is_yaml)
        form = _FORMS.get(media.as_)
        if form is not None and media.group == _GROUP and media.version in ("v1", "v1beta1"):
            return Rendering(form, media.version, media.is_yaml)
    return None


_FORMS = {
    "Table": Form.TABLE,
    "PartialObjectMetadata": Form.METADATA,
    "PartialObjectMetadataList": Form.METADATA,
}


@dataclass(frozen=True, slots=True)
class Printer:
    """How one resource is shown: `cells(object, now)` answers one cell for each of `columns`."""

    columns: tuple[Column, ...]
    cells: Cells
    is_pod: bool = field(default=False)

    def row(self, obj: Object, now: float, include: IncludeObject, version: str = "v1") -> dict[str, Any]:
        row: dict[str, Any] = {"cells": self.cells(obj, now)}
        if self.is_pod and (conditions := pods.conditions(obj)):
            row["conditions"] = conditions
        match include:
            case IncludeObject.METADATA:
                row["object"] = partial_metadata(obj, version)
            case IncludeObject.OBJECT:
                row["object"] = obj
            case IncludeObject.NONE:
                row["object"] = None
        return row

    def table(
        self,
        objects: Iterable[Object],
        *,
        now: float,
        include: IncludeObject = IncludeObject.METADATA,
        list_metadata: Mapping[str, Any] | None = None,
        version: str = "v1",
    ) -> dict[str, Any]:
        """A Table of objects (each with its apiVersion and kind). `now` is Unix time, for ages."""
        return {
            "kind": "Table",
            "apiVersion": f"{_GROUP}/{version}",
            "metadata": dict(list_metadata or {}),
            "columnDefinitions": list(self.columns),
            "rows": [self.row(obj, now, include, version) for obj in objects],
        }


def printer(
    resource: ResourceType, crd_version: Mapping[str, Any] | None = None, *, minor: int = STANDARD.minor
) -> Printer:
    """The printer of a resource; for a custom one, `crd_version` is its entry of the CRD's `spec.versions`.

    A built-in one shows what Kubernetes of that minor shows, the same at each of its versions.
    """
    if crd_version is not None:
        columns, shown = custom.columns_and_cells(crd_version)
        return Printer(tuple(columns), shown)
    key = f"{resource.api_version}/{resource.plural}"
    if key not in cells.CELLS:
        key = f"{resource.group}/v1/{resource.plural}"
    found = cells.CELLS.get(key)
    if found is None:
        return Printer(_DEFAULT_COLUMNS, cells.name_and_creation)
    own = _columns()[key]
    there = [place for place, one in enumerate(own) if one.since <= minor <= one.until]
    return Printer(
        tuple(own[place].column for place in there),
        found if len(there) == len(own) else _some(found, there),
        is_pod=key == "v1/pods",
    )


def _some(all_cells: Cells, shown: Sequence[int]) -> Cells:
    def some(obj: Object, now: float) -> list[Any]:
        row = all_cells(obj, now)
        return [row[place] for place in shown]

    return some


def _column(name: str, kind: str, priority: int = 0, format_: str = "") -> Column:
    return {"name": name, "type": kind, "format": format_, "description": "", "priority": priority}


@dataclass(frozen=True, slots=True)
class _Dated:
    """A column, and the first and last minor that show it."""

    column: Column
    since: int
    until: int


@cache
def _columns() -> Mapping[str, Sequence[_Dated]]:
    """A row of the data: name, type, priority, format, and where not all versions have it {since, until}."""
    file = resources.files("aliquot.emulator") / "data" / "columns.json"
    data: dict[str, list[list[Any]]] = json.loads(file.read_text())
    return {key: [_dated(*row) for row in rows] for key, rows in data.items()}


def _dated(
    name: str, kind: str, priority: int = 0, format_: str = "", minors: Mapping[str, int] | None = None
) -> _Dated:
    found = minors or {}
    return _Dated(
        _column(name, kind, priority, format_), found.get("since", 0), found.get("until", sys.maxsize)
    )


_DEFAULT_COLUMNS = (_column("Name", "string", 0, "name"), _column("Created At", "date"))

SCALE = Printer(
    (
        _column("Name", "string", 0, "name"),
        _column("Desired", "integer"),
        _column("Available", "integer"),
        _column("Age", "string"),
    ),
    cells.scale,
)


def partial_metadata(obj: Object, version: str = "v1") -> dict[str, Any]:
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": f"{_GROUP}/{version}",
        "metadata": obj.get("metadata") or {},
    }


def partial_metadata_list(
    objects: Iterable[Object], list_metadata: Mapping[str, Any], version: str = "v1"
) -> dict[str, Any]:
    return {
        "kind": "PartialObjectMetadataList",
        "apiVersion": f"{_GROUP}/{version}",
        "metadata": dict(list_metadata),
        "items": [partial_metadata(obj, version) for obj in objects],
    }
