"""How much an expression can cost at most, told before it is evaluated: what a CRD's rules are judged by.

The API server's own way of reckoning (cel-go's checker/cost.go): every size lies in a range, and what the schema
does not bound is bounded by how much fits into a request.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aliquot.emulator.cel import costs
from aliquot.emulator.cel.call_estimates import call_cost
from aliquot.emulator.cel.ranges import MOST, NOTHING, ONE, UNKNOWN, Range, exactly
from aliquot.emulator.cel.syntax import (
    Call,
    Checked,
    Comprehension,
    Constant,
    Ident,
    ListLiteral,
    MapLiteral,
    Node,
    Select,
    StructLiteral,
)
from aliquot.emulator.cel.types import OPTIONAL, Kind, Type

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Entries:
    """The sizes of what is in a list or map."""

    kind: Kind
    key: Range
    value: Range


@dataclass(slots=True)
class _Local:
    path: Path
    size: Range | None
    entries: _Entries | None = None


def most_expensive(checked: Checked, sizes: Mapping[str, Type]) -> int:
    """The most that one evaluation can cost; `sizes` are the types of variables, with what their values can hold."""
    return _Estimate(checked, sizes).cost(checked.root).most


class _Estimate:
    def __init__(self, checked: Checked, sizes: Mapping[str, Type]) -> None:
        self._checked = checked
        self._variables = sizes
        self._paths: dict[int, Path] = {}
        self._sizes: dict[int, Range] = {}
        self._entries: dict[int, _Entries] = {}
        self._locals: dict[str, list[_Local]] = {}

    def type_of(self, node: Node) -> Type:
        return self._checked.type_of(node)

    def cost(self, node: Node) -> Range:
        match node:
            case Constant():
                return NOTHING
            case Ident(_, name):
                self._paths[node.id] = self._local(name).path if self._locals.get(name) else (name,)
                return exactly(costs.NAME)
            case Select():
                return self._select(node)
            case Call():
                return self._call(node)
            case ListLiteral(_, elements, _):
                return self._list(node, elements)
            case MapLiteral():
                return self._map(node)
            case StructLiteral(_, _, entries):
                return self._all(entry.value for entry in entries) + exactly(costs.STRUCT)
            case Comprehension():
                return self._bind(node) if _is_bind(node) else self._comprehension(node)
        return NOTHING

    def _all(self, nodes: Iterable[Node]) -> Range:
        total = NOTHING
        for node in nodes:
            total += self.cost(node)
        return total

    def _local(self, name: str) -> _Local:
        return self._locals[name][-1]

    # --- sizes ---

    def _path(self, node: Node) -> Path:
        if isinstance(node, Ident) and self._locals.get(node.name):
            return self._local(node.name).path
        return self._paths.get(node.id, ())

    def _declared(self, path: Path) -> Range | None:
        """What the schema says of a path: `self.spec.items.@items`."""
        if not path or path[0] not in self._variables:
            return None
        at: Type | None = self._variables[path[0]]
        for part in path[1:]:
            if at is None:
                return None
            if part in ("@items", "@values"):
                at = at.element
            elif part == "@keys":
                at = at.parameters[0] if at.kind is Kind.MAP else None
            else:
                at = at.fields.get(part)
        return Range(0, at.max_elements) if at is not None else None

    def size(self, node: Node) -> Range | None:
        if node.id in self._sizes:
            return self._sizes[node.id]
        literal = _literal_size(node)
        if literal is not None:
            return exactly(literal)
        declared = self._declared(self._path(node))
        if declared is not None:
            self._sizes[node.id] = declared
            return declared
        if _is_scalar(self.type_of(node)):
            return ONE
        if isinstance(node, Ident) and self._locals.get(node.name):
            return self._local(node.name).size
        return None

    def size_or_unknown(self, node: Node) -> Range:
        found = self.size(node)
        return UNKNOWN if found is None else found

    def _entries_of(self, node: Node) -> _Entries | None:
        if node.id in self._entries:
            return self._entries[node.id]
        if isinstance(node, Ident) and self._locals.get(node.name):
            return self._local(node.name).entries
        return None

    def element_size(self, items: Node) -> Range | None:
        """Of what is in a list; None where its type is not known."""
        kind = self.type_of(items)
        if not kind.parameters:
            return None
        declared = self._declared((*path, "@items")) if (path := self._path(items)) else None
        return UNKNOWN if declared is None else declared

    def elements_are_text(self, items: Node) -> bool | None:
        """Whether a list holds strings or bytes; None where its type is not known."""
        kind = self.type_of(items)
        return kind.parameters[0].kind in (Kind.STRING, Kind.BYTES) if kind.parameters else None

    # --- nodes ---

    def _select(self, node: Select) -> Range:
        operand = self.cost(node.operand)
        if node.presence:
            return operand
        kind = self.type_of(node.operand).kind
        self._paths[node.id] = (*self._path(node.operand), node.field)
        named = kind in (Kind.MAP, Kind.OBJECT, Kind.PARAMETER)
        return operand + exactly(costs.NAME) if named else operand

    def _list(self, node: Node, elements: Sequence[Node]) -> Range:
        total = self._all(elements)
        size = Range(MOST, 0) if elements else NOTHING
        for element in elements:
            size |= self.size_or_unknown(element)
        self._entries[node.id] = _Entries(Kind.LIST, ONE, size)
        return total + exactly(costs.LIST)

    def _map(self, node: MapLiteral) -> Range:
        total = NOTHING
        keys = values = Range(MOST, 0) if node.entries else NOTHING
        for entry in node.entries:
            assert isinstance(entry.key, Node)
            total += self.cost(entry.key) + self.cost(entry.value)
            keys |= self.size_or_unknown(entry.key)
            values |= self.size_or_unknown(entry.value)
        self._entries[node.id] = _Entries(Kind.MAP, keys, values)
        return total + exactly(costs.MAP)

    def _call(self, node: Call) -> Range:
        if node.function == "dyn" and len(node.arguments) == 1:
            (argument,) = node.arguments
            cost = self.cost(argument)
            self._copy(node, argument)
            return cost + ONE
        arguments = [self.cost(argument) for argument in node.arguments]
        reference = self._checked.references.get(node.id)
        overloads = reference.overloads if reference is not None else ()
        if not overloads:
            return NOTHING
        total = self.cost(node.target) if node.target is not None else NOTHING
        cost, size = Range(MOST, 0), None
        for overload in overloads:
            own, own_size = call_cost(self, node, overload, arguments)
            cost |= own
            if own_size is not None:
                size = own_size if size is None else size | own_size
            if overload in ("index_list", "index_map"):
                where = "@items" if overload == "index_list" else "@values"
                entries = self._entries_of(node.arguments[0])
                size = entries.value if entries is not None else size
                self._paths[node.id] = (*self._path(node.arguments[0]), where)
        if size is None:
            size = self.size(node)
        if size is not None:
            self._sizes[node.id] = size
        return total + cost

    def _copy(self, to: Node, source: Node) -> None:
        size, entries = self.size(source), self._entries_of(source)
        if size is not None:
            self._sizes[to.id] = size
        if entries is not None:
            self._entries[to.id] = entries

    def merge_entries(self, node: Node, one: Node, other: Node) -> None:
        left, right = self._entries_of(one), self._entries_of(other)
        if left is not None and right is not None:
            self._entries[node.id] = _Entries(left.kind, left.key | right.key, left.value | right.value)

    def _push(self, name: str, local: _Local) -> None:
        self._locals.setdefault(name, []).append(local)

    def _comprehension(self, node: Comprehension) -> Range:
        total = self.cost(node.range) + self.cost(node.start)
        start = _Local(self._path(node.start), self.size(node.start), self._entries_of(node.start))
        self._push(node.accumulator, start)
        entries, path = self._entries_of(node.range), self._path(node.range)
        kind = entries.kind if entries is not None else self.type_of(node.range).kind
        is_list = kind is Kind.LIST
        key = entries.key if entries is not None else None
        value = entries.value if entries is not None else None
        if node.second_variable:
            self._push(node.variable, _Local((*path, "@indices" if is_list else "@keys"), key))
            self._push(node.second_variable, _Local((*path, "@items" if is_list else "@values"), value))
        else:
            each = _Local((*path, "@items"), value) if is_list else _Local((*path, "@keys"), key)
            self._push(node.variable, each)
        loop = self.cost(node.condition)
        step = self.cost(node.step)
        self._locals[node.variable].pop()
        if node.second_variable:
            self._locals[node.second_variable].pop()
        total += self.cost(node.result)
        self._locals[node.accumulator].pop()
        rounds = self.size_or_unknown(node.range)
        total += rounds * (step + loop)
        match node.start:
            case Constant():
                if (size := self.size(node.start)) is not None:
                    self._sizes[node.id] = size
            case ListLiteral() | MapLiteral():
                self._sizes[node.id] = rounds
                if (made := self._entries_of(node.step)) is not None:
                    self._entries[node.id] = made
        return total

    def _bind(self, node: Comprehension) -> Range:
        total = self.cost(node.range) + self.cost(node.start)
        start = _Local(self._path(node.start), self.size(node.start), self._entries_of(node.start))
        self._push(node.accumulator, start)
        total += self.cost(node.result)
        self._locals[node.accumulator].pop()
        self._copy(node, node.result)
        return total


def _is_bind(node: Comprehension) -> bool:
    return (
        isinstance(node.range, ListLiteral)
        and not node.range.elements
        and isinstance(node.condition, Constant)
        and node.condition.value is False
        and node.accumulator not in ("@result", "__result__")
    )


def _literal_size(node: Node) -> int | None:
    match node:
        case Constant(_, str() | bytes() as value, _):
            return len(value)
        case Constant():
            return 1
        case ListLiteral(_, elements, _):
            return len(elements)
        case MapLiteral(_, entries):
            return len(entries)
    return None


_SCALARS = frozenset([Kind.BOOL, Kind.DOUBLE, Kind.DURATION, Kind.INT, Kind.TIMESTAMP, Kind.UINT])


def _is_scalar(one: Type) -> bool:
    if one.kind is Kind.OPAQUE and one.name == OPTIONAL and one.parameters:
        return _is_scalar(one.parameters[0])
    return one.kind in _SCALARS
