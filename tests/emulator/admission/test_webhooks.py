"""What webhooks are asked, when, and what becomes of their answers; over a network without sockets."""

from typing import Any

import pytest

from aliquot.emulator.storage.store import Store
from tests.emulator.admission.hooks import (
    CONFIGURATIONS,
    EVERY_CONFIG,
    Wire,
    allow,
    configure,
    deny,
    hook,
    label,
    patch,
)
from tests.emulator.api import CONFIGS, MERGE, PODS, Api, FixedClock, config, new_api, pod
from tests.emulator.test_api_writes import DEPLOYMENTS, deployment

Json = dict[str, Any]


# ---- what they are asked -------------------------------------------------------------------------------------


async def test_a_webhook_is_told_what_is_done_by_whom(api: Api, wire: Wire) -> None:
    await configure(api, "Validating", hook())
    ann = api.as_user("ann", "system:masters", "devs")
    await ann.ok("POST", CONFIGS, config("c", a="1"), fieldManager="m")
    await ann.ok("PATCH", f"{CONFIGS}/c", {"data": {"a": "2"}}, type=MERGE)
    await ann.ok("DELETE", f"{CONFIGS}/c", {"gracePeriodSeconds": 0})
    created, updated, deleted = wire.asked()
    assert created == {
        "uid": created["uid"],
        "kind": {"group": "", "version": "v1", "kind": "ConfigMap"},
        "resource": {"group": "", "version": "v1", "resource": "configmaps"},
        "requestKind": {"group": "", "version": "v1", "kind": "ConfigMap"},
        "requestResource": {"group": "", "version": "v1", "resource": "configmaps"},
        "name": "c",
        "namespace": "default",
        "operation": "CREATE",
        "userInfo": {"username": "ann", "groups": ["system:masters", "devs", "system:authenticated"]},
        "object": created["object"],
        "oldObject": None,
        "dryRun": False,
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1", "fieldManager": "m"},
    }
    assert created["object"]["data"] == {"a": "1"}
    # A validating webhook sees the object as it is stored.
    assert created["object"]["metadata"]["uid"]
    assert (updated["operation"], updated["oldObject"]["data"], updated["object"]["data"]) == (
        "UPDATE",
        {"a": "1"},
        {"a": "2"},
    )
    assert updated["options"]["kind"] == "UpdateOptions"
    assert (deleted["operation"], deleted["object"], deleted["oldObject"]["data"]) == (
        "DELETE",
        None,
        {"a": "2"},
    )
    assert deleted["options"] == {
        "kind": "DeleteOptions",
        "apiVersion": "meta.k8s.io/v1",
        "gracePeriodSeconds": 0,
    }
    assert len({one["uid"] for one in wire.asked()}) == 3


async def test_a_mutating_webhook_sees_the_object_before_the_server_adds_its_own(
    api: Api, wire: Wire
) -> None:
    await configure(api, "Mutating", hook())
    asked = config()
    asked["metadata"] = {"generateName": "c-"}
    await api.ok("POST", CONFIGS, asked)
    (created,) = wire.asked()
    assert "name" not in created
    assert created["object"]["metadata"]["generateName"] == "c-"
    assert created["object"]["metadata"]["namespace"] == "default"
    assert not {"uid", "name", "creationTimestamp"} & set(created["object"]["metadata"])


async def test_v1beta1_is_spoken_where_nothing_newer_is(api: Api, wire: Wire) -> None:
    def old_fashioned(review: Json) -> Json:
        answered = label(review, "old", "yes")
        assert review["apiVersion"] == "admission.k8s.io/v1beta1"
        del answered["response"]["uid"], answered["response"]["patchType"]
        return {"response": answered["response"]}

    wire.handlers["h.example.com"] = old_fashioned
    await configure(api, "Mutating", hook(admissionReviewVersions=["v2", "v1beta1"]))
    made = await api.ok("POST", CONFIGS, config())
    assert made["metadata"]["labels"] == {"old": "yes"}


async def test_bodies_that_are_no_stored_objects_are_told_as_they_are(api: Api, wire: Wire) -> None:
    rule = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}
    await configure(api, "Validating", hook(rules=[rule]))
    await api.ok("POST", DEPLOYMENTS, deployment(replicas=1))
    await api.ok("PATCH", f"{DEPLOYMENTS}/d/scale", {"spec": {"replicas": 3}}, type=MERGE)
    await api.ok("POST", PODS, pod())
    await api.ok("POST", f"{PODS}/p/binding", {"metadata": {"name": "p"}, "target": {"name": "n"}})
    await api.ok("POST", f"{PODS}/p/eviction", {"metadata": {"name": "p"}})
    told = [
        (one["operation"], one["resource"]["resource"], one.get("subResource", ""), one["kind"]["kind"])
        for one in wire.asked()
    ]
    assert told == [
        ("CREATE", "deployments", "", "Deployment"),
        ("UPDATE", "deployments", "scale", "Scale"),
        ("CREATE", "pods", "", "Pod"),
        ("CREATE", "pods", "binding", "Binding"),
        ("CREATE", "pods", "eviction", "Eviction"),
    ]
    scaled = wire.asked()[1]
    assert (scaled["oldObject"]["spec"], scaled["object"]["spec"]) == ({"replicas": 1}, {"replicas": 3})


