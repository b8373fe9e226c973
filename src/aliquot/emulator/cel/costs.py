"""What a call costs, in the units of Kubernetes' budgets: one for a name or a field, a tenth for a character.

The numbers are the API server's own (k8s.io/apiserver/pkg/cel/library/cost.go and cel-go's runtime costs), so that
an expression runs out of budget here where it does there.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aliquot.emulator.cel.library.formats import NamedFormat
from aliquot.emulator.cel.values import Opaque, Record, size

NAME = 1
LIST, MAP, STRUCT = 10, 30, 40
TRAVERSAL = 0.1
"""Of a character or a byte."""
PATTERN = 0.25
"""Of a character of a regular expression."""
CHECK = 350_000

_AUTHORIZATION = ["serviceAccount", "path", "group", "resource", "subresource", "namespace", "name"]
_DECISIONS = ["allowed", "reason", "error", "errored"]
_ADDRESSES = ["masked", "prefixLength", "family", "isUnspecified", "isLoopback", "isLinkLocalMulticast"]
_MORE_ADDRESSES = ["isLinkLocalUnicast", "isGlobalUnicast"]
_QUANTITIES = ["sign", "asInteger", "isInteger", "asApproximateFloat", "add", "sub"]
_ORDERS = ["isGreaterThan", "isLessThan", "compareTo", "major", "minor", "patch"]
_URLS = ["getScheme", "getHostname", "getHost", "getPort", "getEscapedPath", "getQuery"]
NOMINAL = frozenset(
    [
        *(*_AUTHORIZATION, *_DECISIONS, *_ADDRESSES, *_MORE_ADDRESSES),
        *(*_QUANTITIES, *_ORDERS, *_URLS, "format.named"),
    ]
)
"""Functions that cost one, whatever they are given."""
_TEXT = ["url", "lowerAscii", "upperAscii", "substring", "trim", "jsonpatch.escapeKey"]
_PARSING = ["cidr", "isIP", "isCIDR", "quantity", "isQuantity", "semver", "isSemver"]
_TRAVERSING = frozenset([*_TEXT, *_PARSING])
_PASSING_LIST = frozenset(["isSorted", "sum", "max", "min", "indexOf", "lastIndexOf", "includes"])
WITH_SHORTER = frozenset(
    f"{order}_{kind}"
    for order in ("less", "less_equals", "greater", "greater_equals")
    for kind in ("string", "bytes")
) | {"equals", "not_equals"}
_OF_FIRST = frozenset(
    [
        "string_to_bytes",
        "bytes_to_string",
        "strings_quote",
        "string_format",
    ]
)

Arguments = Sequence[Any]


def actual_size(value: Any) -> int:
    found = size(value)
    return 1 if found is None else found


def _up(units: float) -> int:
    return math.ceil(round(units, 9))


def _traversal(value: Any, times: int = 1) -> int:
    return _up(actual_size(value) * times * TRAVERSAL)


def _search(text: Any, pattern_length: int) -> int:
    return _up((1 + actual_size(text)) * TRAVERSAL) * _up(pattern_length * PATTERN)


def _pass(value: Any) -> int:
    """Going through all of a value once."""
    match value:
        case str():
            return int(len(value.encode()) * TRAVERSAL)
        case bytes():
            return int(len(value) * TRAVERSAL)
        case list():
            return sum(map(_pass, value))
        case dict():
            return sum(_pass(key) + _pass(item) for key, item in value.items())
        case Record():
            return sum(_pass(name) + _pass(value.get(name)) for name in value.present)
    return 1


def _contains_ip(arguments: Arguments) -> int:
    cost = _up(2 * actual_size(arguments[0]) * TRAVERSAL)
    return cost + (_traversal(arguments[1]) if isinstance(arguments[1], str) else 0)


def _contains_cidr(arguments: Arguments) -> int:
    return _contains_ip(arguments) + _traversal(arguments[0]) + 1


def _validate(arguments: Arguments) -> int:
    one = arguments[0]
    return _search(arguments[1], one.pattern_length) if isinstance(one, NamedFormat) else 1


def _selector(arguments: Arguments) -> int:
    length = actual_size(arguments[1])
    return LIST + _up(length * TRAVERSAL) + _up(math.ceil(length * 0.5) * (LIST + STRUCT))


def _self_comparison(items: list[Any]) -> int:
    factor = 2 + (TRAVERSAL if items and isinstance(items[0], str | bytes) else 0)
    return int(len(items) ** 2 * factor) + 1 + LIST


_SPECIAL: Mapping[str, Callable[[Arguments, Any], int]] = {
    "check": lambda arguments, result: CHECK,
    "fieldSelector": lambda arguments, result: _selector(arguments),
    "labelSelector": lambda arguments, result: _selector(arguments),
    "replace": lambda arguments, result: _traversal(arguments[0], 2),
    "split": lambda arguments, result: _traversal(arguments[0], 2),
    "join": lambda arguments, result: _traversal(result, 2),
    "find": lambda arguments, result: _search(arguments[0], actual_size(arguments[1])),
    "findAll": lambda arguments, result: _search(arguments[0], actual_size(arguments[1])),
    "ip": lambda arguments, result: _traversal(arguments[0]) if isinstance(arguments[0], str) else 1,
    "ip.isCanonical": lambda arguments, result: _traversal(arguments[0], 2),
    "containsIP": lambda arguments, result: _contains_ip(arguments),
    "containsCIDR": lambda arguments, result: _contains_cidr(arguments),
    "validate": lambda arguments, result: _validate(arguments),
    "sets.contains": lambda arguments, result: 1 + actual_size(arguments[0]) * actual_size(arguments[1]),
    "sets.intersects": lambda arguments, result: 1 + actual_size(arguments[0]) * actual_size(arguments[1]),
    "sets.equivalent": lambda arguments, result: (
        1 + 2 * actual_size(arguments[0]) * actual_size(arguments[1])
    ),
    "slice": lambda arguments, result: actual_size(result) + 1 + LIST,
    "lists.range": lambda arguments, result: actual_size(result) + 1 + LIST,
    "flatten": lambda arguments, result: (
        actual_size(arguments[0]) * (arguments[1] if len(arguments) > 1 else 1) + 1 + LIST
    ),
    "distinct": lambda arguments, result: _self_comparison(arguments[0]),
    "sort": lambda arguments, result: _self_comparison(arguments[0]),
    "@sortByAssociatedKeys": lambda arguments, result: _self_comparison(arguments[1]),
}


def call_cost(function: str, overload: str, arguments: Arguments, result: Any) -> int:
    """`overload`: the only one that the compiler thought possible; "" where it left that to the values."""
    if function in NOMINAL:
        return 1
    if function in _PASSING_LIST:
        return _pass(arguments[0])
    if function in _TRAVERSING:
        return _traversal(arguments[0])
    special = _SPECIAL.get(function)
    if special is not None:
        return special(arguments, result)
    return _default(overload, arguments)


def _default(overload: str, arguments: Arguments) -> int:
    if overload in _OF_FIRST:
        return _traversal(arguments[0])
    if overload in WITH_SHORTER:
        if isinstance(arguments[0], Opaque):
            return 1
        return _up(min(actual_size(arguments[0]), actual_size(arguments[1])) * TRAVERSAL)
    match overload:
        case "in_list":
            return actual_size(arguments[1])
        case "starts_with_string" | "ends_with_string":
            return _traversal(arguments[1])
        case "add_string" | "add_bytes":
            return _up((actual_size(arguments[0]) + actual_size(arguments[1])) * TRAVERSAL)
        case "matches_string" | "matches":
            return _search(arguments[0], actual_size(arguments[1]))
        case "contains_string":
            return _traversal(arguments[0]) * _traversal(arguments[1])
    return 1
