"""Formats of strings in the schemas of custom kinds: those that Kubernetes judges, others forbid nothing."""

import re
from collections.abc import Callable, Mapping
from datetime import date
from ipaddress import IPv4Address, IPv6Address
from unicodedata import category

from aliquot.emulator.kinds import go_durations, go_urls
from aliquot.emulator.schema.validation import mail_addresses

Check = Callable[[str], bool]


def is_known(format_: str) -> bool:
    """Dashes in a format's name mean nothing: `date-time` is `datetime`."""
    return format_.replace("-", "") in _CHECKS


def has_format(value: str, format_: str) -> bool:
    """Whether `value` is of a known format."""
    return _CHECKS[format_.replace("-", "")](value)


def _fits(pattern: str, longest: int | None = None) -> Check:
    compiled = re.compile(pattern, re.ASCII)
    return lambda value: (longest is None or len(value) <= longest) and compiled.fullmatch(value) is not None


def _anything(value: str) -> bool:
    return True


# --- times ---

_DAY = re.compile(r"(\d{4})(-\d{2}-\d{2})", re.ASCII)
_CLOCK = re.compile(r"(\d{2}):(\d{2}):(\d{2})(.\d+)?(z|[+-]\d{2}:\d{2})", re.ASCII)


def _date(value: str) -> bool:
    match = _DAY.fullmatch(value)
    if match is None:
        return False
    # Python knows no year 0; like 2000, it is a leap year.
    year = match[1] if match[1] != "0000" else "2000"
    try:
        date.fromisoformat(year + match[2])
    except ValueError:
        return False
    return True


def _date_time(value: str) -> bool:
    """RFC 3339, more or less: what comes after a second T is not looked at, and any digits make a zone."""
    day, *rest = value.lower().split("t")
    match = _CLOCK.fullmatch(rest[0]) if rest else None
    return match is not None and _date(day) and match[1] <= "23" and match[2] <= "59" and match[3] <= "59"


_AMOUNT = re.compile(r"([0-9]+)[\t\n\f\r ]*([A-Za-zµ]+)")
_UNIT = re.compile(
    "ns|nano.*|us|µs|micro.*|ms|milli.*|s|sec.*|m|min.*|h|hr|hour.*|d|day.*|w|wk|week.*", re.IGNORECASE
)
_LARGEST = 2**63 - 1


def _duration(value: str) -> bool:
    """Go's `1h30m`; or words, `3 days`, where one unit that is known is enough."""
    if go_durations.nanoseconds(value) is not None:
        return True
    amounts = _AMOUNT.findall(value)
    if any(int(amount) > _LARGEST for amount, _ in amounts):
        return False
    return any(_UNIT.fullmatch(unit) for _, unit in amounts)


# --- the network ---

_LEADING_ZEROS = re.compile(r"(?<![0-9A-Fa-f])0+(?=[0-9])")


def _ip(value: str) -> int:
    """How many bits the address has, 0 when it is none."""
    try:
        if ":" not in value:
            return IPv4Address(value).max_prefixlen
        return IPv6Address(value).max_prefixlen if "%" not in value else 0
    except ValueError:
        return 0


def _old_ip(value: str) -> int:
    """The same, and octets may have leading zeros, as they might in Go before 1.17."""
    head, colon, octets = value.rpartition(":")
    return _ip(head + colon + _LEADING_ZEROS.sub("", octets) if "." in octets else value)


def _cidr(value: str) -> bool:
    address, _, length = value.partition("/")
    bits = _old_ip(address)
    return bool(bits) and length.isascii() and length.isdecimal() and int(length) <= bits


def _mac(value: str) -> bool:
    digits = re.sub("[:.-]", "", value)
    pairs, fours = _BY_PAIRS.fullmatch(value), _BY_FOURS.fullmatch(value)
    return len(digits) in (12, 16, 40) and (pairs is not None or fours is not None)


_HEX = "[0-9A-Fa-f]"
_BY_PAIRS = re.compile(rf"{_HEX}{{2}}([:-]?){_HEX}{{2}}(\1{_HEX}{{2}})*")
_BY_FOURS = re.compile(rf"{_HEX}{{4}}(\.{_HEX}{{4}})+")

