"""What is recorded of requests, as the API server goes through them."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from aliquot.emulator.audit.policy import load
from aliquot.emulator.audit.recording import Auditor
from aliquot.emulator.verbs.subresources import LogOptions
from tests.emulator.admission.hooks import Wire, allow, configure, hook, label
from tests.emulator.api import APPLY, CONFIGS, MERGE, PODS, TABLE, Api, FixedClock, config, new_api, pod

Json = dict[str, Any]


class Kept:
    """A Backend that is a list."""

    def __init__(self) -> None:
        self.events: list[Json] = []
        self.closed = False

    def take(self, event: bytes) -> None:
        self.events.append(json.loads(event))

    async def close(self) -> None:
        self.closed = True

    def stages(self) -> list[tuple[str, str]]:
        return [(event["verb"], event["stage"]) for event in self.events]


class Recorded:
    def __init__(self, api: Api, kept: Kept, wire: Wire) -> None:
        self.api, self.kept, self.wire = api, kept, wire

    def last(self) -> Json:
        return self.kept.events[-1]


@pytest.fixture
async def recorded(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Recorded]:
    """`request.param` are the policy's rules, and what stands beside them."""
    text = getattr(request, "param", "rules: [{level: RequestResponse}]")
    path = tmp_path / "policy.yaml"
    path.write_text(f"apiVersion: audit.k8s.io/v1\nkind: Policy\n{text}\n")
    clock, kept, wire = FixedClock(), Kept(), Wire()

    async def logs(pod: Any, options: LogOptions) -> AsyncIterator[bytes]:
        yield b"line\n"

    auditor = Auditor(load(path), [kept], clock=clock, rng=Random(1))
    api = await new_api(clock, network=wire, auditor=auditor, logs=logs)
    yield Recorded(api, kept, wire)
    api.server.stop()
    await api.close()
    await api.server.close()
    assert kept.closed


METADATA = "rules: [{level: Metadata}]"
REQUEST = "omitStages: [RequestReceived]\nrules: [{level: Request}]"


@pytest.mark.parametrize("recorded", [METADATA], indirect=True)
async def test_an_event_says_who_did_what_when(recorded: Recorded) -> None:
    ann = recorded.api.as_user("ann", "system:masters")
    headers = {
        "x-forwarded-for": "192.0.2.1, nonsense, 192.0.2.2",
        "x-real-ip": "192.0.2.3",
        "audit-id": "mine",
    }
    await ann.ok("POST", CONFIGS, config("c", a="secret"), headers=headers, fieldManager="m")
    assert ann.headers["audit-id"] == "mine"
    received, complete = recorded.kept.events
    assert complete == {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": "mine",
        "stage": "ResponseComplete",
        "requestURI": "/api/v1/namespaces/default/configmaps?fieldManager=m",
        "verb": "create",
        "user": {"username": "ann", "groups": ["system:masters", "system:authenticated"]},
        "sourceIPs": ["192.0.2.1", "192.0.2.2", "192.0.2.3"],
        "userAgent": "tests/1",
        "objectRef": {
            "resource": "configmaps",
            "namespace": "default",
            "name": "c",
            "apiVersion": "v1",
        },
        "responseStatus": {"metadata": {}, "code": 201},
        "requestReceivedTimestamp": "2026-01-01T00:00:00.000000Z",
        "stageTimestamp": "2026-01-01T00:00:00.000000Z",
        "annotations": {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""},
    }
    assert received["stage"] == "RequestReceived"
    assert not {"responseStatus", "annotations"} & set(received)
    assert "secret" not in json.dumps(recorded.kept.events)


async def test_every_request_has_an_id_of_its_own(recorded: Recorded) -> None:
    await recorded.api.ok("GET", CONFIGS)
    first = recorded.api.headers["audit-id"]
    await recorded.api.ok("GET", CONFIGS)
    assert recorded.api.headers["audit-id"] != first
    assert {event["auditID"] for event in recorded.kept.events} == {first, recorded.api.headers["audit-id"]}


@pytest.mark.parametrize("recorded", [REQUEST], indirect=True)
@pytest.mark.parametrize(
    ("method", "path", "body", "type_", "kept"),
    [
        ("PUT", f"{CONFIGS}/c", config("c", a="2"), "application/json", config("c", a="2")),
        ("PATCH", f"{CONFIGS}/c", {"data": {"a": "3"}}, MERGE, {"data": {"a": "3"}}),
        (
            "PATCH",
            f"{CONFIGS}/c",
            b"apiVersion: v1\nkind: ConfigMap\n",
            APPLY,
            {"apiVersion": "v1", "kind": "ConfigMap"},
        ),
        ("DELETE", f"{CONFIGS}/c", {"gracePeriodSeconds": 0}, "application/json", {"gracePeriodSeconds": 0}),
        ("DELETE", f"{CONFIGS}/c", b"", "application/json", None),
        ("PUT", f"{CONFIGS}/c", b"{", "application/json", None),
        ("GET", f"{CONFIGS}/c", b"", "application/json", None),
    ],
)
async def test_the_request_is_kept_as_it_was_sent(
    recorded: Recorded, method: str, path: str, body: Any, type_: str, kept: Any
) -> None:
    await recorded.api.ok("POST", CONFIGS, config("c", a="1"))
    await recorded.api.send(method, path, body, type=type_, fieldManager="m")
    assert recorded.last().get("requestObject") == kept
    assert "responseObject" not in recorded.last()


