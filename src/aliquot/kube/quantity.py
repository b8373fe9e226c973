"""Kubernetes quantities (`250m`, `1.5Gi`, `12e6`), exactly, by the rules of apimachinery's resource.Quantity.

Never a float: the sum of what pods ask for is compared with what a node has, and must not drift.
"""

import math
import re
from enum import Enum
from fractions import Fraction
from functools import lru_cache

MAX_CHARACTERS = 1000
"""More digits say no more: the largest and the finest have under 30. (A decimal exponent stands for others.)"""

_TEXT = re.compile(r"([+-]?)(\d+\.?\d*|\.\d+)(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?\d{1,4}))?", re.ASCII)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_SUFFIX = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_LARGEST = Fraction(2**63 - 1)
_NANO = 10**9


class _Family(Enum):
    """How a quantity was written, and so how it is written back."""

    DECIMAL = "decimal"
    BINARY = "binary"
    EXPONENT = "exponent"


class QuantityError(ValueError):
    """Not a quantity."""


@lru_cache(maxsize=4096)
def _parse(text: str) -> tuple[Fraction, _Family]:
    shown = text if len(text) <= MAX_CHARACTERS else f"{text[:20]}..."
    match = _TEXT.fullmatch(text) if len(text) <= MAX_CHARACTERS else None
    if match is None:
        raise QuantityError(
            f"{shown!r} is not a quantity: a number, with one of n u m k M G T P E Ki Mi Gi Ti Pi Ei or an exponent"
        )
    sign, number, suffix, exponent = match.groups()
    value = Fraction(number)
    family = _Family.DECIMAL
    if exponent is not None:
        family = _Family.EXPONENT
        value *= Fraction(10) ** int(exponent)
    elif suffix and suffix.endswith("i"):
        family = _Family.BINARY
        value *= 1024 ** _BINARY.index(suffix)
    elif suffix:
        value *= Fraction(10) ** _DECIMAL[suffix]
    # Finer than nano rounds away from zero: who asked for something gets something.
    value = min(Fraction(math.ceil(value * _NANO), _NANO), _LARGEST)
    return (-value if sign == "-" else value), family


def parse(quantity: str | int | float) -> Fraction:
    """The exact value. Raises QuantityError. Clamped to 63 bits and rounded up to nano, as upstream does."""
    return _parse(str(quantity))[0]


def milli(quantity: str | int | float) -> int:
    """Thousandths, rounded up: the unit of CPU arithmetic."""
    return math.ceil(_parse(str(quantity))[0] * 1000)


def whole(quantity: str | int | float) -> int:
    """Units, rounded up: bytes of memory, numbers of devices."""
    return math.ceil(_parse(str(quantity))[0])


def canonical(quantity: str | int | float) -> str:
    """The one spelling the API server writes back: `0.5` -> `500m`, `1024Mi` -> `1Gi`, `1e4` -> `10e3`."""
    value, family = _parse(str(quantity))
    return _format(value, family)


def format_like(value: Fraction | int, like: str | int | float = "0") -> str:
    """`value` in canonical form, written in the family (binary, decimal, exponent) of `like`."""
    return _format(Fraction(value), _parse(str(like))[1])


def _format(value: Fraction, family: _Family) -> str:
    if value == 0:
        return "0"
    if family is _Family.BINARY and abs(value) >= 1024 and value.denominator == 1:
        number, power = value.numerator, 0
        while number % 1024 == 0 and power < len(_BINARY) - 1:
            number //= 1024
            power += 1
        return f"{number}{_BINARY[power]}"
    nanos = math.ceil(abs(value) * _NANO)
    exponent = -9
    while nanos % 1000 == 0 and (family is _Family.EXPONENT or exponent < 18):
        nanos //= 1000
        exponent += 3
    sign = "-" if value < 0 else ""
    if family is _Family.EXPONENT:
        return f"{sign}{nanos}e{exponent}" if exponent else f"{sign}{nanos}"
    return f"{sign}{nanos}{_DECIMAL_SUFFIX[exponent]}"
