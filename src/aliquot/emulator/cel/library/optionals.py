"""Values that may be missing. `or`, `orValue`, `.?` and `[?]` look at their right side only when they must, and so
are the interpreter's own."""

from typing import Any

from aliquot.emulator.cel.errors import EvaluationError
from aliquot.emulator.cel.library.overload import free, member
from aliquot.emulator.cel.types import BOOL, T, list_of, optional_of
from aliquot.emulator.cel.values import NONE, Duration, Optional, Record

_OPTIONAL = optional_of(T)


def _value(optional: Optional) -> Any:
    if not optional.present:
        raise EvaluationError("optional.none() dereference")
    return optional.value


def _non_zero(value: Any) -> Optional:
    match value:
        case None | Duration(0):
            return NONE
        case bool() | int() | float() | str() | bytes() | list() | dict():
            return Optional(value) if value else NONE
        case Record():
            return Optional(value) if value.present else NONE
    return Optional(value)


def _unwrapped(optionals: list[Optional]) -> list[Any]:
    return [one.value for one in optionals if one.present]


OVERLOADS = (
    free("optional.of", "optional_of", (T,), _OPTIONAL, Optional),
    free("optional.ofNonZeroValue", "optional_ofNonZeroValue", (T,), _OPTIONAL, _non_zero),
    free("optional.none", "optional_none", (), _OPTIONAL, lambda: NONE),
    member("value", "optional_value", (_OPTIONAL,), T, _value),
    member("hasValue", "optional_hasValue", (_OPTIONAL,), BOOL, lambda optional: optional.present),
    member(
        "first", "list_first", (list_of(T),), _OPTIONAL, lambda items: Optional(items[0]) if items else NONE
    ),
    member(
        "last", "list_last", (list_of(T),), _OPTIONAL, lambda items: Optional(items[-1]) if items else NONE
    ),
    free("optional.unwrap", "optional_unwrap", (list_of(_OPTIONAL),), list_of(T), _unwrapped),
    member("unwrapOpt", "optional_unwrapOpt", (list_of(_OPTIONAL),), list_of(T), _unwrapped),
)
