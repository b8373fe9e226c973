"""Warnings about definitions of custom kinds: formats that nothing will judge."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from aliquot.emulator.schema.validation import formats

Obj = Mapping[str, Any]

_OF_NUMBERS = {"integer": ("int32", "int64"), "number": ("float", "double")}
_LISTS = ("allOf", "anyOf", "oneOf")
_NODES = ("items", "additionalProperties", "not")


def crd(obj: Obj, old: Obj | None) -> Iterable[str]:
    before = set(_unrecognized(old)) if old is not None else set()
    for format_ in dict.fromkeys(_unrecognized(obj)):
        if format_ not in before:
            yield f'unrecognized format "{format_}"'


def _unrecognized(definition: Obj) -> Iterator[str]:
    for version in definition["spec"].get("versions") or ():
        yield from _of_node((version.get("schema") or {}).get("openAPIV3Schema") or {})


def _of_node(node: Obj) -> Iterator[str]:
    format_, kind = node.get("format", ""), node.get("type", "")
    if format_:
        recognized = (
            formats.is_known(format_) if kind in ("", "string") else format_ in _OF_NUMBERS.get(kind, ())
        )
        if not recognized:
            yield format_
    children = [*(node.get("properties") or {}).values(), *(node.get(word) for word in _NODES)]
    for word in _LISTS:
        children += node.get(word) or ()
    for child in children:
        if isinstance(child, Mapping):
            yield from _of_node(child)
