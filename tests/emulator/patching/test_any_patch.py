"""Whatever is patched with whatever: a document that can be stored, or a PatchError; and nothing done is nothing changed."""

import copy
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aliquot.emulator.patching import managed_fields
from aliquot.emulator.patching.apply import server_side_apply
from aliquot.emulator.patching.errors import PatchError
from aliquot.emulator.patching.json_patch import apply_json_patch
from aliquot.emulator.patching.managed_fields import Writer
from aliquot.emulator.patching.merge import apply_merge_patch
from aliquot.emulator.patching.strategic import apply_strategic_merge_patch
from aliquot.emulator.schema.catalogue import Catalogue
from aliquot.emulator.schema.kind import DecodeError

_found = Catalogue().get("", "v1", "Pod")
assert _found is not None
POD = _found
Json = dict[str, Any]
KEYS = (
    "metadata",
    "spec",
    "labels",
    "containers",
    "name",
    "finalizers",
    "ports",
    "tolerations",
    "a",
    "",
    "$patch",
    "$retainKeys",
    "$setElementOrder/containers",
    "$deleteFromPrimitiveList/finalizers",
    "f:a",
)

leaves = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["a", "b", "", "replace", "delete", "name"])
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)
names = st.sampled_from(["a", "b", "c"])


def one(
    required: dict[str, st.SearchStrategy[Any]], **optional: st.SearchStrategy[Any]
) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries(required, optional=optional)


def some(items: st.SearchStrategy[Json], key: str) -> st.SearchStrategy[list[Json]]:
    """No two with the same key: two of them are merged into one only where there is a list already."""
    return st.lists(items, min_size=1, max_size=3, unique_by=lambda item: item[key])


containers = some(
    one(
        {"name": names},
        image=names,
        ports=some(
            one({"containerPort": st.integers(1, 3)}, protocol=st.sampled_from(["TCP", "UDP"])),
            "containerPort",
        ),
        env=some(one({"name": names}, value=names), "name"),
        args=st.lists(names, min_size=1, max_size=2),
    ),
    "name",
)
pods = st.fixed_dictionaries(
    {
        "apiVersion": st.just("v1"),
        "kind": st.just("Pod"),
        "metadata": st.fixed_dictionaries(
            # Every object has a name, and these own something.
            {"name": st.just("p"), "labels": st.dictionaries(names, names, min_size=1, max_size=2)},
            optional={"finalizers": st.lists(names, min_size=1, max_size=3, unique=True)},
        ),
    },
    optional={
        "spec": st.fixed_dictionaries(
            # Nothing here is empty: what is pruned to nothing becomes null, as in Kubernetes, and is applied anew as {}.
            {"hostNetwork": st.just(True)},
            optional={
                "containers": containers,
                "tolerations": some(one({"key": names}), "key"),
                "nodeSelector": st.dictionaries(names, names, min_size=1, max_size=2),
            },
        ),
    },
)
pointers = st.lists(
    st.sampled_from(["metadata", "spec", "containers", "0", "1", "-", "-1", "labels", "a", "~1", "~", ""]),
    max_size=4,
).map(lambda parts: "".join(f"/{part}" for part in parts))
operations = st.lists(
    st.fixed_dictionaries(
        {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "x"])},
        optional={"path": pointers | st.integers(), "from": pointers, "value": values},
    ),
    max_size=4,
)
Engine = Callable[[Json, Any], Any]
ENGINES: dict[str, Engine] = {
    "json": apply_json_patch,
    "merge": apply_merge_patch,
    "strategic": lambda document, patch: apply_strategic_merge_patch(document, patch, POD.shape),
}
NOTHING: dict[str, Any] = {"json": [], "merge": {}, "strategic": {}}
NOON, LATER = "2026-01-01T12:00:00Z", "2026-01-01T13:00:00Z"


def writer(name: str, now: str = NOON) -> Writer:
    return Writer(name, "v1", now)


def storable(document: Any) -> bool:
    return bool(msgspec.json.decode(msgspec.json.encode(document)) == document)


@pytest.mark.parametrize("engine", sorted(ENGINES))
@given(document=pods, data=st.data())
@settings(max_examples=50)
def test_a_document_or_a_patch_error(engine: str, document: Json, data: st.DataObject) -> None:
    patch = data.draw(
        operations | values
        if engine == "json"
        else st.dictionaries(st.sampled_from(KEYS), values, max_size=4) | pods
    )
    before = copy.deepcopy((document, patch))
    try:
        patched = ENGINES[engine](document, patch)
    except PatchError as error:
        assert error.message
        assert 400 <= error.code <= 500
    else:
        assert storable(patched)
    assert (document, patch) == before


@pytest.mark.parametrize("engine", sorted(ENGINES))
@given(document=pods)
@settings(max_examples=25)
def test_a_patch_of_nothing_changes_nothing(engine: str, document: Json) -> None:
    assert ENGINES[engine](document, NOTHING[engine]) == document


@pytest.mark.parametrize("engine", ["merge", "strategic"])
@given(document=pods, patch=pods)
@settings(max_examples=50)
def test_a_patch_done_twice_is_done_once(engine: str, document: Json, patch: Json) -> None:
    try:
        once = ENGINES[engine](document, patch)
    except PatchError:
        return
    assert ENGINES[engine](once, patch) == once


@given(steps=st.lists(st.tuples(st.sampled_from(["x", "y"]), pods, st.booleans()), min_size=1, max_size=4))
@settings(max_examples=50)
def test_applies_of_several_keep_managed_fields_whole(steps: list[tuple[str, Json, bool]]) -> None:
    live: Json | None = None
    for manager, applied, force in steps:
        before = copy.deepcopy((live, applied))
        try:
            merged = server_side_apply(live, applied, POD.shape, writer(manager), force=force)
        except PatchError as error:
            assert error.message
            assert (live, applied) == before
            continue
        assert (live, applied) == before
        assert storable(merged)
        managed_fields.decode(managed_fields.entries_of(merged), stored=True)
        again = server_side_apply(merged, applied, POD.shape, writer(manager, LATER), force=force)
        assert again == merged, "an apply that changes nothing changed something"
        live = merged


@given(applied=st.dictionaries(st.sampled_from(KEYS), values, max_size=4), live=pods)
@settings(max_examples=50)
def test_an_apply_of_anything_that_decodes(applied: Json, live: Json) -> None:
    try:
        applied, _ = POD.decode({**applied, "apiVersion": "v1", "kind": "Pod"})
    except DecodeError:
        return
    try:
        merged = server_side_apply(live, applied, POD.shape, writer("x"))
    except PatchError as error:
        assert error.message
        return
    managed_fields.decode(managed_fields.entries_of(merged), stored=True)
    assert storable(merged)