async def test_a_mutating_webhook_may_change_a_scale(api: Api, wire: Wire) -> None:
    rule = {**EVERY_CONFIG, "apiGroups": ["apps"], "resources": ["deployments/scale"]}
    await configure(api, "Mutating", hook(rules=[rule]))
    wire.handlers["h.example.com"] = lambda review: patch(
        review, {"op": "replace", "path": "/spec/replicas", "value": 2}
    )
    await api.ok("POST", DEPLOYMENTS, deployment(replicas=1))
    scaled = await api.ok("PATCH", f"{DEPLOYMENTS}/d/scale", {"spec": {"replicas": 9}}, type=MERGE)
    assert scaled["spec"] == {"replicas": 2}
    assert (await api.get(f"{DEPLOYMENTS}/d"))[1]["spec"]["replicas"] == 2


async def test_an_equivalent_version_is_told_in_the_version_asked_for(api: Api, wire: Wire) -> None:
    rule = {**EVERY_CONFIG, "apiGroups": ["events.k8s.io"], "resources": ["events"]}
    wire.handlers["h.example.com"] = lambda review: patch(
        review, {"op": "replace", "path": "/note", "value": "changed"}
    )
    await configure(api, "Mutating", hook(rules=[rule]))
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "e", "namespace": "default"},
        "involvedObject": {"namespace": "default"},
        "message": "said",
        "type": "Normal",
    }
    made = await api.ok("POST", "/api/v1/namespaces/default/events", event)
    (asked,) = wire.asked()
    assert asked["resource"] == {"group": "events.k8s.io", "version": "v1", "resource": "events"}
    assert asked["requestResource"] == {"group": "", "version": "v1", "resource": "events"}
    assert (asked["object"]["apiVersion"], asked["object"]["note"]) == ("events.k8s.io/v1", "said")
    assert (made["apiVersion"], made["message"]) == ("v1", "changed")


async def test_an_equivalent_version_is_another_where_only_the_exact_one_is_meant(
    api: Api, wire: Wire
) -> None:
    rule = {**EVERY_CONFIG, "apiGroups": ["events.k8s.io"], "resources": ["events"]}
    await configure(api, "Validating", hook(rules=[rule], matchPolicy="Exact"))
    event = {"metadata": {"name": "e", "namespace": "default"}, "involvedObject": {"namespace": "default"}}
    await api.ok("POST", "/api/v1/namespaces/default/events", event)
    assert not wire.reviews


# ---- whom it concerns ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "called"),
    [
        ({}, True),
        ({"rules": [{**EVERY_CONFIG, "operations": ["DELETE"]}]}, False),
        ({"rules": [{**EVERY_CONFIG, "scope": "Cluster"}]}, False),
        ({"objectSelector": {"matchLabels": {"tier": "gold"}}}, True),
        ({"objectSelector": {"matchLabels": {"tier": "lead"}}}, False),
        ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}}, True),
        ({"namespaceSelector": {"matchExpressions": [{"key": "x", "operator": "Exists"}]}}, False),
        ({"matchConditions": [{"name": "n", "expression": "object.data.a == '1'"}]}, True),
        ({"matchConditions": [{"name": "n", "expression": "request.userInfo.username == 'ann'"}]}, False),
        (
            {
                "matchConditions": [
                    {"name": "n", "expression": "authorizer.requestResource.check('get').allowed()"}
                ]
            },
            True,
        ),
        # One that says no decides, even when another cannot be evaluated.
        (
            {
                "matchConditions": [
                    {"name": "a", "expression": "object.nothing == 1"},
                    {"name": "b", "expression": "false"},
                ]
            },
            False,
        ),
        (
            {
                "failurePolicy": "Ignore",
                "matchConditions": [{"name": "a", "expression": "object.nothing == 1"}],
            },
            False,
        ),
    ],
)
async def test_a_webhook_is_called_where_it_matches(
    api: Api, wire: Wire, changes: Json, called: bool
) -> None:
    await configure(api, "Validating", hook(**changes))
    await api.ok("POST", CONFIGS, config("c", {"tier": "gold"}, a="1"))
    assert bool(wire.asked()) is called


