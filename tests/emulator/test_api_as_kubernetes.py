"""What a kube-apiserver answers, row by row: each was seen there."""

from typing import Any

import pytest

from tests.emulator.api import (
    APPLY,
    CONFIGS,
    JSON_PATCH,
    MERGE,
    PODS,
    STRATEGIC,
    TABLE,
    YAML,
    Api,
    config,
    pod,
)
from tests.emulator.test_api_crds import CRDS, WIDGETS, crd, widget
from tests.emulator.test_api_writes import DEPLOYMENTS

JOBS = "/apis/batch/v1/namespaces/default/jobs"
SECRETS = "/api/v1/namespaces/default/secrets"
EVENTS = "/api/v1/namespaces/default/events"
TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": {"a": "b"}},
    "spec": {"containers": [{"name": "c", "image": "i"}]},
}
SELECTED = {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}


def named(name: str, **metadata: Any) -> dict[str, Any]:
    return {**config(name), "metadata": {"name": name, **metadata}}


async def test_items_of_a_list_do_not_say_their_kind_which_the_list_does(api: Api) -> None:
    await api.ok("POST", PODS, pod("made"))
    applied = {"metadata": {"name": "applied"}, "spec": pod()["spec"], "kind": "Pod", "apiVersion": "v1"}
    await api.ok("PATCH", f"{PODS}/applied", applied, type=APPLY, fieldManager="m")
    for listed in (await api.ok("GET", PODS), await api.ok("DELETE", PODS)):
        assert [set(item) for item in listed["items"]] == [{"metadata", "spec", "status"}] * 2


async def test_items_of_a_custom_kind_say_it(api: Api) -> None:
    await api.ok("POST", CRDS, crd())
    await api.ok("POST", WIDGETS, widget())
    assert [item["kind"] for item in (await api.ok("GET", WIDGETS))["items"]] == ["Widget"]


async def test_a_table_is_json(api: Api) -> None:
    await api.ok("POST", CONFIGS, config())
    for path in (CONFIGS, f"{CONFIGS}/c"):
        assert (await api.get(path, accept=TABLE))[1]["kind"] == "Table"
        assert api.headers["content-type"] == "application/json"


async def test_a_refusal_comes_with_its_warnings(api: Api) -> None:
    await api.ok("POST", CONFIGS, config())
    status, _ = await api.send("POST", CONFIGS, {**config(), "bogus": 1})
    assert (status, api.headers["warning"]) == (409, '299 - "unknown field \\"bogus\\""')


async def test_who_is_too_early_is_told_when_to_come_again(api: Api) -> None:
    status, answer = await api.get(CONFIGS, resourceVersion="999999")
    assert (status, answer["details"]["retryAfterSeconds"], api.headers["retry-after"]) == (504, 1, "1")


@pytest.mark.parametrize(
    ("method", "path", "body", "query", "code", "reason", "message"),
    [
        ("POST", CONFIGS, named("n", resourceVersion="1"), {}, 500, "",
         "resourceVersion should not be set on objects to be created"),
        ("PUT", f"{CONFIGS}/c", {"data": {}}, {}, 400, "BadRequest",
         "the name of the object (c based on URL) was undeterminable: name must be provided"),
        ("PUT", f"{CONFIGS}/c", named("d"), {}, 400, "BadRequest",
         "the name of the object (d) does not match the name on the URL (c)"),
        ("PUT", f"{CONFIGS}/c", named("c", namespace="other"), {}, 400, "BadRequest",
         "the namespace of the provided object does not match the namespace sent on the request"),
        ("POST", CONFIGS, config("n"), {"dryRun": "Some"}, 422, "Invalid",
         'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]: supported values: "All"'),
        ("PUT", f"{CONFIGS}/c", config("c"), {"fieldValidation": "strict"}, 422, "Invalid",
         'UpdateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "strict": supported values: '
         '"", "Ignore", "Strict", "Warn"'),
        ("POST", CONFIGS, config("n"), {"fieldManager": "x" * 129}, 422, "Invalid",
         'CreateOptions.meta.k8s.io "" is invalid: fieldManager: Too long: may not be more than 128 bytes'),
        ("GET", CONFIGS, b"", {"resourceVersionMatch": "Exact"}, 422, "Invalid",
         'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden '
         "unless resourceVersion is provided"),
        ("GET", CONFIGS, b"", {"resourceVersion": "1", "resourceVersionMatch": "Nope"}, 422, "Invalid",
         'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Unsupported value: "Nope": supported values: '
         '"Exact", "NotOlderThan", ""'),
        ("GET", CONFIGS, b"", {"sendInitialEvents": "true"}, 422, "Invalid",
         'ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list'),
        ("GET", CONFIGS, b"", {"timeoutSeconds": "x"}, 400, "BadRequest",
         'strconv.ParseInt: parsing "x": invalid syntax'),
    ],
)  # fmt: skip
async def test_refusals(
    api: Api, method: str, path: str, body: Any, query: dict[str, Any], code: int, reason: str, message: str
) -> None:
    await api.ok("POST", CONFIGS, config("c"))
    status, answer = await api.send(method, path, body, **query)
    assert (status, answer.get("reason", ""), answer["message"]) == (code, reason, message)


