"""Rules of custom objects (x-kubernetes-validations): what they see, what they say, and when they are not asked."""

import copy
from typing import Any

import pytest

from aliquot.emulator.schema.catalogue import Catalogue
from aliquot.emulator.schema.kind import Schema
from aliquot.emulator.schema.validation import rules
from aliquot.emulator.versions import Surface

Json = dict[str, Any]


def definition(spec: Json, *rules: Json) -> Json:
    """A CRD whose objects have a `spec` of this schema; `rules` stand at the root."""
    root: Json = {
        "type": "object",
        "properties": {"spec": spec, "status": {"type": "object", "properties": {}}},
    }
    if rules:
        root["x-kubernetes-validations"] = list(rules)
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "conversion": {"strategy": "None"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": root}}
            ],
        },
    }


def kind(spec: Json, *rules: Json, version: str = "1.36") -> Schema:
    catalogue = Catalogue(Surface(version))
    catalogue.add_crd(definition(spec, *rules))
    found = catalogue.get("example.com", "v1", "Widget")
    assert found is not None
    return found


def widget(spec: Any) -> Json:
    return {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "w", "uid": "1", "resourceVersion": "1"},
        "spec": spec,
    }


def told(found: Schema, new: Any, old: Any = None) -> list[str]:
    errors = found.validate(widget(new)) if old is None else found.validate_update(widget(new), widget(old))
    return [str(error) for error in errors]


def thing(**properties: Any) -> Json:
    return {"type": "object", "properties": properties}


STRING, INTEGER = {"type": "string"}, {"type": "integer"}


def ruled(node: Json, *rules: str | Json) -> Json:
    written = [{"rule": rule} if isinstance(rule, str) else rule for rule in rules]
    return {**node, "x-kubernetes-validations": written}


# --- what a rule sees ---


@pytest.mark.parametrize(
    ("node", "value", "rule"),
    [
        (INTEGER, 3, "self == 3"),
        ({"type": "number"}, 3, "type(self) == double && self == 3.0"),
        ({"x-kubernetes-int-or-string": True}, "50%", "type(self) == string && self.endsWith('%')"),
        ({"x-kubernetes-int-or-string": True}, 5, "type(self) == int && self == 5"),
        ({"type": "string", "format": "date-time"}, "2026-01-01T00:00:00Z", "self.getFullYear() == 2026"),
        ({"type": "string", "format": "date"}, "2026-01-01", "self.getFullYear() == 2026"),
        ({"type": "string", "format": "duration"}, "90s", "self == duration('1m30s')"),
        ({"type": "string", "format": "byte"}, "aGk=", "self == b'hi'"),
        (thing(**{"foo-bar": INTEGER}), {"foo-bar": 1}, "self.foo__dash__bar == 1"),
        (thing(**{"a.b": INTEGER}), {"a.b": 1}, "self.a__dot__b == 1"),
        (thing(**{"a/b": INTEGER}), {"a/b": 1}, "self.a__slash__b == 1"),
        (thing(a__b=INTEGER), {"a__b": 1}, "self.a__underscores__b == 1"),
        (thing(namespace=STRING), {"namespace": "n"}, "self.__namespace__ == 'n'"),
        (thing(**{"in": STRING}), {"in": "n"}, "self.__in__ == 'n'"),
        ({"type": "object", "additionalProperties": INTEGER}, {"a.b": 1}, "self['a.b'] == 1"),
        (thing(a=INTEGER), {}, "!has(self.a)"),
        (thing(a={**INTEGER, "nullable": True}), {"a": None}, "!has(self.a)"),
        ({"type": "array", "items": {**thing(), "nullable": True}}, [None], "self[0] == null"),
        (
            {"type": "array", "items": STRING, "x-kubernetes-list-type": "set"},
            ["a", "b"],
            "self == ['b', 'a'] && (self + ['a', 'c']).size() == 3",
        ),
        (
            {
                "type": "object",
                "x-kubernetes-embedded-resource": True,
                "x-kubernetes-preserve-unknown-fields": True,
            },
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}},
            "self.kind == 'Pod' && self.metadata.name == 'p'",
        ),
    ],
)
def test_what_a_rule_sees(node: Json, value: Any, rule: str) -> None:
    assert told(kind(thing(part=ruled(node, rule))), {"part": value}) == []
    told_of = told(kind(thing(part=ruled(node, f"!({rule})"))), {"part": value})
    assert len(told_of) == 1, told_of


def test_of_the_root_a_rule_sees_the_name() -> None:
    rules = [{"rule": "self.metadata.name.startsWith('w') && self.apiVersion == 'example.com/v1'"}]
    assert told(kind(thing(), *rules), {}) == []
    [wrong] = judged(thing(), {"rule": "self.metadata.labels.size() > 0"})
    assert "compilation failed: ERROR: <input>:1:14: undefined field 'labels'" in wrong