async def test_a_condition_that_cannot_be_evaluated_refuses(api: Api, wire: Wire) -> None:
    await configure(
        api, "Validating", hook(matchConditions=[{"name": "a", "expression": "object.nothing == 1"}])
    )
    status, answer = await api.send("POST", CONFIGS, config())
    assert (status, answer["reason"]) == (403, "Forbidden")
    assert answer["message"] == (
        "configmaps \"c\" is forbidden: expression 'object.nothing == 1' resulted in error: no such key: nothing"
    )
    assert not wire.asked()


async def test_the_configurations_themselves_are_exempt(api: Api, wire: Wire) -> None:
    everything = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}
    wire.handlers["h.example.com"] = lambda review: deny(review, message="no")
    await configure(api, "Validating", hook(rules=[everything]))
    assert (await api.send("POST", CONFIGS, config()))[0] == 400
    await api.ok("DELETE", f"{CONFIGURATIONS}/validatingwebhookconfigurations/w")
    await api.ok("POST", CONFIGS, config())


# ---- changes ---------------------------------------------------------------------------------------------------


async def test_changes_are_decoded_and_defaulted(api: Api, wire: Wire) -> None:
    rule = {**EVERY_CONFIG, "resources": ["pods"], "operations": ["CREATE"]}
    side = {"name": "side", "image": "registry.example/side:1", "nonsense": True}
    wire.handlers["h.example.com"] = lambda review: patch(
        review, {"op": "add", "path": "/spec/containers/-", "value": side}
    )
    await configure(api, "Mutating", hook(rules=[rule]))
    made = await api.ok("POST", PODS, pod())
    added = made["spec"]["containers"][1]
    assert added["imagePullPolicy"] == "IfNotPresent"
    assert "nonsense" not in added
    # The ServiceAccount's token reaches the new container too, in the volume that is there.
    volumes = [one["name"] for one in made["spec"]["volumes"]]
    assert len(volumes) == 1
    assert [one["volumeMounts"][0]["name"] for one in made["spec"]["containers"]] == volumes * 2


async def test_each_sees_what_those_before_left(api: Api, wire: Wire) -> None:
    wire.handlers = {
        "b.example.com": lambda review: label(review, "b", "1"),
        "a.example.com": lambda review: label(review, "a", "1"),
        "z.example.com": lambda review: label(review, "z", "1"),
    }
    await configure(api, "Mutating", hook("b.example.com"), hook("a.example.com"), name="second")
    await configure(api, "Mutating", hook("z.example.com"), name="first")
    made = await api.ok("POST", CONFIGS, config())
    assert made["metadata"]["labels"] == {"a": "1", "b": "1", "z": "1"}
    assert [name for name, _ in wire.reviews] == ["z.example.com", "b.example.com", "a.example.com"]
    assert [sorted(one["request"]["object"]["metadata"].get("labels") or {}) for _, one in wire.reviews] == [
        [],
        ["z"],
        ["b", "z"],
    ]


@pytest.mark.parametrize(
    ("policies", "calls"),
    [
        (("Never", "Never"), ["a", "b"]),
        (("IfNeeded", "Never"), ["a", "b", "a"]),
        (("Never", "IfNeeded"), ["a", "b"]),
        (("IfNeeded", "IfNeeded"), ["a", "b", "a"]),
    ],
)
async def test_who_wishes_is_called_again_after_a_change(
    api: Api, wire: Wire, policies: tuple[str, str], calls: list[str]
) -> None:
    wire.handlers = {"b.example.com": lambda review: label(review, "b", "1")}
    hooks = [
        hook(f"{name}.example.com", reinvocationPolicy=policy)
        for name, policy in zip("ab", policies, strict=True)
    ]
    await configure(api, "Mutating", *hooks)
    await api.ok("POST", CONFIGS, config())
    assert [name[0] for name, _ in wire.reviews] == calls


async def test_nobody_is_called_again_without_a_change(api: Api, wire: Wire) -> None:
    await configure(api, "Mutating", hook(reinvocationPolicy="IfNeeded"), hook("i.example.com"))
    await api.ok("POST", CONFIGS, config())
    assert len(wire.reviews) == 2


async def test_what_a_webhook_makes_of_an_object_must_be_valid(api: Api, wire: Wire) -> None:
    wire.handlers["h.example.com"] = lambda review: label(review, "a", "not a label")
    await configure(api, "Mutating", hook())
    assert (await api.send("POST", CONFIGS, config()))[0] == 422


# ---- beside the answer -----------------------------------------------------------------------------------------


async def test_warnings_reach_the_client_once_and_safely(api: Api, wire: Wire) -> None:
    said = ["mind the gap", "mind the gap", "two\r\nlines: x"]
    wire.handlers["h.example.com"] = lambda review: allow(review, warnings=said)
    await configure(api, "Validating", hook(), hook("i.example.com"))
    await api.ok("POST", CONFIGS, config())
    # The client keeps one header of each name: the last.
    assert api.headers["warning"] == '299 - "two  lines: x"'


