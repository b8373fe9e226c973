import copy
import json
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aliquot.emulator.patching import apply as patching
from aliquot.emulator.patching import managed_fields
from aliquot.emulator.patching.apply import LAST_APPLIED, server_side_apply
from aliquot.emulator.patching.errors import PatchError
from aliquot.emulator.patching.managed_fields import Writer, track_update
from aliquot.emulator.schema.catalogue import Catalogue
from aliquot.emulator.schema.kind import Schema

CATALOGUE = Catalogue()
NOON, LATER = "2026-01-01T12:00:00Z", "2026-01-01T13:00:00Z"
CRD = {
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "names": {"kind": "Widget", "plural": "widgets"},
        "versions": [
            {
                "name": "v1",
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "size": {"type": "string"},
                                    "tags": {
                                        "type": "array",
                                        "items": {"type": "string"},
                                        "x-kubernetes-list-type": "set",
                                    },
                                    "parts": {
                                        "type": "array",
                                        "x-kubernetes-list-type": "map",
                                        "x-kubernetes-list-map-keys": ["name"],
                                        "items": {
                                            "type": "object",
                                            "properties": {
                                                "name": {"type": "string"},
                                                "a": {"type": "string"},
                                                "b": {"type": "string"},
                                            },
                                        },
                                    },
                                    "limits": {"type": "object", "additionalProperties": {"type": "string"}},
                                },
                            }
                        },
                    }
                },
            }
        ],
    },
}
CATALOGUE.add_crd(CRD)


def kind(group: str, name: str) -> Schema:
    schema = CATALOGUE.get(group, "v1", name)
    assert schema is not None
    return schema


CONFIG, DEPLOYMENT, WIDGET = kind("", "ConfigMap"), kind("apps", "Deployment"), kind("example.com", "Widget")


def apply(
    live: dict[str, Any] | None,
    applied: dict[str, Any],
    manager: str = "one",
    now: str = NOON,
    *,
    schema: Schema = CONFIG,
    force: bool = False,
) -> dict[str, Any]:
    writer = Writer(manager, applied.get("apiVersion", "v1"), now)
    merged = server_side_apply(live, applied, schema.shape, writer, force=force)
    return schema.default(merged)


