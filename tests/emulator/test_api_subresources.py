import json
from base64 import b64decode
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from aliquot.clock import parse_rfc3339
from aliquot.emulator.verbs.subresources import LogOptions, LogsUnavailable
from tests.emulator.api import APPLY, CONFIGS, JSON_PATCH, MERGE, PODS, TABLE, Api, FixedClock, new_api, pod
from tests.emulator.test_api_writes import DEPLOYMENTS, deployment

BINDING = {
    "apiVersion": "v1",
    "kind": "Binding",
    "metadata": {"name": "p"},
    "target": {"kind": "Node", "name": "n1"},
}


async def test_a_binding_puts_a_pod_on_a_node_with_its_annotations(api: Api) -> None:
    asked = pod()
    asked["metadata"]["annotations"] = {"a": "1", "b": "1"}
    await api.ok("POST", PODS, asked)
    binding = {**BINDING, "metadata": {"name": "p", "annotations": {"b": "2", "c": "2"}}}
    status, answer = await api.send("POST", f"{PODS}/p/binding", binding)
    assert (status, answer) == (
        201,
        {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201},
    )
    bound = (await api.get(f"{PODS}/p"))[1]
    assert bound["spec"]["nodeName"] == "n1"
    assert bound["metadata"]["annotations"] == {"a": "1", "b": "2", "c": "2"}
    assert [(one["type"], one["status"]) for one in bound["status"]["conditions"]] == [
        ("PodScheduled", "True")
    ]


async def test_a_pod_is_bound_once(api: Api) -> None:
    await api.ok("POST", PODS, pod())
    await api.ok("POST", f"{PODS}/p/binding", BINDING)
    status, answer = await api.send("POST", f"{PODS}/p/binding", BINDING)
    assert (status, answer["reason"], answer["message"]) == (
        409,
        "Conflict",
        'Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n1"',
    )


@pytest.mark.parametrize(
    ("binding", "spec", "status", "words"),
    [
        ({**BINDING, "target": {}}, {}, 422, "target.name: Required value"),
        ({**BINDING, "target": {"kind": "Rack", "name": "r"}}, {}, 422, "target.kind: Unsupported value"),
        ({**BINDING, "metadata": {"name": "p", "uid": "another"}}, {}, 409, "UID in precondition: another"),
        (BINDING, {"schedulingGates": [{"name": "g"}]}, 409, "non-empty .spec.schedulingGates"),
        ({**BINDING, "metadata": {}}, {}, 400, "name in URL does not match name in Binding object"),
        (
            {**BINDING, "metadata": {"name": "q"}},
            {},
            400,
            "name in URL does not match name in Binding object",
        ),
        ({"kind": "Pod"}, {}, 400, "Binding"),
    ],
)
async def test_a_binding_that_cannot_be_is_refused(
    api: Api, binding: Any, spec: Any, status: int, words: str
) -> None:
    await api.ok("POST", PODS, pod(**spec))
    answered, answer = await api.send("POST", f"{PODS}/p/binding", binding)
    assert answered == status
    assert words in answer["message"]
    assert "nodeName" not in (await api.get(f"{PODS}/p"))[1]["spec"]


BINDINGS = "/api/v1/namespaces/default/bindings"


async def test_a_binding_sent_to_all_says_which_pod_it_is_for(api: Api) -> None:
    await api.ok("POST", PODS, pod())
    named = {"name": "p", "annotations": {"a": "b"}}
    assert (await api.ok("POST", BINDINGS, {**BINDING, "metadata": named}))["code"] == 201
    bound = await api.ok("GET", f"{PODS}/p")
    assert (bound["spec"]["nodeName"], bound["metadata"]["annotations"]) == ("n1", {"a": "b"})


