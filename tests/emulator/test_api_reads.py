from typing import Any

import pytest
import yaml

from aliquot.emulator.storage.store import Store
from tests.emulator.api import CONFIGS, PODS, TABLE, YAML, Api, FixedClock, config, new_api, pod

METADATA = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"


def names(listed: Any) -> list[str]:
    return [item["metadata"]["name"] for item in listed["items"]]


async def fill(api: Api, count: int) -> None:
    for number in range(count):
        await api.ok("POST", CONFIGS, config(f"c{number}", {"parity": "even" if number % 2 == 0 else "odd"}))


@pytest.mark.parametrize(
    ("path", "accept", "status", "kind"),
    [
        (f"{CONFIGS}/c", YAML, 200, "ConfigMap"),
        (CONFIGS, f"{YAML}, application/json;q=0.8", 200, "ConfigMapList"),
        (CONFIGS, f"application/vnd.kubernetes.protobuf,{YAML}", 200, "ConfigMapList"),
        (CONFIGS, f"{YAML};as=Table;v=v1;g=meta.k8s.io", 200, "Table"),
        (
            CONFIGS,
            f"{YAML};as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
            200,
            "PartialObjectMetadataList",
        ),
        (f"{CONFIGS}/missing", YAML, 404, "Status"),
        (f"{CONFIGS}?watch=true", YAML, 406, "Status"),
        ("/apis/apps/v1", YAML, 200, "APIResourceList"),
    ],
)
async def test_who_asks_for_yaml_gets_it(api: Api, path: str, accept: str, status: int, kind: str) -> None:
    await api.ok("POST", CONFIGS, config())
    path, _, watched = path.partition("?")
    query: dict[str, Any] = {"watch": "true"} if watched else {}
    found, text = await api.send("GET", path, accept=accept, **query)
    assert (found, api.headers["content-type"]) == (status, YAML)
    assert yaml.safe_load(text)["kind"] == kind


async def test_json_is_answered_to_who_likes_it_as_well(api: Api) -> None:
    await api.ok("POST", CONFIGS, config())
    for accept in (f"application/json,{YAML}", f"{YAML};q=0.5,*/*", "*/*"):
        assert (await api.ok("GET", f"{CONFIGS}/c", accept=accept))["kind"] == "ConfigMap"
    assert (await api.ok("GET", "/version", accept=YAML))["major"] == "1"


async def test_what_was_created_can_be_read(api: Api) -> None:
    created = await api.ok("POST", CONFIGS, config("c", key="value"))
    assert await api.get(f"{CONFIGS}/c") == (200, created)
    assert created["metadata"]["namespace"] == "default"


async def test_a_missing_object_is_named(api: Api) -> None:
    status, answer = await api.get(f"{PODS}/nope")
    assert (status, answer["reason"], answer["message"]) == (404, "NotFound", 'pods "nope" not found')
    assert answer["details"] == {"name": "nope", "kind": "pods"}


async def test_a_list_is_of_a_kind_with_a_revision(api: Api) -> None:
    await fill(api, 2)
    status, listed = await api.get(CONFIGS)
    assert (status, listed["kind"], listed["apiVersion"]) == (200, "ConfigMapList", "v1")
    assert listed["metadata"]["resourceVersion"] == listed["items"][-1]["metadata"]["resourceVersion"]
    assert names(listed) == ["c0", "c1"]
    assert names((await api.get("/api/v1/configmaps"))[1]) == ["c0", "c1"]
    assert names((await api.get("/api/v1/namespaces/kube-system/configmaps"))[1]) == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"labelSelector": "parity=even"}, ["c0", "c2"]),
        ({"labelSelector": "parity in (odd)"}, ["c1"]),
        ({"labelSelector": "!parity"}, []),
        ({"fieldSelector": "metadata.name=c1"}, ["c1"]),
        ({"fieldSelector": "metadata.name!=c1"}, ["c0", "c2"]),
        ({"fieldSelector": "metadata.namespace=elsewhere"}, []),
    ],
)
async def test_selectors_choose(api: Api, query: dict[str, str], expected: list[str]) -> None:
    await fill(api, 3)
    assert names((await api.get(CONFIGS, **query))[1]) == expected