def config(data: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    obj: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", **metadata}}
    return obj | ({"data": data} if data is not None else {})


def widget(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": spec}


def owners(obj: dict[str, Any]) -> dict[str, Any]:
    return {entry["manager"]: entry["fieldsV1"] for entry in obj["metadata"].get("managedFields", ())}


def refusal(
    live: dict[str, Any], applied: dict[str, Any], manager: str = "two", **options: Any
) -> PatchError:
    with pytest.raises(PatchError) as caught:
        apply(live, applied, manager, **options)
    return caught.value


def test_applying_creates() -> None:
    made = apply(None, config({"a": "1"}))
    assert made["data"] == {"a": "1"}
    assert made["metadata"]["managedFields"] == [
        {
            "manager": "one",
            "operation": "Apply",
            "apiVersion": "v1",
            "time": NOON,
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {"f:a": {}}},
        }
    ]


def test_applying_the_same_again_changes_nothing() -> None:
    made = apply(None, config({"a": "1"}))
    assert apply(made, config({"a": "1"}), now=LATER) == made


def test_a_field_no_longer_applied_goes() -> None:
    made = apply(None, config({"a": "1", "b": "2"}))
    assert apply(made, config({"b": "2"}))["data"] == {"b": "2"}


def test_a_field_that_somebody_else_owns_too_stays() -> None:
    made = apply(apply(None, config({"a": "1", "b": "2"})), config({"a": "1"}), "two")
    left = apply(made, config({"b": "2"}))
    assert left["data"] == {"a": "1", "b": "2"}
    assert owners(left) == {"one": {"f:data": {"f:b": {}}}, "two": {"f:data": {"f:a": {}}}}


def test_equal_values_are_shared_without_conflict() -> None:
    made = apply(apply(None, config({"a": "1"})), config({"a": "1"}), "two", LATER)
    assert owners(made) == {"one": {"f:data": {"f:a": {}}}, "two": {"f:data": {"f:a": {}}}}


def test_one_conflict_is_told_in_one_line() -> None:
    error = refusal(apply(None, config({"a": "1"})), config({"a": "9"}))
    assert (error.code, error.reason) == (409, "Conflict")
    assert str(error) == 'Apply failed with 1 conflict: conflict with "one": .data.a'
    assert error.details == {
        "causes": [{"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.a"}]
    }


def test_several_conflicts_are_told_by_manager() -> None:
    live = apply(apply(None, config({"a": "1", "b": "1"})), config({"c": "1"}), "three")
    error = refusal(live, config({"a": "9", "b": "9", "c": "9"}))
    assert str(error) == (
        'Apply failed with 3 conflicts: conflicts with "one":\n- .data.a\n- .data.b\nconflicts with "three":\n- .data.c'
    )


def test_a_conflict_with_an_updater_names_its_version() -> None:
    live = track_update(None, config({"a": "1"}), CONFIG.shape, Writer("kubectl-create", "v1", NOON))
    assert str(refusal(live, config({"a": "9"}))) == (
        'Apply failed with 1 conflict: conflict with "kubectl-create" using v1: .data.a'
    )


def test_force_takes_over() -> None:
    made = apply(apply(None, config({"a": "1", "b": "1"})), config({"a": "9"}), "two", force=True)
    assert made["data"] == {"a": "9", "b": "1"}
    assert owners(made) == {"one": {"f:data": {"f:b": {}}}, "two": {"f:data": {"f:a": {}}}}


def test_giving_up_everything_leaves_what_others_own() -> None:
    live = apply(apply(None, config({"a": "1", "b": "2"})), config({"a": "9"}), "two", force=True)
    left = apply(live, config({}))
    assert left["data"] == {"a": "9"}
    assert owners(left) == {"one": {"f:data": {}}, "two": {"f:data": {"f:a": {}}}}


def test_what_others_wrote_beside_stays() -> None:
    live = apply(None, config({"a": "1"}))
    live = track_update(
        live, live | {"data": {"a": "1", "x": "y"}}, CONFIG.shape, Writer("hand", "v1", LATER)
    )
    assert apply(live, config({"a": "2"}))["data"] == {"a": "2", "x": "y"}


def test_an_object_that_nobody_tracked_is_owned_by_its_past() -> None:
    live = config({"a": "1"}, uid="u")
    assert str(refusal(live, config({"a": "2"}))) == (
        'Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.a'
    )


def test_containers_are_items_of_their_owners() -> None:
    def deployment(*names: str) -> dict[str, Any]:
        containers = [{"name": name, "image": "x"} for name in names]
        spec = {"selector": {"matchLabels": {"a": "b"}}, "template": {"spec": {"containers": containers}}}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}

    live = apply(None, deployment("main"), schema=DEPLOYMENT)
    sidecar: dict[str, Any] = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {"template": {"spec": {"containers": [{"name": "side", "image": "y"}]}}},
    }
    both = apply(live, sidecar, "two", schema=DEPLOYMENT)
    assert [c["name"] for c in both["spec"]["template"]["spec"]["containers"]] == ["main", "side"]
    gone = apply(both, sidecar | {"spec": {}}, "two", schema=DEPLOYMENT)
    assert [c["name"] for c in gone["spec"]["template"]["spec"]["containers"]] == ["main"]


def test_sets_and_maps_of_custom_resources() -> None:
    live = apply(None, widget(tags=["a", "b"], parts=[{"name": "x", "a": "1"}]), schema=WIDGET)
    live = apply(live, widget(tags=["b", "c"], parts=[{"name": "x", "b": "2"}]), "two", schema=WIDGET)
    assert live["spec"] == {"tags": ["a", "b", "c"], "parts": [{"name": "x", "a": "1", "b": "2"}]}
    left = apply(live, widget(), schema=WIDGET)
    assert left["spec"] == {"tags": ["b", "c"], "parts": [{"name": "x", "b": "2"}]}


def test_a_custom_resource_loses_no_other_field() -> None:
    live = apply(None, widget(size="small", limits={"a": "1"}), schema=WIDGET)
    left = apply(live, widget(limits={"b": "1"}), schema=WIDGET)
    assert left["spec"] == {"limits": {"b": "1"}}


@pytest.mark.parametrize(
    ("applied", "code", "message"),
    [
        (config({"a": "1"}, managedFields=[]), 400, "metadata.managedFields must be nil"),
        (config() | {"dta": {}}, 500, "failed to create typed patch object (/c; /v1, Kind=ConfigMap): .dta: field not declared in schema"),
        (config({"a": 1}), 500, "failed to create typed patch object (/c; /v1, Kind=ConfigMap): .data.a: expected string, got &value.valueUnstructured{Value:1}"),
    ],
)  # fmt: skip
def test_what_is_not_applied(applied: dict[str, Any], code: int, message: str) -> None:
    with pytest.raises(PatchError) as caught:
        apply(None, applied)
    assert (caught.value.code, str(caught.value)) == (code, message)


def test_kubectl_moves_from_client_side_apply_without_conflict() -> None:
    last = config({"a": "1"})
    annotated = config({"a": "1"}, annotations={LAST_APPLIED: json.dumps(last)})
    live = track_update(None, annotated, CONFIG.shape, Writer("kubectl-client-side-apply", "v1", NOON))
    made = apply(live, config({"a": "2"}), "kubectl", LATER)
    assert made["data"] == {"a": "2"}
    assert json.loads(made["metadata"]["annotations"][LAST_APPLIED])["data"] == {"a": "2"}
    assert refusal(live, config({"a": "2"}), "other").code == 409


