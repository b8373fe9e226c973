import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.emulator.patching.errors import PatchError
from aliquot.emulator.patching.json_patch import MAX_OPERATIONS, apply_json_patch, same_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc/~"), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("document", "patch", "result"),
    [
        ({"a": 1}, [{"op": "add", "path": "/b", "value": 2}], {"a": 1, "b": 2}),
        ({"a": 1}, [{"op": "add", "path": "/a", "value": 2}], {"a": 2}),
        ({"l": [1, 3]}, [{"op": "add", "path": "/l/1", "value": 2}], {"l": [1, 2, 3]}),
        ({"l": [1]}, [{"op": "add", "path": "/l/-", "value": 2}], {"l": [1, 2]}),
        ({"l": [1]}, [{"op": "add", "path": "/l/1", "value": 2}], {"l": [1, 2]}),
        ({"a": 1}, [{"op": "add", "path": "", "value": {"b": 1}}], {"b": 1}),
        ({"a": 1}, [{"op": "replace", "path": "/a", "value": None}], {"a": None}),
        ({"a": {"b": [1, 2]}}, [{"op": "remove", "path": "/a/b/0"}], {"a": {"b": [2]}}),
        ({"l": [1, 2, 3]}, [{"op": "remove", "path": "/l/-1"}], {"l": [1, 2]}),
        ({"a": 1}, [{"op": "move", "from": "/a", "path": "/b"}], {"b": 1}),
        ({"a": [1]}, [{"op": "copy", "from": "/a", "path": "/b"}], {"a": [1], "b": [1]}),
        ({"a/b": 1, "c~d": 2}, [{"op": "remove", "path": "/a~1b"}, {"op": "remove", "path": "/c~0d"}], {}),
        ({"a": {"b": 1}}, [{"op": "test", "path": "/a", "value": {"b": 1}}], {"a": {"b": 1}}),
        ({"a": 1}, [{"op": "test", "path": "/missing", "value": None}], {"a": 1}),
        ({"a": 1}, [], {"a": 1}),
    ],
)
def test_operations(document: Any, patch: Any, result: Any) -> None:
    before = copy.deepcopy(document)
    assert apply_json_patch(document, patch) == result
    assert document == before


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/a", "value": 2},
        {"op": "test", "path": "/a", "value": True},
        {"op": "remove", "path": "/missing"},
        {"op": "remove", "path": ""},
        {"op": "move", "from": "", "path": "/b"},
        {"op": "replace", "path": "/missing", "value": 1},
        {"op": "add", "path": "/missing/deep", "value": 1},
        {"op": "add", "path": "/l/5", "value": 1},
        {"op": "add", "path": "/l/x", "value": 1},
        {"op": "add", "path": "/a/b", "value": 1},
        {"op": "add", "path": "b", "value": 1},
        {"op": "add", "path": "/b"},
        {"op": "copy", "from": "/missing", "path": "/b"},
        {"op": "move", "path": "/b"},
        {"op": "merge", "path": "/a", "value": 1},
        {"path": "/a"},
    ],
)
def test_what_cannot_be_done_is_unprocessable(operation: dict[str, Any]) -> None:
    with pytest.raises(PatchError) as caught:
        apply_json_patch({"a": 1, "l": [1]}, [operation])
    assert (caught.value.code, caught.value.reason) == (422, "Invalid")
    assert str(caught.value) == "the server rejected our request due to an error in our request"


def test_a_failed_patch_leaves_nothing_behind() -> None:
    document = {"a": 1}
    with pytest.raises(PatchError):
        apply_json_patch(document, [{"op": "add", "path": "/b", "value": 2}, {"op": "remove", "path": "/c"}])
    assert document == {"a": 1}


@pytest.mark.parametrize("patch", [{}, None, "x", [1], [[]]])
def test_what_is_no_list_of_operations_is_a_bad_request(patch: Any) -> None:
    with pytest.raises(PatchError) as caught:
        apply_json_patch({}, patch)
    assert caught.value.code == 400


def test_too_many_operations() -> None:
    with pytest.raises(PatchError) as caught:
        apply_json_patch({}, [{"op": "test", "path": "/a"}] * (MAX_OPERATIONS + 1))
    assert caught.value.code == 413


@given(JSON, JSON)
def test_replacing_the_whole_gives_the_whole(document: Any, value: Any) -> None:
    assert same_json(apply_json_patch(document, [{"op": "replace", "path": "", "value": value}]), value)


@given(JSON)
def test_a_document_tests_equal_to_itself(document: Any) -> None:
    assert same_json(apply_json_patch(document, [{"op": "test", "path": "", "value": document}]), document)


@given(
    JSON,
    st.lists(
        st.fixed_dictionaries(
            {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "?"])},
            optional={
                "path": st.text("/abc~01-", max_size=6) | st.none(),
                "from": st.text("/abc~01-", max_size=6),
                "value": JSON,
            },
        ),
        max_size=4,
    ),
)
def test_any_patch_applies_or_is_refused(document: Any, patch: list[dict[str, Any]]) -> None:
    before = copy.deepcopy(document)
    try:
        apply_json_patch(document, patch)
    except PatchError as error:
        assert error.code == 422
    assert same_json(document, before)