async def test_pods_are_selected_by_what_they_are(api: Api) -> None:
    await api.ok("POST", PODS, pod("bound", nodeName="n1"))
    await api.ok("POST", PODS, pod("free"))
    assert names((await api.get(PODS, fieldSelector="spec.nodeName=n1"))[1]) == ["bound"]
    assert names((await api.get(PODS, fieldSelector="status.phase=Pending,spec.nodeName!=n1"))[1]) == ["free"]


@pytest.mark.parametrize("selector", ["spec.nodeName=n1", "spec.nodeName!=n2"])
async def test_pods_of_one_node_come_in_pages_of_one_moment(api: Api, selector: str) -> None:
    for number in range(6):
        await api.ok("POST", PODS, pod(f"p{number}", nodeName=f"n{1 + number % 2}"))
    _, first = await api.get(PODS, fieldSelector=selector, limit="2")
    assert names(first) == ["p0", "p2"]
    await api.ok("POST", PODS, pod("p3a", nodeName="n1"))
    await api.ok("DELETE", f"{PODS}/p4", gracePeriodSeconds="0")
    _, second = await api.get(
        PODS, fieldSelector=selector, limit="2", **{"continue": first["metadata"]["continue"]}
    )
    assert names(second) == ["p4"]
    assert second["metadata"] == {"resourceVersion": first["metadata"]["resourceVersion"]}
    assert names((await api.get(PODS, fieldSelector=selector))[1]) == ["p0", "p2", "p3a"]
    assert names((await api.get(PODS, fieldSelector=selector, labelSelector="a=b"))[1]) == []
    elsewhere = PODS.replace("/default/", "/elsewhere/")
    assert names((await api.get(elsewhere, fieldSelector=selector))[1]) == []


@pytest.mark.parametrize(
    "query",
    [{"labelSelector": "a=(b"}, {"fieldSelector": "spec.colour=red"}, {"limit": "x"}, {"limit": "-1"}],
)
async def test_what_cannot_be_read_is_a_bad_request(api: Api, query: dict[str, str]) -> None:
    status, answer = await api.get(CONFIGS, **query)
    assert (status, answer["reason"]) == (400, "BadRequest")


async def test_pages_are_of_one_revision(api: Api) -> None:
    await fill(api, 5)
    first = (await api.get(CONFIGS, limit=2))[1]
    assert first["metadata"]["remainingItemCount"] == 3
    await api.ok("DELETE", f"{CONFIGS}/c3")
    await api.ok("POST", CONFIGS, config("c2a"))
    second = (await api.get(CONFIGS, limit=2, **{"continue": first["metadata"]["continue"]}))[1]
    third = (await api.get(CONFIGS, limit=2, **{"continue": second["metadata"]["continue"]}))[1]
    assert names(first) + names(second) + names(third) == ["c0", "c1", "c2", "c3", "c4"]
    assert first["metadata"]["resourceVersion"] == third["metadata"]["resourceVersion"]
    assert "continue" not in third["metadata"]


async def test_a_page_is_filled_past_what_a_selector_leaves_out(api: Api) -> None:
    await fill(api, 7)
    first = (await api.get(CONFIGS, limit=3, labelSelector="parity=even"))[1]
    assert names(first) == ["c0", "c2", "c4"]
    rest = (
        await api.get(
            CONFIGS, limit=3, labelSelector="parity=even", **{"continue": first["metadata"]["continue"]}
        )
    )[1]
    assert names(rest) == ["c6"]
    assert "remainingItemCount" not in first["metadata"]


