"""Paths as schemas write them (`.spec.ports['http']`): of a rule's fieldPath, of selectableFields."""

import re
from collections.abc import Mapping
from typing import Any

Node = Mapping[str, Any]

_TOKEN = re.compile(r"'(?:[^'\\]|\\.)*'|[.\[\]]|[^.\[\]']+")
_ESCAPES = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "'": "'",
    "\\": "\\",
}


class BadPath(ValueError):
    """Leads nowhere in the schema; the text says why."""


def resolve(path: str, node: Node, *, brackets: bool = True) -> tuple[str, Node]:
    """(the path in the form of error messages, the schema that it leads to). Raises BadPath."""
    written = ""
    tokens = iter(_TOKEN.findall(path))
    for token in tokens:
        match token:
            case ".":
                name = _next(tokens)
            case "[" if not brackets:
                raise BadPath("array notation is not allowed")
            case "[":
                quoted = _next(tokens)
                if len(quoted) < 2 or quoted[0] != "'" or quoted[-1] != "'":
                    raise BadPath(f"expected single quoted string but got {quoted}")
                name = re.sub(r"\\(.)", _unescaped, quoted[1:-1])
                if (closing := _next(tokens)) != "]":
                    raise BadPath(f"expected ] but got {closing}")
            case _:
                raise BadPath(f"expected [ or . but got: {token}")
        written, node = _step(written, node, name)
    return written, node


def _next(tokens: "Any") -> str:
    token = next(tokens, None)
    if token is None:
        raise BadPath("unexpected end of JSON path")
    return str(token)


def _unescaped(match: re.Match[str]) -> str:
    if match[1] not in _ESCAPES:
        raise BadPath(f"invalid string literal: invalid escape char {match[0]}")
    return _ESCAPES[match[1]]


def _step(written: str, node: Node, name: str) -> tuple[str, Node]:
    properties, others = node.get("properties"), node.get("additionalProperties")
    if properties is not None:
        if name not in properties:
            raise BadPath("does not refer to a valid field")
        return f"{written}.{name}" if written else name, properties[name]
    if isinstance(others, Mapping):
        return f"{written}[{name}]", others
    raise BadPath("does not refer to a valid field")
