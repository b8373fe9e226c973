from typing import Any

import pytest

from aliquot.emulator.patching import managed_fields
from aliquot.emulator.patching.managed_fields import Writer, track_update
from aliquot.emulator.schema.catalogue import Catalogue
from aliquot.emulator.schema.kind import Schema

CATALOGUE = Catalogue()
NOON, LATER = "2026-01-01T12:00:00Z", "2026-01-01T13:00:00Z"


def kind(group: str, name: str) -> Schema:
    schema = CATALOGUE.get(group, "v1", name)
    assert schema is not None
    return schema


CONFIG = kind("", "ConfigMap")
POD = kind("", "Pod")
DEPLOYMENT = kind("apps", "Deployment")


def config(data: dict[str, str] | None = None, **metadata: Any) -> dict[str, Any]:
    obj: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", **metadata}}
    return obj | ({"data": data} if data is not None else {})


def write(
    live: dict[str, Any] | None,
    new: dict[str, Any],
    manager: str,
    now: str = NOON,
    *,
    subresource: str = "",
    schema: Schema = CONFIG,
    **options: Any,
) -> dict[str, Any]:
    writer = Writer(manager, "v1", now, subresource)
    return track_update(live, new, schema.shape, writer, **options)


def owned(obj: dict[str, Any]) -> dict[str, Any]:
    return {entry["manager"]: entry["fieldsV1"] for entry in obj["metadata"].get("managedFields", ())}


def test_who_creates_owns_what_is_there_but_not_its_name() -> None:
    created = write(None, config({"a": "1"}, labels={"x": "y"}), "me")
    assert created["metadata"]["managedFields"] == [
        {
            "manager": "me",
            "operation": "Update",
            "apiVersion": "v1",
            "time": NOON,
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:data": {".": {}, "f:a": {}},
                "f:metadata": {"f:labels": {".": {}, "f:x": {}}},
            },
        }
    ]


def test_the_entry_of_a_pod_is_that_of_a_real_server() -> None:
    pod = POD.default(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "a"},
            "spec": {"containers": [{"name": "main", "image": "x:1", "ports": [{"containerPort": 80}]}]},
        }
    )
    spec = owned(write(None, pod, "me", schema=POD))["me"]["f:spec"]
    assert next(iter(spec)) == "f:containers"
    container = spec["f:containers"]['k:{"name":"main"}']
    assert container["f:ports"] == {
        ".": {},
        'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}, "f:protocol": {}},
    }
    assert container["f:resources"] == {}
    assert container["."] == {}
    assert "." not in spec["f:containers"]
    assert "." not in spec


def test_parts_that_are_always_there_are_nobodys() -> None:
    deployment = DEPLOYMENT.default(
        {
            "metadata": {"name": "d"},
            "spec": {
                "selector": {"matchLabels": {"a": "b"}},
                "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "m"}]}},
            },
        }
    )
    spec = owned(write(None, deployment, "me", schema=DEPLOYMENT))["me"]["f:spec"]
    assert spec["f:strategy"] == {
        "f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}},
        "f:type": {},
    }
    assert spec["f:selector"] == {}
    assert "." not in spec["f:template"]


@pytest.mark.parametrize(
    ("group", "name", "spec", "fields"),
    [
        ("apps", "StatefulSet", {"serviceName": "", "replicas": 0}, {"f:replicas": {}}),
        ("storage.k8s.io", "CSINode", {"drivers": None}, None),
        (
            "storage.k8s.io",
            "CSINode",
            {"drivers": [{"name": "d", "topologyKeys": None}]},
            {"f:drivers": {'k:{"name":"d"}': {".": {}, "f:name": {}, "f:topologyKeys": {}}}},
        ),
        (
            "resource.k8s.io",
            "ResourceSlice",
            {"driver": "d", "pool": {"name": "p", "generation": 0}},
            {"f:driver": {}, "f:pool": {"f:name": {}}},
        ),
        ("networking.k8s.io", "NetworkPolicy", {"podSelector": {}}, None),
    ],
)
def test_what_go_never_leaves_out_is_nobodys_where_there_is_nothing(
    group: str, name: str, spec: dict[str, Any], fields: dict[str, Any] | None
) -> None:
    obj = {"apiVersion": f"{group}/v1", "kind": name, "metadata": {"name": "x"}, "spec": spec}
    made = owned(write(None, obj, "me", schema=kind(group, name)))
    assert made == ({} if fields is None else {"me": {"f:spec": fields}})


def test_who_changes_a_field_takes_it() -> None:
    created = write(None, config({"a": "1", "b": "1"}), "one")
    changed = write(created, created | {"data": {"a": "2", "b": "1"}}, "two", LATER)
    assert owned(changed) == {"one": {"f:data": {".": {}, "f:b": {}}}, "two": {"f:data": {"f:a": {}}}}


def test_a_removed_field_is_nobodys() -> None:
    created = write(None, config({"a": "1", "b": "1"}), "one")
    changed = write(created, created | {"data": {"b": "1"}}, "two", LATER)
    assert owned(changed) == {"one": {"f:data": {".": {}, "f:b": {}}}}


def test_writing_again_what_is_there_changes_nothing_not_even_times() -> None:
    created = write(None, config({"a": "1"}), "one")
    again = write(created, created, "two", LATER)
    assert again == created