@pytest.mark.parametrize(
    ("path", "metadata", "status", "words"),
    [
        (BINDINGS, {}, 400, "Name parameter required."),
        (BINDINGS, {"name": "q"}, 404, 'pods "q" not found'),
        (BINDINGS, {"name": "p", "namespace": "other"}, 400, "the namespace of the provided object does not"),
        (
            f"{PODS}/p/binding",
            {"name": "p", "namespace": "other"},
            400,
            "the namespace of the provided object",
        ),
    ],
)
async def test_a_binding_that_fits_no_pod(
    api: Api, path: str, metadata: dict[str, str], status: int, words: str
) -> None:
    await api.ok("POST", PODS, pod())
    found, answer = await api.send("POST", path, {**BINDING, "metadata": metadata})
    assert found == status
    assert words in answer["message"]
    assert "nodeName" not in (await api.ok("GET", f"{PODS}/p"))["spec"]
    assert (await api.get(BINDINGS))[0] == 405


@pytest.mark.parametrize(
    ("query", "options", "status", "stays"),
    [
        ({"dryRun": "All"}, {}, 201, True),
        ({}, {"dryRun": ["All"]}, 201, True),
        ({"dryRun": "All"}, {"dryRun": ["All", "All"]}, 500, True),
        ({"gracePeriodSeconds": "soon"}, {}, 201, False),
        ({}, {"preconditions": {"uid": ""}}, 409, True),
    ],
)
async def test_how_a_pod_is_evicted_is_said_in_the_eviction(
    api: Api, query: dict[str, Any], options: dict[str, Any], status: int, stays: bool
) -> None:
    await api.ok("POST", PODS, pod())
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
    found, _ = await api.send("POST", f"{PODS}/p/eviction", {**eviction, "deleteOptions": options}, **query)
    assert (found, (await api.get(f"{PODS}/p"))[0] == 200) == (status, stays)


async def test_an_eviction_deletes_with_grace(api: Api) -> None:
    await api.ok("POST", PODS, pod(nodeName="n1"))
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
    status, _ = await api.send(
        "POST", f"{PODS}/p/eviction", {**eviction, "deleteOptions": {"gracePeriodSeconds": 7}}
    )
    assert status == 201
    assert (await api.get(f"{PODS}/p"))[1]["metadata"]["deletionGracePeriodSeconds"] == 7
    for named in ({"name": "q"}, {}):
        status, answer = await api.send("POST", f"{PODS}/p/eviction", {**eviction, "metadata": named})
        assert (status, answer["message"]) == (400, "name in URL does not match name in Eviction object")


# ---- scale -------------------------------------------------------------------------------------------------


async def test_a_scale_shows_and_sets_the_replicas(api: Api) -> None:
    await api.ok("POST", DEPLOYMENTS, deployment(replicas=2))
    scale = (await api.get(f"{DEPLOYMENTS}/d/scale"))[1]
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert (scale["spec"], scale["status"]) == ({"replicas": 2}, {"replicas": 0, "selector": "app=d"})
    scaled = await api.ok("PUT", f"{DEPLOYMENTS}/d/scale", {**scale, "spec": {"replicas": 4}})
    assert scaled["spec"] == {"replicas": 4}
    found = (await api.get(f"{DEPLOYMENTS}/d"))[1]
    assert (found["spec"]["replicas"], found["metadata"]["generation"]) == (4, 2)
    assert (await api.send("PUT", f"{DEPLOYMENTS}/d/scale", scale))[0] == 409


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        (MERGE, {"spec": {"replicas": 5}}),
        (JSON_PATCH, [{"op": "replace", "path": "/spec/replicas", "value": 5}]),
        (APPLY, {"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": {"replicas": 5}}),
    ],
)
async def test_a_scale_can_be_patched(api: Api, kind: str, patch: Any) -> None:
    await api.ok("POST", DEPLOYMENTS, deployment())
    await api.ok("PATCH", f"{DEPLOYMENTS}/d/scale", patch, type=kind, fieldManager="m")
    assert (await api.get(f"{DEPLOYMENTS}/d"))[1]["spec"]["replicas"] == 5


@pytest.mark.parametrize(("replicas", "status"), [(-1, 422), ("3", 400), (True, 400), (1.5, 400)])
async def test_replicas_are_a_count(api: Api, replicas: object, status: int) -> None:
    await api.ok("POST", DEPLOYMENTS, deployment())
    body = {"kind": "Scale", "apiVersion": "autoscaling/v1", "spec": {"replicas": replicas}}
    assert (await api.send("PUT", f"{DEPLOYMENTS}/d/scale", body))[0] == status


