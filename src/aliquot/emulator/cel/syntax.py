"""Checked expressions as trees: what the compiler serializes (cel.expr.CheckedExpr), read into plain dataclasses.

Macros are expanded by then: `all`, `map` and their like are comprehensions.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from aliquot.emulator.cel.types import OPTIONAL, Kind, Type, list_of, map_of, opaque


@dataclass(frozen=True, slots=True)
class Node:
    id: int


@dataclass(frozen=True, slots=True)
class Constant(Node):
    value: bool | int | float | str | bytes | None
    unsigned: bool = False


@dataclass(frozen=True, slots=True)
class Ident(Node):
    name: str


@dataclass(frozen=True, slots=True)
class Select(Node):
    operand: Node
    field: str
    presence: bool
    """has(operand.field)"""


@dataclass(frozen=True, slots=True)
class Call(Node):
    function: str
    target: Node | None
    arguments: tuple[Node, ...]

    @property
    def operands(self) -> tuple[Node, ...]:
        return self.arguments if self.target is None else (self.target, *self.arguments)


@dataclass(frozen=True, slots=True)
class ListLiteral(Node):
    elements: tuple[Node, ...]
    optional: frozenset[int]
    """Which elements are written `?element`."""


@dataclass(frozen=True, slots=True)
class Entry:
    id: int
    key: Node | str
    """A name in a struct."""
    value: Node
    optional: bool


@dataclass(frozen=True, slots=True)
class MapLiteral(Node):
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class StructLiteral(Node):
    type_name: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Comprehension(Node):
    """For each of `range`: `accumulator` becomes `step`, while `condition`; then `result`."""

    variable: str
    second_variable: str
    """The value, where `variable` is the key or index; "" with one variable."""
    range: Node
    accumulator: str
    start: Node
    condition: Node
    step: Node
    result: Node


@dataclass(frozen=True, slots=True)
class Reference:
    name: str
    overloads: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Checked:
    root: Node
    types: Mapping[int, Type]
    references: Mapping[int, Reference]
    positions: Mapping[int, int] = field(default_factory=dict)
    """Of nodes in the expression's text, in code points."""
    line_ends: tuple[int, ...] = ()

    def type_of(self, node: Node) -> Type:
        return self.types.get(node.id, Type(Kind.DYN))


def read(serialized: bytes) -> Checked:
    """`serialized`: a google.protobuf.Any that holds a cel.expr.CheckedExpr."""
    return _checked(_last(serialized, 2))


def _checked(data: bytes) -> Checked:
    references: dict[int, Reference] = {}
    types: dict[int, Type] = {}
    positions: dict[int, int] = {}
    line_ends: tuple[int, ...] = ()
    root: Node | None = None
    for number, value in _fields(data):
        match number, value:
            case 2, bytes():
                references[_number(value, 1)] = _reference(_last(value, 2))
            case 3, bytes():
                types[_number(value, 1)] = _type(_last(value, 2))
            case 4, bytes():
                root = _expr(value)
            case 5, bytes():
                for part, inner in _fields(value):
                    if part == 3:
                        line_ends += tuple(_packed(inner))
                    elif part == 4 and isinstance(inner, bytes):
                        positions[_number(inner, 1)] = _number(inner, 2)
    assert root is not None
    return Checked(root, types, references, positions, line_ends)


def _reference(data: bytes) -> Reference:
    name, overloads = "", []
    for number, value in _fields(data):
        assert isinstance(value, bytes)
        if number == 1:
            name = value.decode()
        elif number == 3:
            overloads.append(value.decode())
    return Reference(name, tuple(overloads))


_PRIMITIVES = {1: Kind.BOOL, 2: Kind.INT, 3: Kind.UINT, 4: Kind.DOUBLE, 5: Kind.STRING, 6: Kind.BYTES}
_WELL_KNOWN = {1: Kind.DYN, 2: Kind.TIMESTAMP, 3: Kind.DURATION}


def _type(data: bytes) -> Type:
    for number, value in _fields(data):
        match number, value:
            case 2, _:
                return Type(Kind.NULL)
            case 3 | 4, int():
                return Type(_PRIMITIVES.get(value, Kind.DYN))
            case 5, int():
                return Type(_WELL_KNOWN.get(value, Kind.DYN))
            case 6, bytes():
                return list_of(_type(_last(value, 1)))
            case 7, bytes():
                return map_of(_type(_last(value, 1)), _type(_last(value, 2)))
            case 9, bytes():
                return Type(Kind.OBJECT, value.decode())
            case 10, bytes():
                return Type(Kind.PARAMETER, value.decode())
            case 11, bytes():
                return Type(Kind.TYPE, "", (_type(value),))
            case 14, bytes():
                parameters = [
                    _type(one) for part, one in _fields(value) if part == 2 and isinstance(one, bytes)
                ]
                name = _last(value, 1).decode()
                return opaque(OPTIONAL if name == OPTIONAL else name, *parameters)
    return Type(Kind.DYN)


