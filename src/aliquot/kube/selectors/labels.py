"""Label selectors, as text and as objects, compiled to predicates over a map of labels."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from aliquot.kube.selectors.errors import SelectorError
from aliquot.kube.selectors.syntax import label_key_problems, label_value_problems

Labels = Mapping[str, str]


class Operator(StrEnum):
    IN = "in"
    NOT_IN = "notin"
    EQUALS = "="
    DOUBLE_EQUALS = "=="
    NOT_EQUALS = "!="
    GREATER = "gt"
    LESS = "lt"
    EXISTS = "exists"
    DOES_NOT_EXIST = "!"


@dataclass(frozen=True, slots=True)
class Requirement:
    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        match self.operator:
            case Operator.EXISTS:
                return self.key
            case Operator.DOES_NOT_EXIST:
                return f"!{self.key}"
            case Operator.IN | Operator.NOT_IN:
                return f"{self.key} {self.operator} ({','.join(sorted(self.values))})"
            case Operator.GREATER | Operator.LESS:
                return f"{self.key}{'>' if self.operator is Operator.GREATER else '<'}{self.values[0]}"
            case _:
                return f"{self.key}{self.operator}{self.values[0]}"

    def test(self) -> Callable[[Labels], bool]:
        key, values = self.key, frozenset(self.values)
        match self.operator:
            case Operator.EXISTS:
                return lambda labels: key in labels
            case Operator.DOES_NOT_EXIST:
                return lambda labels: key not in labels
            case Operator.NOT_IN | Operator.NOT_EQUALS:
                return lambda labels: labels.get(key) not in values
            case Operator.GREATER | Operator.LESS:
                bound, sign = int(self.values[0]), 1 if self.operator is Operator.GREATER else -1

                def compare(labels: Labels) -> bool:
                    value = labels.get(key, "")
                    return _INTEGER.fullmatch(value) is not None and sign * (int(value) - bound) > 0

                return compare
            case _ if len(self.values) == 1:
                only = self.values[0]
                return lambda labels: labels.get(key) == only
            case _:
                return lambda labels: labels.get(key) in values


class LabelSelector:
    """All of its requirements hold; with none, it selects everything. `nothing` selects no object at all."""

    __slots__ = ("_tests", "nothing", "requirements")

    def __init__(self, requirements: Iterable[Requirement] = (), *, nothing: bool = False) -> None:
        self.requirements = tuple(sorted(requirements, key=lambda found: found.key))
        self.nothing = nothing
        self._tests = tuple(found.test() for found in self.requirements)

    @property
    def empty(self) -> bool:
        """True when it selects everything."""
        return not self.requirements and not self.nothing

    def matches(self, labels: Labels | None) -> bool:
        if self.nothing:
            return False
        known = labels or {}
        return all(test(known) for test in self._tests)

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


EVERYTHING = LabelSelector()
NOTHING = LabelSelector(nothing=True)

# ---- label selectors as text -------------------------------------------------------------------------------

_TOKEN = re.compile(r"\s*(==|!=|[=!(),<>]|[^=!(),<>\s]+|$)")
_SYMBOLS = frozenset(["==", "!=", "=", "!", "(", ")", ",", "<", ">"])
_BINARY = {
    "in": Operator.IN,
    "notin": Operator.NOT_IN,
    "=": Operator.EQUALS,
    "==": Operator.DOUBLE_EQUALS,
    "!=": Operator.NOT_EQUALS,
    ">": Operator.GREATER,
    "<": Operator.LESS,
}
_END = ""


@lru_cache(maxsize=1024)
def parse_labels(text: str) -> LabelSelector:
    """A selector from its text form, e.g. `app in (web,db),!canary`. Raises SelectorError."""
    return LabelSelector(_LabelParser(text).requirements())


class _LabelParser:
    """Tokens are strings; the end is the empty string. An identifier is any token that is no symbol."""

    def __init__(self, text: str) -> None:
        self._tokens: list[str] = _TOKEN.findall(text)
        if not self._tokens or self._tokens[-1] != _END:
            self._tokens.append(_END)
        self._next = 0

    def _peek(self) -> str:
        return self._tokens[min(self._next, len(self._tokens) - 1)]

    def _take(self) -> str:
        token = self._peek()
        self._next += 1
        return token

    def requirements(self) -> list[Requirement]:
        found: list[Requirement] = []
        while (token := self._peek()) != _END:
            if token != "!" and not _identifier(token):
                raise SelectorError(f"found '{token}', expected: !, identifier, or 'end of string'")
            try:
                found.append(self._requirement())
            except SelectorError as error:
                raise SelectorError(f"unable to parse requirement: {error}") from None
            separator = self._take()
            if separator == _END:
                break
            if separator != ",":
                raise SelectorError(f"found '{separator}', expected: ',' or 'end of string'")
            if (after := self._peek()) != "!" and not _identifier(after):
                raise SelectorError(f"found '{after}', expected: identifier after ','")
        return found

    def _requirement(self) -> Requirement:
        key = self._take()
        negated = key == "!"
        if negated:
            key = self._take()
        if not _identifier(key):
            raise SelectorError(f"found '{key}', expected: identifier")
        if problems := label_key_problems(key):
            raise SelectorError(_invalid("<nil>", key, problems))
        if negated:
            return Requirement(key, Operator.DOES_NOT_EXIST)
        if self._peek() in (_END, ","):
            return Requirement(key, Operator.EXISTS)
        operator = self._operator()
        values = self._values() if operator in (Operator.IN, Operator.NOT_IN) else (self._value(),)
        return requirement(key, operator, values)

    def _operator(self) -> Operator:
        token = self._take()
        if token not in _BINARY:
            raise SelectorError(f"found '{token}', expected: {', '.join(_OPERATOR_NAMES)}")
        return _BINARY[token]

    def _value(self) -> str:
        if self._peek() in (_END, ","):
            return ""
        token = self._take()
        if not _identifier(token):
            raise SelectorError(f"found '{token}', expected: identifier")
        return token

    def _values(self) -> tuple[str, ...]:
        token = self._take()
        if token != "(":
            raise SelectorError(f"found '{token}' expected: '('")
        values: set[str] = set()
        token = self._peek()
        if token not in (")", ",") and not _identifier(token):
            raise SelectorError(f"found '{token}', expected: ',', ')' or identifier")
        previous = ","
        while (token := self._take()) != ")":
            if token == ",":
                if previous == ",":
                    values.add("")
            elif previous != ",":
                raise SelectorError(f"found '{token}', expected: ',' or ')'")
            elif not _identifier(token):
                raise SelectorError(f"found '{token}', expected: ',', or identifier")
            else:
                values.add(token)
            previous = token
        if previous == ",":
            values.add("")
        return tuple(sorted(values))


_OPERATOR_NAMES = ("in", "notin", "=", "==", "!=", "gt", "lt")
_INTEGER = re.compile(r"[+-]?[0-9]+")


def _identifier(token: str) -> bool:
    return token != _END and token not in _SYMBOLS


def requirement(key: str, operator: Operator, values: Sequence[str], path: str = "") -> Requirement:
    """A checked requirement; `path` is the field that it came from, for the error text. Raises SelectorError."""
    prefix = f"{path}." if path else ""
    problems: list[str] = []
    if found := label_key_problems(key):
        problems.append(_invalid(f"{prefix}key", key, found))
    listed = f"[{', '.join(_quoted(value) for value in values)}]"
    field = f"{prefix}values: Invalid value: {listed}"
    match operator:
        case Operator.IN | Operator.NOT_IN:
            if not values:
                problems.append(f"{field}: for 'in', 'notin' operators, values set can't be empty")
        case Operator.EXISTS | Operator.DOES_NOT_EXIST:
            if values:
                problems.append(f"{field}: values set must be empty for exists and does not exist")
        case Operator.GREATER | Operator.LESS:
            if len(values) != 1:
                problems.append(f"{field}: for 'Gt', 'Lt' operators, exactly one value is required")
            problems += [
                _invalid(
                    f"{prefix}values[{index}]",
                    value,
                    ["for 'Gt', 'Lt' operators, the value must be an integer"],
                )
                for index, value in enumerate(values)
                if not _INTEGER.fullmatch(value)
            ]
        case _:
            if len(values) != 1:
                problems.append(f"{field}: exact-match compatibility requires one single value")
    problems += [
        _invalid(f"{prefix}values[{index}][{key}]", value, found)
        for index, value in enumerate(values)
        if (found := label_value_problems(value))
    ]
    if problems:
        raise SelectorError(problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")
    return Requirement(key, operator, tuple(values))


# ---- label selectors as objects ----------------------------------------------------------------------------

_OBJECT_OPERATORS = {
    "In": Operator.IN,
    "NotIn": Operator.NOT_IN,
    "Exists": Operator.EXISTS,
    "DoesNotExist": Operator.DOES_NOT_EXIST,
}


def from_object(selector: Mapping[str, Any] | None) -> LabelSelector:
    """A metav1.LabelSelector. None selects nothing, `{}` everything. Raises SelectorError."""
    if selector is None:
        return NOTHING
    requirements = [
        requirement(key, Operator.EQUALS, (value,))
        for key, value in sorted((selector.get("matchLabels") or {}).items())
    ]
    for expression in selector.get("matchExpressions") or ():
        operator = _OBJECT_OPERATORS.get(expression.get("operator", ""))
        if operator is None:
            raise SelectorError(f'"{expression.get("operator", "")}" is not a valid label selector operator')
        requirements.append(
            requirement(expression.get("key", ""), operator, tuple(expression.get("values") or ()))
        )
    return LabelSelector(requirements)


def from_set(labels: Labels | None) -> LabelSelector:
    """A plain map, as Services and node selectors have it; empty selects everything."""
    return LabelSelector(
        Requirement(key, Operator.EQUALS, (value,)) for key, value in sorted((labels or {}).items())
    )


def _invalid(field: str, value: str, problems: Iterable[str]) -> str:
    return f"{field}: Invalid value: {_quoted(value)}: {'; '.join(problems)}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
