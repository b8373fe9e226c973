"""Rows of custom resources: the additionalPrinterColumns of their definition."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aliquot.emulator.tables.durations import since
from aliquot.emulator.tables.jsonpath import JSONPathError, compile_path
from aliquot.emulator.tables.parts import Cells, Object

Column = dict[str, Any]

_AGE = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}


def columns_and_cells(version: Mapping[str, Any]) -> tuple[list[Column], Cells]:
    """From one entry of a CRD's `spec.versions`. A path that cannot be read makes its cells empty."""
    declared: Sequence[Mapping[str, Any]] = version.get("additionalPrinterColumns") or [_AGE]
    columns: list[Column] = [
        {"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0}
    ]
    readers = []
    for column in declared:
        columns.append(
            {
                "name": column["name"],
                "type": column["type"],
                "format": column.get("format", ""),
                "description": column.get("description", ""),
                "priority": column.get("priority", 0),
            }
        )
        readers.append((column["type"], _finder(column["jsonPath"])))

    def cells(obj: Object, now: float) -> list[Any]:
        return [obj["metadata"].get("name", ""), *(_cell(kind, find(obj), now) for kind, find in readers)]

    return columns, cells


def _finder(path: str) -> Callable[[Any], list[Any]]:
    try:
        return compile_path(path)
    except JSONPathError:
        return lambda _: []


def _cell(kind: str, found: Sequence[Any], now: float) -> Any:
    if not found or found[0] is None:
        return None
    value = found[0]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match kind:
        case "string":
            return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        case "integer" if number:
            return int(value)
        case "number" if number:
            return value
        case "boolean" if isinstance(value, bool):
            return value
        case "date" if isinstance(value, str):
            return since(value, now)
    return None