def test_kubectl_still_conflicts_where_somebody_changed_what_it_set() -> None:
    annotated = config({"a": "1"}, annotations={LAST_APPLIED: json.dumps(config({"a": "1"}))})
    live = track_update(None, annotated, CONFIG.shape, Writer("kubectl-client-side-apply", "v1", NOON))
    live = track_update(live, live | {"data": {"a": "5"}}, CONFIG.shape, Writer("hand", "v1", LATER))
    assert 'conflict with "hand"' in str(refusal(live, config({"a": "2"}), "kubectl"))


# --- laws ---

WORDS = st.sampled_from(["x", "y", "z"])
SPECS = st.fixed_dictionaries(
    {},
    optional={
        "size": WORDS,
        # An empty list of items is owned by nobody, in Kubernetes too: it has no field to own.
        "tags": st.lists(WORDS, unique=True, min_size=1, max_size=3),
        "parts": st.dictionaries(
            WORDS, st.dictionaries(st.sampled_from("ab"), WORDS), min_size=1, max_size=3
        ).map(lambda parts: [{"name": name, **fields} for name, fields in parts.items()]),
        "limits": st.dictionaries(WORDS, WORDS, min_size=1, max_size=3),
    },
)
MANAGERS = st.sampled_from(["one", "two", "three"])
# Emptying an object makes it null, and a custom object loses its nulls: not the case that these laws are about.
SPECS = SPECS.filter(bool)
HISTORIES = st.lists(st.tuples(MANAGERS, SPECS), min_size=1, max_size=5)


def played(history: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    live: dict[str, Any] | None = None
    for manager, spec in history:
        live = apply(live, widget(**spec), manager, schema=WIDGET, force=True)
    assert live is not None
    return live


@settings(max_examples=25)
@given(HISTORIES)
def test_the_last_applier_applying_again_is_a_no_op(history: list[tuple[str, dict[str, Any]]]) -> None:
    live = played(history)
    manager, spec = history[-1]
    assert apply(live, widget(**spec), manager, LATER, schema=WIDGET) == live


@settings(max_examples=50)
@given(HISTORIES)
def test_what_is_owned_by_somebody_needs_no_second_look(history: list[tuple[str, dict[str, Any]]]) -> None:
    live = played(history)
    with mock.patch.object(patching, "_prune", patching._pruned):
        assert played(history) == live


@settings(max_examples=25)
@given(HISTORIES)
def test_what_was_applied_last_is_there(history: list[tuple[str, dict[str, Any]]]) -> None:
    spec = played(history)["spec"]
    _, wanted = history[-1]
    assert spec.get("size") == wanted.get("size") or "size" not in wanted
    assert set(wanted.get("tags", ())) <= set(spec.get("tags", ()))
    assert wanted.get("limits", {}).items() <= spec.get("limits", {}).items()
    parts = {part["name"]: part for part in spec.get("parts", ())}
    assert all(part.items() <= parts[part["name"]].items() for part in wanted.get("parts", ()))


@settings(max_examples=25)
@given(HISTORIES, SPECS)
def test_fields_owned_by_others_survive(
    history: list[tuple[str, dict[str, Any]]], spec: dict[str, Any]
) -> None:
    live = played(history)
    mine = {"size": "mine", "tags": ["mine"], "parts": [{"name": "mine", "a": "1"}], "limits": {"mine": "1"}}
    live = apply(live, widget(**mine), "guard", schema=WIDGET, force=True)
    after = apply(live, widget(**(spec | {"size": "mine"})), "one", schema=WIDGET, force=True)["spec"]
    assert after["size"] == "mine"
    assert "mine" in after["tags"]
    assert {"name": "mine", "a": "1"} in after["parts"]
    assert after["limits"]["mine"] == "1"


@settings(max_examples=25)
@given(HISTORIES)
def test_nothing_remains_when_everybody_gives_up(history: list[tuple[str, dict[str, Any]]]) -> None:
    live = played(history)
    for manager in ("one", "two", "three"):
        live = apply(live, {**widget(), "spec": {}}, manager, schema=WIDGET, force=True)
    assert not any(live.get("spec", {}).values())


@settings(max_examples=25)
@given(HISTORIES)
def test_what_is_stored_reads_back_as_it_was(history: list[tuple[str, dict[str, Any]]]) -> None:
    live = played(history)
    before = copy.deepcopy(live)
    entries = managed_fields.entries_of(live) or []
    assert managed_fields.encode(managed_fields.decode(entries)) == entries
    assert live == before
