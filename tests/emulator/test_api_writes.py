from typing import Any

import pytest

from aliquot.emulator.storage.store import Store
from tests.emulator.api import (
    APPLY,
    CONFIGS,
    JSON_PATCH,
    MERGE,
    PODS,
    STRATEGIC,
    Api,
    FixedClock,
    config,
    new_api,
    pod,
)

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


def deployment(name: str = "d", replicas: int = 1) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": name}}, "spec": pod()["spec"]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template},
    }


async def test_the_server_says_who_an_object_is(api: Api, clock: FixedClock) -> None:
    asked = config("c")
    asked["metadata"] |= {"uid": "mine", "creationTimestamp": None, "generation": 7, "selfLink": "x"}
    meta = (await api.ok("POST", CONFIGS, asked))["metadata"]
    assert meta["uid"] != "mine"
    assert meta["creationTimestamp"] == "2026-01-01T00:00:00Z"
    assert "generation" not in meta
    assert "selfLink" not in meta


async def test_a_name_is_made_up_where_a_prefix_is_given(api: Api) -> None:
    asked = config()
    asked["metadata"] = {"generateName": "c-"}
    made = [(await api.ok("POST", CONFIGS, asked))["metadata"]["name"] for _ in range(3)]
    assert len(set(made)) == 3
    assert all(name.startswith("c-") and len(name) == 7 for name in made)


async def test_an_object_needs_a_name(api: Api) -> None:
    asked = config()
    asked["metadata"] = {}
    status, answer = await api.send("POST", CONFIGS, asked)
    assert (status, answer["reason"]) == (422, "Invalid")
    assert "name or generateName is required" in answer["message"]


async def test_a_taken_name_is_refused(api: Api) -> None:
    await api.ok("POST", PODS, pod())
    status, answer = await api.send("POST", PODS, pod())
    assert (status, answer["reason"], answer["message"]) == (409, "AlreadyExists", 'pods "p" already exists')


async def test_pods_begin_pending_with_their_quality(api: Api) -> None:
    asked = pod(schedulingGates=[{"name": "g"}])
    asked["status"] = {"phase": "Running"}
    made = await api.ok("POST", PODS, asked)
    assert made["status"]["phase"] == "Pending"
    assert made["status"]["qosClass"] == "BestEffort"
    assert made["status"]["conditions"][0]["reason"] == "SchedulingGated"
    assert made["metadata"]["generation"] == 1
    assert made["spec"]["serviceAccountName"] == "default"
    assert made["spec"]["priority"] == 0
    assert [one["key"] for one in made["spec"]["tolerations"]] == [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    ]


async def test_a_priority_class_gives_the_number(api: Api) -> None:
    classes = "/apis/scheduling.k8s.io/v1/priorityclasses"
    high = {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": "high"},
        "value": 7,
    }
    await api.ok("POST", classes, high)
    assert (await api.ok("POST", PODS, pod("a", priorityClassName="high")))["spec"]["priority"] == 7
    assert (await api.ok("POST", PODS, pod("b", priorityClassName="system-node-critical")))["spec"][
        "priority"
    ] > 7
    status, answer = await api.send("POST", PODS, pod("c", priorityClassName="none"))
    assert (status, answer["reason"]) == (403, "Forbidden")
    assert "no PriorityClass with name none was found" in answer["message"]


async def test_there_is_no_content_outside_of_namespaces(api: Api) -> None:
    status, answer = await api.send("POST", "/api/v1/namespaces/nowhere/pods", pod())
    assert (status, answer["message"]) == (404, 'namespaces "nowhere" not found')


