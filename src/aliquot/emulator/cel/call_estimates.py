"""How much a call can cost at most, from the sizes of what it is given (k8s.io/apiserver's cost.go)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from aliquot.emulator.cel import costs
from aliquot.emulator.cel.ranges import MOST, NOTHING, ONE, UNKNOWN, Range, capped, exactly
from aliquot.emulator.cel.syntax import Call, Constant, Node
from aliquot.emulator.cel.types import Kind, Type


class Sizes(Protocol):
    """What is known of the nodes of an expression."""

    def type_of(self, node: Node) -> Type: ...

    def size_or_unknown(self, node: Node) -> Range: ...

    def element_size(self, items: Node) -> Range | None:
        """Of what is in a list; None where its type is not known."""
        ...

    def elements_are_text(self, items: Node) -> bool | None: ...

    def merge_entries(self, node: Node, one: Node, other: Node) -> None:
        """`node` holds what either of two others does."""
        ...


Estimated = tuple[Range, Range | None]
"""The cost, and the size of the result where there is something to say of it."""


def call_cost(sizes: Sizes, node: Call, overload: str, arguments: Sequence[Range]) -> Estimated:
    spent = NOTHING
    for argument in arguments:
        spent += argument
    special = _OF_FUNCTION.get(node.function)
    found = special(sizes, node, overload) if special is not None else None
    if found is None and node.function in costs.NOMINAL:
        found = (ONE, None)
    if found is None and node.function == "_==_" and _is_compared_at_once(sizes, node):
        found = (ONE, None)
    if found is not None:
        return found[0] + spent, found[1]
    return _default_cost(sizes, node, overload, arguments, spent)


_AT_ONCE = frozenset(["net.IP", "net.CIDR", "kubernetes.Quantity", "kubernetes.Semver"])


def _is_compared_at_once(sizes: Sizes, node: Call) -> bool:
    one, other = (sizes.type_of(argument) for argument in node.arguments)
    return one == other and one.kind is Kind.OPAQUE and one.name in _AT_ONCE


def _first(node: Call) -> Node:
    return node.operands[0]


def _scan(sizes: Sizes, node: Call, times: float = 1) -> Range:
    return sizes.size_or_unknown(_first(node)).times(times * costs.TRAVERSAL)


def _search(text: Range, pattern: Range) -> Range:
    return (text + ONE).times(costs.TRAVERSAL) * pattern.times(costs.PATTERN)


def _pass_list(sizes: Sizes, node: Call, overload: str) -> Estimated | None:
    items = _first(node)
    size = sizes.size_or_unknown(items)
    are_text = sizes.elements_are_text(items)
    if are_text is None:
        return (size, None) if node.function == "includes" else (size.times(costs.TRAVERSAL), None)
    each = ONE
    if are_text:
        each += (sizes.element_size(items) or UNKNOWN).times(costs.TRAVERSAL)
    return size * each, None


def _text_to_text(sizes: Sizes, node: Call, overload: str) -> Estimated:
    return _scan(sizes, node), sizes.size_or_unknown(_first(node))


def _replace(sizes: Sizes, node: Call, overload: str) -> Estimated:
    text, old, new = (sizes.size_or_unknown(part) for part in node.operands[:3])
    kept_least = kept_most = 0
    if old.least == 0:
        most, kept_most = min(text.most + 1, MOST), text.most
    elif new.most <= old.least:
        most, kept_most = 0, text.most
    else:
        most = -(-text.most // old.least)
    if old.most == 0:
        least, kept_least = min(text.least + 1, MOST), text.least
    elif old.most <= new.least:
        least, kept_least = 0, text.least
    else:
        least = -(-text.least // old.most)
    return _scan(sizes, node, 2), Range(least, most) * new + Range(kept_least, kept_most)


def _split(sizes: Sizes, node: Call, overload: str) -> Estimated:
    most = sizes.size_or_unknown(_first(node)).most
    limit = node.arguments[1] if len(node.arguments) > 1 else None
    if isinstance(limit, Constant) and isinstance(limit.value, int):
        most = limit.value if limit.value >= 0 else MOST
    return _scan(sizes, node, 2), Range(0, most)


def _join(sizes: Sizes, node: Call, overload: str) -> Estimated:
    items = sizes.size_or_unknown(_first(node))
    each = sizes.element_size(_first(node))
    size = items * each if each is not None else NOTHING
    if node.arguments:
        between = Range(max(items.least - 1, 0), max(items.most - 1, 0))
        size += sizes.size_or_unknown(node.arguments[0]) * between
    return size.times(costs.TRAVERSAL), size


def _find(sizes: Sizes, node: Call, overload: str) -> Estimated:
    text, pattern = (sizes.size_or_unknown(part) for part in node.operands[:2])
    return _search(text, pattern), Range(0, text.most)


def _validate(sizes: Sizes, node: Call, overload: str) -> Estimated:
    text = sizes.size_or_unknown(node.arguments[0])
    return text.times(costs.TRAVERSAL).times(128 * costs.PATTERN), None


_ADDRESS_BYTES = Range(4, 16)


def _contains_ip(sizes: Sizes, node: Call, overload: str) -> Estimated:
    cost = (_ADDRESS_BYTES + _ADDRESS_BYTES).times(costs.TRAVERSAL)
    if overload.endswith("_string"):
        cost += sizes.size_or_unknown(node.arguments[0]).times(costs.TRAVERSAL)
    return cost, None


def _contains_cidr(sizes: Sizes, node: Call, overload: str) -> Estimated:
    cost, _ = _contains_ip(sizes, node, overload)
    return cost + _ADDRESS_BYTES.times(costs.TRAVERSAL) + ONE, None


def _sets(factor: int) -> Callable[[Sizes, Call, str], Estimated]:
    def compute(sizes: Sizes, node: Call, overload: str) -> Estimated:
        one, other = (sizes.size_or_unknown(argument) for argument in node.arguments)
        return (one * other).times(factor) + ONE, None

    return compute


def _allocated(size: Range, factor: float = 1) -> Estimated:
    return size.times(factor) + exactly(1 + costs.LIST), size


def _self_compared(sizes: Sizes, node: Call, overload: str) -> Estimated:
    compared = node.arguments[0] if node.function == "@sortByAssociatedKeys" else _first(node)
    size = sizes.size_or_unknown(compared)
    factor = 2 + (costs.TRAVERSAL if sizes.elements_are_text(compared) else 0)
    return _allocated(size * size, factor)


def _slice(sizes: Sizes, node: Call, overload: str) -> Estimated:
    start, end = (argument.value if isinstance(argument, Constant) else None for argument in node.arguments)
    first = start if isinstance(start, int) else 0
    last = end if isinstance(end, int) else sizes.size_or_unknown(_first(node)).most
    return _allocated(exactly(max(last - first, 0)))


def _range(sizes: Sizes, node: Call, overload: str) -> Estimated:
    (count,) = node.arguments
    return _allocated(
        exactly(count.value if isinstance(count, Constant) and isinstance(count.value, int) else MOST)
    )


def _flatten(sizes: Sizes, node: Call, overload: str) -> Estimated:
    depth = node.arguments[0] if node.arguments else None
    factor = (
        1
        if depth is None
        else (depth.value if isinstance(depth, Constant) and isinstance(depth.value, int) else MOST)
    )
    return _allocated(sizes.size_or_unknown(_first(node)), factor)


def _selector(sizes: Sizes, node: Call, overload: str) -> Estimated:
    length = sizes.size_or_unknown(node.arguments[0])
    parsed = length.times(costs.TRAVERSAL) + length.times(0.5).times(costs.LIST + costs.STRUCT)
    return exactly(costs.LIST) + parsed, None


_OF_FUNCTION: Mapping[str, Callable[[Sizes, Call, str], Estimated | None]] = {
    "check": lambda sizes, node, overload: (exactly(costs.CHECK), None),
    "fieldSelector": _selector,
    "labelSelector": _selector,
    **dict.fromkeys(("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf", "includes"), _pass_list),
    **dict.fromkeys(
        ("url", "jsonpatch.escapeKey", "lowerAscii", "upperAscii", "substring", "trim"), _text_to_text
    ),
    "replace": _replace,
    "split": _split,
    "join": _join,
    "find": _find,
    "findAll": _find,
    **dict.fromkeys(
        ("cidr", "isIP", "isCIDR", "quantity", "isQuantity", "semver", "isSemver"),
        lambda sizes, node, overload: (_scan(sizes, node), None),
    ),
    "ip": lambda sizes, node, overload: (ONE if overload == "cidr_ip" else _scan(sizes, node), None),
    "ip.isCanonical": lambda sizes, node, overload: (_scan(sizes, node, 2), None),
    "containsIP": _contains_ip,
    "containsCIDR": _contains_cidr,
    "validate": _validate,
    "sets.contains": _sets(1),
    "sets.intersects": _sets(1),
    "sets.equivalent": _sets(2),
    "slice": _slice,
    "lists.range": _range,
    "flatten": _flatten,
    "reverse": lambda sizes, node, overload: _allocated(sizes.size_or_unknown(_first(node))),
    "distinct": _self_compared,
    "sort": _self_compared,
    "@sortByAssociatedKeys": _self_compared,
}


def _default_cost(
    sizes: Sizes, node: Call, overload: str, arguments: Sequence[Range], spent: Range
) -> Estimated:
    match overload, node.arguments:
        case "logical_and" | "logical_or", _:
            return Range(arguments[0].least, (arguments[0] + arguments[1]).most), None
        case "conditional", (_, then, otherwise):
            sizes.merge_entries(node, then, otherwise)
            size = sizes.size_or_unknown(then) | sizes.size_or_unknown(otherwise)
            return arguments[0] + (arguments[1] | arguments[2]), size
        case "add_string" | "add_bytes" | "add_list", (left, right):
            size = sizes.size_or_unknown(left) + sizes.size_or_unknown(right)
            sizes.merge_entries(node, left, right)
            return (ONE if overload == "add_list" else size.times(costs.TRAVERSAL)) + spent, size
        case "in_list", (_, items):
            return sizes.size_or_unknown(items) + spent, None
        case "starts_with_string" | "ends_with_string", (part,):
            return sizes.size_or_unknown(part).times(costs.TRAVERSAL) + spent, None
        case "matches_string" | "matches", _:
            text, pattern = (sizes.size_or_unknown(part) for part in node.operands)
            return _search(text, pattern) + spent, None
        case "contains_string", _:
            whole, piece = (sizes.size_or_unknown(part).times(costs.TRAVERSAL) for part in node.operands)
            return whole * piece + spent, None
        case "string_format", _:
            return _scan(sizes, node) + spent, None
        case "string_to_bytes", _:
            size = sizes.size_or_unknown(_first(node))
            return size.times(costs.TRAVERSAL) + spent, Range(size.least, capped(size.most * 4))
        case "bytes_to_string", _:
            size = sizes.size_or_unknown(_first(node))
            return size.times(costs.TRAVERSAL) + spent, Range(size.least // 4, size.most)
        case "strings_quote", _:
            size = sizes.size_or_unknown(_first(node))
            quoted = Range(size.least + 2, capped(size.most * 2 + 2))
            return size.times(costs.TRAVERSAL) + spent, quoted
    if overload in costs.WITH_SHORTER:
        most = min(sizes.size_or_unknown(argument).most for argument in node.arguments)
        return Range(1 if most else 0, most).times(costs.TRAVERSAL) + spent, None
    return ONE + spent, None
