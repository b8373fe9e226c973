"""The rules of custom objects: CEL in their schema's `x-kubernetes-validations`, where a value has to be true.

A rule stands at a node of the schema and sees what lies there as `self`, and what lay there before as `oldSelf`. One
that asks for oldSelf is judged only where there is something to compare with. A rule that was broken before the write
and whose part did not change stays broken in peace. Rules were compiled once already when the CRD was written; here
they are compiled again when the first object is judged by them.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from aliquot.emulator.schema.errors import OMITTED, ErrorType, FieldError, invalid
from aliquot.emulator.schema.shapes import Shape
from aliquot.emulator.schema.validation import field_paths
from aliquot.emulator.schema.validation.correlation import MISSING, Correlated, predecessor

Node = Mapping[str, Any]
WORD = "x-kubernetes-validations"

BUDGET = 10_000_000
"""What all rules together may cost for one object."""
_LONGEST_MESSAGE_BYTES = 5 * 1024
_VALUES_SHOWN_SINCE = 35
"""Before Kubernetes 1.35 an error showed the type in place of the value."""
_EXHAUSTED = "validation failed due to running out of cost budget, no further validation rules will be run"


def has_rules(node: Node) -> bool:
    if node.get(WORD):
        return True
    children = [node.get("items"), node.get("additionalProperties"), *(node.get("properties") or {}).values()]
    return any(has_rules(child) for child in children if isinstance(child, Mapping))


_KNOWN: "WeakKeyDictionary[Shape, RuleNode | None]" = WeakKeyDictionary()


def of(shape: Shape) -> "RuleNode | None":
    """The rules in the schema of a kind; None, and nothing of CEL imported, where there are none."""
    if shape not in _KNOWN:
        _KNOWN[shape] = compiled(shape.node, is_resource=True) if has_rules(shape.node) else None
    return _KNOWN[shape]


@dataclass(frozen=True, slots=True)
class Rule:
    text: str
    """As errors name it: its message, if it has one."""
    program: Any
    """A cel.Program; None when the rule could not be compiled, which `problem` explains."""
    problem: str
    message: str
    message_program: Any
    message_text: str
    uses_old_self: bool
    optional_old_self: bool
    reason: ErrorType
    field_path: str


@dataclass(slots=True)
class RuleNode:
    node: Node
    """The schema here, as values are read by it."""
    rules: list[Rule] = field(default_factory=list)
    items: "RuleNode | None" = None
    values: "RuleNode | None" = None
    """Of a map."""
    properties: dict[str, "RuleNode"] = field(default_factory=dict)


# --- compiling ---


def compiled(node: Node, *, is_resource: bool = False) -> RuleNode | None:
    """The rules of a schema; None where there are none."""
    from aliquot.emulator.cel import schemas

    made = RuleNode(schemas.as_resource(node) if is_resource else node)
    if node.get(WORD):
        made.rules = _rules(node[WORD], node, is_resource=is_resource)
    made.items = _child(node.get("items"))
    made.values = _child(node.get("additionalProperties"))
    for name, child in (node.get("properties") or {}).items():
        inner = _child(child)
        if inner is not None:
            made.properties[name] = inner
    return made if made.rules or made.items or made.values or made.properties else None


def _child(node: Any) -> RuleNode | None:
    if not isinstance(node, Mapping):
        return None
    return compiled(node, is_resource=bool(node.get("x-kubernetes-embedded-resource")))


def _rules(written: Any, node: Node, *, is_resource: bool) -> list[Rule]:
    from aliquot.emulator.cel import schemas

    kind = schemas.declared(node, is_resource=is_resource, name="selfType")
    if kind is None:
        return []
    environments = Environments(kind, EVERY_MINOR)
    return [_rule(one, node, environments) for one in written if one.get("rule", "").strip()]


EVERY_MINOR = 99
"""A rule that is stored may use whatever there is."""


class Environments:
    """Of the rules at one node: oldSelf is an optional where a rule wants it so."""

    def __init__(self, kind: Any, minor: int) -> None:
        from aliquot.emulator.cel import Environment
        from aliquot.emulator.cel.types import optional_of

        self._plain = Environment({"self": kind, "oldSelf": kind}, minor=minor)
        self._optional = Environment({"self": kind, "oldSelf": optional_of(kind)}, minor=minor)

    def of(self, rule: Mapping[str, Any]) -> Any:
        return self._optional if rule.get("optionalOldSelf") else self._plain


def _rule(written: Mapping[str, Any], node: Node, environments: Environments) -> Rule:
    from aliquot.emulator.cel import CompileError

    environment = environments.of(written)
    program, problem, message_program = None, "", None
    try:
        program = environment.compile(written["rule"])
    except CompileError as error:
        problem = f"compilation failed: {error}"
    if written.get("messageExpression"):
        try:
            message_program = environment.compile(written["messageExpression"])
        except CompileError:
            message_program = None
    try:
        path = field_paths.resolve(written.get("fieldPath") or "", node)[0]
    except field_paths.BadPath:
        path = ""
    message = (written.get("message") or "").strip()
    return Rule(
        text=message or written["rule"].strip(),
        program=program,
        problem=problem,
        message=message,
        message_program=message_program,
        message_text=written.get("messageExpression") or "",
        uses_old_self=program is not None and program.uses("oldSelf"),
        optional_old_self=bool(written.get("optionalOldSelf")),
        reason=ErrorType(written.get("reason") or ErrorType.INVALID),
        field_path=path,
    )


# --- judging ---


@dataclass(frozen=True, slots=True)
class _Past:
    """What a value is compared with to see whether it changed: the nearest part that can be compared at all."""

    here: Correlated | None = None
    above: Correlated | None = None

    @property
    def unchanged(self) -> bool:
        nearest = self.here if self.here is not None else self.above
        return nearest is not None and nearest.unchanged

    def key(self, name: str) -> "_Past":
        if self.here is None:
            return self
        if self.above is None and name in ("apiVersion", "kind"):
            return _Past()
        return _Past(self.here.key(name), self.here)

    def index(self, at: int) -> "_Past":
        return self if self.here is None else _Past(self.here.index(at), self.here)


class _Exhausted(Exception):
    """No further rule is judged."""


def check(rules: RuleNode, obj: Any, old: Any, minor: int, path: str = "") -> list[FieldError]:
    """What rules an object breaks, as a new one (`old` is None) or as the successor of `old`."""
    judge = _Judge(minor)
    past = _Past(Correlated(obj, old, rules.node)) if old is not None else _Past()
    with suppress(_Exhausted):
        judge.judge(rules, obj, MISSING if old is None else old, path, past)
    return judge.errors


class _Judge:
    def __init__(self, minor: int) -> None:
        self.errors: list[FieldError] = []
        self._budget = BUDGET
        self._minor = minor

    def judge(self, rules: RuleNode, value: Any, old: Any, path: str, past: _Past) -> None:
        """Raises _Exhausted."""
        if value is None:
            return
        self._judge_here(rules, value, old, path, past)
        if isinstance(value, list) and rules.items is not None:
            for index, item in enumerate(value):
                before = predecessor(item, old, rules.node)
                self.judge(rules.items, item, before, f"{path}[{index}]", past.index(index))
        elif isinstance(value, dict):
            was = old if isinstance(old, dict) else {}
            for key, child in value.items():
                inner = rules.properties.get(key)
                if inner is not None:
                    where = f"{path}.{key}" if path else key
                    self.judge(inner, child, was.get(key, MISSING), where, past.key(key))
                elif rules.values is not None:
                    self.judge(rules.values, child, was.get(key, MISSING), f"{path}[{key}]", past.key(key))

    def _judge_here(self, rules: RuleNode, value: Any, old: Any, path: str, past: _Past) -> None:
        if not rules.rules:
            return
        from aliquot.emulator.cel.values import NONE, Optional

        node, where = rules.node, path or "<nil>"
        shown = self._shown(value, node)
        if self._budget <= 0:
            self._stop(where, node, _EXHAUSTED)
        seen = _read(value, node)
        before = MISSING if old is MISSING or old is None else _read(old, node)
        for rule in rules.rules:
            if rule.program is None:
                self._add(where, node, f"rule compile error: {rule.problem}")
                continue
            if rule.uses_old_self and before is MISSING and not rule.optional_old_self:
                continue
            values = {"self": seen}
            if rule.optional_old_self:
                values["oldSelf"] = NONE if before is MISSING else Optional(before)
            elif before is not MISSING:
                values["oldSelf"] = before
            if self._holds(rule, values, where, node):
                continue
            place = f"{path}.{rule.field_path}" if path and rule.field_path else rule.field_path or where
            stays = not rule.uses_old_self and past.unchanged
            detail = self._message(rule, values, place, node, stays=stays)
            if not stays:
                self.errors.append(FieldError(rule.reason, place, shown, detail))

    def _holds(self, rule: Rule, values: Mapping[str, Any], where: str, node: Node) -> bool:
        """Whether there is nothing more to say of a rule: it is true, or why it has no answer has been told."""
        from aliquot.emulator.cel import CostExceeded

        outcome = rule.program.evaluate(values)
        self._spend(outcome.cost, where, node, _EXHAUSTED)
        error = outcome.error
        if error is None:
            return outcome.value is True
        text = str(error)
        if text.startswith("no such overload"):
            text = f"'{text}': call arguments did not match a supported operator, function or macro signature for rule"
            self._add(where, node, f"{text}: {rule.text}")
        elif isinstance(error, CostExceeded):
            text = (
                f"'{text}': no further validation rules will be run due to call cost exceeds limit for rule"
            )
            self._stop(where, node, f"{text}: {rule.text}")
        else:
            self._add(where, node, f"{text} evaluating rule: {rule.text}")
        return True

    def _message(self, rule: Rule, values: Mapping[str, Any], where: str, node: Node, *, stays: bool) -> str:
        plain = rule.message or f"failed rule: {rule.text}"
        if rule.message_program is None:
            return plain
        from aliquot.emulator.cel import CostExceeded

        outcome = rule.message_program.evaluate(values)
        failed = "messageExpression evaluation failed due to running out of cost budget, no further validation rules"
        self._spend(outcome.cost, where, node, f"{failed} will be run")
        if isinstance(outcome.error, CostExceeded):
            text = (
                "no further validation rules will be run due to call cost exceeds limit for messageExpression"
            )
            self._stop(where, node, f'{text}: "{rule.message_text}"')
        if outcome.error is not None or not isinstance(outcome.value, str):
            return plain
        found = outcome.value.strip()
        if not found or "\n" in found or len(found.encode()) > _LONGEST_MESSAGE_BYTES:
            return plain
        return found

    def _shown(self, value: Any, node: Node) -> Any:
        if self._minor < _VALUES_SHOWN_SINCE:
            return node.get("type", "")
        return OMITTED if node.get("type") in ("object", "array") else value

    def _spend(self, cost: int, where: str, node: Node, words: str) -> None:
        if cost > self._budget:
            self._stop(where, node, words)
        self._budget -= cost

    def _add(self, where: str, node: Node, words: str) -> None:
        self.errors.append(invalid(where, node.get("type", ""), words))

    def _stop(self, where: str, node: Node, words: str) -> None:
        self._add(where, node, words)
        raise _Exhausted


def _read(value: Any, node: Node) -> Any:
    """A value as rules see it; where it is not what its schema says, the error that looking at it is."""
    from aliquot.emulator.cel import EvaluationError
    from aliquot.emulator.cel.schemas import to_cel

    try:
        return to_cel(value, node)
    except EvaluationError as error:
        return error


_NEWLINES = re.compile(r"[\r\n]")


def has_newlines(text: str) -> bool:
    return _NEWLINES.search(text) is not None
