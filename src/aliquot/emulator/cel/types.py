"""The types that expressions are checked against, with what is known of the size of their values.

Sizes serve the estimate of an expression's cost alone: `max_elements` is how many characters, items or entries a
value can have at most (0 where there is nothing to count), `min_bytes` how little of a request it can take.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """Spelled as the compiler's configuration spells them."""

    DYN = "dyn"
    NULL = "null"
    BOOL = "bool"
    INT = "int"
    UINT = "uint"
    DOUBLE = "double"
    STRING = "string"
    BYTES = "bytes"
    TIMESTAMP = "timestamp"
    DURATION = "duration"
    LIST = "list"
    MAP = "map"
    TYPE = "type"
    OBJECT = "object"
    """Fields by name: a schema with properties, or the `request` of an admission policy."""
    OPAQUE = "opaque"
    """A name and what functions make of it: kubernetes.Quantity, optional_type(int)."""
    PARAMETER = "parameter"
    """Stands for any type in a function's declaration."""


@dataclass(frozen=True, slots=True)
class Type:
    kind: Kind
    name: str = ""
    parameters: tuple["Type", ...] = ()
    fields: Mapping[str, "Type"] = field(default_factory=dict, hash=False)
    max_elements: int = field(default=0, compare=False)
    min_bytes: int = field(default=0, compare=False)

    def __str__(self) -> str:
        name = self.name or str(self.kind)
        if self.kind is Kind.OPAQUE and self.name == OPTIONAL:
            name = OPTIONAL
        return f"{name}({', '.join(map(str, self.parameters))})" if self.parameters else name

    @property
    def element(self) -> "Type | None":
        """Of a list the items, of a map the values."""
        return self.parameters[-1] if self.kind in (Kind.LIST, Kind.MAP) else None

    def objects(self) -> Iterator["Type"]:
        """Every type with fields in it, itself included, each name once."""
        seen: set[str] = set()
        waiting = [self]
        while waiting:
            one = waiting.pop()
            waiting += one.parameters
            if one.kind is Kind.OBJECT and one.name not in seen:
                seen.add(one.name)
                yield one
                waiting += one.fields.values()


OPTIONAL = "optional_type"

DYN = Type(Kind.DYN)
NULL = Type(Kind.NULL)
BOOL = Type(Kind.BOOL, min_bytes=4)
INT = Type(Kind.INT, min_bytes=1)
UINT = Type(Kind.UINT, min_bytes=1)
DOUBLE = Type(Kind.DOUBLE, min_bytes=1)
STRING = Type(Kind.STRING, min_bytes=2)
BYTES = Type(Kind.BYTES, min_bytes=2)
TIMESTAMP = Type(Kind.TIMESTAMP)
DURATION = Type(Kind.DURATION)
T = Type(Kind.PARAMETER, "T")


def list_of(element: Type) -> Type:
    return Type(Kind.LIST, "", (element,))


def map_of(key: Type, value: Type) -> Type:
    return Type(Kind.MAP, "", (key, value))


def opaque(name: str, *parameters: Type) -> Type:
    return Type(Kind.OPAQUE, name, parameters)


def optional_of(value: Type) -> Type:
    return opaque(OPTIONAL, value)


def object_of(name: str, fields: Mapping[str, Type]) -> Type:
    return Type(Kind.OBJECT, name, (), fields)
