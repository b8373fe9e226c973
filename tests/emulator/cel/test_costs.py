"""What expressions cost, when they are evaluated and at most, in the API server's units."""

from typing import Any

import pytest

from aliquot.emulator.cel import CostExceeded, Environment
from aliquot.emulator.cel.estimates import most_expensive
from aliquot.emulator.cel.schemas import declared, to_cel

MINOR = 36
STRING, INTEGER, NUMBER = {"type": "string"}, {"type": "integer"}, {"type": "number"}


def list_of(items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **more}


def map_of(values: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": values, **more}


def cost_at_most(schema: dict[str, Any], rule: str) -> int:
    kind = declared(schema, is_resource=False)
    assert kind is not None
    program = Environment({"self": kind}, minor=MINOR).compile(rule)
    return most_expensive(program.checked, {"self": kind})


@pytest.mark.parametrize(
    ("schema", "rule", "cost"),
    [
        # unbounded: as much as a request can hold
        (list_of(NUMBER), "self.all(x, true)", 4718591),
        (list_of(STRING), "self.all(x, true)", 3145727),
        (list_of({"type": "boolean"}), "self.all(x, true)", 1887437),
        (list_of(list_of(NUMBER)), "self.all(x, true)", 3145727),
        (list_of({"x-kubernetes-int-or-string": True}), "self.all(x, true)", 4718591),
        (list_of({"type": "string", "format": "duration"}), "self.all(x, true)", 2359295),
        (list_of({"type": "string", "format": "date"}), "self.all(x, true)", 725936),
        (list_of({"type": "string", "format": "date-time"}), "self.all(x, true)", 428963),
        (map_of(NUMBER), "self.all(x, true)", 1348169),
        (map_of(STRING), "self.all(x, true)", 1179647),
        (map_of({"type": "boolean"}), "self.all(x, true)", 943718),
        (STRING, "self.contains('test')", 314574),
        (STRING, "self.startsWith('test')", 2),
        (STRING, "size(self + 'hello') > size('hello')", 314578),
        (STRING, "self.matches('x')", 314574),
        (STRING, "''.matches('(((((((((())))))))))[0-9]')", 7),
        (list_of(NUMBER), "self[1] == 0.0", 2),
        (list_of(STRING), "self[1] == self[1]", 314577),
        (list_of({"x-kubernetes-int-or-string": True}), "self[0] == 5", 3),
        (map_of(NUMBER), "self['x'] == 0.0", 2),
        (list_of({"type": "string", "format": "date"}), "self[2].getDayOfMonth() == 13", 4),
        (list_of(map_of(NUMBER)), "self.all(x, x.y == 25.2)", 6291452),
        (list_of(map_of(NUMBER)), "self[0].x > 2.0", 4),
        # bounded by the schema
        (list_of(NUMBER, maxItems=10), "self.all(x, true)", 32),
        (list_of(NUMBER, maxItems=10), "self.all(x, self.all(y, true))", 352),
        (list_of(NUMBER, maxItems=10), "self.all(x, self.all(y, self.all(z, true)))", 3552),
        (map_of(STRING, maxProperties=3), "self.all(x, true)", 11),
        ({"type": "string", "maxLength": 10}, "self.contains('test')", 5),
        ({"type": "string", "maxLength": 4}, "size(self + 'hello') > size('hello')", 7),
        ({"type": "string", "maxLength": 50}, "self.matches('x')", 22),
        ({"type": "string", "maxLength": 0}, "self == 'x'", 1),
    ],
)
def test_the_most_that_a_rule_can_cost(schema: dict[str, Any], rule: str, cost: int) -> None:
    assert cost_at_most(schema, rule) == cost


ROCK = {"val1": "Rook takes 👑", "val2": "Rook takes 👑"}
ROCK_SCHEMA = {"type": "object", "properties": {"val1": STRING, "val2": STRING}}
INTEGERS = {"type": "object", "properties": {"val1": INTEGER, "val2": INTEGER, "val3": NUMBER}}
LISTS = {"type": "object", "properties": {"val1": list_of(INTEGER), "val2": list_of(INTEGER)}}
SETS = {
    "type": "object",
    "properties": {
        name: list_of(kind, **{"x-kubernetes-list-type": "set"})
        for name, kind in {"val1": STRING, "val2": STRING, "val3": INTEGER}.items()
    },
}
SET_VALUES = {"val1": ["a", "b", "c"], "val2": ["a", "c", "b"], "val3": list(range(1000))}


@pytest.mark.parametrize(
    ("schema", "value", "rule", "cost"),
    [
        (ROCK_SCHEMA, ROCK, "self.val1.startsWith('Rook')", 3),
        (ROCK_SCHEMA, ROCK, "!self.val1.startsWith('knight')", 4),
        (ROCK_SCHEMA, ROCK, "self.val1.matches('^[^0-9]*$')", 8),
        (ROCK_SCHEMA, ROCK, "type(self.val1) == string", 4),
        (ROCK_SCHEMA, ROCK, "size(self.val1) == 12", 4),
        (ROCK_SCHEMA, ROCK, "self.val1.charAt(3) == 'k'", 4),
        (ROCK_SCHEMA, ROCK, "self.val1.indexOf('o') == 1", 4),
        (ROCK_SCHEMA, ROCK, "self.val1.replace(' ', 'x') == 'Rookxtakesx👑'", 7),
        (ROCK_SCHEMA, ROCK, "self.val1.split(' ') == ['Rook', 'takes', '👑']", 6),
        (ROCK_SCHEMA, ROCK, "self.val1.substring(4, 10).trim() == 'takes'", 6),
        (ROCK_SCHEMA, ROCK, "self.val1.lowerAscii() == self.val1.lowerAscii()", 10),
        (INTEGERS, {"val1": 5, "val2": 5}, "self.val1 == self.val2", 5),
        (INTEGERS, {"val1": 5}, "type(self.val1) == int", 4),
        (INTEGERS, {"val1": 5, "val3": 10}, "double(self.val1) < self.val3", 6),
        (LISTS, {"val1": [1, 2, 3], "val2": [1, 2, 3]}, "1 in self.val1", 5),
        (LISTS, {"val1": [1, 2, 3], "val2": [1, 2, 3]}, "self.val2[0] in self.val1", 8),
        (LISTS, {"val1": [1, 2, 3], "val2": [1, 2, 3]}, "self.val1 + self.val2 == [1, 2, 3, 1, 2, 3]", 6),
        (LISTS, {"val1": [1, 2, 3], "val2": []}, "has(self.val1) && has(self.val2)", 2),
        (SETS, SET_VALUES, "self.val1 == ['c', 'b', 'a']", 3),
        (SETS, SET_VALUES, "sets.equivalent(self.val1, ['a', 'b', 'c'])", 21),
        (SETS, SET_VALUES, "sets.contains(self.val3, [1])", 1003),
        (SETS, SET_VALUES, "!sets.equivalent(self.val3, [1, 2, 3])", 6004),
    ],
)
def test_what_an_evaluation_costs(schema: dict[str, Any], value: Any, rule: str, cost: int) -> None:
    kind = declared(schema, is_resource=False)
    assert kind is not None
    outcome = Environment({"self": kind}, minor=MINOR).compile(rule).evaluate({"self": to_cel(value, schema)})
    assert (outcome.value, outcome.error) == (True, None)
    assert outcome.cost == cost


def test_what_costs_too_much_is_stopped() -> None:
    kind = declared(list_of(INTEGER), is_resource=False)
    assert kind is not None
    program = Environment({"self": kind}, minor=MINOR).compile("self.all(a, self.all(b, a >= 0))")
    outcome = program.evaluate({"self": list(range(2000))})
    assert isinstance(outcome.error, CostExceeded)
    assert str(outcome.error) == "operation cancelled: actual cost limit exceeded"
    assert program.evaluate({"self": list(range(100))}).value is True


def test_a_long_list_is_no_reason_to_stop() -> None:
    kind = declared(list_of(INTEGER), is_resource=False)
    assert kind is not None
    program = Environment({"self": kind}, minor=MINOR).compile("self.all(a, a >= 0)")
    assert program.evaluate({"self": list(range(30_000))}).value is True
