from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.emulator.patching import field_set, structured
from aliquot.emulator.schema.shapes import Definitions, Shape

SCHEMA = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "number": {"type": "integer"},
        "flag": {"type": "boolean"},
        "map": {"type": "object", "additionalProperties": {"type": "string"}},
        "whole": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "x-kubernetes-map-type": "atomic",
        },
        "set": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        "list": {"type": "array", "items": {"type": "string"}},
        "items": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name", "kind"],
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "kind": {"type": "string", "default": "plain"},
                    "value": {"type": "integer"},
                },
            },
        },
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "struct": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}},
    },
}


def shape() -> Shape:
    definitions = Definitions({})
    return definitions.compile(SCHEMA)


SHAPE = shape()

WORDS = st.sampled_from(["x", "y", "z"])
ITEM = st.fixed_dictionaries({"name": WORDS}, optional={"kind": WORDS, "value": st.integers(0, 3)})
OBJECTS = st.fixed_dictionaries(
    {},
    optional={
        "text": WORDS,
        "number": st.integers(0, 3),
        "map": st.dictionaries(WORDS, WORDS, max_size=3),
        "whole": st.dictionaries(WORDS, WORDS, max_size=3),
        "set": st.lists(WORDS, unique=True, max_size=3),
        "list": st.lists(WORDS, max_size=3),
        "items": st.lists(ITEM, unique_by=lambda item: (item["name"], item.get("kind", "plain")), max_size=3),
        "free": st.recursive(
            WORDS, lambda inner: st.dictionaries(WORDS, inner, max_size=2), max_leaves=4
        ).map(lambda value: value if isinstance(value, dict) else {"v": value}),
        "struct": st.dictionaries(st.sampled_from("ab"), WORDS, max_size=2),
    },
)


def paths(fields: field_set.FieldSet) -> set[str]:
    return set(map(field_set.path_text, field_set.members(fields)))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"text": "x"}, {".text"}),
        ({"map": {"x": "1"}}, {".map.x"}),
        ({"map": {}}, {".map"}),
        ({"struct": {"a": "1"}}, {".struct.a"}),
        ({"whole": {"x": "1"}}, {".whole"}),
        ({"list": ["x"]}, {".list"}),
        ({"set": ["x", "y"]}, {'.set[="x"]', '.set[="y"]'}),
        ({"set": []}, set()),
        ({"items": [{"name": "x", "value": 1}]}, {'.items[kind="plain",name="x"]', '.items[kind="plain",name="x"].name', '.items[kind="plain",name="x"].value'}),
        ({"free": {"x": {"y": "1"}, "l": [1]}}, {".free.x", ".free.x.y", ".free.l"}),
        ({"text": None}, {".text"}),
    ],
)  # fmt: skip
def test_the_fields_of_a_value(value: dict[str, Any], expected: set[str]) -> None:
    assert paths(structured.fields_of(value, SHAPE)) == expected


@pytest.mark.parametrize(
    ("left", "right", "removed", "modified", "added"),
    [
        ({"text": "x"}, {"text": "x"}, set(), set(), set()),
        ({"text": "x"}, {"text": "y"}, set(), {".text"}, set()),
        ({}, {"map": {"x": "1"}}, set(), set(), {".map", ".map.x"}),
        ({"map": {}}, {"map": {"x": "1"}}, set(), set(), {".map.x"}),
        ({"map": {"x": "1", "y": "1"}}, {"map": {"y": "2"}}, {".map.x"}, {".map.y"}, set()),
        ({"whole": {"x": "1"}}, {"whole": {"x": "2"}}, set(), {".whole"}, set()),
        ({"list": ["x"]}, {"list": ["x", "y"]}, set(), {".list"}, set()),
        ({"list": ["x"]}, {}, {".list"}, set(), set()),
        ({"set": ["x"]}, {"set": ["y"]}, {'.set[="x"]'}, set(), {'.set[="y"]'}),
        ({"set": ["x", "x"]}, {"set": ["x"]}, {'.set[="x"]'}, set(), {'.set[="x"]'}),
        ({"items": [{"name": "x", "value": 1}]}, {"items": [{"name": "x", "kind": "plain", "value": 2}]}, set(), {'.items[kind="plain",name="x"].value'}, {'.items[kind="plain",name="x"].kind'}),
        ({"map": None}, {"map": {}}, set(), {".map"}, set()),
    ],
)  # fmt: skip
def test_how_two_values_differ(
    left: Any, right: Any, removed: set[str], modified: set[str], added: set[str]
) -> None:
    found = structured.compare(left, right, SHAPE)
    assert (paths(found.removed), paths(found.modified), paths(found.added)) == (removed, modified, added)


