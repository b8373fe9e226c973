"""The operators and functions of the language itself, which every environment has."""

import math
import operator
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from aliquot.emulator.cel import patterns, times
from aliquot.emulator.cel.errors import EvaluationError, no_such_overload
from aliquot.emulator.cel.values import (
    Duration,
    Optional,
    Record,
    Timestamp,
    TypeValue,
    Uint,
    duration_text,
    equal,
    find,
    go_float,
    joined,
    lookup,
    size,
    timestamp_text,
    type_name,
)
from aliquot.emulator.kinds.go_durations import NANOSECONDS

_INT_MIN, _INT_MAX, _UINT_MAX = -(2**63), 2**63 - 1, 2**64 - 1
_FIRST_SECOND, _LAST_SECOND = -62135596800, 253402300799
"""Years 1 to 9999."""


# --- arithmetic ---


def _int(value: int) -> int:
    if not _INT_MIN <= value <= _INT_MAX:
        raise EvaluationError("integer overflow")
    return value


def _uint(value: int) -> Uint:
    if not 0 <= value <= _UINT_MAX:
        raise EvaluationError("unsigned integer overflow")
    return Uint(value)


def _duration(nanoseconds: int) -> Duration:
    if not _INT_MIN <= nanoseconds <= _INT_MAX:
        raise EvaluationError("duration overflow")
    return Duration(nanoseconds)


def _timestamp(nanoseconds: int) -> Timestamp:
    if not _FIRST_SECOND <= nanoseconds // NANOSECONDS <= _LAST_SECOND:
        raise EvaluationError("timestamp overflow")
    return Timestamp(nanoseconds)


def add(left: Any, right: Any) -> Any:
    one, other = type(left), type(right)
    if one is other:
        if one is int:
            return _int(left + right)
        if one in (str, bytes, float):
            return left + right
        if one is Uint:
            return _uint(left + right)
        if one is Duration:
            return _duration(left.nanoseconds + right.nanoseconds)
    if isinstance(left, list) and isinstance(right, list):
        return joined(left, right)
    if (one, other) in ((Timestamp, Duration), (Duration, Timestamp)):
        return _timestamp(left.nanoseconds + right.nanoseconds)
    raise no_such_overload("" if one in _ADDERS or isinstance(left, list) else "_+_")


_ADDERS = frozenset([int, Uint, float, str, bytes, Duration, Timestamp])


def subtract(left: Any, right: Any) -> Any:
    match left, right:
        case Timestamp(), Timestamp():
            return _duration(left.nanoseconds - right.nanoseconds)
        case Timestamp(), Duration():
            return _timestamp(left.nanoseconds - right.nanoseconds)
        case Duration(), Duration():
            return _duration(left.nanoseconds - right.nanoseconds)
    return _arithmetic("_-_", operator.sub, left, right)


def multiply(left: Any, right: Any) -> Any:
    return _arithmetic("_*_", operator.mul, left, right)


def divide(left: Any, right: Any) -> Any:
    def quotient(a: Any, b: Any) -> Any:
        if isinstance(a, float):
            return a / b if b else (math.nan if a == 0 or a != a else math.copysign(math.inf, a) * _sign(b))
        if not b:
            raise EvaluationError("division by zero")
        return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)

    return _arithmetic("_/_", quotient, left, right)


def _sign(value: float) -> float:
    return math.copysign(1.0, value)


def modulo(left: Any, right: Any) -> Any:
    def remainder(a: int, b: int) -> int:
        if not b:
            raise EvaluationError("modulus by zero")
        return int(math.fmod(a, b)) if abs(a) < 2**53 and abs(b) < 2**53 else a - b * int(divide(a, b))

    if isinstance(left, float):
        raise no_such_overload("_%_")
    return _arithmetic("_%_", remainder, left, right)