async def test_a_scale_is_a_table_too(api: Api) -> None:
    await api.ok("POST", DEPLOYMENTS, deployment(replicas=2))
    _, table = await api.send("GET", f"{DEPLOYMENTS}/d/scale", accept=TABLE)
    assert table["rows"][0]["cells"][:3] == ["d", 2, 0]


# ---- log ---------------------------------------------------------------------------------------------------


class Kubelet:
    def __init__(self) -> None:
        self.asked: list[LogOptions] = []

    async def logs(self, asked_pod: Mapping[str, Any], options: LogOptions) -> AsyncIterator[bytes]:
        self.asked.append(options)
        if options.previous:
            raise LogsUnavailable(f'previous terminated container "{options.container}" not found')
        yield b"one\n"
        yield asked_pod["metadata"]["name"].encode()


async def with_logs(clock: FixedClock) -> tuple[Api, Kubelet]:
    kubelet = Kubelet()
    return await new_api(clock, logs=kubelet.logs), kubelet


async def test_logs_come_from_the_kubelet(clock: FixedClock) -> None:
    api, kubelet = await with_logs(clock)
    await api.ok("POST", PODS, pod(nodeName="n1"))
    assert await api.get(f"{PODS}/p/log", follow="true", tailLines=3, sinceSeconds=60) == (200, "one\np")
    assert api.headers["content-type"] == "text/plain"
    assert kubelet.asked == [LogOptions("main", follow=True, tail_lines=3, since=clock.time - 60)]
    await api.close()


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ({"container": "other"}, 400, "container other is not valid for pod p"),
        ({"previous": "true"}, 400, "previous terminated container"),
        (
            {"tailLines": "-1", "limitBytes": "0", "sinceSeconds": "0"},
            422,
            'PodLogOptions "p" is invalid: [tailLines: Invalid value: -1: must be greater than or equal to 0, limitBytes: '
            "Invalid value: 0: must be greater than 0, sinceSeconds: Invalid value: 0: must be greater than 0]",
        ),
        (
            {"sinceSeconds": "1", "sinceTime": "2026-01-01T00:00:00Z"},
            422,
            "at most one of `sinceTime` or `sinceSeconds` may be specified",
        ),
        ({"stream": "Stdout"}, 422, "stream: Forbidden: may not be specified"),
        ({"sinceTime": "yesterday"}, 400, 'parsing time "yesterday" as "2006-01-02T15:04:05Z07:00"'),
    ],
)
async def test_a_log_that_is_not_there_is_refused(
    clock: FixedClock, query: dict[str, str], status: int, words: str
) -> None:
    api, _ = await with_logs(clock)
    await api.ok("POST", PODS, pod(nodeName="n1"))
    answered, answer = await api.get(f"{PODS}/p/log", **query)
    assert answered == status
    assert words in answer["message"]
    await api.close()


async def test_of_several_containers_one_must_be_named(clock: FixedClock) -> None:
    api, kubelet = await with_logs(clock)
    two = [{"name": name, "image": "i"} for name in ("a", "b")]
    await api.ok("POST", PODS, pod(nodeName="n1", containers=two))
    answer = (await api.get(f"{PODS}/p/log"))[1]
    assert answer["message"] == "a container name must be specified for pod p, choose one of: [a b]"
    await api.get(f"{PODS}/p/log", container="b")
    assert kubelet.asked[0].container == "b"
    await api.close()


async def test_a_pod_without_a_node_has_said_nothing_yet(clock: FixedClock) -> None:
    api, kubelet = await with_logs(clock)
    await api.ok("POST", PODS, pod())
    assert await api.get(f"{PODS}/p/log") == (200, "")
    assert not kubelet.asked
    await api.close()


# ---- token -------------------------------------------------------------------------------------------------

ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
REQUEST = {
    "apiVersion": "authentication.k8s.io/v1",
    "kind": "TokenRequest",
    "spec": {"expirationSeconds": 600},
}


async def with_tokens(clock: FixedClock) -> Api:
    api = await new_api(clock, token_key=ec.generate_private_key(ec.SECP256R1()))
    await api.ok("POST", ACCOUNTS, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "sa"}})
    return api