@pytest.mark.parametrize(
    ("left", "right", "merged"),
    [
        ({"map": {"x": "1"}}, {"map": {"y": "2"}}, {"map": {"x": "1", "y": "2"}}),
        ({"whole": {"x": "1"}}, {"whole": {"y": "2"}}, {"whole": {"y": "2"}}),
        ({"list": ["x"]}, {"list": ["y"]}, {"list": ["y"]}),
        ({"set": ["x", "y"]}, {"set": ["z"]}, {"set": ["x", "y", "z"]}),
        ({"set": ["a", "b", "c"]}, {"set": ["c", "a"]}, {"set": ["b", "c", "a"]}),
        ({"set": ["1", "2", "3"]}, {"set": ["1", "4", "3"]}, {"set": ["1", "2", "4", "3"]}),
        ({"items": [{"name": "x", "value": 1}]}, {"items": [{"name": "x", "value": 2}, {"name": "y"}]}, {"items": [{"name": "x", "value": 2}, {"name": "y"}]}),
        ({"map": {"x": "1"}}, {"map": None}, {"map": {"x": "1"}}),
        ({"map": {"x": "1"}}, {"map": {}}, {"map": {"x": "1"}}),
        ({"text": "x"}, {}, {"text": "x"}),
    ],
)  # fmt: skip
def test_merging(left: Any, right: Any, merged: Any) -> None:
    assert structured.merge(left, right, SHAPE) == merged


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"nope": 1}, ".nope: field not declared in schema"),
        ({"number": "1"}, ".number: expected numeric (int or float), got string"),
        ({"flag": 1}, ".flag: expected boolean, got &{1}"),
        ({"struct": {"c": "1"}}, ".struct.c: field not declared in schema"),
        ({"set": ["x", "x"]}, '.set: duplicate entries for key [="x"]'),
        ({"items": [{"value": 1}]}, None),
        ({"nope": 1, "number": "1"}, "errors:\n  .nope: field not declared in schema\n  .number: expected numeric (int or float), got string"),
    ],
)  # fmt: skip
def test_what_does_not_fit(value: Any, text: str | None) -> None:
    if text is None:
        structured.check(value, SHAPE)  # a default stands in for the missing key
        return
    with pytest.raises(structured.StructureError) as caught:
        structured.check(value, SHAPE)
    assert str(caught.value) == text


@given(OBJECTS)
def test_an_object_does_not_differ_from_itself(value: Any) -> None:
    found = structured.compare(value, value, SHAPE)
    assert not found.removed
    assert not found.changed


@given(OBJECTS, OBJECTS)
def test_what_one_adds_the_other_removes(left: Any, right: Any) -> None:
    there, back = structured.compare(left, right, SHAPE), structured.compare(right, left, SHAPE)
    assert paths(there.added) == paths(back.removed)
    assert paths(there.modified) == paths(back.modified)


@given(OBJECTS, OBJECTS)
def test_a_merge_has_all_of_the_right_and_loses_nothing_of_the_left(left: Any, right: Any) -> None:
    merged = structured.merge(left, right, SHAPE)
    fields = paths(structured.fields_of(merged, SHAPE))
    assert paths(structured.fields_of(right, SHAPE)) - {".map", ".struct", ".free"} <= fields
    assert not paths(structured.compare(left, merged, SHAPE).removed)
    assert structured.merge(merged, right, SHAPE) == merged


@given(OBJECTS)
def test_merging_with_nothing_or_with_itself_changes_nothing(value: Any) -> None:
    assert structured.merge(value, {}, SHAPE) == value
    assert structured.merge(value, value, SHAPE) == value


@given(OBJECTS, OBJECTS)
def test_removed_fields_are_gone_and_others_stay(value: Any, other: Any) -> None:
    unwanted = structured.fields_of(other, SHAPE)
    left = structured.remove(value, unwanted, SHAPE) or {}
    remaining = paths(structured.fields_of(left, SHAPE))
    wanted = structured.fields_of(value, SHAPE)
    assert not (remaining & paths(unwanted)) - {".map", ".struct", ".free", ".whole"}
    assert paths(field_set.without(wanted, unwanted)) <= remaining