async def test_the_body_lives_where_the_path_says(api: Api) -> None:
    asked = pod()
    asked["metadata"]["namespace"] = "elsewhere"
    status, answer = await api.send("POST", PODS, asked)
    assert (status, answer["reason"]) == (400, "BadRequest")
    assert "does not match the namespace sent on the request" in answer["message"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "couldn't get version/kind"),
        (b"\xff\xfe", "couldn't get version/kind"),
        (b"[]", "object"),
        (b'"pod"', "object"),
        (b'{"kind": "Node", "apiVersion": "v1"}', "does not match the expected API version"),
        (b'{"kind": "Pod", "apiVersion": "v2"}', "does not match the expected API version"),
        (b'{"kind": "Pod", "apiVersion": "v1", "metadata": 5}', "metadata"),
        (b'{"kind": "Pod", "apiVersion": "v1", "metadata": {"name": 5}}', "cannot be handled as a Pod"),
        (b"[" * 100_000, "couldn't get version/kind"),
    ],
)
async def test_a_body_that_is_no_object_of_the_kind_is_a_bad_request(
    api: Api, body: bytes, words: str
) -> None:
    status, answer = await api.send("POST", PODS, body)
    assert (status, answer["reason"]) == (400, "BadRequest")
    assert words in answer["message"]


async def test_yaml_is_read_too(api: Api) -> None:
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: y}\ndata: {when: '2026-01-01'}\n"
    made = await api.ok("POST", CONFIGS, body, type="application/yaml")
    assert made["data"] == {"when": "2026-01-01"}
    assert (await api.send("POST", CONFIGS, b"a: b: c", type="application/yaml"))[0] == 400


async def test_kubectls_protobuf_is_read_too(api: Api) -> None:
    meta = b"\x0a\x09\x0a\x02v1\x12\x03\x46oo"  # only the shape matters: TypeMeta, then the object
    status, answer = await api.send(
        "POST", CONFIGS, b"k8s\0" + meta, type="application/vnd.kubernetes.protobuf"
    )
    assert (status, answer["reason"]) == (400, "BadRequest")


async def test_an_unknown_content_type_is_told_what_is_known(api: Api) -> None:
    status, answer = await api.send("POST", CONFIGS, b"<c/>", type="text/xml")
    assert (status, answer["reason"]) == (415, "UnsupportedMediaType")
    assert "application/json" in answer["message"]


async def test_a_body_beyond_three_mebibytes_is_too_large(api: Api) -> None:
    assert (await api.send("POST", CONFIGS, b"x" * (3 << 20)))[0] == 400
    status, answer = await api.send("POST", CONFIGS, b"x" * ((3 << 20) + 1))
    assert (status, answer["reason"]) == (413, "RequestEntityTooLarge")


async def test_unknown_fields_are_refused_warned_of_or_ignored(api: Api) -> None:
    wrong = pod()
    wrong["spec"]["containers"][0]["comand"] = ["x"]
    status, answer = await api.send("POST", PODS, wrong, fieldValidation="Strict")
    assert (status, answer["message"]) == (
        400,
        'Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field '
        '"spec.containers[0].comand"',
    )
    made = await api.ok("POST", PODS, wrong)
    assert api.headers["warning"] == '299 - "unknown field \\"spec.containers[0].comand\\""'
    assert "comand" not in made["spec"]["containers"][0]
    wrong["metadata"]["name"] = "q"
    await api.ok("POST", PODS, wrong, fieldValidation="Ignore")
    assert "warning" not in api.headers
    assert (await api.send("POST", PODS, wrong, fieldValidation="Maybe"))[0] == 422


async def test_an_invalid_object_is_refused_with_causes(api: Api) -> None:
    wrong = pod("Bad_Name")
    status, answer = await api.send("POST", PODS, wrong)
    assert (status, answer["reason"]) == (422, "Invalid")
    assert answer["details"]["causes"][0]["field"] == "metadata.name"


async def test_a_dry_run_changes_nothing(api: Api) -> None:
    revision = api.server.store.revision
    made = await api.ok("POST", PODS, pod(), dryRun="All")
    assert made["metadata"]["uid"]
    assert (await api.get(f"{PODS}/p"))[0] == 404
    assert (await api.send("POST", PODS, pod(), dryRun="Some"))[0] == 422
    assert api.server.store.revision == revision
    await api.ok("POST", PODS, pod())
    assert (await api.send("POST", PODS, pod(), dryRun="All"))[0] == 409
    patched = await api.ok(
        "PATCH", f"{PODS}/p", {"metadata": {"labels": {"a": "1"}}}, type=MERGE, dryRun="All"
    )
    assert patched["metadata"]["labels"] == {"a": "1"}
    await api.ok("DELETE", f"{PODS}/p", dryRun="All")
    assert "labels" not in (await api.get(f"{PODS}/p"))[1]["metadata"]


