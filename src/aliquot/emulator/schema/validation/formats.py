"""Formats of strings in the schemas of custom resources, as the API server judges them. Any other forbids nothing.

Names go without hyphens: `datetime` is `date-time`. Some are laxer than their names (a duration needs one unit that is
known, an IPv4 number may have leading zeros), some stricter (a host name without dots has a hyphen in second place
alone, and the last part of a dotted one is two letters or more).
"""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import date
from email.utils import parseaddr
from urllib.parse import urlsplit

Check = Callable[[str], bool]


def _parses(read: Callable[[str], object]) -> Check:
    def check(value: str) -> bool:
        try:
            read(value)
        except (ValueError, binascii.Error):
            return False
        return True

    return check


def _fits(pattern: str, flags: re.RegexFlag = re.ASCII) -> Check:
    compiled = re.compile(pattern, flags)
    return lambda value: compiled.fullmatch(value) is not None


# --- times ---

_DAY = _fits(r"\d{4}-\d{2}-\d{2}")
_IN_A_DAY = _fits(r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(z|[+-]\d{2}:\d{2})")


def _date(value: str) -> bool:
    return _DAY(value) and _parses(date.fromisoformat)(value)


def _date_time(value: str) -> bool:
    """RFC 3339: with seconds and a zone."""
    day, _, rest = value.lower().partition("t")
    return _date(day) and _IN_A_DAY(rest)


_GO_DURATION = _fits(r"[+-]?(0|((\d+\.?\d*|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h))+)")
_WORDS = re.compile(r"\d+\s*([A-Za-z\u00b5]+)", re.ASCII)
_UNIT = _fits(
    r"ns|nano.*|us|\u00b5s|micro.*|ms|milli.*|s|sec.*|m|min.*|h|hr|hour.*|d|day.*|w|wk|week.*", re.IGNORECASE
)


def _duration(value: str) -> bool:
    """Go's, or words: `3 days`."""
    return _GO_DURATION(value) or any(_UNIT(found[1]) for found in _WORDS.finditer(value))


# --- addresses ---


def _without_zeros(address: str) -> str:
    """Leading zeros of an IPv4 address mean nothing, as Go reads them here."""
    return re.sub(r"\b0+(?=[0-9])", "", address) if ":" not in address else address


def _ipv4(value: str) -> bool:
    return _parses(ipaddress.IPv4Address)(_without_zeros(value))


def _ipv6(value: str) -> bool:
    return "%" not in value and _parses(ipaddress.IPv6Address)(value)


def _cidr(value: str) -> bool:
    address, _, bits = value.partition("/")
    sound = bits.isascii() and bits.isdecimal() and "%" not in address
    return sound and _parses(ipaddress.ip_interface)(f"{_without_zeros(address)}/{bits}")


def _uri(value: str) -> bool:
    """An absolute one, or an absolute path."""
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    sound = re.search(r"[\x00-\x20\x7f]|%(?![0-9a-fA-F]{2})", value) is None
    absolute = bool(re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:.", value) and parts.scheme)
    return sound and (value.startswith("/") or absolute)


_ALONE = _fits(r"[^\W_](-?[^\W_]{0,62})?", re.UNICODE)
_DOTTED = _fits(r"([^\W_]([^\W_-]|-){0,61}[^\W_]\.|[^\W_]\.)+[^\W\d_]{2,63}", re.UNICODE)


def _hostname(value: str) -> bool:
    return len(value) <= 255 and (_ALONE(value) or _DOTTED(value))


_HEX = "[0-9a-fA-F]"
_MACS = tuple(
    _fits(rf"({_HEX}{{{digits}}}{separator}){{{groups - 1}}}{_HEX}{{{digits}}}")
    for octets in (6, 8, 20)
    for digits, separator, groups in ((2, ":", octets), (2, "-", octets), (4, r"\.", octets // 2))
)


def _mac(value: str) -> bool:
    return any(fits(value) for fits in _MACS)


def _email(value: str) -> bool:
    return bool(re.fullmatch(r"[^@\s]+@[^@\s]+", parseaddr(value)[1]))


# --- numbers of things ---


def _uuid(version: str, variant: str) -> Check:
    tail = f"{version}{_HEX}{{3}}-?{variant}{_HEX}{{3}}-?{_HEX}{{12}}"
    return _fits(rf"{_HEX}{{8}}-?{_HEX}{{4}}-?{tail}")


_SEPARATORS = re.compile(r"[\s-]")


def _isbn10(value: str) -> bool:
    digits = _SEPARATORS.sub("", value)
    if not re.fullmatch(r"[0-9]{9}[0-9X]", digits):
        return False
    numbers = [10 if digit == "X" else int(digit) for digit in digits]
    return sum(weight * number for weight, number in enumerate(numbers, 1)) % 11 == 0


def _isbn13(value: str) -> bool:
    digits = _SEPARATORS.sub("", value)
    if not re.fullmatch(r"[0-9]{13}", digits):
        return False
    return sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits)) % 10 == 0


_CARD = _fits(
    r"4\d{12}(\d{3})?|5[1-5]\d{14}|2(22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|6(011|5\d\d)\d{12}"
    r"|3[47]\d{13}|3(0[0-5]|[68]\d)\d{11}|(2131|1800|35\d{3})\d{11}|6[27]\d{14}"
)


def _credit_card(value: str) -> bool:
    """A number that some company gives out, and whose last digit fits the others (Luhn)."""
    digits = re.sub(r"[^0-9]", "", value)
    if not _CARD(digits):
        return False
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0


_OCTET = r"\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*"

_FORMATS: Mapping[str, Check] = {
    "datetime": _date_time,
    "date": _date,
    "duration": _duration,
    "ipv4": _ipv4,
    "ipv6": _ipv6,
    "cidr": _cidr,
    "uri": _uri,
    "hostname": _hostname,
    "mac": _mac,
    "email": _email,
    "uuid": _uuid(_HEX, _HEX),
    "uuid3": _uuid("3", _HEX),
    "uuid4": _uuid("4", "[89abAB]"),
    "uuid5": _uuid("5", "[89abAB]"),
    "bsonobjectid": _fits(rf"{_HEX}{{24}}"),
    "byte": lambda value: bool(value) and _parses(lambda text: base64.b64decode(text, validate=True))(value),
    "hexcolor": _fits(rf"#?({_HEX}{{3}}|{_HEX}{{6}})"),
    "rgbcolor": _fits(rf"rgb\({_OCTET},{_OCTET},{_OCTET}\)"),
    "isbn": lambda value: _isbn10(value) or _isbn13(value),
    "isbn10": _isbn10,
    "isbn13": _isbn13,
    "creditcard": _credit_card,
    "ssn": _fits(r"\d{3}[- ]\d{2}[- ]\d{4}"),
}


def is_known(format_: str) -> bool:
    return format_.replace("-", "") in _FORMATS


def has_format(value: str, format_: str) -> bool:
    """Whether `value` is of a known format."""
    return _FORMATS[format_.replace("-", "")](value)