async def test_the_answer_is_kept_where_it_is_asked_for(recorded: Recorded) -> None:
    made = await recorded.api.ok("POST", CONFIGS, config("c", a="1"))
    assert recorded.last()["responseObject"] == made
    listed = await recorded.api.ok("GET", CONFIGS)
    assert recorded.last()["responseObject"] == listed
    await recorded.api.ok("GET", "/version")
    assert not {"responseObject", "objectRef"} & set(recorded.last())


@pytest.mark.parametrize(
    "recorded", ["omitManagedFields: true\nrules: [{level: RequestResponse}]"], indirect=True
)
async def test_managed_fields_can_be_left_out(recorded: Recorded) -> None:
    made = await recorded.api.ok("POST", CONFIGS, config("c", a="1"))
    assert made["metadata"]["managedFields"]
    assert recorded.last()["responseObject"]["metadata"]["uid"] == made["metadata"]["uid"]
    assert "managedFields" not in recorded.last()["responseObject"]["metadata"]
    await recorded.api.ok("PUT", f"{CONFIGS}/c", made)
    assert "managedFields" not in recorded.last()["requestObject"]["metadata"]
    assert recorded.last()["objectRef"]["uid"] == made["metadata"]["uid"]
    assert recorded.last()["objectRef"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    await recorded.api.ok("GET", CONFIGS)
    assert "managedFields" not in json.dumps(recorded.last())
    await recorded.api.send("GET", CONFIGS, accept=TABLE, includeObject="Object")
    assert recorded.last()["responseObject"]["rows"]
    assert "managedFields" not in json.dumps(recorded.last())


@pytest.mark.parametrize(
    "recorded", ["rules: [{level: None, verbs: [get]}, {level: Metadata}]"], indirect=True
)
async def test_what_is_not_recorded_leaves_nothing(recorded: Recorded) -> None:
    await recorded.api.ok("GET", "/version")
    assert recorded.kept.events == []


async def test_a_refusal_is_kept_in_its_words(recorded: Recorded) -> None:
    status, answer = await recorded.api.get(f"{CONFIGS}/nothing")
    assert status == 404
    assert recorded.last()["responseStatus"] == {
        "metadata": {},
        "status": "Failure",
        "message": answer["message"],
        "reason": "NotFound",
        "details": answer["details"],
        "code": 404,
    }
    assert "objectRef" in recorded.last()


async def test_who_may_not_is_told_apart(recorded: Recorded) -> None:
    nobody = recorded.api.as_user("nobody")
    assert (await nobody.get(CONFIGS))[0] == 403
    annotations = recorded.last()["annotations"]
    assert annotations["authorization.k8s.io/decision"] == "forbid"
    role = {
        "metadata": {"name": "r"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}],
    }
    binding = {
        "metadata": {"name": "b"},
        "roleRef": {"kind": "ClusterRole", "name": "r"},
        "subjects": [{"kind": "User", "name": "nobody"}],
    }
    base = "/apis/rbac.authorization.k8s.io/v1"
    await recorded.api.ok("POST", f"{base}/clusterroles", role)
    await recorded.api.ok("POST", f"{base}/clusterrolebindings", binding)
    await nobody.ok("GET", CONFIGS)
    assert recorded.last()["annotations"] == {
        "authorization.k8s.io/decision": "allow",
        "authorization.k8s.io/reason": 'RBAC: allowed by ClusterRoleBinding "b" of ClusterRole "r" to User "nobody"',
    }


async def test_whom_somebody_acts_as_is_said_beside_who_they_are(recorded: Recorded) -> None:
    await recorded.api.send("GET", CONFIGS, headers={"impersonate-user": "bob", "impersonate-group": "devs"})
    assert recorded.last()["user"]["username"] == "admin"
    assert recorded.last()["impersonatedUser"] == {
        "username": "bob",
        "groups": ["devs", "system:authenticated"],
    }


