"""quantity('1.5Gi') and what is done with it."""

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from aliquot.emulator.cel.errors import EvaluationError
from aliquot.emulator.cel.library.overload import free, member
from aliquot.emulator.cel.types import BOOL, DOUBLE, INT, STRING, opaque
from aliquot.emulator.cel.values import Opaque
from aliquot.kube import quantity

_LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Quantity(Opaque):
    cel_type: ClassVar[str] = "kubernetes.Quantity"
    value: Fraction


QUANTITY = opaque(Quantity.cel_type)
_SINCE = 28
_BOTH = (QUANTITY, QUANTITY)
_WRONG = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


def _parsed(text: str) -> Quantity:
    try:
        return Quantity(quantity.parse(text))
    except quantity.QuantityError:
        raise EvaluationError(_WRONG) from None


def _is_quantity(text: str) -> bool:
    try:
        quantity.parse(text)
    except quantity.QuantityError:
        return False
    return True


def _is_integer(value: Quantity) -> bool:
    return value.value.denominator == 1 and abs(value.value) <= _LARGEST


def _integer(value: Quantity) -> int:
    if not _is_integer(value):
        raise EvaluationError("cannot convert value to integer")
    return value.value.numerator


def _compared(one: Quantity, other: Quantity) -> int:
    return (one.value > other.value) - (one.value < other.value)


OVERLOADS = (
    free("quantity", "string_to_quantity", (STRING,), QUANTITY, _parsed, _SINCE),
    free("isQuantity", "is_quantity_string", (STRING,), BOOL, _is_quantity, _SINCE),
    free(
        "sign",
        "quantity_sign",
        (QUANTITY,),
        INT,
        lambda value: _compared(value, Quantity(Fraction())),
        _SINCE,
    ),
    member("isGreaterThan", "quantity_is_greater_than", _BOTH, BOOL, lambda a, b: a.value > b.value, _SINCE),
    member("isLessThan", "quantity_is_less_than", _BOTH, BOOL, lambda a, b: a.value < b.value, _SINCE),
    member("compareTo", "quantity_compare_to", _BOTH, INT, _compared, _SINCE),
    member(
        "asApproximateFloat",
        "quantity_get_float",
        (QUANTITY,),
        DOUBLE,
        lambda value: float(value.value),
        _SINCE,
    ),
    member("asInteger", "quantity_get_int", (QUANTITY,), INT, _integer, _SINCE),
    member("isInteger", "quantity_is_integer", (QUANTITY,), BOOL, _is_integer, _SINCE),
    member("add", "quantity_add", _BOTH, QUANTITY, lambda a, b: Quantity(a.value + b.value), _SINCE),
    member("add", "quantity_add_int", (QUANTITY, INT), QUANTITY, lambda a, b: Quantity(a.value + b), _SINCE),
    member("sub", "quantity_sub", _BOTH, QUANTITY, lambda a, b: Quantity(a.value - b.value), _SINCE),
    member("sub", "quantity_sub_int", (QUANTITY, INT), QUANTITY, lambda a, b: Quantity(a.value - b), _SINCE),
)
