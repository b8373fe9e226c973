"""Evaluates checked expressions, and counts what that costs.

A tree is made into closures once; each takes a frame and gives a value or raises EvaluationError. `&&` and `||`
look at both sides before they fail, in whatever order: `false && error` is false. A loop keeps an error as its
accumulator for as long as its condition forgives it, which is how `all` and `exists` do the same.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from aliquot.emulator.cel import costs, operators
from aliquot.emulator.cel.errors import CostExceeded, EvaluationError, no_such_overload
from aliquot.emulator.cel.library import functions
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
from aliquot.emulator.cel.values import NONE, Optional, Record, TypeValue, Uint, elements, find, type_name

Construct = Callable[[str, dict[str, Any]], Any]
"""Makes a value of a named type of its fields."""


class Frame:
    __slots__ = ("cost", "limit", "values")

    def __init__(self, values: dict[str, Any], limit: int) -> None:
        self.values = values
        self.limit = limit
        self.cost = 0

    def spend(self, cost: int) -> None:
        self.cost += cost
        if self.cost > self.limit:
            raise CostExceeded


Step = Callable[[Frame], Any]


def compile_tree(checked: Checked, variables: Collection[str], construct: Construct | None = None) -> Step:
    """`variables` are the names that have values; any other is that of a type."""
    return _Compiler(checked, variables, construct).step(checked.root)


class _Compiler:
    def __init__(self, checked: Checked, variables: Collection[str], construct: Construct | None) -> None:
        self._checked = checked
        self._variables = frozenset(variables)
        self._construct = construct
        self._functions: Mapping[str, Callable[..., Any]] = functions()

    def step(self, node: Node) -> Step:
        match node:
            case Constant(_, value, unsigned):
                constant = Uint(value) if unsigned and isinstance(value, int) else value
                return lambda frame: constant
            case Ident(_, name):
                return self._name(self._referred(node, name))
            case Select():
                return self._select(node)
            case Call():
                return self._call(node)
            case ListLiteral():
                return self._list(node)
            case MapLiteral():
                return self._map(node)
            case StructLiteral():
                return self._struct(node)
            case Comprehension():
                return self._comprehension(node)
        raise TypeError(f"no expression: {node!r}")

    def _referred(self, node: Node, name: str) -> str:
        reference = self._checked.references.get(node.id)
        return reference.name if reference is not None and reference.name else name

    def _name(self, name: str) -> Step:
        name = name.removeprefix(".")
        if name not in self._variables:
            named = TypeValue(name)
            return lambda frame: named

        def run(frame: Frame) -> Any:
            frame.spend(costs.NAME)
            value = frame.values[name]
            if isinstance(value, EvaluationError):
                raise value
            return value

        return run

    def _select(self, node: Select) -> Step:
        if node.id in self._checked.references:
            return self._name(self._referred(node, ""))
        operand, name = self.step(node.operand), node.field

        if node.presence:

            def present(frame: Frame) -> bool:
                return _has(operand(frame), name)

            return present

        def run(frame: Frame) -> Any:
            container = operand(frame)
            frame.spend(costs.NAME)
            if type(container) is Optional:
                return _optional(container, name)
            if type(container) is dict:
                try:
                    return container[name]
                except KeyError:
                    raise EvaluationError(f"no such key: {name}") from None
            if isinstance(container, Record):
                return container.get(name)
            raise EvaluationError(f"no such key: {name}")

        return run

    # --- calls ---

    def _call(self, node: Call) -> Step:
        match node.function, node.operands:
            case "_&&_", (left, right):
                return _logical(self.step(left), self.step(right), decisive=False)
            case "_||_", (left, right):
                return _logical(self.step(left), self.step(right), decisive=True)
            case "_?_:_", (condition, then, otherwise):
                return _conditional(self.step(condition), self.step(then), self.step(otherwise))
            case "@not_strictly_false" | "__not_strictly_false__", (operand,):
                return _not_strictly_false(self.step(operand))
            case "_?._" | "_[?_]", (container, key):
                return _optional_lookup(self.step(container), self.step(key))
            case (("or" | "orValue"), (one, other)):
                return _or(self.step(one), self.step(other), whole=node.function == "or")
            case "@in", (item, ListLiteral() as items) if _is_constant(items):
                return self._in_constants(self.step(item), items)
        return self._function(node)

    def _in_constants(self, item: Step, items: ListLiteral) -> Step:
        values = [self.step(one)(Frame({}, 0)) for one in items.elements]
        return lambda frame: operators.contained_in(item(frame), values)

    def _function(self, node: Call) -> Step:
        name = node.function
        compute = self._implementation(node)
        reference = self._checked.references.get(node.id)
        overloads = reference.overloads if reference is not None else ()
        overload = _EQUALITIES.get(name) or (overloads[0] if len(overloads) == 1 else "")
        steps = tuple(map(self.step, node.operands))
        if len(steps) == 1:
            (only,) = steps

            def unary(frame: Frame) -> Any:
                argument = only(frame)
                result = compute(argument)
                frame.spend(costs.call_cost(name, overload, (argument,), result))
                return result

            return unary

        def run(frame: Frame) -> Any:
            arguments = [step(frame) for step in steps]
            result = compute(*arguments)
            frame.spend(costs.call_cost(name, overload, arguments, result))
            return result

        return run

    def _implementation(self, node: Call) -> Callable[..., Any]:
        """The language's own function, a library's, or whichever of the two takes the values."""
        own = operators.FUNCTIONS.get(node.function)
        library = self._functions.get(node.function)
        if own is None and library is None:
            raise KeyError(node.function)
        if library is None or own is None:
            return own or library or (lambda: None)

        def either(*arguments: Any) -> Any:
            try:
                return library(*arguments)
            except EvaluationError as error:
                if not error.message.startswith("no such overload"):
                    raise
            return own(*arguments)

        return either

    # --- literals ---

    def _list(self, node: ListLiteral) -> Step:
        steps = [(self.step(element), index in node.optional) for index, element in enumerate(node.elements)]
        cost = 0 if _is_constant(node) else costs.LIST

        def run(frame: Frame) -> list[Any]:
            items: list[Any] = []
            for step, optional in steps:
                value = step(frame)
                if not optional:
                    items.append(value)
                elif (kept := _entry(value, "list element")) is not None:
                    items.append(kept[0])
            frame.spend(cost)
            return items

        return run

    def _map(self, node: MapLiteral) -> Step:
        steps = [
            (self.step(entry.key), self.step(entry.value), entry.optional)
            for entry in node.entries
            if isinstance(entry.key, Node)
        ]

        def run(frame: Frame) -> dict[Any, Any]:
            entries: dict[Any, Any] = {}
            for key_step, value_step, optional in steps:
                key, value = key_step(frame), value_step(frame)
                if not isinstance(key, str | bool | int):
                    raise EvaluationError(f"unsupported key type: {type_name(key)}")
                if not optional:
                    entries[key] = value
                elif (kept := _entry(value, f"entry '{key}'")) is not None:
                    entries[key] = kept[0]
            frame.spend(costs.MAP)
            return entries

        return run

    def _struct(self, node: StructLiteral) -> Step:
        if self._construct is None:
            raise TypeError(f"nothing constructs {node.type_name}")
        construct, name = self._construct, self._referred(node, node.type_name).removeprefix(".")
        steps = [(str(entry.key), self.step(entry.value), entry.optional) for entry in node.entries]

        def run(frame: Frame) -> Any:
            fields: dict[str, Any] = {}
            for field, step, optional in steps:
                value = step(frame)
                if not optional:
                    fields[field] = value
                elif (kept := _entry(value, f"entry '{field}'")) is not None:
                    fields[field] = kept[0]
            frame.spend(costs.STRUCT)
            return construct(name, fields)

        return run

    # --- comprehensions ---

    def _comprehension(self, node: Comprehension) -> Step:
        first, second, accumulator = node.variable, node.second_variable, node.accumulator
        over, start = self.step(node.range), self.step(node.start)
        outer = self._variables
        self._variables = outer | {first, second, accumulator}
        condition, step, result = self.step(node.condition), self.step(node.step), self.step(node.result)
        self._variables = outer

        def run(frame: Frame) -> Any:
            container = over(frame)
            values = frame.values
            kept = {name: values[name] for name in (first, second, accumulator) if name in values}
            try:
                values[accumulator] = start(frame)
                for one, other in (
                    _pairs(container) if second else ((item, None) for item in _items(container))
                ):
                    values[first] = one
                    if second:
                        values[second] = other
                    if condition(frame) is False:
                        break
                    try:
                        values[accumulator] = step(frame)
                    except CostExceeded:
                        raise
                    except EvaluationError as error:
                        values[accumulator] = error
                return result(frame)
            finally:
                for name in (first, second, accumulator):
                    values.pop(name, None)
                values.update(kept)

        return run


_EQUALITIES = {"_==_": "equals", "_!=_": "not_equals"}


def _is_constant(node: ListLiteral) -> bool:
    return all(isinstance(element, Constant) for element in node.elements)


def _items(container: Any) -> Any:
    return list(container.present) if isinstance(container, Record) else elements(container)


def _pairs(container: Any) -> Any:
    match container:
        case list():
            return enumerate(container)
        case dict():
            return container.items()
        case Record():
            return ((name, container.get(name)) for name in container.present)
    raise no_such_overload()


def _has(container: Any, name: str) -> bool:
    if isinstance(container, Optional):
        return container.present and _has(container.value, name)
    if isinstance(container, dict | Record):
        return name in container
    raise EvaluationError(f"no such key: {name}")


def _optional(container: Optional, key: Any) -> Optional:
    if not container.present:
        return NONE
    found, value = find(container.value, key)
    return Optional(value) if found else NONE


def _entry(value: Any, what: str) -> tuple[Any] | None:
    """The value of a `?` entry; None where it is left out."""
    if not isinstance(value, Optional):
        raise EvaluationError(f"cannot initialize optional {what} from non-optional value {value}")
    return (value.value,) if value.present else None


def _logical(left: Step, right: Step, *, decisive: bool) -> Step:
    def run(frame: Frame) -> bool:
        failure: EvaluationError | None = None
        for side in (left, right):
            try:
                value: object = side(frame)
            except CostExceeded:
                raise
            except EvaluationError as error:
                failure = failure or error
                continue
            if value is decisive:
                return decisive
            if not isinstance(value, bool):
                failure = failure or no_such_overload()
        if failure is not None:
            raise failure
        return not decisive

    return run


def _conditional(condition: Step, then: Step, otherwise: Step) -> Step:
    def run(frame: Frame) -> Any:
        chosen = condition(frame)
        if not isinstance(chosen, bool):
            raise no_such_overload()
        return then(frame) if chosen else otherwise(frame)

    return run


def _not_strictly_false(operand: Step) -> Step:
    def run(frame: Frame) -> bool:
        frame.spend(1)
        try:
            return operand(frame) is not False
        except CostExceeded:
            raise
        except EvaluationError:
            return True

    return run


def _optional_lookup(container: Step, key: Step) -> Step:
    def run(frame: Frame) -> Optional:
        whole, wanted = container(frame), key(frame)
        frame.spend(costs.NAME)
        if isinstance(whole, Optional):
            return _optional(whole, wanted)
        found, value = find(whole, wanted)
        return Optional(value) if found else NONE

    return run


def _or(one: Step, other: Step, *, whole: bool) -> Step:
    def run(frame: Frame) -> Any:
        optional = one(frame)
        if not isinstance(optional, Optional):
            raise no_such_overload()
        if optional.present:
            return optional if whole else optional.value
        return other(frame)

    return run