# --- what is said of a broken rule ---


@pytest.mark.parametrize(
    ("spec", "value", "expected"),
    [
        (
            ruled(thing(a=INTEGER, b=INTEGER), "self.a <= self.b"),
            {"a": 2, "b": 1},
            ["spec: Invalid value: failed rule: self.a <= self.b"],
        ),
        (
            ruled(thing(a=INTEGER), {"rule": "self.a < 2", "message": "a is to be small"}),
            {"a": 2},
            ["spec: Invalid value: a is to be small"],
        ),
        (
            thing(a=ruled(INTEGER, {"rule": "self < 2", "message": "too big"})),
            {"a": 2},
            ["spec.a: Invalid value: 2: too big"],
        ),
        (
            thing(a=ruled(STRING, {"rule": "self != 'x'", "message": "not x"})),
            {"a": "x"},
            ['spec.a: Invalid value: "x": not x'],
        ),
        (
            ruled(thing(a=INTEGER), {"rule": "self.a < 2", "messageExpression": "'a is ' + string(self.a)"}),
            {"a": 2},
            ["spec: Invalid value: a is 2"],
        ),
        (
            ruled(
                thing(a=INTEGER),
                {"rule": "self.a < 2", "message": "plain", "messageExpression": "string(1 / (self.a - 2))"},
            ),
            {"a": 2},
            ["spec: Invalid value: plain"],
        ),
        (
            ruled(thing(a=INTEGER), {"rule": "self.a < 2", "reason": "FieldValueForbidden", "message": "no"}),
            {"a": 2},
            ["spec: Forbidden: no"],
        ),
        (
            ruled(
                thing(a=INTEGER), {"rule": "has(self.a)", "reason": "FieldValueRequired", "fieldPath": ".a"}
            ),
            {},
            ["spec.a: Required value: failed rule: has(self.a)"],
        ),
        (
            ruled(
                thing(a=INTEGER), {"rule": "self.a < 2", "fieldPath": ".a", "reason": "FieldValueDuplicate"}
            ),
            {"a": 2},
            ["spec.a: Duplicate value: failed rule: self.a < 2"],
        ),
        (
            thing(items={"type": "array", "items": ruled(INTEGER, "self > 0")}),
            {"items": [1, 0]},
            ["spec.items[1]: Invalid value: 0: failed rule: self > 0"],
        ),
        (
            thing(map={"type": "object", "additionalProperties": ruled(INTEGER, "self > 0")}),
            {"map": {"x": 0}},
            ["spec.map[x]: Invalid value: 0: failed rule: self > 0"],
        ),
        (
            ruled(thing(a=INTEGER), "self.a == 1"),
            {},
            ['spec: Invalid value: "object": no such key: a evaluating rule: self.a == 1'],
        ),
        (
            thing(a=ruled({"x-kubernetes-int-or-string": True}, "self > 5")),
            {"a": "x"},
            [
                "spec.a: Invalid value: \"\": 'no such overload': call arguments did not match a supported operator, "
                "function or macro signature for rule: self > 5"
            ],
        ),
    ],
)
def test_what_is_said_of_a_broken_rule(spec: Json, value: Any, expected: list[str]) -> None:
    assert told(kind(spec), value) == expected


def test_a_rule_at_the_root_has_no_path() -> None:
    broken = {"rule": "self.spec.a < 2"}
    assert told(kind(thing(a=INTEGER), broken), {"a": 2}) == [
        "<nil>: Invalid value: failed rule: self.spec.a < 2"
    ]


def test_before_1_35_the_type_was_told_in_place_of_the_value() -> None:
    spec = ruled(thing(a=ruled(INTEGER, "self < 2")), "self.a < 2")
    assert told(kind(spec, version="1.34"), {"a": 2}) == [
        'spec: Invalid value: "object": failed rule: self.a < 2',
        'spec.a: Invalid value: "integer": failed rule: self < 2',
    ]


def test_rules_are_not_asked_about_what_the_schema_refuses() -> None:
    spec = {**ruled(thing(a=INTEGER), "self.a < 2"), "required": ["b"]}
    assert told(kind(spec), {"a": 2}) == [
        "spec.b: Required value",
        "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct "
        "the existing errors to complete validation",
    ]


def test_nothing_is_said_of_null() -> None:
    assert told(kind(thing(a=ruled({**INTEGER, "nullable": True}, "self > 0"))), {"a": None}) == []


# --- the past ---

GROWS = "self >= oldSelf"
KEYED = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name"],
    "items": {**ruled(thing(name=STRING, size=INTEGER), "self.size >= oldSelf.size"), "required": ["name"]},
}


