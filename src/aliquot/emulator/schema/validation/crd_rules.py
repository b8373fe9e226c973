"""Whether the rules that a CRD brings can be: they compile, mean a yes or no, and cannot cost too much."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec

from aliquot.emulator.schema.errors import FieldError, forbidden, invalid, not_supported, required
from aliquot.emulator.schema.validation import field_paths
from aliquot.emulator.schema.validation.rules import EVERY_MINOR, WORD, Environments, has_newlines

Node = Mapping[str, Any]

_LIMIT, _TOTAL_LIMIT = 10_000_000, 100_000_000
"""The most that one rule, and all rules of a schema, can cost by estimate."""
_REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_NAMED = 4
"""How many rules are named when all of them together cost too much."""
_MOST = 2**64 - 1


def forms(node: Node, path: str) -> list[FieldError]:
    """What is wrong with the rules at one node before anything of them is compiled."""
    errors: list[FieldError] = []
    for index, rule in enumerate(node.get(WORD) or ()):
        errors += _form(rule, node, f"{path}.{WORD}[{index}]")
    return errors


def _form(rule: Mapping[str, Any], node: Node, where: str) -> list[FieldError]:
    errors: list[FieldError] = []
    text, message = rule.get("rule", "").strip(), rule.get("message") or ""
    expression, field_path, reason = rule.get("messageExpression"), rule.get("fieldPath"), rule.get("reason")
    if not text:
        errors.append(required(f"{where}.rule", "rule is not specified"))
    elif message and not message.strip():
        errors.append(invalid(f"{where}.message", message, "must be non-empty if specified"))
    elif has_newlines(message.strip()):
        errors.append(invalid(f"{where}.message", message, "must not contain line breaks"))
    elif has_newlines(text) and not message.strip():
        errors.append(required(f"{where}.message", "message must be specified if rule contains line breaks"))
    if expression and not expression.strip():
        errors.append(
            required(f"{where}.messageExpression", "messageExpression must be non-empty if specified")
        )
    if reason is not None and reason not in _REASONS:
        errors.append(not_supported(f"{where}.reason", reason, _REASONS))
    if field_path:
        if not field_path.strip():
            errors.append(invalid(f"{where}.fieldPath", field_path, "must be non-empty if specified"))
        if has_newlines(field_path):
            errors.append(invalid(f"{where}.fieldPath", field_path, "must not contain line breaks"))
        try:
            field_paths.resolve(field_path, node)
        except field_paths.BadPath:
            errors.append(invalid(f"{where}.fieldPath", field_path, "must be a valid path"))
    return errors


@dataclass(slots=True)
class Stored:
    """The expressions of the CRD as it was: they may use what a new one may not yet."""

    rules: set[str] = field(default_factory=set)
    messages: set[str] = field(default_factory=set)

    @staticmethod
    def of(schemas: "list[Node]") -> "Stored":
        found = Stored()
        for schema in schemas:
            for node in _nodes(schema):
                for rule in node.get(WORD) or ():
                    found.rules.add(rule.get("rule", ""))
                    found.messages.add(rule.get("messageExpression") or "")
        return found


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    children = [node.get("items"), node.get("additionalProperties"), *(node.get("properties") or {}).values()]
    for child in children:
        if isinstance(child, Mapping):
            yield from _nodes(child)


def judge(schema: Node, path: str, minor: int, stored: Stored, *, as_before: bool) -> list[FieldError]:
    """What is wrong with the rules of a schema that is sound otherwise.

    `as_before`: this schema is not changed; what it costs has been put up with before.
    """
    rules, messages = frozenset(stored.rules), frozenset(stored.messages)
    return list(_judged(msgspec.json.encode(schema), path, minor, rules, messages, as_before))


@lru_cache(maxsize=64)
def _judged(
    schema: bytes, path: str, minor: int, rules: frozenset[str], messages: frozenset[str], as_before: bool
) -> tuple[FieldError, ...]:
    """Remembered: every update of a CRD, of its status too, asks again."""
    judge_ = _Judge(minor, rules, messages, as_before)
    judge_.walk(msgspec.json.decode(schema), path, cardinality=1, uncorrelatable="", is_resource=True)
    return (*judge_.errors, *judge_.too_much(path))


class _Judge:
    def __init__(
        self, minor: int, stored_rules: Collection[str], stored_messages: Collection[str], as_before: bool
    ) -> None:
        self.errors: list[FieldError] = []
        self._minor = minor
        self._stored_rules = stored_rules
        self._stored_messages = stored_messages
        self._as_before = as_before
        self._total = 0
        self._costs: list[tuple[int, str]] = []

    def walk(
        self, node: Node, path: str, *, cardinality: int | None, uncorrelatable: str, is_resource: bool
    ) -> None:
        """`cardinality`: how often there can be such a value; None where nothing bounds it."""
        if node.get(WORD):
            self._rules(node, path, cardinality, uncorrelatable, is_resource)
        inner = _within(node, cardinality)
        for name, child in (node.get("properties") or {}).items():
            self._walk_child(child, f"{path}.properties[{name}]", inner, uncorrelatable)
        items, values = node.get("items"), node.get("additionalProperties")
        if isinstance(items, Mapping):
            # Items have a past only where they are told apart by keys.
            place = uncorrelatable or ("" if node.get("x-kubernetes-list-type") == "map" else path)
            self._walk_child(items, f"{path}.items", inner, place)
        if isinstance(values, Mapping):
            self._walk_child(values, f"{path}.additionalProperties", inner, uncorrelatable)

    def _walk_child(self, node: Node, path: str, cardinality: int | None, uncorrelatable: str) -> None:
        embedded = bool(node.get("x-kubernetes-embedded-resource"))
        self.walk(node, path, cardinality=cardinality, uncorrelatable=uncorrelatable, is_resource=embedded)

    def _rules(
        self, node: Node, path: str, cardinality: int | None, uncorrelatable: str, is_resource: bool
    ) -> None:
        from aliquot.emulator.cel import schemas

        kind = schemas.declared(node, is_resource=is_resource, name="selfType")
        if kind is None:
            return
        times = schemas.MAX_REQUEST_BYTES // (kind.min_bytes + 1) if cardinality is None else cardinality
        # What is new must also be understood by the version before, in case of a roll-back.
        new, known = Environments(kind, self._minor - 1), Environments(kind, EVERY_MINOR)
        for index, rule in enumerate(node[WORD]):
            where = f"{path}.{WORD}[{index}]"
            environments = known if rule.get("rule") in self._stored_rules else new
            program = self._program(rule, "rule", environments, f"{where}.rule", "bool")
            if program is None:
                continue
            self._cost(program, kind, times, f"{where}.rule", "estimated rule cost")
            if rule.get("messageExpression"):
                environments = known if rule["messageExpression"] in self._stored_messages else new
                place = f"{where}.messageExpression"
                message = self._program(rule, "messageExpression", environments, place, "string")
                if message is not None:
                    self._cost(message, kind, 1, place, "estimated messageExpression cost")
            self._past(rule, program, where, uncorrelatable)

    def _program(
        self, rule: Mapping[str, Any], word: str, environments: Environments, where: str, result: str
    ) -> Any:
        from aliquot.emulator.cel import CompileError

        try:
            program = environments.of(rule).compile(rule[word])
        except CompileError as error:
            prefix = "" if word == "rule" else "messageExpression "
            self.errors.append(invalid(where, _shown(rule), f"{prefix}compilation failed: {error}"))
            return None
        if str(program.result) != result:
            wrong = {
                "bool": "cel expression must evaluate to a bool",
                "string": "messageExpression must evaluate to a string",
            }
            self.errors.append(invalid(where, _shown(rule), wrong[result]))
            return None
        return program

    def _cost(self, program: Any, kind: Any, times: int, where: str, words: str) -> None:
        from aliquot.emulator.cel.estimates import most_expensive

        cost = min(most_expensive(program.checked, {"self": kind, "oldSelf": kind}) * times, _MOST)
        if cost > _LIMIT and not self._as_before:
            self.errors.append(forbidden(where, _exceeds(words, cost, _LIMIT)))
        self._total = min(self._total + cost, _MOST)
        if cost >= _TOTAL_LIMIT // 100:
            self._costs.append((cost, where))

    def _past(self, rule: Mapping[str, Any], program: Any, where: str, uncorrelatable: str) -> None:
        if program.uses("oldSelf"):
            if uncorrelatable:
                text = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {uncorrelatable}"
                self.errors.append(invalid(f"{where}.rule", rule["rule"], text))
        elif rule.get("optionalOldSelf") is not None:
            text = "may not be set if oldSelf is not used in rule"
            self.errors.append(invalid(f"{where}.optionalOldSelf", rule["optionalOldSelf"], text))

    def too_much(self, path: str) -> list[FieldError]:
        """What is wrong with all of them together."""
        if self._total <= _TOTAL_LIMIT:
            return []
        text = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
        dearest = sorted(self._costs, key=lambda one: -one[0])[:_NAMED]
        words = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
        named = [forbidden(where, text) for _, where in dearest]
        return [*named, forbidden(path, _exceeds(words, self._total, _TOTAL_LIMIT))]


def _within(node: Node, cardinality: int | None) -> int | None:
    if cardinality is None:
        return None
    match node.get("type"):
        case "object" if node.get("additionalProperties") is not None:
            most = node.get("maxProperties")
        case "array":
            most = node.get("maxItems")
        case _:
            most = 1
    return None if most is None else cardinality * max(most, 0)


def _exceeds(words: str, cost: int, limit: int) -> str:
    factor = cost / limit
    digits = f"{factor:.6f}" if factor < 1.5 else f"{factor:.1f}"
    text = f"{digits}x" if factor <= 100 else "more than 100x"
    hint = "try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings"
    return f"{words} exceeds budget by factor of {text} ({hint} are declared)"


def _shown(rule: Mapping[str, Any]) -> dict[str, Any]:
    """The rule as the API server prints it."""
    return {
        "Rule": rule.get("rule", ""),
        "Message": rule.get("message") or "",
        "MessageExpression": rule.get("messageExpression") or "",
        "Reason": rule.get("reason"),
        "FieldPath": rule.get("fieldPath") or "",
        "OptionalOldSelf": rule.get("optionalOldSelf"),
    }