@pytest.mark.parametrize("validation", ["Ignore", "Warn", "Strict"])
@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"bogus": 1}, ".bogus: field not declared in schema"),
        ({"data": {"a": 1}}, ".data.a: expected string, got &value.valueUnstructured{Value:1}"),
    ],
)
async def test_what_is_applied_must_fit_its_schema(
    api: Api, more: dict[str, Any], problem: str, validation: str
) -> None:
    status, answer = await api.send(
        "PATCH",
        f"{CONFIGS}/c",
        {**config(), **more},
        type=APPLY,
        fieldManager="m",
        fieldValidation=validation,
    )
    assert (status, answer["message"]) == (
        500,
        f"failed to create typed patch object (/c; /v1, Kind=ConfigMap): {problem}",
    )


async def test_an_amount_that_is_none_is_an_error_of_the_server_where_it_is_applied(api: Api) -> None:
    container = {"name": "a", "image": "b", "resources": {"limits": {"cpu": "lots"}}}
    applied = pod("q", containers=[container])
    status, answer = await api.send("PATCH", f"{PODS}/q", applied, type=APPLY, fieldManager="m")
    assert (status, answer["message"]) == (
        500,
        "failed to convert new object (/q; /v1, Kind=Pod) to proper version: unable to convert unstructured object to "
        "/v1, Kind=Pod: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    )
    status, answer = await api.send("POST", PODS, applied)
    assert (status, answer["reason"]) == (400, "BadRequest")


@pytest.mark.parametrize(
    ("applied", "code", "message"),
    [
        ({"metadata": {"name": "c"}}, 400, "invalid object type: /, Kind="),
        ({**config(), "kind": "Secret"}, 400, "invalid object type: /v1, Kind=Secret"),
        ({**config(), "apiVersion": "apps/v1"}, 400, "invalid object type: apps/v1, Kind=ConfigMap"),
        (named("c", uid="x"), 409, 'Operation cannot be fulfilled on configmaps "c": uid mismatch: the provided '
         "object specified uid x, and no existing object was found"),
    ],
)  # fmt: skip
async def test_what_is_not_applied(api: Api, applied: dict[str, Any], code: int, message: str) -> None:
    status, answer = await api.send("PATCH", f"{CONFIGS}/c", applied, type=APPLY, fieldManager="m")
    assert (status, answer["message"]) == (code, message)


async def test_a_patch_that_changes_the_uid_is_invalid_rather_than_a_conflict(api: Api) -> None:
    await api.ok("POST", CONFIGS, config())
    status, answer = await api.send("PATCH", f"{CONFIGS}/c", {"metadata": {"uid": "x"}}, type=MERGE)
    assert (status, answer["message"]) == (
        422,
        'ConfigMap "c" is invalid: metadata.uid: Invalid value: "x": field is immutable',
    )


async def test_a_container_without_a_name_can_be_applied_and_is_invalid(api: Api) -> None:
    applied = {**pod("p"), "spec": {"containers": [{"image": "i"}]}}
    status, answer = await api.send("PATCH", f"{PODS}/p", applied, type=APPLY, fieldManager="m")
    assert (status, answer["message"]) == (
        422,
        'Pod "p" is invalid: spec.containers[0].name: Required value',
    )


@pytest.mark.parametrize(
    ("path", "spec", "status"),
    [
        ("/apis/apps/v1/namespaces/default/replicasets", SELECTED, {"replicas": 0}),
        ("/apis/apps/v1/namespaces/default/statefulsets", {"serviceName": "s", **SELECTED},
         {"replicas": 0, "availableReplicas": 0}),
        ("/apis/apps/v1/namespaces/default/daemonsets", SELECTED,
         {"currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberMisscheduled": 0, "numberReady": 0}),
        ("/apis/policy/v1/namespaces/default/poddisruptionbudgets", {"minAvailable": 1},
         {"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0}),
    ],
)  # fmt: skip
async def test_a_status_begins_with_the_numbers_that_typed_clients_insist_on(
    api: Api, path: str, spec: dict[str, Any], status: dict[str, int]
) -> None:
    made = await api.ok("POST", path, {"metadata": {"name": "x"}, "spec": spec})
    assert made["status"] == status


async def test_a_job_without_labels_takes_those_of_its_template(api: Api) -> None:
    template = {**TEMPLATE, "spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}
    made = await api.ok("POST", JOBS, {"metadata": {"name": "j"}, "spec": {"template": template}})
    assert made["metadata"]["labels"] == made["spec"]["template"]["metadata"]["labels"]
    assert set(made["metadata"]["labels"]) >= {"a", "controller-uid", "batch.kubernetes.io/job-name"}
    assert made["spec"]["manualSelector"] is False
    made = await api.ok(
        "POST", JOBS, {"metadata": {"name": "k", "labels": {"own": "1"}}, "spec": {"template": template}}
    )
    assert made["metadata"]["labels"] == {"own": "1"}


async def test_a_secrets_text_is_owned_as_the_data_that_it_becomes(api: Api) -> None:
    secret = {"metadata": {"name": "s"}, "stringData": {"k": "v"}}
    made = await api.ok("POST", SECRETS, secret)
    assert made["metadata"]["managedFields"][0]["fieldsV1"]["f:data"] == {".": {}, "f:k": {}}
    patched = await api.ok("PATCH", f"{SECRETS}/s", {"stringData": {"l": "w"}}, type=MERGE)
    assert (patched["data"], "stringData" in patched) == ({"k": "dg==", "l": "dw=="}, False)


async def test_an_event_says_what_it_does_not_know(api: Api) -> None:
    event = {"metadata": {"name": "e"}, "involvedObject": {"namespace": "default"}, "reason": "R"}
    made = await api.ok("POST", EVENTS, event)
    shown = (
        "eventTime",
        "firstTimestamp",
        "lastTimestamp",
        "source",
        "reportingComponent",
        "reportingInstance",
    )
    assert [made[name] for name in shown] == [None, None, None, {}, "", ""]


async def test_the_end_of_a_namespace_is_not_one_of_grace(api: Api) -> None:
    await api.ok("POST", "/api/v1/namespaces", {"metadata": {"name": "n"}})
    ending = await api.ok("DELETE", "/api/v1/namespaces/n")
    assert "deletionTimestamp" in ending["metadata"]
    assert "deletionGracePeriodSeconds" not in ending["metadata"]


async def test_an_update_is_judged_as_an_object_before_it_is_as_a_change(api: Api) -> None:
    await api.ok("POST", DEPLOYMENTS, {"metadata": {"name": "d"}, "spec": SELECTED})
    change = {"spec": {"selector": {"matchLabels": {"z": "1"}}}}
    status, answer = await api.send("PATCH", f"{DEPLOYMENTS}/d", change, type=MERGE)
    assert status == 422
    assert [cause["field"] for cause in answer["details"]["causes"]] == [
        "spec.template.metadata.labels",
        "spec.selector",
    ]


@pytest.mark.parametrize(
    ("spec", "families", "policy"),
    [
        ({"clusterIP": "None"}, ["IPv4", "IPv6"], "RequireDualStack"),
        ({"clusterIP": "None", "ipFamilyPolicy": "SingleStack"}, ["IPv4"], "SingleStack"),
        ({"clusterIP": "None", "selector": {"a": "b"}}, ["IPv4"], "SingleStack"),
    ],
)
async def test_endpoints_that_somebody_else_fills_in_may_be_of_both_families(
    api: Api, spec: dict[str, Any], families: list[str], policy: str
) -> None:
    services = "/api/v1/namespaces/default/services"
    made = (await api.ok("POST", services, {"metadata": {"name": "s"}, "spec": spec}))["spec"]
    assert (made["ipFamilies"], made["ipFamilyPolicy"]) == (families, policy)


@pytest.mark.parametrize(
    ("path", "asked", "resource"),
    [
        ("/apis/coordination.k8s.io/v1/namespaces/default/leases", {"spec": {}}, "leases.coordination.k8s.io"),
        ("/apis/policy/v1/namespaces/default/poddisruptionbudgets", {"spec": {"minAvailable": 1}},
         "poddisruptionbudgets.policy"),
        ("/apis/node.k8s.io/v1/runtimeclasses", {"handler": "h"}, "runtimeclasses.node.k8s.io"),
    ],
)  # fmt: skip
async def test_some_kinds_are_updated_only_by_who_says_what_it_saw(
    api: Api, path: str, asked: dict[str, Any], resource: str
) -> None:
    made = await api.ok("POST", path, {**asked, "metadata": {"name": "x"}})
    status, answer = await api.send("PUT", f"{path}/x", {**asked, "metadata": {"name": "x"}})
    assert (status, answer["message"]) == (
        422,
        f'{resource} "x" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update',
    )
    await api.ok("PUT", f"{path}/x", made)


async def test_unknown_fields_of_a_patch_are_told_in_order(api: Api) -> None:
    await api.ok("POST", CONFIGS, config())
    patch = {"zzz": 1, "metadata": {"lables": {}}, "bogus": 1}
    status, answer = await api.send("PATCH", f"{CONFIGS}/c", patch, type=MERGE, fieldValidation="Strict")
    assert status == 422
    assert answer["message"].endswith(
        'strict decoding error: unknown field "bogus", unknown field "metadata.lables", unknown field "zzz"'
    )


TWICE = b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"c","labels":{"x":"1","x":"2"}},"data":{"k":"1","k":"2"}}'
TWICE_IN_YAML = b"""kind: ConfigMap
apiVersion: v1
metadata: {name: c}
data:
  k: "1"
  k: "2"
"""
LINE = 'line 6: key "k" already set in map'


@pytest.mark.parametrize(
    ("method", "type_", "body", "warnings", "code", "message"),
    [
        ("POST", "application/json", TWICE,
         ['duplicate field "metadata.labels.x"', 'duplicate field "data.k"'], 400,
         'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: '
         'duplicate field "metadata.labels.x", duplicate field "data.k"'),
        ("PUT", "application/json", TWICE.replace(b'"labels":{"x":"1","x":"2"}', b'"odd":{"a":1,"a":1}'),
         ['duplicate field "data.k"', 'unknown field "metadata.odd"'], 400,
         'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: '
         'duplicate field "data.k", unknown field "metadata.odd"'),
        ("POST", YAML, TWICE_IN_YAML + b"bogus: 1", [LINE, 'unknown field "bogus"'], 400,
         'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: yaml: unmarshal errors:\n'
         f'  {LINE}, unknown field "bogus"'),
        ("PATCH", APPLY, TWICE_IN_YAML, [LINE], 400,
         f"error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  {LINE}"),
        ("PATCH", STRATEGIC, b'{"data":{"k":"1","k":"2"},"odd":[1,null]}',
         ['duplicate field "data.k"', 'unknown field "odd"'], 422,
         ' "" is invalid: patch: Invalid value: "map[data:map[k:2] odd:[1 <nil>]]": strict decoding error: '
         'duplicate field "data.k", unknown field "odd"'),
        ("PATCH", JSON_PATCH, b'[{"op":"add","path":"/data","value":1,"value":{"k":"2"},"foo":1}]',
         ['json patch duplicate field "[0].value"', 'json patch unknown field "[0].foo"'], 422, None),
        ("PATCH", MERGE, b'{"data":{"k":"1","k":"2"}}', ['duplicate field "data.k"'], 422, None),
    ],
)  # fmt: skip
async def test_what_is_there_twice_is_refused_told_or_taken(
    api: Api, method: str, type_: str, body: bytes, warnings: list[str], code: int, message: str | None
) -> None:
    if method != "POST":
        await api.ok("POST", CONFIGS, config())
    path = CONFIGS if method == "POST" else f"{CONFIGS}/c"
    query: dict[str, Any] = {
        "dryRun": "All",
        **({"fieldManager": "m", "force": "true"} if type_ == APPLY else {}),
    }
    for validation in ("Ignore", "Warn"):
        made = await api.ok(method, path, body, type=type_, fieldValidation=validation, **query)
        assert made["data"] == {"k": "2"}
        assert api.warnings == ([] if validation == "Ignore" else warnings)
    status, answer = await api.send(method, path, body, type=type_, fieldValidation="Strict", **query)
    assert status == code
    if message is None:
        assert all(
            text in answer["message"] for text in ('Invalid value: "{', "strict decoding error: ", *warnings)
        )
    else:
        assert answer["message"] == message


async def test_a_binding_is_read_as_strictly(api: Api) -> None:
    body = b'{"target":{"name":"n","name":"m"},"odd":1}'
    status, answer = await api.send("POST", f"{PODS}/p/binding", body, fieldValidation="Strict")
    assert (status, answer["message"]) == (
        400,
        'Binding in version "v1" cannot be handled as a Binding: strict decoding error: '
        'duplicate field "target.name", unknown field "odd"',
    )


async def test_who_writes_what_is_valid_and_odd_is_warned(api: Api) -> None:
    odd: dict[str, Any] = {"nodeSelector": {"beta.kubernetes.io/os": "linux"}}
    text = 'spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead'
    await api.ok("POST", PODS, pod(**odd))
    assert api.warnings == [text]
    status, _ = await api.send("POST", PODS, pod(**odd, restartPolicy="No"))
    assert (status, api.warnings) == (422, [])
    template = {**TEMPLATE, "spec": {**TEMPLATE["spec"], **odd}}
    made = {"metadata": {"name": "d"}, "spec": {**SELECTED, "template": template}}
    for changed, warned in (({"labels": {"x": "y"}}, False), ({"annotations": {"x": "y"}}, True)):
        await api.send("POST", DEPLOYMENTS, made)
        await api.ok("PATCH", f"{DEPLOYMENTS}/d", {"metadata": changed}, type=MERGE)
        assert api.warnings == ([f"spec.template.{text}"] if warned else [])


async def test_annotations_are_a_generation_of_a_deployment(api: Api) -> None:
    await api.ok("POST", DEPLOYMENTS, {"metadata": {"name": "d"}, "spec": SELECTED})
    for changed, path, generation in (
        ({"annotations": {"a": "1"}}, f"{DEPLOYMENTS}/d/status", 1),
        ({"labels": {"a": "1"}}, f"{DEPLOYMENTS}/d", 1),
        ({"annotations": {"a": "2"}}, f"{DEPLOYMENTS}/d", 2),
    ):
        now = await api.ok("PATCH", path, {"metadata": changed}, type=MERGE)
        assert now["metadata"]["generation"] == generation


async def test_a_pod_ends_no_sooner_than_it_can(api: Api) -> None:
    made = await api.ok("POST", PODS, pod(terminationGracePeriodSeconds=-1))
    assert (made["spec"]["terminationGracePeriodSeconds"], api.warnings) == (1, [])
