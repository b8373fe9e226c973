"""From JSON as a client sent it to an object of its kind.

Built-in kinds are read as Go reads them into structs: a value of the wrong type refuses the whole body, unknown
fields are dropped and reported, nulls vanish, quantities and times take their canonical spelling. Custom kinds
are pruned by their structural schema; only metadata is typed at this point, the rest is for validation to judge.
"""

import base64
import binascii
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from aliquot.clock import spelled_rfc3339
from aliquot.emulator.schema.shapes import Form, Shape
from aliquot.kube import quantity

_QUANTITY_TEXT = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_RFC3339_LAYOUT = "2006-01-02T15:04:05Z07:00"
_SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_MICRO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_MICROSECONDS = re.compile(r"\.\d{6}")
_ZONE = re.compile(r"Z|[+-]\d\d:\d\d")
_MICRO_LAYOUT = "2006-01-02T15:04:05.000000Z07:00"
_INT32: Final = 2**31
_INT64: Final = 2**63


_PLAIN: Final = {
    str: (Form.STRING, Form.INT_OR_STRING),
    int: (Form.INTEGER, Form.INT_OR_STRING),
    bool: (Form.BOOLEAN,),
}
"""What may be taken as it is, by the type that JSON gave it."""
_CONTAINERS: Final = (Form.OBJECT, Form.LIST)


class NotDecodable(ValueError):
    """The body is no object of its kind; the text is that of Go's decoder."""


@dataclass(slots=True)
class _Decoder:
    """Where the walk is, for the sake of messages; and what it found."""

    unknown: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)  # JSON names down to here, as Go's errors give them
    struct: str = ""

    def unmarshal(self, value: Any, go_type: str) -> NotDecodable:
        word = _go_word(value)
        if self.struct:
            return NotDecodable(
                f"json: cannot unmarshal {word} into Go struct field {self.struct}.{'.'.join(self.names)} of type {go_type}"
            )
        return NotDecodable(f"json: cannot unmarshal {word} into Go value of type {go_type}")


def decode(obj: Any, shape: Shape) -> tuple[dict[str, Any], list[str]]:
    """(`obj` as the server takes it, unknown fields by path). Raises NotDecodable."""
    decoder = _Decoder()
    if not isinstance(obj, dict):
        raise decoder.unmarshal(obj, _go_type(shape))
    if shape.name:
        return _struct(obj, shape, "", decoder), decoder.unknown
    pruned = _prune(obj, shape, "", decoder)
    return pruned, sorted(decoder.unknown)


# --- built-in kinds ---


def _struct(value: dict[str, Any], shape: Shape, path: str, decoder: _Decoder) -> dict[str, Any]:
    fields = shape.fields
    element = shape.element
    outer = decoder.struct
    decoder.struct = _go_name(shape)
    decoded: dict[str, Any] = {}
    for key, child in value.items():
        inner = fields.get(key)
        if inner is None:
            if element is None:
                decoder.unknown.append(f"{path}{key}")
            else:
                decoded[key] = child  # an untyped object keeps what it holds
            continue
        if child is None:
            continue
        # Most fields are plain values that are as they should be; the rest of this is for errors to say where.
        kind = type(child)
        if (
            kind in _PLAIN
            and (form := inner.form) in _PLAIN[kind]
            and (form is not Form.INTEGER or -_INT32 <= child < _INT32)
        ):
            decoded[key] = child
            continue
        decoder.names.append(key)
        decoded[key] = _value(child, inner, f"{path}{key}", decoder)
        decoder.names.pop()
    for key in shape.closed:
        decoded.pop(key, None)
    decoder.struct = outer
    return decoded


def is_map(shape: Shape) -> bool:
    """An object whose keys are free and whose values are all of one shape."""
    return not shape.fields and shape.element is not None and not shape.untyped


