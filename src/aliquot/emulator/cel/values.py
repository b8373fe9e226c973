"""What expressions compute with.

JSON's own values are themselves: None, bool, int, float, str, list and dict. The rest is here: unsigned numbers,
times, durations, optionals, types, and `Record`, an object read through its schema. bool is never an int.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from aliquot.emulator.cel.errors import EvaluationError, no_such_overload
from aliquot.emulator.kinds.go_durations import NANOSECONDS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Uint(int):
    """An unsigned number of 64 bits."""


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    nanoseconds: int


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    nanoseconds: int
    """Since 1970 in UTC."""

    @property
    def moment(self) -> datetime:
        """To the microsecond."""
        return _EPOCH + timedelta(microseconds=self.nanoseconds // 1000)


@dataclass(frozen=True, slots=True)
class TypeValue:
    name: str


@dataclass(frozen=True, slots=True)
class Optional:
    value: Any
    present: bool = True


NONE = Optional(None, present=False)


class Opaque:
    """A value of a library's own: a quantity, an address. Compares with its like alone."""

    cel_type: ClassVar[str]

    @property
    def size(self) -> int:
        """For the cost of what is done with it."""
        return 1


class Record:
    """An object with named fields, which are converted when they are read. `present`: the fields that it has."""

    __slots__ = ("_convert", "_read", "present", "raw", "type_name")

    def __init__(
        self, type_name: str, present: Mapping[str, Any], convert: Callable[[str, Any], Any], raw: Any = None
    ) -> None:
        self.type_name = type_name
        self.present = present
        self.raw = raw
        self._convert = convert
        self._read: dict[str, Any] = {}

    def __contains__(self, name: str) -> bool:
        return name in self.present

    def get(self, name: str) -> Any:
        if name in self._read:
            return self._read[name]
        if name not in self.present:
            raise EvaluationError(f"no such key: {name}")
        value = self._read[name] = self._convert(name, self.present[name])
        return value


class Lazy(Record):
    """Values that cost something to make: each is made when it is first asked for, once."""

    __slots__ = ()

    def __init__(self, type_name: str, makers: Mapping[str, Callable[[], Any]]) -> None:
        super().__init__(type_name, makers, lambda _, make: make())


class SetList(list[Any]):
    """A list whose order does not matter and that holds nothing twice (x-kubernetes-list-type: set)."""


class MapList(list[Any]):
    """A list of objects told apart by some of their fields (x-kubernetes-list-type: map)."""

    def __init__(self, items: list[Any], keys: tuple[str, ...]) -> None:
        super().__init__(items)
        self.keys = keys

    def key(self, item: Any) -> tuple[Any, ...]:
        return tuple(
            item.get(name) if isinstance(item, Record) and name in item else None for name in self.keys
        )


_NAMES: dict[type, str] = {
    type(None): "null_type",
    bool: "bool",
    int: "int",
    Uint: "uint",
    float: "double",
    str: "string",
    bytes: "bytes",
    list: "list",
    SetList: "list",
    MapList: "list",
    dict: "map",
    Timestamp: "google.protobuf.Timestamp",
    Duration: "google.protobuf.Duration",
    TypeValue: "type",
    Optional: "optional_type",
}


def type_name(value: Any) -> str:
    name = _NAMES.get(type(value))
    if name is not None:
        return name
    if isinstance(value, Record):
        return value.type_name
    return value.cel_type if isinstance(value, Opaque) else type(value).__name__


_NUMBERS = frozenset([int, Uint, float])


def equal(left: Any, right: Any) -> bool:
    """Numbers are equal across their types; values of other different types are not equal."""
    one, other = type(left), type(right)
    if one in _NUMBERS and other in _NUMBERS:
        return bool(left == right)
    if isinstance(left, list) and isinstance(right, list):
        return _lists_equal(left, right)
    if one is not other:
        if isinstance(left, Opaque) or isinstance(right, Opaque):
            raise no_such_overload()
        return False
    if one is dict:
        return len(left) == len(right) and all(
            key in right and equal(value, right[key]) for key, value in left.items()
        )
    if isinstance(left, Record):
        return left.present.keys() == right.present.keys() and all(
            equal(left.get(name), right.get(name)) for name in left.present
        )
    if one is Optional:
        return left.present == right.present and equal(left.value, right.value)
    return bool(left == right)


