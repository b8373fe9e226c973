"""charAt, indexOf, replace, split, join, substring, format and their like."""

import re
from collections.abc import Callable
from typing import Any

from aliquot.emulator.cel.errors import EvaluationError
from aliquot.emulator.cel.library.overload import free, member
from aliquot.emulator.cel.operators import to_string
from aliquot.emulator.cel.types import DYN, INT, STRING, list_of
from aliquot.emulator.cel.values import Duration, Timestamp, TypeValue, Uint, type_name

_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
_ASCII_UPPER = {lower: upper for upper, lower in _ASCII_LOWER.items()}


def _char_at(text: str, at: int) -> str:
    if not 0 <= at <= len(text):
        raise EvaluationError(f"index out of range: {at}")
    return text[at : at + 1]


def _index_of(text: str, part: str, start: int = 0) -> int:
    if start < 0:
        raise EvaluationError(f"index out of range: {start}")
    if not part:
        return min(start, len(text))
    return text.find(part, start)


def _last_index_of(text: str, part: str, start: int | None = None) -> int:
    if start is None:
        return text.rfind(part) if part else len(text)
    if start < 0:
        raise EvaluationError(f"index out of range: {start}")
    if not part:
        return min(start, len(text))
    return -1 if start >= len(text) else text.rfind(part, 0, start + len(part))


def _split(text: str, separator: str, limit: int = -1) -> list[str]:
    if limit == 0:
        return []
    if not separator:
        pieces = list(text)
        if 0 < limit < len(pieces):
            pieces = [*pieces[: limit - 1], "".join(pieces[limit - 1 :])]
        return pieces
    return text.split(separator, limit - 1 if limit > 0 else -1)


def _substring(text: str, start: int, end: int | None = None) -> str:
    if end is None:
        end = len(text)
        if not 0 <= start <= end:
            raise EvaluationError(f"index out of range: {start}")
        return text[start:]
    if start > end:
        raise EvaluationError(f"invalid substring range. start: {start}, end: {end}")
    for index in (start, end):
        if not 0 <= index <= len(text):
            raise EvaluationError(f"index out of range: {index}")
    return text[start:end]


def _join(items: list[Any], separator: str = "") -> str:
    for item in items:
        if not isinstance(item, str):
            raise EvaluationError(f"join: invalid input: {to_string(item)}")
    return separator.join(items)


_QUOTED = {
    "\a": r"\a",
    "\b": r"\b",
    "\f": r"\f",
    "\n": r"\n",
    "\r": r"\r",
    "\t": r"\t",
    "\v": r"\v",
    "\\": r"\\",
    '"': r"\"",
}


def _quote(text: str) -> str:
    return f'"{"".join(_QUOTED.get(character, character) for character in text)}"'


# --- format ---

_CLAUSE = re.compile(r"%(?:%|(?:\.(\d+))?([a-zA-Z]))?")
_DEFAULT_PRECISION = 6
_SPECIAL = {"NaN": "NaN", "Infinity": "∞", "-Infinity": "-∞"}


def _format(text: str, arguments: list[Any]) -> str:
    used = 0

    def clause(match: re.Match[str]) -> str:
        nonlocal used
        if match[0] == "%%":
            return "%"
        if match[0] == "%":
            raise EvaluationError("unexpected end of string")
        write = _clause(match[2], int(match[1]) if match[1] else _DEFAULT_PRECISION)
        if used >= len(arguments):
            raise EvaluationError(f"index {used} out of range")
        used += 1
        return write(arguments[used - 1])

    return _CLAUSE.sub(clause, text)


def _clause(letter: str, precision: int) -> Callable[[Any], str]:
    match letter:
        case "s":
            return _as_text
        case "d":
            return _as_decimal
        case "f":
            return lambda value: _as_float("fixed-point", value, f".{precision}f")
        case "e":
            return lambda value: _as_float("scientific", value, f".{precision}e")
        case "b":
            return _as_binary
        case "x" | "X":
            return lambda value: _as_hexadecimal(value, upper=letter == "X")
        case "o":
            return _as_octal
    raise EvaluationError(f'could not parse formatting clause: unrecognized formatting clause "{letter}"')


def _refused(clause: str, takes: str, value: Any) -> EvaluationError:
    return EvaluationError(
        f"error during formatting: {clause} clause can only be used on {takes}, was given {type_name(value)}"
    )


