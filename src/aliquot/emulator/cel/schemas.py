"""Schemas as types, and values read through a schema.

A rule sees a property by its escaped name (`foo-bar` is `foo__dash__bar`), a number as a double, a date-time as a
timestamp, and of what a schema does not name it sees nothing.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from aliquot.emulator.cel import times
from aliquot.emulator.cel.errors import EvaluationError
from aliquot.emulator.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    Type,
    list_of,
    map_of,
    object_of,
)
from aliquot.emulator.cel.values import MapList, Record, SetList, Timestamp
from aliquot.emulator.kinds.go_durations import NANOSECONDS

Node = Mapping[str, Any]

MAX_REQUEST_BYTES = 3 * 1024 * 1024

_WORDS = ["as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let"]
_MORE_WORDS = ["loop", "namespace", "null", "package", "return", "true", "var", "void", "while"]
RESERVED = frozenset([*_WORDS, *_MORE_WORDS])
_TO_ESCAPE = re.compile(r"__|[-./]")
_ESCAPES = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_PLAIN = re.compile(r"[a-zA-Z_./-][a-zA-Z0-9_./-]*", re.ASCII)


def escape(name: str) -> str | None:
    """How an expression names a property; None where it cannot."""
    if name in RESERVED:
        return f"__{name}__"
    if not _PLAIN.fullmatch(name):
        return None
    return _TO_ESCAPE.sub(lambda match: _ESCAPES[match[0]], name)


# --- types ---

_META = {"type": "object", "properties": {"name": {"type": "string"}, "generateName": {"type": "string"}}}
_RESOURCE = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": _META}


def as_resource(node: Node) -> Node:
    """The root of an object, with what every object has: of its metadata a rule sees the name alone."""
    return {**node, "properties": {**(node.get("properties") or {}), **_RESOURCE}}


def declared(node: Node, *, is_resource: bool, name: str = "object") -> Type | None:
    """The type of what a schema describes; None where a rule sees nothing of it."""
    if node.get("x-kubernetes-int-or-string"):
        length = node.get("maxLength")
        return replace(
            DYN, min_bytes=1, max_elements=_longest(node) if length is None else max(length, 0) * 4
        )
    if is_resource:
        node = as_resource(node)
    match node.get("type"):
        case "array":
            return _declared_list(node, name)
        case "object":
            return _declared_object(node, name)
        case "string":
            return _declared_string(node)
        case "boolean":
            return BOOL
        case "number":
            return DOUBLE
        case "integer":
            return INT
    return None


def _declared_list(node: Node, name: str) -> Type | None:
    items = node.get("items")
    element = _child(items, f"{name}.@idx") if isinstance(items, Mapping) else None
    if element is None:
        return None
    most = node.get("maxItems", (MAX_REQUEST_BYTES - 2) // (element.min_bytes + 1))
    return replace(list_of(element), min_bytes=2, max_elements=max(most, 0))


def _child(node: Node, name: str) -> Type | None:
    return declared(node, is_resource=bool(node.get("x-kubernetes-embedded-resource")), name=name)


def _declared_object(node: Node, name: str) -> Type | None:
    others = node.get("additionalProperties")
    if isinstance(others, Mapping):
        value = _child(others, f"{name}.@elem")
        if value is None:
            return None
        most = node.get("maxProperties", (MAX_REQUEST_BYTES - 2) // (value.min_bytes + 6))
        return replace(map_of(STRING, value), min_bytes=2, max_elements=max(most, 0))
    fields: dict[str, Type] = {}
    least = 2
    required = node.get("required") or ()
    for key, child in (node.get("properties") or {}).items():
        escaped = escape(key)
        kind = _child(child, f"{name}.{escaped}")
        if kind is None:
            continue
        if escaped is not None:
            fields[escaped] = kind
        if key in required and child.get("default") is None:
            least += len(key) + kind.min_bytes + 4
    return replace(object_of(name, fields), min_bytes=least)


_TIMES = {"duration": (DURATION, 3, 32), "date": (TIMESTAMP, 12, 12), "date-time": (TIMESTAMP, 21, 32)}


def _declared_string(node: Node) -> Type:
    form, length = node.get("format", ""), node.get("maxLength")
    if form in _TIMES:
        kind, least, most = _TIMES[form]
        return replace(kind, min_bytes=least, max_elements=most)
    if form == "byte":
        return replace(BYTES, max_elements=_longest(node) if length is None else max(length, 0))
    if length is not None:
        # Counted in characters, which can take four bytes each.
        return replace(STRING, max_elements=max(length, 0) * 4)
    values = [value for value in node.get("enum") or () if isinstance(value, str)]
    most = max((len(value.encode()) for value in values), default=0) if node.get("enum") else _longest(node)
    return replace(STRING, max_elements=most)


def _longest(node: Node) -> int:
    return MAX_REQUEST_BYTES - 2


# --- values ---


def to_cel(value: Any, node: Node) -> Any:
    """`value` as expressions see it. Raises EvaluationError where it is not what the schema says."""
    if value is None:
        if node.get("nullable"):
            return None
        raise EvaluationError("invalid data, got null for schema with nullable=false")
    if node.get("x-kubernetes-int-or-string"):
        return value
    match node.get("type"):
        case "object":
            return _object(value, node)
        case "array":
            return _list(value, node)
        case "string":
            return _string(value, node)
        case "number":
            return float(value)
    return value


def _object(value: Any, node: Node) -> Any:
    if not isinstance(value, dict):
        raise EvaluationError("invalid data, expected a map for the provided schema with type=object")
    if node.get("x-kubernetes-embedded-resource"):
        node = as_resource(node)
    properties = node.get("properties")
    others = node.get("additionalProperties")
    if properties is None and isinstance(others, Mapping):
        return {key: to_cel(child, others) for key, child in value.items()}
    known = properties or {}
    # Of a nullable property null is as good as absent.
    present = {
        escaped: key
        for key, child in value.items()
        if key in known and child is not None and (escaped := escape(key)) is not None
    }
    return Record("map", present, lambda _, key: to_cel(value[key], known[key]), value)


def _list(value: Any, node: Node) -> list[Any]:
    if not isinstance(value, list):
        raise EvaluationError("invalid data, expected an array for the provided schema with type=array")
    items = [to_cel(item, node.get("items") or {}) for item in value]
    match node.get("x-kubernetes-list-type"):
        case "map":
            keys = node.get("x-kubernetes-list-map-keys") or ()
            return MapList(items, tuple(escape(key) or key for key in keys))
        case "set":
            return SetList(items)
    return items


def _string(value: Any, node: Node) -> Any:
    if not isinstance(value, str):
        raise EvaluationError(f"invalid data, expected string, got {type(value).__name__}")
    match node.get("format"):
        case "duration":
            read = times.duration(value)
            if read is None:
                raise EvaluationError(f"Invalid duration {value}: unable to parse {value} as duration")
            return read
        case "date-time":
            moment = times.timestamp(value)
            if moment is None:
                raise EvaluationError(f"Invalid date-time formatted string {value}")
            return moment
        case "date":
            try:
                day = date.fromisoformat(value)
            except ValueError:
                raise EvaluationError(f"Invalid date formatted string {value}") from None
            return Timestamp((day - date(1970, 1, 1)).days * 86400 * NANOSECONDS)
        case "byte":
            try:
                return base64.b64decode(value, validate=True)
            except (ValueError, binascii.Error):
                raise EvaluationError(f"Invalid byte formatted string {value}") from None
    return value