_LONGEST_HOST, _LONGEST_PART = 255, 63
_HOST = re.compile(r"[A0S](-?[A0S]{0,62})|([A0S]([A0S-]{0,61}[A0S])?\.)+A{2,63}")


def _hostname(value: str) -> bool:
    """Any letters and symbols of Unicode; a name without dots has a dash in the second place alone, if at all."""
    if len(value.encode()) > _LONGEST_HOST or any(
        len(part.encode()) > _LONGEST_PART for part in value.split(".")
    ):
        return False
    return _HOST.fullmatch("".join(map(_class, value))) is not None


def _class(character: str) -> str:
    """`A` a letter, `0` a digit, `S` a symbol, or the character itself."""
    if character in "0123456789":
        return "0"
    return {"L": "A", "S": "S"}.get(category(character)[0], character)


# --- numbers with a check digit ---


def _isbn10(value: str) -> bool:
    digits = re.sub(r"[\s-]+", "", value)
    if re.fullmatch("[0-9]{9}[0-9X]", digits) is None:
        return False
    return sum((at + 1) * (10 if digit == "X" else int(digit)) for at, digit in enumerate(digits)) % 11 == 0


def _isbn13(value: str) -> bool:
    digits = re.sub(r"[\s-]+", "", value)
    if re.fullmatch("[0-9]{13}", digits) is None:
        return False
    return sum((1, 3)[at % 2] * int(digit) for at, digit in enumerate(digits)) % 10 == 0


_CARD = re.compile(
    r"4[0-9]{12}([0-9]{3})?|5[1-5][0-9]{14}|6(011|5[0-9]{2})[0-9]{12}|3[47][0-9]{13}"
    r"|3(0[0-5]|[68][0-9])[0-9]{11}|(2131|1800|35[0-9]{3})[0-9]{11}"
)


def _credit_card(value: str) -> bool:
    digits = re.sub("[^0-9]+", "", value)
    if _CARD.fullmatch(digits) is None:
        return False
    doubled = (int(digit) * (1 + at % 2) for at, digit in enumerate(reversed(digits)))
    return sum(number // 10 + number % 10 for number in doubled) % 10 == 0


_SHORT_NAME = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_COLOUR = r"\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*"


def _uuid(version: str = _HEX, variant: str = _HEX) -> Check:
    return _fits(rf"{_HEX}{{8}}-?{_HEX}{{4}}-?{version}{_HEX}{{3}}-?{variant}{_HEX}{{3}}-?{_HEX}{{12}}")


_CHECKS: Mapping[str, Check] = {
    "bsonobjectid": _fits(rf"{_HEX}{{24}}"),
    "byte": _fits(r"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})"),
    "cidr": _cidr,
    "creditcard": _credit_card,
    "date": _date,
    "datetime": _date_time,
    "duration": _duration,
    "email": mail_addresses.is_one,
    "hexcolor": _fits(rf"#?({_HEX}{{3}}|{_HEX}{{6}})"),
    "hostname": _hostname,
    "ipv4": lambda value: "." in value and bool(_old_ip(value)),
    "ipv6": lambda value: ":" in value and bool(_ip(value)),
    "isbn": lambda value: _isbn10(value) or _isbn13(value),
    "isbn10": _isbn10,
    "isbn13": _isbn13,
    "k8slongname": _fits(rf"{_SHORT_NAME}(\.{_SHORT_NAME})*", longest=253),
    "k8sshortname": _fits(_SHORT_NAME, longest=63),
    "mac": _mac,
    "password": _anything,
    "rgbcolor": _fits(rf"rgb\({_COLOUR},{_COLOUR},{_COLOUR}\)"),
    "ssn": _fits(r"\d{3}[- ]\d{2}[- ]\d{4}"),
    "uri": lambda value: not go_urls.problem(value),
    "uuid": _uuid(),
    "uuid3": _uuid("3"),
    "uuid4": _uuid("4", "[89abAB]"),
    "uuid5": _uuid("5", "[89abAB]"),
}