@pytest.mark.parametrize(
    ("spec", "old", "new", "problems"),
    [
        (thing(a=ruled(INTEGER, GROWS)), {"a": 1}, {"a": 2}, 0),
        (thing(a=ruled(INTEGER, GROWS)), {"a": 2}, {"a": 1}, 1),
        # nothing to compare with
        (thing(a=ruled(INTEGER, GROWS)), {}, {"a": 1}, 0),
        (thing(a=ruled(INTEGER, GROWS)), None, {"a": 1}, 0),
        # items are told apart by their keys, not their place
        (thing(list=KEYED), {"list": [{"name": "x", "size": 2}]}, {"list": [{"name": "x", "size": 1}]}, 1),
        (
            thing(list=KEYED),
            {"list": [{"name": "x", "size": 2}]},
            {"list": [{"name": "y", "size": 1}, {"name": "x", "size": 2}]},
            0,
        ),
        # an optional past
        (
            thing(a=ruled(INTEGER, {"rule": "oldSelf.hasValue() || self == 1", "optionalOldSelf": True})),
            None,
            {"a": 2},
            1,
        ),
        (
            thing(a=ruled(INTEGER, {"rule": "self >= oldSelf.orValue(0)", "optionalOldSelf": True})),
            {"a": 3},
            {"a": 2},
            1,
        ),
    ],
)
def test_rules_about_changes(spec: Json, old: Any, new: Any, problems: int) -> None:
    assert len(told(kind(spec), new, old)) == problems


@pytest.mark.parametrize(
    ("spec", "old", "new", "problems"),
    [
        # what was broken and did not change
        (thing(a=ruled(INTEGER, "self < 2"), b=INTEGER), {"a": 5, "b": 1}, {"a": 5, "b": 2}, 0),
        (thing(a=ruled(INTEGER, "self < 2"), b=INTEGER), {"a": 5, "b": 1}, {"a": 6, "b": 1}, 1),
        # a rule sees all that it stands at
        (ruled(thing(a=INTEGER, b=INTEGER), "self.a < 2"), {"a": 5, "b": 1}, {"a": 5, "b": 2}, 1),
        # rules about changes are always asked
        (thing(a=ruled(INTEGER, "self > oldSelf"), b=INTEGER), {"a": 5, "b": 1}, {"a": 5, "b": 2}, 1),
        # items of a plain list are as they were only with all of it
        (
            thing(list={"type": "array", "items": ruled(INTEGER, "self < 2")}, b=INTEGER),
            {"list": [5, 1], "b": 1},
            {"list": [5, 1], "b": 2},
            0,
        ),
        (
            thing(list={"type": "array", "items": ruled(INTEGER, "self < 2")}),
            {"list": [5, 1]},
            {"list": [5, 0]},
            1,
        ),
    ],
)
def test_what_was_broken_before_may_stay(spec: Json, old: Any, new: Any, problems: int) -> None:
    assert len(told(kind(spec), new, old)) == problems


# --- budgets ---


def test_one_rule_may_not_cost_too_much() -> None:
    numbers = {"type": "array", "items": INTEGER}
    slow = ruled(numbers, {"rule": "self.all(a, self.all(b, a >= 0))"}, "self.size() < 0")
    [problem] = told(kind(thing(list=slow)), {"list": list(range(2000))})
    assert problem == (
        "spec.list: Invalid value: \"array\": 'operation cancelled: actual cost limit exceeded': no further validation "
        "rules will be run due to call cost exceeds limit for rule: self.all(a, self.all(b, a >= 0))"
    )


def test_all_rules_together_may_not_cost_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "BUDGET", rules.BUDGET // 50)
    numbers = {"type": "array", "items": INTEGER}
    slow = ruled(numbers, *["self.all(a, self.all(b, a >= 0))"] * 30)
    [problem] = told(kind(thing(list=slow)), {"list": list(range(50))})
    assert problem == (
        'spec.list: Invalid value: "array": validation failed due to running out of cost budget, no further validation '
        "rules will be run"
    )


# --- when the definition is written ---


def judged(spec: Json, *rules: Json, old: Json | None = None, version: str = "1.36") -> list[str]:
    known = Catalogue(Surface(version)).get("apiextensions.k8s.io", "v1", "CustomResourceDefinition")
    assert known is not None
    crd = definition(spec, *rules)
    if old is None:
        return [str(error) for error in known.validate(crd)]
    return [str(error) for error in known.validate_update(crd, definition(old))]


SPEC = "spec.validation.openAPIV3Schema.properties[spec]"


