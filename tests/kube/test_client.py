"""The client's verbs, retries and deadlines, against a scripted server in the same loop."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from aliquot.clock import VirtualClock
from aliquot.kube import errors
from aliquot.kube.api.core import Node, NodeSpec, Pod
from aliquot.kube.api.meta import ObjectMeta
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.client import Client, PatchKind, Propagation
from aliquot.kube.resources import GPUNODES, NODES, PODS
from aliquot.kube.retry import RetryPolicy
from tests.kube.fake_api import Cut, FakeApi, Refused, client_of, pod, virtual


def failing(times: int, failure: Callable[[], Exception]) -> Callable[[str, str], Awaitable[None]]:
    """A fault for the first `times` requests."""
    left = [times]

    async def fault(method: str, path: str) -> None:
        if left[0] > 0:
            left[0] -= 1
            raise failure()

    return fault


def refusing(code: int, times: int = 1) -> Callable[[str, str], Awaitable[None]]:
    return failing(times, lambda: Refused(code, "", "no"))


def test_get_decodes_into_the_fields_asked_for() -> None:
    async def main() -> None:
        api = FakeApi()
        api.put(PODS, pod("a", node="n1", app="x"))
        got = await client_of(api).get(PODS, "a", "default", into=Pod)
        assert (got.metadata.name, got.spec.node_name, got.metadata.labels) == ("a", "n1", {"app": "x"})

    virtual(main())


def test_get_without_a_type_gives_a_dict() -> None:
    async def main() -> None:
        api = FakeApi()
        stored = api.put(PODS, pod("a"))
        assert await client_of(api).get(PODS, "a", "default") == stored

    virtual(main())


@pytest.mark.parametrize("page_size", [1, 3, 10, 500])
def test_list_gathers_all_pages(page_size: int) -> None:
    async def main() -> None:
        api = FakeApi()
        for number in range(10):
            api.put(PODS, pod(f"p{number}"))
        listing = await client_of(api).list(PODS, into=Pod, page_size=page_size)
        assert [item.metadata.name for item in listing.items] == [f"p{number}" for number in range(10)]
        assert listing.resource_version == str(api.version)

    virtual(main())


def test_list_starts_over_in_one_piece_when_the_server_forgets_it_half_way() -> None:
    async def main() -> None:
        api = FakeApi()
        for number in range(10):
            api.put(PODS, pod(f"p{number}"))

        async def forget(method: str, path: str) -> None:
            if len(api.requests) == 3:
                api.compact()

        api.fault = forget
        listing = await client_of(api).list(PODS, page_size=2)
        assert len(listing.items) == 10
        assert "limit" not in api.requests[-1][2]

    virtual(main())


def test_list_names_what_it_cannot_read_and_keeps_the_rest() -> None:
    async def main() -> None:
        api = FakeApi()
        api.put(PODS, pod("good"))
        api.put(PODS, pod("bad") | {"spec": {"nodeName": 5}})
        listing = await client_of(api).list(PODS, into=Pod)
        assert [item.metadata.name for item in listing.items] == ["good"]
        assert [item.key for item in listing.unreadable] == ["default/bad"]

    virtual(main())


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (400, "BadRequest", errors.Invalid),
        (401, "Unauthorized", errors.Unauthorized),
        (403, "Forbidden", errors.Forbidden),
        (404, "NotFound", errors.NotFound),
        (409, "Conflict", errors.Conflict),
        (409, "AlreadyExists", errors.AlreadyExists),
        (410, "Expired", errors.Gone),
        (422, "Invalid", errors.Invalid),
        (418, "", errors.ApiError),
        (501, "", errors.Unavailable),
    ],
)
def test_refusals_are_typed_and_not_repeated(code: int, reason: str, kind: type[errors.ApiError]) -> None:
    async def main() -> None:
        api = FakeApi()
        api.fault = failing(1, lambda: Refused(code, reason, "because"))
        with pytest.raises(errors.ApiError) as caught:
            await client_of(api).get(PODS, "a", "default")
        assert type(caught.value) is kind
        assert (caught.value.code, caught.value.reason, str(caught.value)) == (code, reason, "because")
        assert len(api.requests) == 1

    virtual(main())


@pytest.mark.parametrize("failure", [lambda: Refused(429, "", ""), lambda: Refused(500, "", ""), Cut])
def test_reads_are_repeated_through_failures(failure: Callable[[], Exception]) -> None:
    async def main() -> None:
        api = FakeApi()
        api.put(PODS, pod("a"))
        api.fault = failing(3, failure)
        await client_of(api).get(PODS, "a", "default")
        assert len(api.requests) == 4

    virtual(main())


def test_retry_after_is_waited_for() -> None:
    async def main() -> None:
        class Slow(Refused):
            def __init__(self) -> None:
                super().__init__(429, "TooManyRequests", "slow down")
                self.status["details"] = {"retryAfterSeconds": 7}

        api = FakeApi()
        api.put(PODS, pod("a"))
        api.fault = failing(1, Slow)
        began = asyncio.get_running_loop().time()
        await client_of(api).get(PODS, "a", "default")
        assert asyncio.get_running_loop().time() - began >= 7

    virtual(main())


def test_a_create_whose_fate_is_unknown_is_not_repeated() -> None:
    async def main() -> None:
        api = FakeApi()
        api.answer_fault = failing(1, Cut)
        with pytest.raises(errors.Unavailable):
            await client_of(api).create(PODS, pod("a"))
        assert len(api.requests) == 1

    virtual(main())


def test_a_create_that_surely_was_not_done_is_repeated() -> None:
    async def main() -> None:
        class Throttled(Refused):
            def __init__(self) -> None:
                super().__init__(429, "TooManyRequests", "slow down")
                self.status["details"] = {"retryAfterSeconds": 1}

        api = FakeApi()
        api.fault = failing(1, Throttled)
        await client_of(api).create(PODS, pod("a"))
        assert len(api.requests) == 2

    virtual(main())


def test_an_eviction_refused_for_now_is_left_to_the_caller() -> None:
    async def main() -> None:
        api = FakeApi()
        api.fault = refusing(429)
        with pytest.raises(errors.TooManyRequests):
            await client_of(api).evict("default", "a")
        assert len(api.requests) == 1

    virtual(main())


def test_a_json_patch_whose_fate_is_unknown_is_not_repeated() -> None:
    async def main() -> None:
        api = FakeApi()
        api.put(PODS, pod("a"))
        api.fault = failing(1, Cut)
        with pytest.raises(errors.Unavailable):
            await client_of(api).patch(PODS, "a", [], "default", kind=PatchKind.JSON)
        assert len(api.requests) == 1

    virtual(main())


def test_a_delete_repeated_after_a_lost_answer_succeeds() -> None:
    async def main() -> None:
        api = FakeApi()
        api.put(PODS, pod("a"))
        api.answer_fault = failing(1, Cut)
        await client_of(api).delete(PODS, "a", "default")
        assert not api.objects(PODS)

    virtual(main())


def test_deleting_what_is_not_there_is_not_found() -> None:
    async def main() -> None:
        with pytest.raises(errors.NotFound):
            await client_of(FakeApi()).delete(PODS, "a", "default")

    virtual(main())


def test_attempts_are_bounded() -> None:
    async def main() -> None:
        api = FakeApi()
        api.fault = refusing(503, times=100)
        with pytest.raises(errors.Unavailable):
            await client_of(api, retry=RetryPolicy(attempts=3)).get(PODS, "a", "default")
        assert len(api.requests) == 3

    virtual(main())


def test_a_client_whose_calls_all_fail_stops_repeating_them() -> None:
    async def main() -> None:
        api = FakeApi()
        api.fault = refusing(503, times=1000)
        client = client_of(api, retry=RetryPolicy(budget=10))
        for _ in range(50):
            with pytest.raises(errors.Unavailable):
                await client.get(PODS, "a", "default")
        assert len(api.requests) == 50 + 10

    virtual(main())


def test_successes_refill_the_budget() -> None:
    async def main() -> None:
        api = FakeApi()
        api.put(PODS, pod("a"))
        client = client_of(api, retry=RetryPolicy(budget=2, refund=0.5))
        for _ in range(10):
            api.fault = refusing(503)
            await client.get(PODS, "a", "default")
            api.fault = None
            await client.get(PODS, "a", "default")

    virtual(main())


def test_a_call_ends_at_its_deadline() -> None:
    async def main() -> None:
        async def hang(method: str, path: str) -> None:
            await asyncio.sleep(1e6)

        api = FakeApi()
        api.fault = hang
        client = client_of(api)
        began = asyncio.get_running_loop().time()
        with pytest.raises(errors.Unavailable, match="no answer within 30 s"):
            await client.get(PODS, "a", "default")
        assert asyncio.get_running_loop().time() - began <= 31
        await client.close()

    virtual(main())


def test_an_answer_that_is_not_what_was_asked_for_is_an_error_of_ours() -> None:
    async def main() -> None:
        api = FakeApi()
        api.put(PODS, pod("a") | {"spec": []})
        with pytest.raises(errors.Unavailable, match="Expected `object`"):
            await client_of(api).get(PODS, "a", "default", into=Pod)

    virtual(main())


class Recording:
    """An application that keeps what it is asked and always answers the same."""

    def __init__(self, answer: Any = None, status: int = 200) -> None:
        self.answer = answer if answer is not None else {"metadata": {"name": "x"}}
        self.status = status
        self.method = ""
        self.target = ""
        self.headers: dict[str, str] = {}
        self.body: Any = None
        self.identity: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.method = scope["method"]
        self.target = scope["path"] + ("?" + scope["query_string"].decode() if scope["query_string"] else "")
        self.headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.identity = scope["extensions"]["aliquot.identity"]
        body = (await receive())["body"]
        self.body = json.loads(body) if body else None
        data = self.answer if isinstance(self.answer, bytes) else json.dumps(self.answer).encode()
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": data})

    def client(self) -> Client:
        return Client(AsgiTransport(self, "me", ["them"]), clock=VirtualClock(), rng=random.Random(1))


def test_apply_names_the_object_and_its_manager() -> None:
    async def main() -> None:
        app = Recording()
        await app.client().apply(
            GPUNODES, {"metadata": {"name": "n"}}, field_manager="agent", force=True, subresource="status"
        )
        assert app.method == "PATCH"
        assert app.target == "/apis/aliquot.dev/v1alpha1/gpunodes/n/status?fieldManager=agent&force=true"
        assert app.headers["content-type"] == "application/apply-patch+yaml"
        assert app.body == {
            "apiVersion": "aliquot.dev/v1alpha1",
            "kind": "GPUNode",
            "metadata": {"name": "n"},
        }

    virtual(main())


def test_apply_takes_a_struct() -> None:
    async def main() -> None:
        app = Recording()
        node = Node(metadata=ObjectMeta(name="n"), spec=NodeSpec(unschedulable=True))
        await app.client().apply(NODES, node, field_manager="x")
        expected = {"metadata": {"name": "n"}, "spec": {"unschedulable": True}}
        assert app.body == {"apiVersion": "v1", "kind": "Node"} | expected

    virtual(main())


def test_bind_carries_annotations_and_the_pods_identity() -> None:
    async def main() -> None:
        app = Recording()
        await app.client().bind("ns", "p", "node-1", pod_uid="u", annotations={"a": "b"})
        assert (app.method, app.target) == ("POST", "/api/v1/namespaces/ns/pods/p/binding")
        assert app.body == {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": "p", "namespace": "ns", "uid": "u", "annotations": {"a": "b"}},
            "target": {"apiVersion": "v1", "kind": "Node", "name": "node-1"},
        }

    virtual(main())


def test_an_eviction_is_of_one_pod_and_may_be_dry() -> None:
    async def main() -> None:
        app = Recording()
        await app.client().evict("ns", "p", uid="u", dry_run=True)
        assert (app.method, app.target) == ("POST", "/api/v1/namespaces/ns/pods/p/eviction?dryRun=All")
        assert app.body == {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": "p", "namespace": "ns"},
            "deleteOptions": {"preconditions": {"uid": "u"}},
        }

    virtual(main())


def test_delete_states_its_preconditions() -> None:
    async def main() -> None:
        app = Recording()
        await app.client().delete(PODS, "p", "ns", grace_period_s=0, propagation=Propagation.ORPHAN, uid="u")
        assert app.body == {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "gracePeriodSeconds": 0,
            "propagationPolicy": "Orphan",
            "preconditions": {"uid": "u"},
        }

    virtual(main())


@pytest.mark.parametrize("kind", list(PatchKind))
def test_a_patch_says_its_kind(kind: PatchKind) -> None:
    async def main() -> None:
        app = Recording()
        await app.client().patch(PODS, "p", {"a": 1}, "ns", kind=kind, dry_run=True)
        assert app.headers["content-type"] == kind.value
        assert app.target == "/api/v1/namespaces/ns/pods/p?dryRun=All"

    virtual(main())


def test_logs_are_bytes() -> None:
    async def main() -> None:
        app = Recording(answer=b"hello\n")
        assert await app.client().logs("ns", "p", "main", tail_lines=5) == b"hello\n"
        assert app.target == "/api/v1/namespaces/ns/pods/p/log?container=main&tailLines=5"

    virtual(main())


def test_selectors_are_passed_on() -> None:
    async def main() -> None:
        app = Recording(answer={"metadata": {}, "items": None})
        await app.client().list(PODS, label_selector="a=b", field_selector="spec.nodeName=n")
        assert app.target == "/api/v1/pods?labelSelector=a%3Db&fieldSelector=spec.nodeName%3Dn&limit=500"

    virtual(main())


def test_the_application_is_told_who_asks() -> None:
    async def main() -> None:
        app = Recording()
        await app.client().get(NODES, "n")
        assert app.identity == {"user": "me", "groups": ["them"]}
        assert app.headers["user-agent"].startswith("aliquot/")

    virtual(main())


def test_a_refusal_without_a_status_keeps_the_bodys_text() -> None:
    async def main() -> None:
        app = Recording(answer=b"<html>forbidden by proxy", status=403)
        with pytest.raises(errors.Forbidden, match="HTTP 403: <html>forbidden by proxy"):
            await app.client().get(NODES, "n")

    virtual(main())