async def test_a_page_of_a_forgotten_revision_can_go_on_inconsistently(clock: FixedClock) -> None:
    api = await new_api(clock, store=Store(history_events=8))
    await fill(api, 4)
    first = (await api.get(CONFIGS, limit=2))[1]
    for number in range(20):
        await api.ok("POST", CONFIGS, config(f"d{number}"))
    status, answer = await api.get(CONFIGS, limit=100, **{"continue": first["metadata"]["continue"]})
    assert (status, answer["reason"]) == (410, "Expired")
    rest = (await api.get(CONFIGS, limit=100, **{"continue": answer["metadata"]["continue"]}))[1]
    assert names(rest)[:2] == ["c2", "c3"]
    assert len(names(rest)) == 22
    await api.close()


async def test_a_continue_token_that_is_none_is_refused(api: Api) -> None:
    assert (await api.get(CONFIGS, limit=2, **{"continue": "nonsense"}))[0] == 400


async def test_an_exact_revision_shows_the_past(api: Api) -> None:
    created = await api.ok("POST", CONFIGS, config("c", key="old"))
    await api.ok("PATCH", f"{CONFIGS}/c", {"data": {"key": "new"}}, type="application/merge-patch+json")
    past = created["metadata"]["resourceVersion"]
    listed = (await api.get(CONFIGS, resourceVersion=past, resourceVersionMatch="Exact"))[1]
    assert [{**item, "apiVersion": "v1", "kind": "ConfigMap"} for item in listed["items"]] == [created]
    listed = (await api.get(CONFIGS, resourceVersion=past, resourceVersionMatch="NotOlderThan"))[1]
    assert listed["items"][0]["data"] == {"key": "new"}


async def test_a_revision_from_the_future_is_not_there_yet(api: Api) -> None:
    status, answer = await api.get(CONFIGS, resourceVersion=10**9)
    assert (status, answer["reason"]) == (504, "Timeout")
    assert answer["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


async def test_a_table_shows_what_kubectl_prints(api: Api) -> None:
    await api.ok("POST", PODS, pod("p"))
    for path in (PODS, f"{PODS}/p"):
        _, table = await api.send("GET", path, accept=f"{TABLE},application/json")
        assert table["kind"] == "Table"
        assert table["rows"][0]["cells"][:3] == ["p", "0/1", "Pending"]
        assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
        assert "spec" not in table["rows"][0]["object"]
    _, table = await api.send("GET", PODS, accept=TABLE, includeObject="Object")
    assert table["rows"][0]["object"]["spec"]["containers"]


async def test_metadata_alone_is_given_where_asked(api: Api) -> None:
    await api.ok("POST", PODS, pod("p"))
    _, one = await api.send("GET", f"{PODS}/p", accept=METADATA)
    _, many = await api.send("GET", PODS, accept=METADATA_LIST)
    assert (one["kind"], many["kind"]) == ("PartialObjectMetadata", "PartialObjectMetadataList")
    assert many["items"] == [one]
    assert "spec" not in one


async def test_who_takes_no_json_is_told(api: Api) -> None:
    assert (await api.send("GET", PODS, accept="application/xml"))[0] == 406


async def test_who_would_like_protobuf_takes_json_too(api: Api) -> None:
    accept = "application/vnd.kubernetes.protobuf,application/json"
    assert (await api.send("GET", PODS, accept=accept))[1]["kind"] == "PodList"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/nothings", 404),
        ("GET", "/api/v1/namespaces/default/nodes", 404),
        ("GET", "/api/v1/pods/p", 404),
        ("GET", f"{PODS}/p/nonsense", 404),
        ("POST", "/api/v1/pods", 405),
        ("PUT", PODS, 405),
        ("DELETE", "/api/v1/namespaces", 405),
        ("POST", "/version", 405),
        ("TRACE", PODS, 405),
    ],
)
async def test_what_is_not_served_is_a_status(api: Api, method: str, path: str, status: int) -> None:
    answered, body = await api.send(method, path)
    assert (answered, body["kind"], body["code"]) == (status, "Status", status)


async def test_an_unknown_resource_of_a_known_version_is_not_named(api: Api) -> None:
    _, answer = await api.get("/api/v1/nothings")
    assert answer["message"] == "the server could not find the requested resource"