def test_more_of_the_same_manager_joins_its_entry_with_a_new_time() -> None:
    created = write(None, config({"a": "1"}), "one")
    changed = write(created, created | {"data": {"a": "1", "b": "2"}}, "one", LATER)
    [entry] = changed["metadata"]["managedFields"]
    assert (entry["time"], entry["fieldsV1"]) == (LATER, {"f:data": {".": {}, "f:a": {}, "f:b": {}}})


def test_each_subresource_of_a_manager_has_an_entry_of_its_own() -> None:
    pod = POD.default({"metadata": {"name": "a"}, "spec": {"containers": [{"name": "m", "image": "x"}]}})
    created = write(None, pod, "kubelet", schema=POD)
    running = write(
        created,
        created | {"status": {"phase": "Running"}},
        "kubelet",
        LATER,
        subresource="status",
        schema=POD,
    )
    entries = [(entry.get("subresource"), entry["time"]) for entry in running["metadata"]["managedFields"]]
    assert entries == [(None, NOON), ("status", LATER)]
    assert running["metadata"]["managedFields"][1]["fieldsV1"] == {"f:status": {"f:phase": {}}}


def test_what_an_endpoint_ignores_nobody_comes_to_own() -> None:
    pod = POD.default({"metadata": {"name": "a"}, "spec": {"containers": [{"name": "m", "image": "x"}]}})
    pod["status"] = {"phase": "Running"}
    created = write(None, pod, "me", schema=POD, reset_fields=[("status",)])
    assert "f:status" not in owned(created)["me"]


def test_items_of_a_list_go_by_their_keys() -> None:
    pod = POD.default({"metadata": {"name": "a"}, "spec": {"containers": [{"name": "m", "image": "x"}]}})
    created = write(None, pod, "one", schema=POD)
    spec = created["spec"] | {"containers": [created["spec"]["containers"][0] | {"image": "y"}]}
    changed = write(created, created | {"spec": spec}, "two", LATER, schema=POD)
    assert owned(changed)["two"] == {"f:spec": {"f:containers": {'k:{"name":"m"}': {"f:image": {}}}}}
    assert "f:image" not in owned(changed)["one"]["f:spec"]["f:containers"]['k:{"name":"m"}']


def test_no_more_than_ten_updaters_are_kept_apart() -> None:
    obj = write(None, config({"k0": "v"}), "m0", "2026-01-01T00:00:00Z")
    for number in range(1, 13):
        data = obj["data"] | {f"k{number}": "v"}
        obj = write(obj, obj | {"data": data}, f"m{number}", f"2026-01-01T00:00:{number:02}Z")
    entries = owned(obj)
    assert len(entries) == managed_fields.MAX_UPDATE_MANAGERS
    assert entries["ancient-changes"]["f:data"] == {".": {}, "f:k0": {}, "f:k1": {}, "f:k2": {}, "f:k3": {}}


def test_an_empty_list_asks_to_forget() -> None:
    created = write(None, config({"a": "1"}), "one")
    wishes: list[list[Any]] = [[], [{}]]
    for wish in wishes:
        metadata = created["metadata"] | {"managedFields": wish}
        forgotten = write(created, created | {"metadata": metadata}, "two", LATER)
        assert "managedFields" not in forgotten["metadata"]
    assert "managedFields" not in write(forgotten, forgotten | {"data": {"b": "1"}}, "two")["metadata"]


def test_a_user_may_rewrite_the_list_but_not_break_it() -> None:
    created = write(None, config({"a": "1"}), "one")
    [entry] = created["metadata"]["managedFields"]
    renamed = created["metadata"] | {"managedFields": [entry | {"manager": "other"}]}
    assert list(owned(write(created, created | {"metadata": renamed}, "two"))) == ["other"]
    damages: list[dict[str, Any]] = [
        {"operation": "Steal"},
        {"fieldsType": "FieldsV2"},
        {"apiVersion": ""},
        {"fieldsV1": {"k:{": {}}},
    ]
    for damage in damages:
        damaged = created["metadata"] | {"managedFields": [entry | damage]}
        assert owned(write(created, created | {"metadata": damaged}, "two")) == owned(created)


def test_a_missing_list_is_not_taken_for_a_wish() -> None:
    created = write(None, config({"a": "1"}), "one")
    bare = {key: value for key, value in created["metadata"].items() if key != "managedFields"}
    assert write(created, created | {"metadata": bare}, "two") == created


@pytest.mark.parametrize("damage", [None, [1], "x", [{"operation": "Apply"}]])
def test_a_damaged_stored_list_does_not_stop_writing(damage: Any) -> None:
    created = write(None, config({"a": "1"}), "one")
    broken = created | {"metadata": created["metadata"] | {"managedFields": damage}}
    assert write(broken, broken | {"data": {"a": "2"}}, "two", LATER)["data"] == {"a": "2"}


def test_entries_are_ordered_by_operation_time_and_name() -> None:
    def entry(manager: str, operation: str, time: str) -> dict[str, Any]:
        return {
            "manager": manager,
            "operation": operation,
            "apiVersion": "v1",
            "time": time,
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {f"f:{manager}": {}}},
        }

    entries = [
        entry("d", "Update", NOON),
        entry("c", "Apply", LATER),
        entry("b", "Apply", NOON),
        entry("a", "Apply", NOON),
    ]
    ordered = managed_fields.encode(managed_fields.decode(entries))
    assert [one["manager"] for one in ordered] == ["a", "b", "c", "d"]


def test_no_argument_is_changed() -> None:
    created = write(None, config({"a": "1"}), "one")
    before = repr(created)
    write(created, created | {"data": {"a": "2"}}, "two", LATER)
    assert repr(created) == before