def _value(value: Any, shape: Shape, path: str, decoder: _Decoder) -> Any:
    match shape.form:
        case Form.STRING:
            if not isinstance(value, str):
                raise decoder.unmarshal(value, "string")
            return value
        case Form.OBJECT:
            if not isinstance(value, dict):
                raise decoder.unmarshal(value, _go_type(shape))
            if not is_map(shape):
                return _struct(value, shape, path + ".", decoder)
            element = shape.element
            assert element is not None
            if element.form is Form.STRING and all(isinstance(child, str) for child in value.values()):
                return dict(value)
            return {key: _item(child, element, f"{path}.{key}", decoder) for key, child in value.items()}
        case Form.LIST:
            if not isinstance(value, list):
                raise decoder.unmarshal(value, _go_type(shape))
            element = shape.element
            assert element is not None
            return [_item(child, element, f"{path}[{index}]", decoder) for index, child in enumerate(value)]
        case Form.INTEGER:
            limit = _INT32 if shape.node.get("format") == "int32" else _INT64
            if isinstance(value, bool) or not isinstance(value, int) or not -limit <= value < limit:
                raise decoder.unmarshal(value, _go_type(shape))
            return value
        case Form.BOOLEAN:
            if not isinstance(value, bool):
                raise decoder.unmarshal(value, "bool")
            return value
        case Form.NUMBER:
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise decoder.unmarshal(value, "float64")
            return value
        case Form.QUANTITY:
            return spelled_quantity(value)
        case Form.INT_OR_STRING:
            if isinstance(value, bool) or not isinstance(value, int | str):
                raise decoder.unmarshal(value, "string" if isinstance(value, bool | dict | list) else "int32")
            return value
        case Form.TIME:
            return _time(value, shape, decoder)
        case Form.BYTES:
            return _bytes(value, decoder)
        case Form.ANY:
            return value


def _item(value: Any, shape: Shape, path: str, decoder: _Decoder) -> Any:
    """An item of a list or map; unlike a field, a null there is the zero value of its type."""
    if value is not None:
        return _value(value, shape, path, decoder)
    match shape.form:
        case Form.OBJECT:
            return {}
        case Form.LIST:
            return []
        case Form.INTEGER | Form.NUMBER:
            return 0
        case Form.BOOLEAN:
            return False
        case Form.QUANTITY:
            return "0"
        case Form.STRING:
            return ""
        case _:
            return None