async def test_long_warnings_are_cut(api: Api, wire: Wire) -> None:
    wire.handlers["h.example.com"] = lambda review: allow(review, warnings=["w" * 5000])
    await configure(api, "Validating", hook())
    await api.ok("POST", CONFIGS, config())
    assert len(api.headers["warning"]) < 300


@pytest.mark.parametrize(("effects", "status"), [("None", 201), ("NoneOnDryRun", 201)])
async def test_a_dry_run_asks_too(api: Api, wire: Wire, effects: str, status: int) -> None:
    await configure(api, "Validating", hook(sideEffects=effects))
    assert (await api.send("POST", CONFIGS, config(), dryRun="All"))[0] == status
    (asked,) = wire.asked()
    assert (asked["dryRun"], asked["options"]["dryRun"]) == (True, ["All"])


async def test_a_webhook_is_no_longer_asked_once_it_is_gone(api: Api, wire: Wire) -> None:
    await configure(api, "Validating", hook())
    path = f"{CONFIGURATIONS}/validatingwebhookconfigurations/w"
    await api.ok("PATCH", path, [{"op": "remove", "path": "/webhooks/0"}], type="application/json-patch+json")
    await api.ok("POST", CONFIGS, config())
    assert not wire.reviews


async def test_the_server_starts_without_asking(wire: Wire) -> None:
    everything = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}
    store = Store()
    api = await new_api(FixedClock(), network=wire, store=store)
    namespace = "/api/v1/namespaces/kube-node-lease"
    await api.ok("DELETE", namespace)
    await api.ok("PATCH", f"{namespace}/finalize", {"spec": {"finalizers": None}}, type=MERGE)
    assert (await api.get(namespace))[0] == 404
    wire.handlers["h.example.com"] = deny
    await configure(api, "Validating", hook(rules=[everything]))
    await api.close()
    api = await new_api(FixedClock(), network=wire, store=store)
    assert (await api.get(namespace))[0] == 200
    assert not wire.reviews
    await api.close()


# ---- Services --------------------------------------------------------------------------------------------------

SERVICES = "/api/v1/namespaces/default/services"
TO_SERVICE = {"service": {"name": "s", "namespace": "default", "path": "/check", "port": 8443}}


async def test_a_service_is_reached_by_its_external_name(api: Api, wire: Wire) -> None:
    spec = {"type": "ExternalName", "externalName": "localhost"}
    await api.ok("POST", SERVICES, {"metadata": {"name": "s"}, "spec": spec})
    await configure(api, "Validating", hook(clientConfig=TO_SERVICE))
    await api.ok("POST", CONFIGS, config())
    (endpoint,) = wire.endpoints
    assert (endpoint.url, endpoint.address) == (
        "https://s.default.svc:8443/check?timeout=10s",
        ("localhost", 8443),
    )


async def test_a_service_is_reached_at_a_ready_endpoint(api: Api, wire: Wire) -> None:
    ports = [{"name": "https", "port": 8443, "targetPort": 9}]
    await api.ok("POST", SERVICES, {"metadata": {"name": "s"}, "spec": {"ports": ports}})
    endpoints = [
        {"addresses": ["10.1.0.1"], "conditions": {"ready": False}},
        {"addresses": ["10.1.0.2"], "conditions": {"ready": True}},
    ]
    slice_ = {
        "metadata": {"name": "s-1", "labels": {"kubernetes.io/service-name": "s"}},
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [{"name": "https", "port": 9}],
    }
    await api.ok("POST", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", slice_)
    await configure(api, "Validating", hook(clientConfig=TO_SERVICE))
    await api.ok("POST", CONFIGS, config())
    assert wire.endpoints[0].address == ("10.1.0.2", 9)


@pytest.mark.parametrize(
    ("ports", "why"),
    [
        (None, 'service "s" not found'),
        ([{"port": 80}], 'no service port 8443 found for service "s"'),
        ([{"port": 8443}], 'no endpoints available for service "s"'),
    ],
)
async def test_a_service_that_cannot_be_reached_says_why(api: Api, ports: Any, why: str) -> None:
    if ports is not None:
        await api.ok("POST", SERVICES, {"metadata": {"name": "s"}, "spec": {"ports": ports}})
    await configure(api, "Validating", hook(clientConfig=TO_SERVICE))
    _, refusal = await api.send("POST", CONFIGS, config())
    assert refusal["message"] == (
        f'Internal error occurred: failed calling webhook "h.example.com": failed to call webhook: Post "https://s.default.svc:8443/check?timeout=10s": {why}'
    )