def shown(rule: str, **more: Any) -> str:
    fields = {
        "Message": '""',
        "MessageExpression": '""',
        "Reason": "null",
        "FieldPath": '""',
        "OptionalOldSelf": "null",
    }
    fields |= more
    return f'{{"Rule":"{rule}",' + ",".join(f'"{key}":{value}' for key, value in fields.items()) + "}"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            ruled(thing(a=INTEGER), "self.b == 1"),
            f"{SPEC}.x-kubernetes-validations[0].rule: Invalid value: {shown('self.b == 1')}: compilation failed: "
            "ERROR: <input>:1:5: undefined field 'b'\n | self.b == 1\n | ....^",
        ),
        (
            ruled(thing(a=INTEGER), "self.a < 'x'"),
            f"{SPEC}.x-kubernetes-validations[0].rule: Invalid value: "
            + shown("self.a \\u003c 'x'")
            + ": compilation failed: ERROR: <input>:1:8: found no matching overload for '_<_' applied to '(int, string)'"
            "\n | self.a < 'x'\n | .......^",
        ),
        (
            ruled(thing(a=INTEGER), "self.a + 1"),
            f"{SPEC}.x-kubernetes-validations[0].rule: Invalid value: {shown('self.a + 1')}: "
            "cel expression must evaluate to a bool",
        ),
        (
            ruled(thing(a=INTEGER), {"rule": "true", "messageExpression": "self.a"}),
            f"{SPEC}.x-kubernetes-validations[0].messageExpression: Invalid value: "
            + shown("true", MessageExpression='"self.a"')
            + ": messageExpression must evaluate to a string",
        ),
        (
            ruled(thing(), " "),
            f"{SPEC}.x-kubernetes-validations[0].rule: Required value: rule is not specified",
        ),
        (
            ruled(thing(), {"rule": "true", "message": "a\nb"}),
            f'{SPEC}.x-kubernetes-validations[0].message: Invalid value: "a\\nb": must not contain line breaks',
        ),
        (
            ruled(thing(), {"rule": "true &&\ntrue"}),
            f"{SPEC}.x-kubernetes-validations[0].message: Required value: message must be specified if rule contains "
            "line breaks",
        ),
        (
            ruled(thing(), {"rule": "true", "reason": "Because"}),
            f'{SPEC}.x-kubernetes-validations[0].reason: Unsupported value: "Because": supported values: '
            '"FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"',
        ),
        (
            ruled(thing(a=INTEGER), {"rule": "true", "fieldPath": ".b"}),
            f'{SPEC}.x-kubernetes-validations[0].fieldPath: Invalid value: ".b": must be a valid path',
        ),
        (
            ruled(thing(a=INTEGER), {"rule": "self.a > 1", "optionalOldSelf": True}),
            f"{SPEC}.x-kubernetes-validations[0].optionalOldSelf: Invalid value: true: may not be set if oldSelf is not "
            "used in rule",
        ),
        (
            thing(list={"type": "array", "maxItems": 5, "items": ruled(INTEGER, GROWS)}),
            f"{SPEC}.properties[list].items.x-kubernetes-validations[0].rule: Invalid value: "
            f'"{GROWS}": oldSelf cannot be used on the uncorrelatable portion of the schema within '
            f"{SPEC}.properties[list]",
        ),
        (
            thing(list=ruled({"type": "array", "items": INTEGER}, "self.all(a, self.all(b, a == b))")),
            f"{SPEC}.properties[list].x-kubernetes-validations[0].rule: Forbidden: estimated rule cost exceeds budget by "
            "factor of more than 100x (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where "
            "arrays, maps, and strings are declared)",
        ),
        (
            thing(list={"type": "array", "items": ruled(STRING, "self.contains('x')")}),
            f"{SPEC}.properties[list].items.x-kubernetes-validations[0].rule: Forbidden: estimated rule cost exceeds "
            "budget by factor of more than 100x (try simplifying the rule, or adding maxItems, maxProperties, and "
            "maxLength where arrays, maps, and strings are declared)",
        ),
        (
            ruled({**thing(a=INTEGER), "default": {"a": 5}}, "self.a < 2"),
            f"{SPEC}.default: Invalid value: failed rule: self.a < 2",
        ),
    ],
)
def test_rules_that_cannot_be(spec: Json, expected: str) -> None:
    assert expected in judged(spec)


def test_a_bounded_rule_is_no_danger() -> None:
    bounded = ruled({"type": "array", "items": INTEGER, "maxItems": 50}, "self.all(a, self.all(b, a == b))")
    assert judged(thing(list=bounded)) == []


def test_what_is_stored_may_use_what_a_new_rule_may_not() -> None:
    """A new rule must be understood by the version before, in case of a roll-back."""
    spec = ruled(thing(a=STRING), "isSemver(self.a)")
    assert judged(spec, version="1.34") == []
    [problem] = judged(spec, version="1.33")
    assert "undeclared reference to 'isSemver'" in problem
    more = copy.deepcopy(spec)
    more["properties"]["b"] = STRING
    assert judged(more, old=spec, version="1.33") == []