# ---- update ------------------------------------------------------------------------------------------------


async def test_an_update_of_a_stale_object_conflicts(api: Api) -> None:
    seen = await api.ok("POST", CONFIGS, config(a="1"))
    await api.ok("PUT", f"{CONFIGS}/c", {**seen, "data": {"a": "2"}})
    status, answer = await api.send("PUT", f"{CONFIGS}/c", {**seen, "data": {"a": "3"}})
    assert (status, answer["reason"]) == (409, "Conflict")
    assert answer["message"] == (
        'Operation cannot be fulfilled on configmaps "c": the object has been modified; please apply your changes to '
        "the latest version and try again"
    )


async def test_an_update_without_a_revision_is_unconditional(api: Api) -> None:
    await api.ok("POST", CONFIGS, config(a="1"))
    assert (await api.ok("PUT", f"{CONFIGS}/c", config(a="2")))["data"] == {"a": "2"}


async def test_an_update_that_changes_nothing_is_not_written(api: Api) -> None:
    seen = await api.ok("POST", PODS, pod())
    again = await api.ok("PUT", f"{PODS}/p", seen)
    assert again == seen
    without_bookkeeping = {**seen, "metadata": {"name": "p"}}
    again = await api.ok("PUT", f"{PODS}/p", without_bookkeeping)
    assert again["metadata"]["resourceVersion"] == seen["metadata"]["resourceVersion"]


async def test_an_update_cannot_change_who_the_object_is(api: Api) -> None:
    seen = await api.ok("POST", CONFIGS, config())
    changed = {
        **seen,
        "metadata": {**seen["metadata"], "creationTimestamp": "1999-01-01T00:00:00Z", "labels": {"a": "b"}},
    }
    again = await api.ok("PUT", f"{CONFIGS}/c", changed)
    assert again["metadata"]["creationTimestamp"] == seen["metadata"]["creationTimestamp"]
    other = {**seen, "metadata": {"name": "c", "uid": "another"}}
    status, answer = await api.send("PUT", f"{CONFIGS}/c", other)
    assert status == 409
    assert "Precondition failed: UID in precondition: another" in answer["message"]
    assert (await api.send("PUT", f"{CONFIGS}/other", config("c")))[0] == 400
    assert (await api.send("PUT", f"{CONFIGS}/missing", config("missing")))[0] == 404


async def test_generation_counts_changes_of_the_spec(api: Api) -> None:
    made = await api.ok("POST", DEPLOYMENTS, deployment())
    assert made["metadata"]["generation"] == 1
    labelled = await api.ok("PATCH", f"{DEPLOYMENTS}/d", {"metadata": {"labels": {"a": "b"}}}, type=MERGE)
    assert labelled["metadata"]["generation"] == 1
    scaled = await api.ok("PATCH", f"{DEPLOYMENTS}/d", {"spec": {"replicas": 3}}, type=MERGE)
    assert scaled["metadata"]["generation"] == 2
    body = {"status": {"observedGeneration": 2}}
    reported = await api.ok("PATCH", f"{DEPLOYMENTS}/d/status", body, type=MERGE)
    assert reported["metadata"]["generation"] == 2


async def test_spec_and_status_are_written_apart(api: Api) -> None:
    made = await api.ok("POST", DEPLOYMENTS, deployment())
    both = {**made, "spec": {**made["spec"], "replicas": 5}, "status": {"replicas": 9}}
    spec = await api.ok("PUT", f"{DEPLOYMENTS}/d", both)
    assert (spec["spec"]["replicas"], spec["status"].get("replicas")) == (5, None)
    both = {**spec, "spec": {**made["spec"], "replicas": 7}, "status": {"replicas": 9}}
    status = await api.ok("PUT", f"{DEPLOYMENTS}/d/status", both)
    assert (status["spec"]["replicas"], status["status"]["replicas"]) == (5, 9)
    assert await api.get(f"{DEPLOYMENTS}/d/status") == (200, status)