async def test_what_is_left_out_says_why(api: Api) -> None:
    _, answer = await api.send("POST", f"{PODS}/p/portforward")
    assert answer["message"] == (
        "the server could not find the requested resource: "
        "pods/portforward is not served here: needs a connection into a running container"
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/v1/nothings"), ("PATCH", f"{PODS}/p/resize"), ("PUT", PODS)],
)
async def test_what_names_nothing_has_details_all_the_same(api: Api, method: str, path: str) -> None:
    # kubectl debug reads them unseen.
    _, answer = await api.send(method, path)
    assert answer["details"] == {}


@pytest.mark.parametrize("path", ["/nowhere", "/apis/none.example/v1/things", "/livez/nonsense"])
async def test_where_nothing_is_there_is_no_status_either(api: Api, path: str) -> None:
    assert await api.get(path) == (404, "404 page not found\n")


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz", "/readyz/ping", "/healthz/"])
async def test_it_is_well(api: Api, path: str) -> None:
    assert await api.get(path) == (200, "ok")


async def test_health_tells_its_checks_when_asked(api: Api) -> None:
    _, text = await api.get("/readyz", verbose="", exclude="etcd")
    assert "[+]ping ok\n" in text
    assert "[+]etcd excluded: ok\n" in text
    assert text.endswith("readyz check passed\n")


async def test_a_server_that_stops_lives_and_is_not_ready(api: Api) -> None:
    api.server.stop()
    assert await api.get("/livez") == (200, "ok")
    status, text = await api.get("/readyz")
    assert status == 500
    assert "[-]shutdown failed: reason withheld\n" in text


async def test_version_and_discovery(api: Api) -> None:
    assert (await api.get("/version/"))[1]["minor"] == "36"
    assert (await api.get("/api"))[1]["versions"] == ["v1"]
    assert "apps" in [group["name"] for group in (await api.get("/apis"))[1]["groups"]]
    pods = next(one for one in (await api.get("/api/v1"))[1]["resources"] if one["name"] == "pods")
    assert pods["shortNames"] == ["po"]
    aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    assert (await api.send("GET", "/apis", accept=aggregated))[1]["kind"] == "APIGroupDiscoveryList"
    assert api.headers["content-type"] == aggregated


async def test_openapi_is_there(api: Api) -> None:
    index = (await api.get("/openapi/v3"))[1]
    assert "api/v1" in index["paths"]
    document = (await api.get("/openapi/v3/api/v1"))[1]
    assert "io.k8s.api.core.v1.Pod" in document["components"]["schemas"]
    assert (await api.get("/openapi/v3/api/v9"))[0] == 404
    assert (await api.get("/openapi/v2"))[1]["swagger"] == "2.0"


async def test_events_show_in_both_their_groups(api: Api) -> None:
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "e"},
        "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
        "reason": "Started",
        "message": "it began",
        "count": 2,
        "source": {"component": "kubelet"},
        "type": "Normal",
    }
    await api.ok("POST", "/api/v1/namespaces/default/events", event)
    shown = (await api.get("/apis/events.k8s.io/v1/namespaces/default/events/e"))[1]
    assert (shown["apiVersion"], shown["note"], shown["deprecatedCount"]) == (
        "events.k8s.io/v1",
        "it began",
        2,
    )
    assert shown["regarding"]["name"] == "p"
    listed = (await api.get("/apis/events.k8s.io/v1/events", fieldSelector="regarding.name=p"))[1]
    assert (listed["kind"], names(listed)) == ("EventList", ["e"])
    back = (await api.get("/api/v1/events", fieldSelector="involvedObject.name=p"))[1]
    assert back["items"][0]["message"] == "it began"


async def test_what_nobody_foresaw_is_an_internal_error(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr("aliquot.emulator.verbs.reading.list_page", fail)
    status, answer = await api.get(PODS)
    assert (status, answer["reason"]) == (500, "InternalError")
    assert "secret" not in answer["message"]
