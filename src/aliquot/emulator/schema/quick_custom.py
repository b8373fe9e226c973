"""Types of custom kinds, made from the structural schema of their CRD (see `quick`).

An object that fits has no unknown fields, nothing that a default would replace, and breaks no limit of the schema: it
is pruned, defaulted and valid as it is. Schemas that say what such types cannot (alternatives, objects within objects,
some formats) have none, and their objects are walked. Rules in CEL and unique items are judged beside it.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union

import msgspec

from aliquot.emulator.schema.validation import formats, patterns, structural

Node = Mapping[str, Any]

_SAYS_NOTHING = frozenset(
    [
        "description",
        "example",
        "externalDocs",
        "title",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-list-type",
        "x-kubernetes-map-type",
        "x-kubernetes-validations",
    ]
)
_ALWAYS = frozenset(["type", "nullable", "default", *_SAYS_NOTHING])
_SAYS: Mapping[str, frozenset[str]] = {
    "string": _ALWAYS | {"enum", "format", "maxLength", "minLength", "pattern"},
    "integer": _ALWAYS | {"format", "maximum", "minimum"},
    "boolean": _ALWAYS,
    "array": _ALWAYS | {"items", "maxItems", "minItems"},
    "object": _ALWAYS | {"properties", "required", "additionalProperties"},
}
"""The words that each type can be made to obey."""
_FREE = frozenset(["type", "nullable", *_SAYS_NOTHING, "x-kubernetes-preserve-unknown-fields"])
_INT64 = range(-(2**63), 2**63)
_LENGTHS = range(2**63)
_UNSPEAKABLE = re.compile(r'["\\\x00-\x1f]')
"""What msgspec takes in no field's name."""


class NoType(Exception):
    """The schema says something that a type cannot."""


class Formatted(str):
    """A text of some format; a subclass for each."""

    wanted = ""

    @classmethod
    def of(cls, value: Any) -> "Formatted":
        """Raises ValueError."""
        if not isinstance(value, str) or not formats.has_format(value, cls.wanted):
            raise ValueError
        return cls(value)


def root(node: Node, metadata: Any) -> Any:
    """The type of whole objects whose schema is `node`, with their metadata of type `metadata`. Raises NoType."""
    properties = {**(node.get("properties") or {})}
    own = {"apiVersion": str, "kind": str, "metadata": metadata}
    for name in own:
        if not properties.pop(name, {}).keys() <= {"type", *_SAYS_NOTHING}:
            raise NoType
    required = set(node.get("required") or ()) - own.keys()
    whole = {**node, "properties": properties, "required": required, "type": "object"}
    return _struct(
        {key: value for key, value in whole.items() if key != "x-kubernetes-embedded-resource"}, own
    )


def _type(node: Node) -> Any:
    found = _bare(node)
    # An enum speaks of null too, and those that name it have no type.
    return Union[found, None] if node.get("nullable") and "enum" not in node else found  # noqa: UP007


def _bare(node: Node) -> Any:
    kind = node.get("type", "")
    if node.get("x-kubernetes-preserve-unknown-fields") and node.keys() <= _FREE:
        return dict[str, Any] if kind == "object" else Any
    if kind not in _SAYS or not node.keys() <= _SAYS[kind]:
        raise NoType
    match kind:
        case "string":
            return _string(node)
        case "integer":
            return _integer(node)
        case "boolean":
            return bool
        case "array":
            fewest, most = _whole(node, "minItems", _LENGTHS), _whole(node, "maxItems", _LENGTHS)
            limits = msgspec.Meta(min_length=fewest, max_length=most)
            return Annotated[list[_type(node.get("items") or {})], limits]  # type: ignore[misc]
    others = node.get("additionalProperties")
    if others is None:
        return _struct(node, {})
    if node.get("properties") or node.get("required"):
        raise NoType
    return dict[str, _type(others) if isinstance(others, Mapping) else Any]  # type: ignore[misc]


def _whole(node: Node, word: str, among: range) -> int | None:
    """The number that `word` says, None for none; only those that msgspec takes have a type."""
    limit = node.get(word)
    if limit is not None and not (isinstance(limit, int) and limit in among):
        raise NoType
    return limit


def _integer(node: Node) -> Any:
    among = structural.integers(node)
    least, most = _whole(node, "minimum", _INT64), _whole(node, "maximum", _INT64)
    least = among.start if least is None else max(least, among.start)
    most = among.stop - 1 if most is None else min(most, among.stop - 1)
    return Annotated[int, msgspec.Meta(ge=least, le=most)]


def _string(node: Node) -> Any:
    shortest, longest = _whole(node, "minLength", _LENGTHS), _whole(node, "maxLength", _LENGTHS)
    pattern = node.get("pattern") or None
    spelled = pattern and patterns.in_python(pattern)
    if spelled == "":
        raise NoType
    limited = any(limit is not None for limit in (pattern, shortest, longest))
    allowed, format_ = node.get("enum"), structural.known_format(node)
    if sum(map(bool, (limited, allowed, format_))) > 1:
        raise NoType
    if allowed:
        if not all(isinstance(one, str) for one in allowed):
            raise NoType
        return Literal[tuple(allowed)]
    if format_:
        return type("Formatted", (Formatted,), {"wanted": format_})
    return Annotated[str, msgspec.Meta(pattern=spelled, min_length=shortest, max_length=longest)]


def _struct(node: Node, own: Mapping[str, Any]) -> Any:
    if not node.keys() <= _SAYS["object"] or node.get("additionalProperties"):
        raise NoType
    properties: Mapping[str, Node] = node.get("properties") or {}
    required = set(node.get("required") or ())
    if not required <= properties.keys() or any(map(_UNSPEAKABLE.search, properties)):
        raise NoType
    kinds = {**own, **{name: _type(child) for name, child in properties.items()}}
    fields: list[Any] = []
    for number, (name, kind) in enumerate(kinds.items()):
        # What has a default must be there: who leaves it out is given it, by the walk.
        needed = name in required or properties.get(name, {}).get("default") is not None
        field = f"field_{number}"
        fields.append(
            (field, kind) if needed else (field, Union[kind, msgspec.UnsetType], msgspec.UNSET)  # noqa: UP007
        )
    names = {f"field_{number}": name for number, name in enumerate(kinds)}
    return msgspec.defstruct("Part", fields, rename=names, forbid_unknown_fields=True, gc=False, kw_only=True)