async def test_secrets_take_plain_text(api: Api) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": "ä"}}
    made = await api.ok("POST", "/api/v1/namespaces/default/secrets", secret)
    assert (made["data"], made["type"]) == ({"k": "w6Q="}, "Opaque")
    assert "stringData" not in made


async def test_a_job_finds_its_pods_by_its_uid(api: Api) -> None:
    template = {"spec": {**pod()["spec"], "restartPolicy": "Never"}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {"template": template}}
    made = await api.ok("POST", "/apis/batch/v1/namespaces/default/jobs", job)
    uid = made["metadata"]["uid"]
    assert made["spec"]["selector"]["matchLabels"] == {"batch.kubernetes.io/controller-uid": uid}
    assert made["spec"]["template"]["metadata"]["labels"]["batch.kubernetes.io/job-name"] == "j"


# ---- patch -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "patch", "labels"),
    [
        (MERGE, {"metadata": {"labels": {"a": None, "c": "3"}}}, {"b": "2", "c": "3"}),
        (JSON_PATCH, [{"op": "remove", "path": "/metadata/labels/a"}], {"b": "2"}),
        (STRATEGIC, {"metadata": {"labels": {"$patch": "replace", "d": "4"}}}, {"d": "4"}),
        (
            APPLY,
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"e": "5"}}},
            {"a": "1", "b": "2", "e": "5"},
        ),
    ],
)
async def test_four_kinds_of_patch(api: Api, kind: str, patch: Any, labels: dict[str, str]) -> None:
    await api.ok("POST", PODS, pod(labels={"a": "1", "b": "2"}))
    patched = await api.ok("PATCH", f"{PODS}/p", patch, type=kind, fieldManager="m")
    assert patched["metadata"]["labels"] == labels


async def test_a_strategic_patch_merges_lists_by_key(api: Api) -> None:
    await api.ok("POST", PODS, pod())
    patch = {"spec": {"containers": [{"name": "main", "image": "registry.example/app:2"}]}}
    patched = await api.ok("PATCH", f"{PODS}/p", patch, type=STRATEGIC)
    assert [one["image"] for one in patched["spec"]["containers"]] == ["registry.example/app:2"]
    assert patched["spec"]["containers"][0]["imagePullPolicy"]


async def test_a_patch_that_changes_nothing_is_not_written(api: Api) -> None:
    made = await api.ok("POST", PODS, pod(labels={"a": "1"}))
    patched = await api.ok("PATCH", f"{PODS}/p", {"metadata": {"labels": {"a": "1"}}}, type=STRATEGIC)
    assert patched == made


async def test_a_patch_may_ask_for_the_revision_that_it_saw(api: Api) -> None:
    made = await api.ok("POST", CONFIGS, config())
    stale = {"metadata": {"resourceVersion": "1", "labels": {"a": "b"}}}
    assert (await api.send("PATCH", f"{CONFIGS}/c", stale, type=MERGE))[0] == 409
    seen = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"], "labels": {"a": "b"}}}
    await api.ok("PATCH", f"{CONFIGS}/c", seen, type=MERGE)


@pytest.mark.parametrize(
    ("kind", "patch", "status"),
    [
        (JSON_PATCH, [{"op": "test", "path": "/data/a", "value": "2"}], 422),
        (JSON_PATCH, {"op": "add"}, 400),
        (MERGE, [1], 400),
        (MERGE, {"metadata": {"name": "other"}}, 400),
        (STRATEGIC, "text", 400),
        ("text/plain", {}, 415),
        ("application/json", {}, 415),
    ],
)
async def test_a_patch_that_makes_no_sense_is_refused(api: Api, kind: str, patch: Any, status: int) -> None:
    await api.ok("POST", CONFIGS, config(a="1"))
    answered, body = await api.send("PATCH", f"{CONFIGS}/c", patch, type=kind)
    assert (answered, body["kind"]) == (status, "Status")


async def test_only_an_apply_makes_what_is_missing(api: Api) -> None:
    assert (await api.send("PATCH", f"{CONFIGS}/c", {}, type=MERGE))[0] == 404
    status, made = await api.send("PATCH", f"{CONFIGS}/c", config(a="1"), type=APPLY, fieldManager="one")
    assert (status, made["data"]) == (201, {"a": "1"})
    assert made["metadata"]["managedFields"][0]["operation"] == "Apply"
    status, again = await api.send("PATCH", f"{CONFIGS}/c", config(a="1"), type=APPLY, fieldManager="one")
    assert (status, again) == (200, made)