def _arithmetic(name: str, compute: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    kind = type(left)
    if kind not in (int, Uint, float):
        raise no_such_overload(name)
    if kind is not type(right):
        raise no_such_overload()
    if kind is float:
        return compute(left, right)
    return _int(compute(left, right)) if kind is int else _uint(compute(int(left), int(right)))


def negate(value: Any) -> Any:
    match value:
        case bool() | Uint():
            raise no_such_overload("-_")
        case int():
            return _int(-value)
        case float():
            return -value
        case Duration(nanoseconds):
            return _duration(-nanoseconds)
    raise no_such_overload("-_")


def logical_not(value: Any) -> bool:
    if not isinstance(value, bool):
        raise no_such_overload("!_")
    return not value


# --- comparisons ---

_NUMBERS = frozenset([int, Uint, float])
_ORDERED = frozenset([str, bytes, bool, Timestamp, Duration])


def compare(left: Any, right: Any, name: str = "") -> int:
    """-1, 0 or 1."""
    one, other = type(left), type(right)
    if one in _NUMBERS and other in _NUMBERS:
        if left != left or right != right:
            raise EvaluationError("NaN values cannot be ordered")
    elif one is not other or one not in _ORDERED:
        raise no_such_overload("" if one in _ORDERED or one in _NUMBERS else name)
    return bool(left > right) - bool(left < right)


def _comparison(name: str, holds: Callable[[int], bool]) -> Callable[[Any, Any], bool]:
    return lambda left, right: holds(compare(left, right, name))


# --- collections and text ---


def contained_in(value: Any, container: Any) -> bool:
    match container:
        case list():
            return any(equal(item, value) for item in container)
        case dict() | Record():
            return find(container, value)[0]
    raise no_such_overload("@in")


def size_of(value: Any) -> int:
    if isinstance(value, Optional) or (found := size(value)) is None:
        raise no_such_overload("size")
    return found


def _text(name: str, compute: Callable[[str, str], Any]) -> Callable[[Any, Any], Any]:
    def call(target: Any, argument: Any) -> Any:
        if not isinstance(target, str) or not isinstance(argument, str):
            raise no_such_overload(name if not isinstance(target, str) else "")
        return compute(target, argument)

    return call


# --- conversions ---


def type_of(value: Any) -> TypeValue:
    return TypeValue(type_name(value))


def _impossible(value: Any, wanted: str) -> EvaluationError:
    return EvaluationError(f"type conversion error from '{type_name(value)}' to '{wanted}'")


def to_int(value: Any) -> int:
    match value:
        case bool():
            pass
        case int():
            return _int(int(value))
        case float():
            if value != value or not -(2.0**63) < value < 2.0**63:
                raise EvaluationError("integer overflow")
            return int(value)
        case str() if value.removeprefix("-").removeprefix("+").isascii() and _digits(value):
            number = int(value)
            if _INT_MIN <= number <= _INT_MAX:
                return number
        case Timestamp(nanoseconds):
            return nanoseconds // NANOSECONDS
        case Duration(nanoseconds):
            return nanoseconds
    raise _impossible(value, "int")


def _digits(text: str) -> bool:
    return (text[1:] if text[:1] in ("-", "+") else text).isdigit()


def to_uint(value: Any) -> Uint:
    match value:
        case bool():
            pass
        case int():
            return _uint(int(value))
        case float():
            if value != value or not 0 <= value < 2.0**64:
                raise EvaluationError("unsigned integer overflow")
            return Uint(value)
        case str() if value.isascii() and value.isdigit() and int(value) <= _UINT_MAX:
            return Uint(value)
    raise _impossible(value, "uint")


def to_double(value: Any) -> float:
    match value:
        case bool():
            pass
        case int() | float():
            return float(value)
        case str() if value.strip() == value and "_" not in value:
            try:
                return float(value)
            except ValueError:
                pass
    raise _impossible(value, "double")


def to_string(value: Any) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(int(value))
        case float():
            return go_float(value)
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                raise EvaluationError("invalid UTF-8 in bytes, cannot convert to string") from None
        case Timestamp():
            return timestamp_text(value)
        case Duration():
            return duration_text(value)
    raise _impossible(value, "string")


_TRUE, _FALSE = ("1", "t", "T", "true", "TRUE", "True"), ("0", "f", "F", "false", "FALSE", "False")


def to_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in _TRUE or value in _FALSE:
        return value in _TRUE
    raise _impossible(value, "bool")


def to_bytes(value: Any) -> bytes:
    match value:
        case bytes():
            return value
        case str():
            return value.encode()
    raise _impossible(value, "bytes")


def to_timestamp(value: Any) -> Timestamp:
    match value:
        case Timestamp():
            return value
        case str():
            read = times.timestamp(value)
            if read is not None:
                return _timestamp(read.nanoseconds)
        case int() if not isinstance(value, bool | Uint):
            return _timestamp(value * NANOSECONDS)
    raise _impossible(value, "google.protobuf.Timestamp")


def to_duration(value: Any) -> Duration:
    match value:
        case Duration():
            return value
        case str():
            read = times.duration(value)
            if read is not None:
                return read
        case int() if not isinstance(value, bool | Uint):
            return Duration(value)
    raise _impossible(value, "google.protobuf.Duration")


# --- parts of times ---


def _moment(value: Timestamp, zone: str) -> datetime:
    if not zone:
        return value.moment
    try:
        if ":" in zone:
            hours, _, minutes = zone.lstrip("+-").partition(":")
            offset = timedelta(hours=int(hours), minutes=int(minutes))
            return value.moment.astimezone(timezone(-offset if zone.startswith("-") else offset))
        return value.moment.astimezone(ZoneInfo(zone))
    except (ValueError, ZoneInfoNotFoundError):
        raise EvaluationError(f"unknown time zone {zone}") from None


def _part(
    name: str, of_time: Callable[[datetime], int], of_duration: Callable[[int], int] | None = None
) -> Callable[..., int]:
    def call(value: Any, zone: str = "") -> int:
        match value:
            case Timestamp():
                return of_time(_moment(value, zone))
            case Duration(nanoseconds) if of_duration is not None:
                return of_duration(nanoseconds)
        raise no_such_overload(name)

    return call


def _whole(unit_nanoseconds: int) -> Callable[[int], int]:
    return lambda nanoseconds: int(math.copysign(abs(nanoseconds) // unit_nanoseconds, nanoseconds))


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "_+_": add,
    "_-_": subtract,
    "_*_": multiply,
    "_/_": divide,
    "_%_": modulo,
    "-_": negate,
    "!_": logical_not,
    "_==_": equal,
    "_!=_": lambda left, right: not equal(left, right),
    "_<_": _comparison("_<_", lambda order: order < 0),
    "_<=_": _comparison("_<=_", lambda order: order <= 0),
    "_>_": _comparison("_>_", lambda order: order > 0),
    "_>=_": _comparison("_>=_", lambda order: order >= 0),
    "_[_]": lookup,
    "@in": contained_in,
    "size": size_of,
    "contains": _text("contains", lambda text, part: part in text),
    "startsWith": _text("startsWith", str.startswith),
    "endsWith": _text("endsWith", str.endswith),
    "matches": _text("matches", lambda text, pattern: patterns.matches(pattern, text)),
    "type": type_of,
    "dyn": lambda value: value,
    "int": to_int,
    "uint": to_uint,
    "double": to_double,
    "string": to_string,
    "bool": to_bool,
    "bytes": to_bytes,
    "timestamp": to_timestamp,
    "duration": to_duration,
    "getFullYear": _part("getFullYear", lambda at: at.year),
    "getMonth": _part("getMonth", lambda at: at.month - 1),
    "getDayOfYear": _part("getDayOfYear", lambda at: at.timetuple().tm_yday - 1),
    "getDayOfMonth": _part("getDayOfMonth", lambda at: at.day - 1),
    "getDate": _part("getDate", lambda at: at.day),
    "getDayOfWeek": _part("getDayOfWeek", lambda at: at.isoweekday() % 7),
    "getHours": _part("getHours", lambda at: at.hour, _whole(3600 * NANOSECONDS)),
    "getMinutes": _part("getMinutes", lambda at: at.minute, _whole(60 * NANOSECONDS)),
    "getSeconds": _part("getSeconds", lambda at: at.second, _whole(NANOSECONDS)),
    "getMilliseconds": _part(
        "getMilliseconds",
        lambda at: at.microsecond // 1000,
        lambda nanoseconds: int(math.fmod(nanoseconds // 1_000_000, 1000)),
    ),
}