def _expr(data: bytes) -> Node:
    node_id, kind, body = 0, 0, b""
    for number, value in _fields(data):
        if number == 2:
            assert isinstance(value, int)
            node_id = _signed(value)
        else:
            assert isinstance(value, bytes)
            kind, body = number, value
    match kind:
        case 3:
            return _constant(node_id, body)
        case 4:
            return Ident(node_id, _last(body, 1).decode())
        case 5:
            return Select(node_id, _expr(_last(body, 1)), _last(body, 2).decode(), bool(_number(body, 3)))
        case 6:
            return _call(node_id, body)
        case 7:
            return _list(node_id, body)
        case 8:
            return _struct(node_id, body)
        case 9:
            return _comprehension(node_id, body)
    raise ValueError(f"an expression of kind {kind}")


def _constant(node_id: int, data: bytes) -> Constant:
    for number, value in _fields(data):
        match number, value:
            case 2, int():
                return Constant(node_id, bool(value))
            case 3, int():
                return Constant(node_id, _signed(value))
            case 4, int():
                return Constant(node_id, value, unsigned=True)
            case 5, bytes():
                return Constant(node_id, struct.unpack("<d", value)[0])
            case 6, bytes():
                return Constant(node_id, value.decode())
            case 7, bytes():
                return Constant(node_id, value)
    return Constant(node_id, None)


def _call(node_id: int, data: bytes) -> Call:
    target: Node | None = None
    function, arguments = "", []
    for number, value in _fields(data):
        assert isinstance(value, bytes)
        if number == 1:
            target = _expr(value)
        elif number == 2:
            function = value.decode()
        else:
            arguments.append(_expr(value))
    return Call(node_id, function, target, tuple(arguments))


def _list(node_id: int, data: bytes) -> ListLiteral:
    elements: list[Node] = []
    optional: set[int] = set()
    for number, value in _fields(data):
        if number == 1 and isinstance(value, bytes):
            elements.append(_expr(value))
        elif number == 2:
            optional.update(_packed(value))
    return ListLiteral(node_id, tuple(elements), frozenset(optional))


def _struct(node_id: int, data: bytes) -> Node:
    name, entries = "", []
    for number, value in _fields(data):
        assert isinstance(value, bytes)
        if number == 1:
            name = value.decode()
        else:
            entries.append(_entry(value))
    return StructLiteral(node_id, name, tuple(entries)) if name else MapLiteral(node_id, tuple(entries))


def _entry(data: bytes) -> Entry:
    node_id, optional = 0, False
    key: Node | str = ""
    value: Node | None = None
    for number, part in _fields(data):
        match number, part:
            case 1, int():
                node_id = _signed(part)
            case 2, bytes():
                key = part.decode()
            case 3, bytes():
                key = _expr(part)
            case 4, bytes():
                value = _expr(part)
            case 5, int():
                optional = bool(part)
    assert value is not None
    return Entry(node_id, key, value, optional)


def _comprehension(node_id: int, data: bytes) -> Comprehension:
    parts = {number: value for number, value in _fields(data) if isinstance(value, bytes)}
    return Comprehension(
        node_id,
        parts[1].decode(),
        parts.get(8, b"").decode(),
        _expr(parts[2]),
        parts[3].decode(),
        _expr(parts[4]),
        _expr(parts[5]),
        _expr(parts[6]),
        _expr(parts[7]),
    )


# --- protobuf ---


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(number, value): varints as unsigned numbers, everything else as bytes."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        match tag & 7:
            case 0:
                value, at = _varint(data, at)
                yield tag >> 3, value
            case 1:
                yield tag >> 3, data[at : at + 8]
                at += 8
            case 2:
                size, at = _varint(data, at)
                yield tag >> 3, data[at : at + size]
                at += size
            case 5:
                yield tag >> 3, data[at : at + 4]
                at += 4
            case wire:
                raise ValueError(f"protobuf wire type {wire}")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _last(data: bytes, wanted: int) -> bytes:
    found = b""
    for number, value in _fields(data):
        if number == wanted and isinstance(value, bytes):
            found = value
    return found


def _number(data: bytes, wanted: int) -> int:
    found = 0
    for number, value in _fields(data):
        if number == wanted and isinstance(value, int):
            found = _signed(value)
    return found


def _packed(value: int | bytes) -> Iterator[int]:
    if isinstance(value, int):
        yield value
        return
    at = 0
    while at < len(value):
        one, at = _varint(value, at)
        yield one