def _as_text(value: Any) -> str:
    match value:
        case None:
            return "null"
        case list():
            return "[" + ", ".join(_nested(item) for item in value) + "]"
        case dict():
            entries = sorted(f"{_nested_key(key)}:{_nested(item)}" for key, item in value.items())
            return "{" + ", ".join(entries) + "}"
        case TypeValue(name):
            return name
        case bool() | int() | float() | str() | bytes() | Timestamp() | Duration():
            return to_string(value)
    takes = "strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps"
    raise _refused("string", takes, value)


def _nested(value: Any) -> str:
    match value:
        case str():
            return _quote(value)
        case bytes():
            return "b" + _quote(to_string(value))
        case float():
            return f"{value:.6f}"
        case Timestamp():
            return f'timestamp("{to_string(value)}")'
        case Duration():
            return f'duration("{to_string(value)}")'
        case TypeValue(name):
            return f"type({name})"
    return _as_text(value)


def _nested_key(value: Any) -> str:
    return _quote(value) if isinstance(value, str) else to_string(value)


def _as_decimal(value: Any) -> str:
    if type(value) not in (int, Uint):
        raise _refused("decimal", "integers", value)
    return str(int(value))


def _as_float(clause: str, value: Any, spec: str) -> str:
    if isinstance(value, str) and value in _SPECIAL:
        return _SPECIAL[value]
    if not isinstance(value, float):
        raise _refused(clause, "doubles", value)
    # As a reader of English writes numbers: groups of three, and powers of ten.
    mantissa, exponent, power = format(value, spec if "e" in spec else f",{spec}").partition("e")
    return (
        f"{mantissa}\N{MULTIPLICATION SIGN}10{power.removeprefix('+').translate(_SUPERSCRIPT)}"
        if exponent
        else mantissa
    )


_SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def _as_binary(value: Any) -> str:
    if not isinstance(value, int):
        raise _refused("binary", "integers and bools", value)
    return format(int(value), "b")


def _as_hexadecimal(value: Any, *, upper: bool) -> str:
    match value:
        case str() | bytes():
            written = (value.encode() if isinstance(value, str) else value).hex()
        case int() if not isinstance(value, bool):
            written = format(int(value), "x")
        case _:
            raise _refused("hex", "integers, byte buffers, and strings", value)
    return written.upper() if upper else written


def _as_octal(value: Any) -> str:
    if type(value) not in (int, Uint):
        raise _refused("octal", "integers", value)
    return format(int(value), "o")


_STRINGS = list_of(STRING)
_SINCE = 29

OVERLOADS = (
    member("charAt", "string_char_at_int", (STRING, INT), STRING, _char_at),
    member("indexOf", "string_index_of_string", (STRING, STRING), INT, _index_of),
    member("indexOf", "string_index_of_string_int", (STRING, STRING, INT), INT, _index_of),
    member("lastIndexOf", "string_last_index_of_string", (STRING, STRING), INT, _last_index_of),
    member("lastIndexOf", "string_last_index_of_string_int", (STRING, STRING, INT), INT, _last_index_of),
    member("lowerAscii", "string_lower_ascii", (STRING,), STRING, lambda text: text.translate(_ASCII_LOWER)),
    member("upperAscii", "string_upper_ascii", (STRING,), STRING, lambda text: text.translate(_ASCII_UPPER)),
    member("replace", "string_replace_string_string", (STRING, STRING, STRING), STRING, str.replace),
    member(
        "replace",
        "string_replace_string_string_int",
        (STRING, STRING, STRING, INT),
        STRING,
        lambda text, old, new, count: text.replace(old, new, count if count >= 0 else -1),
    ),
    member("split", "string_split_string", (STRING, STRING), _STRINGS, _split),
    member("split", "string_split_string_int", (STRING, STRING, INT), _STRINGS, _split),
    member("substring", "string_substring_int", (STRING, INT), STRING, _substring),
    member("substring", "string_substring_int_int", (STRING, INT, INT), STRING, _substring),
    member("trim", "string_trim", (STRING,), STRING, str.strip),
    member("join", "list_join", (_STRINGS,), STRING, _join),
    member("join", "list_join_string", (_STRINGS, STRING), STRING, _join),
    member("format", "string_format", (STRING, list_of(DYN)), STRING, _format, _SINCE),
    free("strings.quote", "strings_quote", (STRING,), STRING, _quote, _SINCE),
)
