from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.emulator.patching import field_set
from aliquot.emulator.patching.field_set import FieldSet
from aliquot.emulator.schema.catalogue import Catalogue

ELEMENTS = ["f:a", "f:b", 'k:{"name":"x"}', 'v:"y"']
PATHS = st.lists(st.sampled_from(ELEMENTS), min_size=1, max_size=3).map(tuple)


def made(paths: set[field_set.Path]) -> FieldSet:
    result: FieldSet = {}
    for path in sorted(paths):
        result = field_set.insert(result, path)
    return result


SETS = st.sets(PATHS, max_size=6)


def members(fields: FieldSet) -> set[field_set.Path]:
    return set(field_set.members(fields))


@given(SETS)
def test_a_set_has_what_was_put_in_and_nothing_else(paths: set[field_set.Path]) -> None:
    fields = made(paths)
    assert members(fields) == paths
    assert all(field_set.has(fields, path) for path in paths)


@given(SETS, SETS)
def test_algebra(left: set[field_set.Path], right: set[field_set.Path]) -> None:
    a, b = made(left), made(right)
    assert members(field_set.union(a, b)) == left | right
    assert members(field_set.intersection(a, b)) == left & right
    assert members(field_set.difference(a, b)) == left - right
    inside = {path for path in left if any(path[: n + 1] in right for n in range(len(path)))}
    assert members(field_set.without(a, b)) == left - inside


@given(SETS, SETS)
def test_nothing_to_do_gives_the_set_itself(left: set[field_set.Path], right: set[field_set.Path]) -> None:
    a, b = made(left), made(right)
    assert (field_set.difference(a, b) is a) == (not left & right)


@given(SETS)
def test_order_and_reading_back_change_nothing(paths: set[field_set.Path]) -> None:
    fields = made(paths)
    assert field_set.ordered(fields) == fields
    assert field_set.checked(fields) == fields


@pytest.mark.parametrize(
    ("fields", "order"),
    [
        ({"f:b": {}, "f:a": {}}, ["f:a", "f:b"]),
        ({"f:b": {}, ".": {}}, [".", "f:b"]),
        ({'k:{"p":80}': {}, 'k:{"p":9}': {}}, ['k:{"p":9}', 'k:{"p":80}']),
        ({"i:10": {}, "i:9": {}, 'v:"z"': {}, "f:z": {}}, ["f:z", 'v:"z"', "i:9", "i:10"]),
        ({'v:"a"': {}, "v:1": {}, "v:true": {}}, ["v:1", 'v:"a"', "v:true"]),
    ],
)
def test_keys_are_written_in_kubernetes_order(fields: FieldSet, order: list[str]) -> None:
    assert list(field_set.ordered(fields)) == order


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("f:spec", "f:replicas"), ".spec.replicas"),
        (("f:ports", 'k:{"containerPort":80,"protocol":"TCP"}'), '.ports[containerPort=80,protocol="TCP"]'),
        (("f:finalizers", 'v:"a/b"'), '.finalizers[="a/b"]'),
        (("f:args", "i:3"), ".args[3]"),
    ],
)
def test_paths_are_told_as_kubectl_shows_them(path: field_set.Path, text: str) -> None:
    assert field_set.path_text(path) == text


@pytest.mark.parametrize("value", [[], "x", {"k:{": {}}, {"k:1": {}}, {"v:": {}}, {"f:a": 1}])
def test_damaged_sets_are_refused(value: Any) -> None:
    with pytest.raises(ValueError):
        field_set.checked(value)


def test_elements_of_a_later_kind_are_left_out() -> None:
    assert field_set.checked({"z:new": {}, "f:a": {}}) == {"f:a": {}}


def test_who_owns_a_leaf_owns_the_declared_fields_above_it() -> None:
    schema = Catalogue().get("apps", "v1", "Deployment")
    assert schema is not None
    fields: FieldSet = {"f:spec": {"f:template": {"f:metadata": {"f:labels": {"f:app": {}}}}}}
    named = field_set.with_named_fields(fields, schema.shape)
    assert field_set.has(named, ("f:spec",))
    assert field_set.has(named, ("f:spec", "f:template", "f:metadata", "f:labels"))


def test_parts_of_what_became_atomic_become_the_whole() -> None:
    schema = Catalogue().get("", "v1", "Pod")
    assert schema is not None
    fields: FieldSet = {"f:spec": {"f:nodeSelector": {"f:a": {}}, "f:nodeName": {}}}
    reconciled = field_set.reconcile(fields, schema.shape)
    assert reconciled == {"f:spec": {"f:nodeSelector": {}, "f:nodeName": {}}}
    assert field_set.reconcile(reconciled, schema.shape) is reconciled