async def test_a_token_makes_its_holder_the_service_account(clock: FixedClock) -> None:
    api = await with_tokens(clock)
    answer = await api.ok("POST", f"{ACCOUNTS}/sa/token", REQUEST)
    assert answer["status"]["expirationTimestamp"] == "2026-01-01T00:10:00Z"
    nobody = Api(api.server, "", ())
    bearer = {"authorization": f"Bearer {answer['status']['token']}"}
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    found = await nobody.ok("POST", path, review, headers=bearer)
    assert found["status"]["userInfo"]["username"] == "system:serviceaccount:default:sa"

    clock.time += 700
    status, refused = await nobody.send("POST", path, review, headers=bearer)
    assert (status, refused["reason"], refused["message"]) == (401, "Unauthorized", "Unauthorized")
    await api.close()
    await nobody.close()


async def test_a_token_lasts_ten_minutes_at_least(clock: FixedClock) -> None:
    api = await with_tokens(clock)
    status, answer = await api.send(
        "POST", f"{ACCOUNTS}/sa/token", {**REQUEST, "spec": {"expirationSeconds": 60}}
    )
    assert status == 422
    assert "may not specify a duration less than 10 minutes" in answer["message"]
    await api.close()


async def test_a_token_can_be_bound_to_a_pod(clock: FixedClock) -> None:
    api = await with_tokens(clock)
    await api.ok("POST", PODS, pod(serviceAccountName="sa"))
    await api.ok("POST", PODS, pod("other"))
    for reference, status in (
        ({"kind": "Pod", "name": "p"}, 201),
        ({"kind": "Pod", "name": "missing"}, 404),
        ({"kind": "Pod", "name": "other"}, 400),
        ({"kind": "Pod", "name": "p", "uid": "another"}, 409),
        ({"kind": "Job", "name": "p"}, 400),
    ):
        body = {**REQUEST, "spec": {"boundObjectRef": reference}}
        assert (await api.send("POST", f"{ACCOUNTS}/sa/token", body))[0] == status
    await api.close()


@pytest.mark.parametrize(
    ("spec", "lives_s"),
    [
        ({"expirationSeconds": 3607}, 31_536_000),
        ({"expirationSeconds": 3606}, 3606),
        ({"expirationSeconds": 3607, "audiences": ["vault"]}, 3607),
        ({"expirationSeconds": 3607, "boundObjectRef": None}, 3607),
    ],
)
async def test_the_token_that_pods_ask_for_lives_a_year_and_does_not_say_so(
    clock: FixedClock, spec: dict[str, Any], lives_s: int
) -> None:
    api = await with_tokens(clock)
    await api.ok("POST", PODS, pod(serviceAccountName="sa"))
    bound = {"boundObjectRef": {"kind": "Pod", "name": "p"}, **spec}
    answer = await api.ok("POST", f"{ACCOUNTS}/sa/token", {**REQUEST, "spec": bound})
    claims = json.loads(b64decode(answer["status"]["token"].split(".")[1] + "=="))
    assert claims["exp"] - claims["iat"] == lives_s
    assert parse_rfc3339(answer["status"]["expirationTimestamp"]) == clock.time + spec["expirationSeconds"]
    await api.close()


async def test_a_token_bound_to_a_secret_ends_ten_seconds_after_it(clock: FixedClock) -> None:
    api = await with_tokens(clock)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
    await api.ok("POST", "/api/v1/namespaces/default/secrets", secret)
    bound = {**REQUEST, "spec": {"boundObjectRef": {"kind": "Secret", "name": "s", "apiVersion": "v1"}}}
    token = (await api.ok("POST", f"{ACCOUNTS}/sa/token", bound))["status"]["token"]
    holder = Api(api.server, "", ())

    async def answer() -> int:
        return (await holder.send("GET", "/api", headers={"authorization": f"Bearer {token}"}))[0]

    assert await answer() == 200
    await api.ok("DELETE", "/api/v1/namespaces/default/secrets/s")
    clock.time += 9.9
    assert await answer() == 200
    clock.time += 0.2
    assert await answer() == 401
    await holder.close()
    await api.close()


