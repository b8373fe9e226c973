"""What the compiler lets pass and Kubernetes does not: mixed lists and maps, and constants that cannot be read."""

from collections.abc import Iterator

from aliquot.emulator.cel import patterns, times
from aliquot.emulator.cel.syntax import (
    Call,
    Checked,
    Comprehension,
    Constant,
    ListLiteral,
    MapLiteral,
    Node,
    Select,
    StructLiteral,
)
from aliquot.emulator.cel.types import Kind, Type
from aliquot.emulator.cel.wording import located


def problems(text: str, checked: Checked) -> str:
    """Every problem, each with its line and a caret below the place; "" for none."""
    found = sorted((checked.positions.get(node.id, 0), words) for node, words in _problems(checked))
    return "\n".join(located(text, at, words) for at, words in found)


def _problems(checked: Checked) -> Iterator[tuple[Node, str]]:
    for node in _all(checked.root):
        match node:
            case ListLiteral(_, elements, optional):
                yield from _mixed(
                    checked, [one for index, one in enumerate(elements) if index not in optional]
                )
            case MapLiteral(_, entries):
                yield from _mixed(checked, [entry.key for entry in entries if isinstance(entry.key, Node)])
                yield from _mixed(checked, [entry.value for entry in entries if not entry.optional])
            case Call(_, function, _, _) if node.operands and isinstance(node.operands[-1], Constant):
                if wrong := _unreadable(function, node.operands[-1].value):
                    yield node.operands[-1], wrong


def _mixed(checked: Checked, nodes: list[Node]) -> Iterator[tuple[Node, str]]:
    wanted: Type | None = None
    for node in nodes:
        found = checked.type_of(node)
        if wanted is None or wanted.kind in (Kind.DYN, Kind.NULL):
            wanted = found
        elif found != wanted and not _joins(found, wanted):
            yield node, f"expected type '{wanted}' but found '{found}'"


def _joins(one: Type, other: Type) -> bool:
    """Whether both could be of one type: unknown parts fit everything."""
    if Kind.DYN in (one.kind, other.kind) or Kind.PARAMETER in (one.kind, other.kind):
        return True
    if one.kind is Kind.NULL or other.kind is Kind.NULL:
        return (other if one.kind is Kind.NULL else one).kind in (Kind.OBJECT, Kind.TIMESTAMP, Kind.DURATION)
    return (
        (one.kind, one.name) == (other.kind, other.name)
        and len(one.parameters) == len(other.parameters)
        and all(_joins(a, b) for a, b in zip(one.parameters, other.parameters, strict=True))
    )


def _unreadable(function: str, value: object) -> str:
    if not isinstance(value, str):
        return ""
    match function:
        case "duration" if times.duration(value) is None:
            return "invalid duration argument"
        case "timestamp" if times.timestamp(value) is None:
            return "invalid timestamp argument"
        case "matches" if patterns.problem(value):
            return "invalid matches argument"
    return ""


def _all(root: Node) -> Iterator[Node]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        match node:
            case Select():
                waiting.append(node.operand)
            case Call():
                waiting += node.operands
            case ListLiteral():
                waiting += node.elements
            case MapLiteral() | StructLiteral():
                waiting += [
                    part
                    for entry in node.entries
                    for part in (entry.key, entry.value)
                    if isinstance(part, Node)
                ]
            case Comprehension():
                waiting += [node.range, node.start, node.condition, node.step, node.result]
