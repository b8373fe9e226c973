import asyncio
import json

import pytest

from aliquot.emulator.storage.store import Store
from tests.emulator.api import (
    CONFIGS,
    MERGE,
    PODS,
    TABLE,
    Api,
    FixedClock,
    config,
    new_api,
    on_virtual_time,
    pod,
)

ALL = "/api/v1/configmaps"


async def label(api: Api, name: str, **labels: str | None) -> None:
    await api.ok("PATCH", f"{CONFIGS}/{name}", {"metadata": {"labels": labels}}, type=MERGE)


@pytest.mark.parametrize("revision", [None, "", "0"])
async def test_without_a_revision_a_watch_begins_with_what_is_there(api: Api, revision: str | None) -> None:
    await api.ok("POST", CONFIGS, config("a"))
    await api.ok("POST", CONFIGS, config("b"))
    watch = await api.watch(CONFIGS, **({} if revision is None else {"resourceVersion": revision}))
    assert await watch.take(2) == [("ADDED", "a"), ("ADDED", "b")]
    await api.ok("DELETE", f"{CONFIGS}/a")
    assert await watch.take(1) == [("DELETED", "a")]


async def test_from_a_revision_a_watch_shows_what_came_after(api: Api) -> None:
    first = await api.ok("POST", CONFIGS, config("a"))
    await label(api, "a", x="1")
    await api.ok("POST", CONFIGS, config("b"))
    watch = await api.watch(CONFIGS, resourceVersion=first["metadata"]["resourceVersion"])
    assert await watch.take(2) == [("MODIFIED", "a"), ("ADDED", "b")]


async def test_a_watch_is_of_its_namespace(api: Api) -> None:
    here = await api.watch(
        "/api/v1/namespaces/kube-public/configmaps", resourceVersion=api.server.store.revision
    )
    everywhere = await api.watch(ALL, resourceVersion=api.server.store.revision)
    await api.ok("POST", CONFIGS, config("a"))
    await api.ok("POST", "/api/v1/namespaces/kube-public/configmaps", config("b"))
    assert await here.take(1) == [("ADDED", "b")]
    assert await everywhere.take(2) == [("ADDED", "a"), ("ADDED", "b")]


async def test_an_event_carries_the_object_as_a_get_shows_it(api: Api) -> None:
    watch = await api.watch(CONFIGS)
    made = await api.ok("POST", CONFIGS, config("a", x="1"))
    assert await watch.next() == {"type": "ADDED", "object": made}


async def test_a_deletion_has_a_revision_of_its_own(api: Api) -> None:
    made = await api.ok("POST", CONFIGS, config("a"))
    watch = await api.watch(CONFIGS, resourceVersion=made["metadata"]["resourceVersion"])
    await api.ok("DELETE", f"{CONFIGS}/a")
    gone = (await watch.next())["object"]["metadata"]
    assert int(gone["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
    assert "deletionTimestamp" not in gone
    # To begin again there shows nothing twice.
    again = await api.watch(CONFIGS, resourceVersion=gone["resourceVersion"])
    await api.ok("POST", CONFIGS, config("b"))
    assert await again.take(1) == [("ADDED", "b")]


async def test_a_label_selector_makes_comings_and_goings(api: Api) -> None:
    watch = await api.watch(CONFIGS, labelSelector="x=1")
    await api.ok("POST", CONFIGS, config("a"))
    await label(api, "a", x="1")
    await label(api, "a", x="1", y="2")
    await label(api, "a", x="2")
    await label(api, "a", x="3")
    await label(api, "a", x="1")
    await api.ok("DELETE", f"{CONFIGS}/a")
    await api.ok("POST", CONFIGS, config("b", {"x": "1"}))
    events = [await watch.next() for _ in range(6)]
    assert [event["type"] for event in events] == [
        "ADDED",
        "MODIFIED",
        "DELETED",
        "ADDED",
        "DELETED",
        "ADDED",
    ]
    left = events[2]["object"]["metadata"]
    assert left["labels"] == {"x": "1", "y": "2"}
    assert int(left["resourceVersion"]) > int(events[1]["object"]["metadata"]["resourceVersion"])


async def test_a_field_selector_makes_comings_and_goings(api: Api) -> None:
    watch = await api.watch(PODS, fieldSelector="spec.nodeName=n1")
    await api.ok("POST", PODS, pod("p"))
    binding = {
        "kind": "Binding",
        "apiVersion": "v1",
        "metadata": {"name": "p"},
        "target": {"kind": "Node", "name": "n1"},
    }
    await api.ok("POST", f"{PODS}/p/binding", binding)
    await api.ok("POST", PODS, pod("elsewhere", nodeName="n2"))
    await api.ok("DELETE", f"{PODS}/p", gracePeriodSeconds=0)
    assert await watch.take(2) == [("ADDED", "p"), ("DELETED", "p")]


async def test_a_watch_of_one_name_shows_only_that(api: Api) -> None:
    watch = await api.watch(CONFIGS, fieldSelector="metadata.name=b")
    for name in "abc":
        await api.ok("POST", CONFIGS, config(name))
    await api.ok("DELETE", f"{CONFIGS}/b")
    assert await watch.take(2) == [("ADDED", "b"), ("DELETED", "b")]


async def test_initial_events_end_with_a_bookmark(api: Api) -> None:
    await api.ok("POST", CONFIGS, config("a"))
    watch = await api.watch(
        CONFIGS, sendInitialEvents="true", resourceVersionMatch="NotOlderThan", allowWatchBookmarks="true"
    )
    assert await watch.take(1) == [("ADDED", "a")]
    bookmark = await watch.next()
    assert bookmark["type"] == "BOOKMARK"
    assert bookmark["object"]["kind"] == "ConfigMap"
    meta = bookmark["object"]["metadata"]
    assert meta["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert meta["resourceVersion"] == str(api.server.store.revision)
    await api.ok("POST", CONFIGS, config("b"))
    assert await watch.take(1) == [("ADDED", "b")]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"resourceVersion": "x"}, 400),
        ({"sendInitialEvents": "true"}, 422),
        ({"resourceVersionMatch": "NotOlderThan"}, 422),
        ({"labelSelector": "=="}, 400),
        ({"timeoutSeconds": "soon"}, 400),
        (
            {"sendInitialEvents": "1", "resourceVersionMatch": "NotOlderThan", "resourceVersion": "999999"},
            504,
        ),
    ],
)
async def test_a_watch_that_makes_no_sense_does_not_begin(
    api: Api, query: dict[str, str], status: int
) -> None:
    assert (await api.watch(CONFIGS, **query)).status == status