def spelled_quantity(value: Any) -> str:
    """In the one spelling that is stored. Raises NotDecodable."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise NotDecodable(_QUANTITY_TEXT)
    try:
        return _canonical(value.strip() if isinstance(value, str) else str(value))
    except quantity.QuantityError:
        raise NotDecodable(_QUANTITY_TEXT) from None


_canonical = lru_cache(maxsize=4096)(quantity.canonical)


def _time(value: Any, shape: Shape, decoder: _Decoder) -> str:
    if not isinstance(value, str):
        raise decoder.unmarshal(value, "string")
    micro = shape.name.endswith(".MicroTime")
    if micro:
        _check_micro(value)
    elif is_time(value):
        return value
    try:
        if not _RFC3339.fullmatch(value):
            raise ValueError(value)
        moment = datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        raise NotDecodable(
            f'parsing time "{value}" as "{_MICRO_LAYOUT if micro else _RFC3339_LAYOUT}": cannot parse "{value}" as "2006"'
        ) from None
    return spelled_rfc3339(moment, micro=micro)


def _check_micro(value: str) -> None:
    """Six digits of a fraction, no fewer and no more: `2026-01-01T00:00:00Z` is no MicroTime."""
    seconds = _SECONDS.match(value)
    if seconds is None:
        return  # no time at all, which is told of elsewhere
    rest, wanted = value[seconds.end() :], ".000000"
    if _MICROSECONDS.match(rest):
        rest, wanted = rest[7:], "Z07:00"
        if _ZONE.fullmatch(rest):
            return
    raise NotDecodable(f'parsing time "{value}" as "{_MICRO_LAYOUT}": cannot parse "{rest}" as "{wanted}"')


def is_time(text: str) -> bool:
    """Whether a time stands as it is stored; one that does not may still be read."""
    return _TIME.fullmatch(text) is not None


def is_micro_time(text: str) -> bool:
    """As `is_time`, of a MicroTime."""
    if _MICRO_TIME.fullmatch(text) is None:
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _bytes(value: Any, decoder: _Decoder) -> str:
    if not isinstance(value, str):
        raise decoder.unmarshal(value, "[]uint8")
    text = value.replace("\n", "").replace("\r", "")
    if not is_base64(text):
        bad = re.search(r"[^A-Za-z0-9+/]", text)
        position = bad.start() if bad else len(text) // 4 * 4
        raise NotDecodable(f"illegal base64 data at input byte {position}")
    return text


def _go_word(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case str():
            return "string"
        case list():
            return "array"
        case dict():
            return "object"
        case None:
            return "null"
        case float():
            return f"number {value}"
        case _:
            return "number" if -_INT32 <= value < _INT32 else f"number {value}"


def _go_name(shape: Shape) -> str:
    return shape.name.rpartition(".")[2]


def _go_type(shape: Shape) -> str:
    match shape.form:
        case Form.OBJECT if shape.name:
            package, _, name = shape.name.rpartition(".")
            return f"{package.rpartition('.')[2]}.{name}"
        case Form.OBJECT:
            return f"map[string]{_go_type(shape.element)}" if shape.element else "map[string]interface {}"
        case Form.LIST:
            return f"[]{_go_type(shape.element)}" if shape.element else "[]interface {}"
        case Form.INTEGER:
            return str(shape.node.get("format", "int"))
        case Form.BOOLEAN:
            return "bool"
        case Form.QUANTITY:
            return "resource.Quantity"
        case _:
            return "string"


def without_empties(value: Any, shape: Shape) -> Any:
    """A copy of a built-in object without nulls, and without the empty lists and maps that Go leaves out.

    Empty structs stay: `emptyDir: {}` says something. A field that the schema requires stays too.
    """
    if isinstance(value, dict):
        if shape.form is not Form.OBJECT or shape.untyped:
            return value
        element = shape.element
        if not shape.fields and element is not None:
            if element.form not in _CONTAINERS:
                return dict(value)
            return {key: without_empties(child, element) for key, child in value.items()}
        kept: dict[str, Any] = {}
        fields = shape.fields
        for key, child in value.items():
            if isinstance(child, dict | list):
                inner = fields.get(key)
                if inner is not None:
                    child = without_empties(child, inner)
                    if not child and key not in shape.required and (isinstance(child, list) or is_map(inner)):
                        continue
            elif child is None:
                continue
            kept[key] = child
        return kept
    if isinstance(value, list) and (element := shape.element) is not None:
        if element.form not in _CONTAINERS:
            return list(value)
        return [without_empties(child, element) for child in value]
    return value


# --- custom kinds ---


def _prune(value: Any, shape: Shape, path: str, decoder: _Decoder) -> Any:
    if isinstance(value, list):
        element = shape.element if shape.form is Form.LIST else None
        if element is None:
            return value
        return [_prune(child, element, f"{path}[{index}]", decoder) for index, child in enumerate(value)]
    if not isinstance(value, dict) or shape.form is Form.ANY:
        return value
    pruned: dict[str, Any] = {}
    for key, child in value.items():
        inner = shape.child(key)
        where = f"{path}.{key}" if path else key
        if inner is None:
            decoder.unknown.append(where)
        elif key == "metadata" and shape.embedded:
            pruned[key] = _metadata(child, inner, where, decoder)
        else:
            pruned[key] = _prune(child, inner, where, decoder)
    return pruned


def _metadata(value: Any, shape: Shape, path: str, decoder: _Decoder) -> Any:
    decoder.names.append("metadata")
    decoded = _value({} if value is None else value, shape, path, decoder)
    decoder.names.pop()
    return decoded


def prune_nulls(value: Any, shape: Shape) -> Any:
    """A custom object without the nulls that its schema neither allows nor replaces by a default."""
    if isinstance(value, list):
        element = shape.element if shape.form is Form.LIST else None
        return value if element is None else [prune_nulls(child, element) for child in value]
    if not isinstance(value, dict) or shape.form is Form.ANY:
        return value
    kept: dict[str, Any] = {}
    for key, child in value.items():
        inner = shape.child(key)
        if child is None and inner is not None and _refuses_null(inner) and inner.default is None:
            continue
        kept[key] = child if inner is None else prune_nulls(child, inner)
    return kept


def default_custom(value: Any, shape: Shape) -> Any:
    """A custom object with the defaults of its schema, which also stand in for nulls that it does not allow."""
    if isinstance(value, list):
        element = shape.element if shape.form is Form.LIST else None
        return value if element is None else [_defaulted(child, element) for child in value]
    if not isinstance(value, dict) or shape.form is Form.ANY:
        return value
    filled = dict(value)
    for key, inner in shape.fields.items():
        if inner.default is not None and (key not in filled or (filled[key] is None and not inner.nullable)):
            filled[key] = inner.default
    for key, child in filled.items():
        inner_shape = shape.child(key)
        if inner_shape is not None and not (shape.embedded and key in ("apiVersion", "kind", "metadata")):
            filled[key] = _defaulted(child, inner_shape)
    return filled


def _defaulted(value: Any, shape: Shape) -> Any:
    if value is None and not shape.nullable and shape.default is not None:
        value = shape.default
    return default_custom(value, shape)


def _refuses_null(shape: Shape) -> bool:
    return not shape.nullable and not shape.name and shape.form is not Form.ANY