async def test_an_apply_of_what_another_owns_conflicts_unless_forced(api: Api) -> None:
    await api.ok("PATCH", f"{CONFIGS}/c", config(a="1"), type=APPLY, fieldManager="one")
    status, answer = await api.send("PATCH", f"{CONFIGS}/c", config(a="2"), type=APPLY, fieldManager="two")
    assert (status, answer["reason"]) == (409, "Conflict")
    assert answer["details"]["causes"][0]["field"] == ".data.a"
    forced = await api.ok(
        "PATCH", f"{CONFIGS}/c", config(a="2"), type=APPLY, fieldManager="two", force="true"
    )
    assert forced["data"] == {"a": "2"}


async def test_an_apply_names_its_manager(api: Api) -> None:
    status, answer = await api.send("PATCH", f"{CONFIGS}/c", config(), type=APPLY)
    assert status == 422
    assert "fieldManager: Required value: is required for apply patch" in answer["message"]


async def test_what_the_server_adds_is_owned_by_nobody(api: Api) -> None:
    made = await api.ok("POST", PODS, pod())
    (entry,) = made["metadata"]["managedFields"]
    assert entry["manager"] == "tests"
    assert "f:schedulerName" in entry["fieldsV1"]["f:spec"]
    assert "f:tolerations" not in entry["fieldsV1"]["f:spec"]
    assert "f:status" not in entry["fieldsV1"]


async def test_a_full_disk_refuses_writes_and_goes_on_reading(clock: FixedClock, tmp_path: Any) -> None:
    store = Store(tmp_path / "store.db")
    api = await new_api(clock, store=store)
    await api.ok("POST", CONFIGS, config("kept", a="1"))
    assert store._file is not None
    store._file._connection.execute("PRAGMA max_page_count = 1")
    status, answer = await api.send("POST", CONFIGS, config("big", a="x" * 1_000_000))
    assert (status, answer["reason"]) == (503, "ServiceUnavailable")
    assert "the state cannot be written" in answer["message"]
    assert "full" in answer["message"]
    assert (await api.get(f"{CONFIGS}/kept"))[0] == 200
    assert (await api.get(f"{CONFIGS}/big"))[0] == 404
    store._file._connection.execute("PRAGMA max_page_count = 100000")
    await api.ok("POST", CONFIGS, config("big", a="x" * 1_000_000))
    await api.close()
    store.close()


@pytest.mark.parametrize(
    ("given", "other"), [("dataSource", "dataSourceRef"), ("dataSourceRef", "dataSource")]
)
async def test_what_a_claim_is_filled_from_is_said_in_both_ways(api: Api, given: str, other: str) -> None:
    source = {"kind": "PersistentVolumeClaim", "name": "old"}
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, given: source}
    claim = {"kind": "PersistentVolumeClaim", "metadata": {"name": "c"}, "spec": wanted}
    made = await api.ok("POST", "/api/v1/namespaces/default/persistentvolumeclaims", claim)
    assert made["spec"][given] == made["spec"][other] == {"apiGroup": None, **source}


async def test_a_job_without_labels_has_those_of_its_pods(api: Api) -> None:
    template = {"spec": {**pod()["spec"], "restartPolicy": "Never"}}
    job = {"kind": "Job", "metadata": {"name": "j"}, "spec": {"template": template}}
    made = await api.ok("POST", "/apis/batch/v1/namespaces/default/jobs", job)
    assert made["metadata"]["labels"]["batch.kubernetes.io/job-name"] == "j"
    assert made["metadata"]["labels"] == made["spec"]["template"]["metadata"]["labels"]
    bare = {**made, "metadata": {key: value for key, value in made["metadata"].items() if key != "labels"}}
    kept = await api.ok("PUT", "/apis/batch/v1/namespaces/default/jobs/j", bare)
    assert kept["metadata"]["labels"] == made["metadata"]["labels"]