async def test_who_cannot_be_made_out_is_recorded_once(recorded: Recorded) -> None:
    stranger = recorded.api.as_user("")
    status, _ = await stranger.send("GET", CONFIGS, headers={"authorization": "Bearer nonsense"})
    assert status == 401
    (event,) = recorded.kept.events
    assert (event["stage"], event["user"]) == ("ResponseStarted", {})
    assert event["responseStatus"] == {
        "metadata": {},
        "message": "Authentication failed, attempted: bearer",
        "code": 401,
    }


async def test_what_goes_on_for_long_has_a_beginning_and_an_end(recorded: Recorded) -> None:
    watch = await recorded.api.watch(CONFIGS)
    assert recorded.kept.stages() == [("watch", "RequestReceived"), ("watch", "ResponseStarted")]
    recorded.api.server.stop()
    await watch.rest()
    assert recorded.kept.stages()[2:] == [("watch", "ResponseComplete")]
    assert "responseObject" not in recorded.last()


async def test_logs_go_on_for_long_too(recorded: Recorded) -> None:
    await recorded.api.ok("POST", PODS, pod(nodeName="n"))
    recorded.kept.events.clear()
    await recorded.api.ok("GET", f"{PODS}/p/log")
    assert [stage for _, stage in recorded.kept.stages()] == [
        "RequestReceived",
        "ResponseStarted",
        "ResponseComplete",
    ]
    assert recorded.last()["objectRef"]["subresource"] == "log"
    # One that is refused began too.
    await recorded.api.get(f"{PODS}/p/log", container="nothing")
    assert [stage for _, stage in recorded.kept.stages()[3:]] == [
        "RequestReceived",
        "ResponseStarted",
        "ResponseComplete",
    ]


async def test_a_defect_of_the_server_is_recorded(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(recorded.api.server.storage, "of", broken)
    status, _ = await recorded.api.send("GET", CONFIGS + "/c", accept=TABLE)
    assert status == 404
    monkeypatch.setattr(recorded.api.server.store, "get", broken)
    assert (await recorded.api.get(f"{CONFIGS}/c"))[0] == 500
    assert (recorded.last()["stage"], recorded.last()["responseStatus"]["reason"]) == (
        "Panic",
        "InternalError",
    )
    assert "broken" in recorded.last()["responseStatus"]["message"]


def patch_of(event: Json) -> Any:
    return event["annotations"].get("patch.webhook.admission.k8s.io/round_0_index_0")


async def test_webhooks_leave_notes(recorded: Recorded) -> None:
    recorded.wire.handlers = {
        "a.example.com": lambda review: label(review, "by", "a"),
        "b.example.com": lambda review: {},
        "c.example.com": lambda review: allow(
            review, auditAnnotations={"why": "because", "not a key": "x", "why/not": "y"}
        ),
    }
    await configure(
        recorded.api, "Mutating", hook("a.example.com"), hook("b.example.com", failurePolicy="Ignore")
    )
    await configure(recorded.api, "Validating", hook("c.example.com"))
    await recorded.api.ok("POST", CONFIGS, config())
    notes = recorded.last()["annotations"]
    assert json.loads(notes["mutation.webhook.admission.k8s.io/round_0_index_0"]) == {
        "configuration": "w",
        "webhook": "a.example.com",
        "mutated": True,
    }
    assert json.loads(patch_of(recorded.last())) == {
        "configuration": "w",
        "webhook": "a.example.com",
        "patch": [{"op": "add", "path": "/metadata/labels", "value": {"by": "a"}}],
        "patchType": "JSONPatch",
    }
    assert notes["failed-open.mutation.webhook.admission.k8s.io/round_0_index_1"] == "b.example.com"
    assert json.loads(notes["mutation.webhook.admission.k8s.io/round_0_index_1"])["mutated"] is False
    assert notes["c.example.com/why"] == "because"
    assert not [key for key in notes if "not" in key]


@pytest.mark.parametrize("recorded", [METADATA], indirect=True)
async def test_what_a_webhook_changed_is_as_secret_as_the_body(recorded: Recorded) -> None:
    recorded.wire.handlers = {"h.example.com": lambda review: label(review, "by", "a")}
    await configure(recorded.api, "Mutating", hook())
    await recorded.api.ok("POST", CONFIGS, config())
    assert patch_of(recorded.last()) is None
    assert "mutation.webhook.admission.k8s.io/round_0_index_0" in recorded.last()["annotations"]


async def test_secrets_come_as_protobuf_too(recorded: Recorded) -> None:
    # A body that cannot be read is no reason to record nothing.
    nonsense = base64.b64decode("azhzAA==") + b"\xff"
    await recorded.api.send("POST", CONFIGS, nonsense, type="application/vnd.kubernetes.protobuf")
    assert recorded.last()["responseStatus"]["code"] == 400
    assert "requestObject" not in recorded.last()


async def test_without_an_auditor_there_is_no_id(api: Api) -> None:
    await api.ok("GET", CONFIGS)
    assert "audit-id" not in api.headers