async def test_the_issuer_of_tokens_can_be_found(clock: FixedClock) -> None:
    api = await with_tokens(clock)
    document = await api.ok("GET", "/.well-known/openid-configuration")
    assert document["issuer"] == "https://kubernetes.default.svc.cluster.local"
    assert document["jwks_uri"].endswith("/openid/v1/jwks")
    keys = await api.ok("GET", "/openid/v1/jwks")
    assert [key["alg"] for key in keys["keys"]] == document["id_token_signing_alg_values_supported"]
    assert api.headers["content-type"] == "application/jwk-set+json"
    account = api.as_user("system:serviceaccount:default:sa", "system:serviceaccounts")
    assert (await account.get("/openid/v1/jwks"))[0] == 200
    stranger = api.as_user("eve")
    assert (await stranger.get("/openid/v1/jwks"))[0] == 403
    for one in (api, account, stranger):
        await one.close()


async def test_a_token_review_says_whose_it_is(clock: FixedClock) -> None:
    api = await with_tokens(clock)
    token = (await api.ok("POST", f"{ACCOUNTS}/sa/token", REQUEST))["status"]["token"]
    path = "/apis/authentication.k8s.io/v1/tokenreviews"
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    status = (await api.ok("POST", path, review))["status"]
    assert status["authenticated"] is True
    assert status["user"]["username"] == "system:serviceaccount:default:sa"
    review["spec"] = {"token": token, "audiences": ["vault"]}
    answer = await api.ok("POST", path, review)
    assert answer["status"]["error"] == (
        '[invalid bearer token, token audiences ["https://kubernetes.default.svc.cluster.local"] is invalid for the '
        'target audiences ["vault"]]'
    )
    review["spec"] = {}
    assert (await api.send("POST", path, review))[0] == 400
    review["spec"] = {"token": "nonsense"}
    assert "authenticated" not in (await api.ok("POST", path, review))["status"]
    await api.close()


async def test_only_some_resources_have_subresources(api: Api) -> None:
    assert (await api.get(f"{CONFIGS}/c/scale"))[0] == 404
    assert (await api.send("POST", f"{DEPLOYMENTS}/d/scale", {}))[0] == 405


@pytest.mark.parametrize(
    ("patch", "kind"),
    [({"metadata": {"name": None}}, MERGE), ({"$patch": "delete"}, "application/strategic-merge-patch+json")],
)
async def test_a_patch_that_takes_the_name_away_leaves_what_is_filled_in_by_it(
    api: Api, patch: Any, kind: str
) -> None:
    path = "/api/v1/namespaces/default"
    _, before = await api.get(path)
    _, after = await api.send("PATCH", f"{path}/status", patch, type=kind)
    assert after["metadata"]["labels"] == before["metadata"]["labels"]


async def test_the_start_of_a_job_stays_what_it_is_said_to_be(api: Api) -> None:
    """Measured on Kubernetes 1.36: a deadline counts from it."""
    container = {"name": "main", "image": "i"}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    job = {"metadata": {"name": "j"}, "spec": {"parallelism": 0, "template": template}}
    path = "/apis/batch/v1/namespaces/default/jobs"
    await api.ok("POST", path, job)
    first = {"status": {"startTime": "2026-01-01T00:00:00Z"}}
    await api.ok("PATCH", f"{path}/j/status", first, type=MERGE)
    await api.ok("PATCH", f"{path}/j/status", first | {"metadata": {"labels": {"a": "b"}}}, type=MERGE)
    for start in ("2026-01-02T00:00:00Z", None):
        later = {"status": {"startTime": start}}
        status, answer = await api.send("PATCH", f"{path}/j/status", later, type=MERGE)
        assert status == 422
        assert "status.startTime: Invalid value" in answer["message"]
        assert "field is immutable for unsuspended job once set" in answer["message"]
    await api.ok("PATCH", f"{path}/j", {"spec": {"suspend": True}}, type=MERGE)
    await api.ok("PATCH", f"{path}/j/status", {"status": {"startTime": None}}, type=MERGE)