async def test_a_forgotten_revision_is_an_error_event(clock: FixedClock) -> None:
    api = await new_api(clock, store=Store(history_events=8))
    first = await api.ok("POST", CONFIGS, config("a"))
    for number in range(20):
        await api.ok("POST", CONFIGS, config(f"b{number}"))
    watch = await api.watch(CONFIGS, resourceVersion=first["metadata"]["resourceVersion"])
    (error,) = await watch.rest()
    assert watch.status == 200
    assert (error["type"], error["object"]["code"], error["object"]["reason"]) == ("ERROR", 410, "Expired")
    assert error["object"]["message"].startswith("too old resource version: ")
    await api.close()


async def test_a_revision_of_another_state_is_an_error_event(api: Api) -> None:
    (error,) = await (await api.watch(CONFIGS, resourceVersion=10**9)).rest()
    assert error["object"]["code"] == 410


async def test_a_table_watch_shows_rows(api: Api) -> None:
    watch = await api.watch(PODS, accept=TABLE)
    await api.ok("POST", PODS, pod("p"))
    event = await watch.next()
    assert event["type"] == "ADDED"
    assert event["object"]["kind"] == "Table"
    assert event["object"]["rows"][0]["cells"][0] == "p"
    assert event["object"]["rows"][0]["object"]["metadata"]["name"] == "p"


async def test_a_client_that_goes_leaves_no_watcher(api: Api) -> None:
    store = api.server.store
    watches = [await api.watch(CONFIGS) for _ in range(3)]
    await asyncio.sleep(0)
    assert len(store._resource("configmaps").log.watchers) == 3
    for watch in watches:
        await watch.close()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not store._resource("configmaps").log.watchers


async def test_a_stopping_server_ends_its_watches(api: Api) -> None:
    watch = await api.watch(CONFIGS)
    await api.ok("POST", CONFIGS, config("a"))
    api.server.stop()
    assert [event["type"] for event in await watch.rest()] == ["ADDED"]


async def test_a_slow_reader_gets_everything_in_order(api: Api) -> None:
    watch = await api.watch(CONFIGS)
    for number in range(300):
        await api.ok("POST", CONFIGS, config(f"c{number:03}"))
    assert await watch.take(300) == [("ADDED", f"c{number:03}") for number in range(300)]


def test_a_watch_ends_at_its_timeout_with_a_bookmark() -> None:
    async def main(api: Api) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        watch = await api.watch(CONFIGS, timeoutSeconds=30, allowWatchBookmarks="true")
        await api.ok("POST", PODS, pod("p"))
        (bookmark,) = await watch.rest()
        assert loop.time() - began == pytest.approx(30)
        assert bookmark["type"] == "BOOKMARK"
        assert bookmark["object"]["metadata"]["resourceVersion"] == str(api.server.store.revision)
        assert await (await api.watch(CONFIGS, timeoutSeconds=30)).rest() == []

    on_virtual_time(main)


def test_bookmarks_come_every_minute_to_those_who_asked() -> None:
    async def main(api: Api) -> None:
        asked = await api.watch(CONFIGS, timeoutSeconds=150, allowWatchBookmarks="true")
        other = await api.watch(CONFIGS, timeoutSeconds=150)
        assert [event["type"] for event in await asked.rest()] == ["BOOKMARK"] * 3
        assert await other.rest() == []

    on_virtual_time(main)


def test_a_watch_without_a_timeout_ends_within_an_hour() -> None:
    async def main(api: Api) -> None:
        loop = asyncio.get_running_loop()
        await (await api.watch(CONFIGS)).rest()
        assert 1800 <= loop.time() <= 3600

    on_virtual_time(main)


def test_a_run_repeats_exactly() -> None:
    seen: list[bytes] = []

    async def main(api: Api) -> None:
        watch = await api.watch(ALL, timeoutSeconds=100)
        for number in range(5):
            asked = config(f"c{number}")
            asked["metadata"] = {"generateName": "c-"}
            await api.ok("POST", CONFIGS, asked)
            await asyncio.sleep(7)
        seen.append(json.dumps(await watch.rest()).encode())

    on_virtual_time(main, seed=5)
    on_virtual_time(main, seed=5)
    assert seen[0] == seen[1]
