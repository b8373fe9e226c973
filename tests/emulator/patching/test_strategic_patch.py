import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aliquot.emulator.patching.errors import PatchError
from aliquot.emulator.patching.strategic import apply_strategic_merge_patch
from aliquot.emulator.schema.catalogue import Catalogue
from aliquot.emulator.schema.shapes import Shape

CATALOGUE = Catalogue()


def shape(group: str, kind: str) -> Shape:
    schema = CATALOGUE.get(group, "v1", kind)
    assert schema is not None
    return schema.shape


POD = shape("", "Pod")
DEPLOYMENT = shape("apps", "Deployment")


def containers(*items: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"containers": list(items)}}


A = {"name": "a", "image": "one"}
B = {"name": "b", "image": "two"}
C = {"name": "c", "image": "three"}


@pytest.mark.parametrize(
    ("document", "patch", "result"),
    [
        pytest.param(containers(A, B), containers({"name": "a", "image": "x"}), containers({"name": "a", "image": "x"}, B), id="items merge by key"),
        pytest.param(containers(A), containers(B), containers(B, A), id="new items come first"),
        pytest.param(containers(A, B), containers({"$patch": "delete", "name": "a"}), containers(B), id="delete an item"),
        pytest.param(containers(A, B), containers({"$patch": "replace"}, C), containers(C), id="replace a list"),
        pytest.param({"spec": {"tolerations": [{"key": "a"}]}}, {"spec": {"tolerations": [{"key": "b"}]}}, {"spec": {"tolerations": [{"key": "b"}]}}, id="a list without merge strategy is replaced"),
        pytest.param({"metadata": {"labels": {"a": "1", "b": "2"}}}, {"metadata": {"labels": {"a": None, "c": "3"}}}, {"metadata": {"labels": {"b": "2", "c": "3"}}}, id="null deletes"),
        pytest.param({"metadata": {"labels": {"a": "1"}}}, {"metadata": {"labels": {"$patch": "replace", "b": "2"}}}, {"metadata": {"labels": {"b": "2"}}}, id="replace an object"),
        pytest.param({"spec": {"securityContext": {"runAsUser": 1}}}, {"spec": {"securityContext": {"$patch": "delete"}}}, {"spec": {"securityContext": {}}}, id="empty an object"),
        pytest.param({"metadata": {}}, {"metadata": {"annotations": {"a": None, "b": "1"}}}, {"metadata": {"annotations": {"b": "1"}}}, id="nulls are not added"),
        pytest.param({"metadata": {"finalizers": ["a/b"]}}, {"metadata": {"finalizers": ["c/d"]}}, {"metadata": {"finalizers": ["c/d", "a/b"]}}, id="lists of values merge"),
        pytest.param({"metadata": {"finalizers": ["a/b", "c/d"]}}, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/b"]}}, {"metadata": {"finalizers": ["c/d"]}}, id="values taken out"),
        pytest.param({"metadata": {"finalizers": ["a/b", "c/d"]}}, {"metadata": {"$setElementOrder/finalizers": ["c/d", "a/b"]}}, {"metadata": {"finalizers": ["c/d", "a/b"]}}, id="values ordered"),
        pytest.param(containers(A, B, C), {"spec": {"$setElementOrder/containers": [{"name": "c"}, {"name": "a"}], "containers": [{"name": "a", "image": "x"}]}}, containers(B, C, {"name": "a", "image": "x"}), id="items ordered, others kept among them"),
        pytest.param({"spec": {}}, {"spec": {"$setElementOrder/containers": [{"name": "a"}], "containers": [A]}}, containers(A), id="an ordered list that was not there"),
        pytest.param({"spec": {}}, {"spec": {"$setElementOrder/containers": [{"name": "a"}]}}, {"spec": {}}, id="an order for nothing"),
        pytest.param({"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}}, {"spec": {"volumes": [{"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/x"}}]}}, {"spec": {"volumes": [{"name": "v", "hostPath": {"path": "/x"}}]}}, id="retainKeys drops the rest"),
        pytest.param({"spec": {"nodeName": "x"}}, {"spec": {"nodeName": {"a": 1}}}, {"spec": {"nodeName": {"a": 1}}}, id="another type replaces"),
        pytest.param(containers(A), containers({"name": "z", "$patch": "delete"}), containers(A), id="deleting what is not there"),
    ],
)  # fmt: skip
def test_pods(document: dict[str, Any], patch: dict[str, Any], result: dict[str, Any]) -> None:
    before = copy.deepcopy((document, patch))
    assert apply_strategic_merge_patch(document, patch, POD) == result
    assert (document, patch) == before


def test_ports_merge_by_container_port() -> None:
    document = containers(
        {"name": "a", "ports": [{"containerPort": 80, "name": "web"}, {"containerPort": 81}]}
    )
    patch = containers({"name": "a", "ports": [{"containerPort": 80, "name": "http"}]})
    merged = apply_strategic_merge_patch(document, patch, POD)
    assert merged["spec"]["containers"][0]["ports"] == [
        {"containerPort": 80, "name": "http"},
        {"containerPort": 81},
    ]


def test_a_strategy_keeps_only_what_the_patch_retains() -> None:
    document = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert apply_strategic_merge_patch(document, patch, DEPLOYMENT) == {
        "spec": {"strategy": {"type": "Recreate"}}
    }


@pytest.mark.parametrize(
    ("patch", "code", "message"),
    [
        (containers({"image": "x"}), 500, "map: map[image:x] does not contain declared merge key: name"),
        ({"spec": {"$patch": "mend"}}, 500, "unknown patch type: mend in map: map[$patch:mend]"),
        ({"spec": {"$retainKeys": "a"}}, 400, "invalid patch format of retainKeys"),
        ({"spec": {"$retainKeys": ["a"], "b": 1}}, 400, "invalid patch format of retainKeys"),
        ({"spec": {"$unheard/of": []}}, 400, "invalid patch format of primitive list"),
        ({"spec": {"$setElementOrder/containers": 1}}, 400, "invalid patch format of setElementOrder list"),
    ],
)
def test_malformed_patches(patch: dict[str, Any], code: int, message: str) -> None:
    with pytest.raises(PatchError) as caught:
        apply_strategic_merge_patch(containers(A), patch, POD)
    assert (caught.value.code, str(caught.value)) == (code, message)


def test_an_order_must_name_what_the_patch_changes() -> None:
    patch = {"spec": {"$setElementOrder/containers": [{"name": "b"}], "containers": [A]}}
    with pytest.raises(PatchError, match="doesn't match \\$setElementOrder list"):
        apply_strategic_merge_patch(containers(A, B), patch, POD)


NAMES = st.sampled_from("abcdef")
ITEMS = st.dictionaries(NAMES, st.sampled_from(["1", "2"]), max_size=5).map(
    lambda items: [{"name": name, "image": image} for name, image in items.items()]
)


@given(ITEMS, ITEMS)
def test_every_item_of_both_is_there_once_and_the_patch_wins(
    before: list[dict[str, Any]], patch: list[dict[str, Any]]
) -> None:
    merged = apply_strategic_merge_patch(containers(*before), containers(*patch), POD)["spec"]["containers"]
    wanted = {item["name"]: item["image"] for item in before} | {
        item["name"]: item["image"] for item in patch
    }
    assert {item["name"]: item["image"] for item in merged} == wanted
    assert len(merged) == len(wanted)
    named = {item["name"] for item in patch}
    assert [item["name"] for item in merged if item["name"] in named] == [item["name"] for item in patch]


@given(ITEMS, ITEMS)
def test_the_same_patch_twice_changes_nothing_more(
    before: list[dict[str, Any]], patch: list[dict[str, Any]]
) -> None:
    once = apply_strategic_merge_patch(containers(*before), containers(*patch), POD)
    twice = apply_strategic_merge_patch(once, containers(*patch), POD)
    assert twice == once


PATCH_KEYS = [
    "spec",
    "containers",
    "name",
    "image",
    "metadata",
    "finalizers",
    "volumes",
    "$patch",
    "$retainKeys",
    "$setElementOrder/containers",
    "$deleteFromPrimitiveList/finalizers",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.text("ab", max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(PATCH_KEYS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(st.sampled_from(["spec", "metadata"]), JSON),
    st.dictionaries(st.sampled_from(["spec", "metadata"]), JSON),
)
def test_anything_merges_or_is_refused(document: dict[str, Any], patch: dict[str, Any]) -> None:
    try:
        apply_strategic_merge_patch(document, patch, POD)
    except PatchError as error:
        assert error.code in (400, 422, 500)
