"""Fields of new objects are remembered by likeness: what is remembered must be what would be worked out."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aliquot.emulator.patching import field_set, structured
from aliquot.emulator.patching.first_fields import fields_of_new
from aliquot.emulator.patching.managed_fields import NEVER_OWNED
from aliquot.emulator.schema.catalogue import Catalogue
from aliquot.emulator.schema.kind import Schema
from aliquot.emulator.schema.shapes import Shape

CATALOGUE = Catalogue()
IGNORED = field_set.make(("status",))
KEYED = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["id", "port"],
    "items": {
        "type": "object",
        "properties": {"id": {"type": "string"}, "port": {"type": "integer"}, "note": {"type": "string"}},
    },
}
WIDGET = CATALOGUE.built_in.shapes.custom(
    {
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "text": {"type": "string"},
                    "number": {"type": "number"},
                    "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                    "keyed": KEYED,
                    "map": {"type": "object", "additionalProperties": {"type": "string"}},
                    "free": {"x-kubernetes-preserve-unknown-fields": True},
                },
            }
        }
    }
)


def pod_schema() -> Schema:
    schema = CATALOGUE.get("", "v1", "Pod")
    assert schema is not None
    return schema


def worked_out(obj: dict[str, Any], shape: Shape) -> dict[str, Any]:
    changed = structured.compare(shape.skeleton, obj, shape).without(IGNORED).changed
    return field_set.ordered(field_set.difference(changed, NEVER_OWNED))


def remembered(obj: dict[str, Any], shape: Shape) -> dict[str, Any]:
    return fields_of_new(obj, shape, NEVER_OWNED, IGNORED)


# What JSON is made of, so that texts look like structure.
text = st.text('a":,{}[]\\5', max_size=4)
free = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
widgets = st.fixed_dictionaries(
    {
        "apiVersion": st.just("x.io/v1"),
        "kind": st.just("Widget"),
        "metadata": st.fixed_dictionaries(
            {"name": text},
            optional={
                "labels": st.dictionaries(text, text, max_size=2),
                "finalizers": st.lists(text, max_size=2),
                "ownerReferences": st.lists(st.fixed_dictionaries({"uid": text, "name": text}), max_size=2),
            },
        ),
        "spec": st.fixed_dictionaries(
            {},
            optional={
                "text": text,
                "number": st.integers(0, 3),
                "set": st.lists(text, max_size=3),
                "keyed": st.lists(
                    st.fixed_dictionaries(
                        {}, optional={"id": text, "port": st.integers(0, 55), "note": text}
                    ),
                    max_size=2,
                ),
                "map": st.dictionaries(text, text, max_size=3),
                "free": free,
            },
        ),
    }
)


def said_otherwise(value: Any, words: dict[str, str]) -> Any:
    """The same object in other words, in some of its values or keys."""
    match value:
        case str():
            return words.get(value, value)
        case list():
            return [said_otherwise(item, words) for item in value]
        case dict():
            return {said_otherwise(key, words): said_otherwise(item, words) for key, item in value.items()}
        case _:
            return value


@settings(max_examples=150)
@given(widgets, st.lists(st.dictionaries(text, text, min_size=1, max_size=4), min_size=1, max_size=3))
def test_what_is_remembered_is_what_would_be_worked_out(
    obj: dict[str, Any], others: list[dict[str, str]]
) -> None:
    for words in ({}, *others):
        alike = said_otherwise(obj, words)
        assert remembered(alike, WIDGET) == worked_out(alike, WIDGET)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param([":", "a"], [":a"], id="a text that is a colon"),
        pytest.param(["x", ":", "a"], ["x", ":a"], id="such a text behind another"),
        pytest.param(['a":', "b"], ['a":b'], id="a text that ends like a name"),
    ],
)
def test_texts_that_look_like_names_do_not_make_objects_alike(one: list[str], other: list[str]) -> None:
    for values in (one, other):
        obj = {"apiVersion": "x.io/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"set": values}}
        assert set(remembered(obj, WIDGET)["f:spec"]["f:set"]) == {
            ".",
            *(map(field_set.value_element, values)),
        }


def pod(name: str, container: str, image: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [{"name": container, "image": image}], **spec},
    }


def test_pods_that_differ_in_values_share_what_was_worked_out() -> None:
    shape = pod_schema().shape
    first = remembered(pod("a", "main", "busybox:1"), shape)
    assert remembered(pod("b", "main", "busybox:2", priority=7), shape) is not first
    assert remembered(pod("c", "main", "busybox:3"), shape) is first


def test_the_names_that_items_go_by_tell_pods_apart() -> None:
    shape = pod_schema().shape
    fields = remembered(pod("a", "side", "busybox"), shape)
    assert 'k:{"name":"side"}' in fields["f:spec"]["f:containers"]
    fields = remembered(pod("a", "main", "busybox"), shape)
    assert 'k:{"name":"main"}' in fields["f:spec"]["f:containers"]


def test_an_object_too_large_to_be_compared_is_worked_out() -> None:
    schema = CATALOGUE.get("", "v1", "ConfigMap")
    assert schema is not None
    large = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "x" * 10_000}}
    assert remembered(large, schema.shape) == worked_out(large, schema.shape)
    assert remembered(large, schema.shape) is not remembered(large, schema.shape)
