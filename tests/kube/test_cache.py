"""The cache: whatever happens to the connection, it ends up as the server is, and its subscribers with it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aliquot.kube.api.core import Pod
from aliquot.kube.cache import Cache
from aliquot.kube.resources import PODS, key
from tests.kube.fake_api import Cut, FakeApi, Refused, client_of, pod, virtual

SETTLED_S = 150.0
"""Longer than the longest backoff plus the longest silence that the cache puts up with."""


def by_node(obj: Pod) -> list[str]:
    return [obj.spec.node_name] if obj.spec.node_name else []


@dataclass
class View:
    """What a subscriber can know, built from the calls it gets and nothing else."""

    objects: dict[str, Pod] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """Asserting in a subscriber would only be logged."""

    def __call__(self, old: Pod | None, new: Pod | None) -> None:
        obj = new or old
        assert obj is not None
        name = key(obj)
        if self.objects.get(name) is not old:
            self.problems.append(f"{name}: a change from something it was never told of")
        if old is not None and new is not None:
            before, after = int(old.metadata.resource_version), int(new.metadata.resource_version)
            if after <= before:
                self.problems.append(f"{name}: moved back in time from {before} to {after}")
        if new is None:
            del self.objects[name]
            self.calls.append(("-", name))
        else:
            self.objects[name] = new
            self.calls.append(("+" if old is None else "~", name))


@asynccontextmanager
async def running(cache: Cache[Any]) -> AsyncIterator[None]:
    task = asyncio.create_task(cache.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def new_cache(api: FakeApi, *, watch_list: bool = True) -> Cache[Pod]:
    return Cache(client_of(api), PODS, Pod, indexes={"node": by_node}, watch_list=watch_list, page_size=2)


def assert_same(cache: Cache[Pod], api: FakeApi) -> None:
    server = {name: obj["metadata"]["resourceVersion"] for name, obj in api.objects(PODS).items()}
    assert {key(obj): obj.metadata.resource_version for obj in cache.values()} == server
    assert len(cache) == len(server)
    for node in ("n1", "n2"):
        expected = {name for name, obj in api.objects(PODS).items() if obj["spec"]["nodeName"] == node}
        assert {key(obj) for obj in cache.indexed("node", node)} == expected


both_ways = pytest.mark.parametrize("watch_list", [True, False], ids=["streamed", "listed"])


@both_ways
def test_it_holds_what_was_there_and_what_comes(watch_list: bool) -> None:
    async def main() -> None:
        api = FakeApi()
        api.put(PODS, pod("a", node="n1"))
        cache = new_cache(api, watch_list=watch_list)
        async with running(cache):
            await cache.synced()
            assert_same(cache, api)
            api.put(PODS, pod("b", node="n1"))
            api.put(PODS, pod("a", node="n2"))
            await asyncio.sleep(1)
            assert_same(cache, api)
            api.remove(PODS, "default/a")
            await asyncio.sleep(1)
            assert_same(cache, api)
            assert cache.get("default/a") is None
            assert cache.get("default/b") is not None

    virtual(main())


def test_a_server_that_cannot_stream_snapshots_is_listed() -> None:
    async def main() -> None:
        api = FakeApi()
        api.watch_list = False
        for number in range(5):
            api.put(PODS, pod(f"p{number}"))
        cache = new_cache(api)
        async with running(cache):
            await cache.synced()
            assert_same(cache, api)

    virtual(main())


def test_a_server_that_never_ends_its_snapshot_is_listed() -> None:
    async def main() -> None:
        api = FakeApi()
        api.put(PODS, pod("a"))
        plain = api._watch

        async def deaf(path: str, query: Any, receive: Any, send: Any) -> None:
            await plain(
                path,
                {name: value for name, value in query.items() if name != "sendInitialEvents"},
                receive,
                send,
            )

        api._watch = deaf  # type: ignore[method-assign]
        cache = new_cache(api)
        async with running(cache):
            async with asyncio.timeout(60):
                await cache.synced()
            assert_same(cache, api)

    virtual(main())


@both_ways
def test_deletions_during_an_outage_are_seen_after_a_410(watch_list: bool) -> None:
    async def main() -> None:
        api = FakeApi()
        for name in ("a", "b", "c"):
            api.put(PODS, pod(name))
        cache, view = new_cache(api, watch_list=watch_list), View()
        cache.subscribe(view)
        async with running(cache):
            await cache.synced()
            view.calls.clear()
            api.end_watches()
            api.remove(PODS, "default/b")
            api.put(PODS, pod("d"))
            api.put(PODS, pod("c", node="n1"))
            api.compact()
            await asyncio.sleep(SETTLED_S)
            assert_same(cache, api)
            assert sorted(view.calls) == [("+", "default/d"), ("-", "default/b"), ("~", "default/c")]

    virtual(main())


def test_an_object_made_anew_under_its_name_is_two_changes() -> None:
    async def main() -> None:
        api = FakeApi()
        api.put(PODS, pod("a"))
        cache, view = new_cache(api), View()
        cache.subscribe(view)
        async with running(cache):
            await cache.synced()
            api.end_watches()
            api.remove(PODS, "default/a")
            api.put(PODS, pod("a"))
            api.compact()
            await asyncio.sleep(SETTLED_S)
            assert view.calls == [("+", "default/a"), ("-", "default/a"), ("+", "default/a")]

    virtual(main())


def test_what_has_not_changed_over_a_new_snapshot_is_not_told() -> None:
    async def main() -> None:
        api = FakeApi()
        api.put(PODS, pod("a"))
        cache, view = new_cache(api), View()
        async with running(cache):
            await cache.synced()
            cache.subscribe(view)
            api.end_watches()
            api.put(PODS, pod("b"))
            api.compact()
            await asyncio.sleep(SETTLED_S)
            assert view.calls == [("+", "default/a"), ("+", "default/b")]

    virtual(main())


def test_a_watch_cut_in_the_middle_of_an_event_loses_nothing() -> None:
    async def main() -> None:
        api = FakeApi()
        api.put(PODS, pod("a"))
        cache = new_cache(api)
        async with running(cache):
            await cache.synced()
            api.put(PODS, pod("b"))
            api.end_watches(mid_line=True)
            await asyncio.sleep(SETTLED_S)
            assert_same(cache, api)

    virtual(main())


def test_a_resumed_watch_does_not_take_a_new_snapshot() -> None:
    async def main() -> None:
        api = FakeApi()
        api.put(PODS, pod("a"))
        cache = new_cache(api)
        async with running(cache):
            await cache.synced()
            seen = api.put(PODS, pod("b"))["metadata"]["resourceVersion"]
            await asyncio.sleep(1)
            api.requests.clear()
            api.end_watches()
            api.put(PODS, pod("c"))
            await asyncio.sleep(SETTLED_S)
            assert_same(cache, api)
            assert [query["resourceVersion"] for _, _, query, _ in api.requests] == [seen]

    virtual(main())


def test_a_server_that_is_down_is_not_hammered() -> None:
    async def main() -> None:
        async def down(method: str, path: str) -> None:
            raise Refused(503, "", "down")

        api = FakeApi()
        api.fault = down
        async with running(new_cache(api)):
            await asyncio.sleep(600)
        assert 10 < len(api.requests) < 100

    virtual(main())


def test_a_server_that_says_when_to_come_back_is_obeyed() -> None:
    async def main() -> None:
        async def busy(method: str, path: str) -> None:
            refusal = Refused(429, "TooManyRequests", "busy")
            refusal.status["details"] = {"retryAfterSeconds": 100}
            raise refusal

        api = FakeApi()
        api.fault = busy
        async with running(new_cache(api)):
            await asyncio.sleep(1050)
        assert len(api.requests) == 11

    virtual(main())


def test_a_server_that_ends_every_watch_at_once_is_not_hammered() -> None:
    async def main() -> None:
        api = FakeApi()
        api.put(PODS, pod("a"))

        async def ends(path: str, query: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        api._watch = ends  # type: ignore[method-assign]
        async with running(new_cache(api, watch_list=False)):
            await asyncio.sleep(600)
        assert 10 < len(api.requests) < 100

    virtual(main())


def test_a_server_that_forgets_at_once_is_not_hammered() -> None:
    async def main() -> None:
        api = FakeApi()
        api.put(PODS, pod("a"))

        async def gone(path: str, query: Any, receive: Any, send: Any) -> None:
            raise Refused(410, "Expired", "too old")

        api._watch = gone  # type: ignore[method-assign]
        async with running(new_cache(api, watch_list=False)):
            await asyncio.sleep(600)
        assert 20 < len(api.requests) < 200

    virtual(main())


def test_what_changes_while_a_snapshot_is_streamed_is_part_of_it() -> None:
    async def main() -> None:
        def line(kind: str, obj: dict[str, Any], **metadata: Any) -> bytes:
            return (
                json.dumps({"type": kind, "object": obj | {"metadata": obj["metadata"] | metadata}}).encode()
                + b"\n"
            )

        lines = [
            line("ADDED", pod("a"), resourceVersion="1"),
            line("ADDED", pod("b"), resourceVersion="2"),
            line("ADDED", pod("c"), resourceVersion="3"),
            line("MODIFIED", pod("a", node="n1"), resourceVersion="4"),
            line("DELETED", pod("b"), resourceVersion="5"),
            line("MODIFIED", pod("c") | {"spec": {"nodeName": 5}}, resourceVersion="6"),
            line("BOOKMARK", {"metadata": {}}, resourceVersion="6"),
            line(
                "BOOKMARK",
                {"metadata": {}},
                resourceVersion="6",
                annotations={"k8s.io/initial-events-end": "true"},
            ),
        ]

        async def stream(path: str, query: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for text in lines:
                await asyncio.sleep(1)
                assert not cache.is_synced
                await send({"type": "http.response.body", "body": text, "more_body": True})
            await receive()

        api = FakeApi()
        api._watch = stream  # type: ignore[method-assign]
        cache = new_cache(api)
        async with running(cache):
            await cache.synced()
            assert [(key(obj), obj.spec.node_name) for obj in cache.values()] == [("default/a", "n1")]

    virtual(main())


@both_ways
def test_one_unreadable_object_hides_only_itself(watch_list: bool) -> None:
    async def main() -> None:
        api = FakeApi()
        api.put(PODS, pod("a"))
        api.put(PODS, pod("bad") | {"spec": {"nodeName": 5}})
        cache = new_cache(api, watch_list=watch_list)
        async with running(cache):
            await cache.synced()
            assert [key(obj) for obj in cache.values()] == ["default/a"]
            api.put(PODS, pod("bad"))
            api.put(PODS, pod("a") | {"spec": {"nodeName": 5}})
            await asyncio.sleep(1)
            assert [key(obj) for obj in cache.values()] == ["default/bad"]

    virtual(main())


def test_a_late_subscriber_is_told_what_is_there() -> None:
    async def main() -> None:
        api = FakeApi()
        api.put(PODS, pod("a"))
        cache, view = new_cache(api), View()
        async with running(cache):
            await cache.synced()
            end = cache.subscribe(view)
            assert view.calls == [("+", "default/a")]
            end()
            api.put(PODS, pod("b"))
            await asyncio.sleep(1)
            assert view.calls == [("+", "default/a")]

    virtual(main())


def test_a_subscriber_that_fails_does_not_stop_the_others() -> None:
    async def main() -> None:
        def broken(old: Pod | None, new: Pod | None) -> None:
            raise RuntimeError("broken")

        api = FakeApi()
        api.put(PODS, pod("a"))
        cache, view = new_cache(api), View()
        cache.subscribe(broken)
        cache.subscribe(view)
        async with running(cache):
            await cache.synced()
            api.put(PODS, pod("b"))
            await asyncio.sleep(1)
            assert set(view.objects) == {"default/a", "default/b"}

    virtual(main())


def test_dicts_are_cached_as_well() -> None:
    async def main() -> None:
        api = FakeApi()
        api.put(PODS, pod("a"))
        cache: Cache[dict[str, Any]] = Cache(client_of(api), PODS, dict)
        async with running(cache):
            await cache.synced()
            obj = cache.get("default/a")
            assert obj is not None and obj["spec"]["containers"] == [{"name": "main"}]

    virtual(main())


names = st.sampled_from(["a", "b", "c", "d", "e"])
steps = st.one_of(
    st.tuples(st.just("put"), names, st.sampled_from(["", "n1", "n2"])),
    st.tuples(st.just("put"), names, st.sampled_from(["", "n1", "n2"])),
    st.tuples(st.just("remove"), names),
    st.tuples(st.just("break"), names),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.001, 0.5, 40.0, 400.0])),
    st.tuples(st.just("end"), st.booleans()),
    st.tuples(st.just("compact")),
    st.tuples(st.just("fail"), st.integers(1, 4), st.sampled_from(["429", "500", "403", "cut", "hang"])),
    st.tuples(st.just("fail after"), st.integers(1, 3)),
    st.tuples(st.just("streams"), st.booleans()),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(steps, max_size=30), st.booleans())
def test_it_always_becomes_the_server_and_subscribers_can_rebuild_it(
    script: list[Any], watch_list: bool
) -> None:
    async def main() -> None:
        api = FakeApi()
        left, kind = [0], [""]

        async def fault(method: str, path: str) -> None:
            if left[0] <= 0:
                return
            left[0] -= 1
            if kind[0] == "cut":
                raise Cut
            if kind[0] == "hang":
                await asyncio.sleep(1e4)
            raise Refused(int(kind[0]) if kind[0].isdigit() else 500, "", "no")

        api.fault = fault
        cache, view = new_cache(api, watch_list=watch_list), View()
        cache.subscribe(view)
        async with running(cache):
            for step, *arguments in script:
                match step:
                    case "put":
                        api.put(PODS, pod(arguments[0], node=arguments[1]))
                    case "remove":
                        if f"default/{arguments[0]}" in api.objects(PODS):
                            api.remove(PODS, f"default/{arguments[0]}")
                    case "break":
                        api.put(PODS, pod(arguments[0]) | {"spec": {"nodeName": 5}})
                    case "wait":
                        await asyncio.sleep(arguments[0])
                    case "end":
                        api.end_watches(mid_line=arguments[0])
                    case "compact":
                        api.compact()
                        api.end_watches()
                    case "fail":
                        left[0], kind[0] = arguments
                    case "fail after":
                        api.answer_fault = fault
                        left[0], kind[0] = arguments[0], "cut"
                    case "streams":
                        api.watch_list = arguments[0]
                assert {key(obj): obj for obj in cache.values()} == view.objects
            for name, obj in list(api.objects(PODS).items()):
                if obj["spec"]["nodeName"] == 5:
                    api.put(PODS, pod(name.split("/")[1]))
            left[0] = 0
            await asyncio.sleep(600)
            assert cache.is_synced
            assert_same(cache, api)
            assert {key(obj): obj for obj in cache.values()} == view.objects
            assert not view.problems

    virtual(main())