def _lists_equal(left: list[Any], right: list[Any]) -> bool:
    if len(left) != len(right):
        return False
    if isinstance(left, MapList):
        others = {_canonical(left.key(item)): item for item in right}
        return all(
            (key := _canonical(left.key(item))) in others and equal(item, others[key]) for item in left
        )
    if isinstance(left, SetList):
        return all(contains(right, item) for item in left)
    return all(equal(a, b) for a, b in zip(left, right, strict=True))


def _canonical(key: tuple[Any, ...]) -> str:
    return repr(key)


def contains(items: list[Any], wanted: Any) -> bool:
    return any(equal(item, wanted) for item in items)


def joined(left: list[Any], right: list[Any]) -> list[Any]:
    """`left + right`; sets and maps take over from the right what is new, and maps what has changed."""
    if isinstance(left, MapList):
        others = {_canonical(left.key(item)): item for item in right}
        merged = [others.pop(_canonical(left.key(item)), item) for item in left]
        return MapList(merged + list(others.values()), left.keys)
    if isinstance(left, SetList):
        return SetList(left + [item for item in right if not contains(left, item)])
    return left + right


def size(value: Any) -> int | None:
    """None where values of the type have no size."""
    match value:
        case str() | bytes() | list() | dict():
            return len(value)
        case Record():
            return len(value.present)
        case Optional(inner, True):
            return size(inner)
        case Opaque():
            return value.size
    return None


def elements(value: Any) -> Iterator[Any]:
    """What a comprehension goes through with one variable: items, or keys."""
    if isinstance(value, list | dict):
        return iter(value)
    raise no_such_overload()


def find(container: Any, key: Any) -> tuple[bool, Any]:
    """(whether there is such an element, the element). Raises EvaluationError where none can be."""
    match container:
        case dict():
            if isinstance(key, str | int | float) and key in container:
                return True, container[key]
            return False, None
        case Record():
            return (True, container.get(key)) if isinstance(key, str) and key in container else (False, None)
        case list():
            index = _index(key)
            return (True, container[index]) if 0 <= index < len(container) else (False, None)
        case Optional(inner, present):
            return find(inner, key) if present else (False, None)
    return False, None


def _index(key: Any) -> int:
    if type(key) in (int, Uint) or (isinstance(key, float) and key.is_integer()):
        return int(key)
    raise EvaluationError(f"unsupported index type '{type_name(key)}' in list")


def lookup(container: Any, key: Any) -> Any:
    """`container[key]`. Raises EvaluationError."""
    found, value = find(container, key)
    if isinstance(container, Optional):
        return Optional(value) if found else NONE
    if found:
        return value
    if isinstance(container, list):
        raise EvaluationError(f"index out of bounds: {key}")
    raise EvaluationError(f"no such key: {shown(key)}")


def shown(value: Any) -> str:
    """As Go prints it in messages."""
    match value:
        case bool():
            return "true" if value else "false"
        case None:
            return "null"
        case float():
            return go_float(value)
        case Timestamp():
            return timestamp_text(value)
        case Duration():
            return duration_text(value)
        case bytes():
            return value.decode("utf-8", "replace")
        case TypeValue(name):
            return name
    return str(value)


def go_float(value: float) -> str:
    """As %g: shortest digits, an exponent below 1e-4 and from 1e6."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    sign, digits, shift = Decimal(repr(value)).normalize().as_tuple()
    power = len(digits) + int(shift) - 1
    if -4 <= power < 6 or not value:
        return format(Decimal(repr(value)).normalize(), "f")
    text = "".join(map(str, digits))
    mantissa = f"{text[0]}.{text[1:]}" if len(text) > 1 else text
    return f"{'-' if sign else ''}{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"


def duration_text(value: Duration) -> str:
    """In seconds: `90s`, `0.5s`."""
    sign = "-" if value.nanoseconds < 0 else ""
    seconds, rest = divmod(abs(value.nanoseconds), NANOSECONDS)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{sign}{seconds}{fraction}s"


def timestamp_text(value: Timestamp) -> str:
    rest = value.nanoseconds % NANOSECONDS
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{value.moment:%Y-%m-%dT%H:%M:%S}".rjust(19, "0") + f"{fraction}Z"
