"""format.dns1123Label().validate('...'): the rules of names, and the formats of schemas."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import ClassVar

from aliquot.emulator.cel import times
from aliquot.emulator.cel.library import urls
from aliquot.emulator.cel.library.overload import Overload, free, member
from aliquot.emulator.cel.types import STRING, list_of, opaque, optional_of
from aliquot.emulator.cel.values import NONE, Opaque, Optional
from aliquot.emulator.schema.validation import names


@dataclass(frozen=True, slots=True)
class NamedFormat(Opaque):
    cel_type: ClassVar[str] = "kubernetes.NamedFormat"
    name: str
    pattern_length: int
    """Of the expression that it amounts to: what a check costs."""


FORMAT = opaque(NamedFormat.cel_type)
_SINCE = 31
_UUID = re.compile(
    r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE | re.ASCII
)


def _says(words: str, check: Callable[[str], bool]) -> Callable[[str], list[str]]:
    return lambda text: [] if check(text) else [words]


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return False
    return bool(text)


def _is_date(text: str) -> bool:
    try:
        return len(text) == 10 and bool(date.fromisoformat(text))
    except ValueError:
        return False


_RULES: Mapping[str, tuple[int, Callable[[str], list[str]]]] = {
    "dns1123Label": (30, names.dns_label),
    "dns1123Subdomain": (60, names.dns_subdomain),
    "dns1035Label": (30, names.dns_1035_label),
    "qualifiedName": (60, names.qualified_name),
    "dns1123LabelPrefix": (30, names.prefix_of(names.dns_label)),
    "dns1123SubdomainPrefix": (60, names.prefix_of(names.dns_subdomain)),
    "dns1035LabelPrefix": (30, names.prefix_of(names.dns_1035_label)),
    "labelValue": (40, names.label_value),
    "uri": (1037, lambda text: [wrong] if (wrong := urls.problem(text)) else []),
    "uuid": (78, _says("does not match the UUID format", lambda text: _UUID.fullmatch(text) is not None)),
    "byte": (78, _says("invalid base64", _is_base64)),
    "date": (113, _says("invalid date", _is_date)),
    "datetime": (113, _says("invalid datetime", lambda text: times.timestamp(text) is not None)),
}
_FORMATS = {name: NamedFormat(name, length) for name, (length, _) in _RULES.items()}


def _validate(one: NamedFormat, text: str) -> Optional:
    problems = _RULES[one.name][1](text)
    return Optional(problems) if problems else NONE


def _named(name: str) -> Optional:
    return Optional(_FORMATS[name]) if name in _FORMATS else NONE


def _constant(one: NamedFormat) -> Overload:
    function = f"format.{one.name}"
    return free(function, function, (), FORMAT, lambda: one, _SINCE)


OVERLOADS = (
    *map(_constant, _FORMATS.values()),
    member("validate", "format-validate", (FORMAT, STRING), optional_of(list_of(STRING)), _validate, _SINCE),
    free("format.named", "format-named", (STRING,), optional_of(FORMAT), _named, _SINCE),
)
