import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.emulator.patching.merge import apply_merge_patch

SCALARS = st.booleans() | st.integers(-5, 5) | st.text(max_size=3)
KEYS = st.sampled_from("abcd")
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=10,
)
PATCHES = st.recursive(
    SCALARS | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("document", "patch", "result"),
    [
        # The examples of RFC 7386, appendix A.
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_the_examples_of_the_rfc(document: Any, patch: Any, result: Any) -> None:
    assert apply_merge_patch(document, patch) == result


@given(DOCUMENTS, PATCHES)
def test_applying_twice_is_applying_once(document: Any, patch: Any) -> None:
    once = apply_merge_patch(document, patch)
    assert apply_merge_patch(once, patch) == once


@given(DOCUMENTS)
def test_an_empty_object_changes_no_object(document: Any) -> None:
    assert apply_merge_patch(document, {}) == (document if isinstance(document, dict) else {})


@given(DOCUMENTS, PATCHES)
def test_arguments_stay_as_they_were(document: Any, patch: Any) -> None:
    before = copy.deepcopy((document, patch))
    apply_merge_patch(document, patch)
    assert (document, patch) == before


@given(st.dictionaries(KEYS, DOCUMENTS, max_size=4), st.dictionaries(KEYS, DOCUMENTS, max_size=4))
def test_a_patch_can_turn_any_object_into_any_other(start: dict[str, Any], end: dict[str, Any]) -> None:
    def difference(old: Any, new: Any) -> Any:
        if not isinstance(old, dict) or not isinstance(new, dict):
            return new
        patch: dict[str, Any] = {key: None for key in old if key not in new}
        return patch | {key: difference(old.get(key), value) for key, value in new.items()}

    assert apply_merge_patch(start, difference(start, end)) == end
