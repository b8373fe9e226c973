"""A kind that a server may lack, serve in another version only, or not show."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import pytest
from structlog.testing import capture_logs

from aliquot.kube.cache import Cache
from aliquot.kube.resources import Resource
from tests.kube.fake_api import FakeApi, Json, Refused, client_of, virtual
from tests.kube.test_cache import running

V1, V1BETA2, V1BETA1 = (
    Resource("resource.k8s.io", version, "resourceslices", "ResourceSlice", namespaced=False)
    for version in ("v1", "v1beta2", "v1beta1")
)
HOUR_S = 3600


def a_slice(name: str) -> Json:
    return {"metadata": {"name": name}}


def following(api: FakeApi) -> Cache[Json]:
    return Cache(client_of(api), V1, dict, older=(V1BETA2, V1BETA1), optional=True)


def serving(*served: Resource) -> Callable[[str, str], object]:
    async def fault(_method: str, path: str) -> None:
        if path not in {resource.path() for resource in served}:
            raise Refused(404, "NotFound", "the server could not find the requested resource")

    return fault


async def forbidding(_method: str, _path: str) -> None:
    raise Refused(403, "Forbidden", "not yours to see")


@pytest.mark.parametrize("version", [V1, V1BETA2, V1BETA1], ids=lambda resource: resource.version)
def test_the_newest_version_that_is_served_is_followed(version: Resource) -> None:
    async def main() -> None:
        api = FakeApi()
        api.fault = serving(version)  # type: ignore[assignment]
        api.put(version, a_slice("a"))
        cache = following(api)
        async with running(cache):
            async with asyncio.timeout(1):
                await cache.synced()
            api.put(version, a_slice("b"))
            await asyncio.sleep(1)
            assert {obj["metadata"]["name"] for obj in cache.values()} == {"a", "b"}

    virtual(main())


def test_a_version_that_the_server_drops_gives_way_to_the_next_at_once() -> None:
    async def main() -> None:
        api = FakeApi()
        api.fault = serving(V1BETA1)  # type: ignore[assignment]
        for version in (V1BETA1, V1):
            api.put(version, a_slice("a"))
        cache = following(api)
        async with running(cache):
            await cache.synced()
            api.fault = serving(V1)  # type: ignore[assignment]
            api.end_watches()
            await asyncio.sleep(1)
            api.put(V1, a_slice("b"))
            await asyncio.sleep(1)
            assert {obj["metadata"]["name"] for obj in cache.values()} == {"a", "b"}

    virtual(main())


@pytest.mark.parametrize(
    ("fault", "known_within_s", "requests_an_hour", "said"),
    [
        (serving(), 1, (6, 3 * 12 + 3), ["cache stays empty"]),
        # It may be a server that has just started: a refusal counts when it lasts.
        (forbidding, 15, (60, 130), ["cache lags", "cache stays empty"]),
    ],
    ids=["not served", "forbidden"],
)
def test_what_is_not_to_be_had_is_said_once_asked_for_rarely_and_found_when_it_comes(
    fault: Callable[[str, str], object],
    known_within_s: float,
    requests_an_hour: tuple[int, int],
    said: list[str],
) -> None:
    async def main() -> None:
        api = FakeApi()
        api.fault = fault  # type: ignore[assignment]
        cache = following(api)
        served: list[bool] = []
        cache.subscribe_served(lambda: served.append(cache.is_served))
        with capture_logs() as logs:
            async with running(cache):
                async with asyncio.timeout(known_within_s):
                    await cache.synced()
                assert len(cache) == 0 and not cache.is_served
                await asyncio.sleep(HOUR_S)
                assert requests_an_hour[0] <= len(api.requests) <= requests_an_hour[1]
                assert [entry["event"] for entry in logs if entry["log_level"] != "debug"] == said
                api.fault = None
                api.put(V1, a_slice("a"))
                await asyncio.sleep(HOUR_S)
                assert len(cache) == 1
                assert served == [False, True]

    virtual(main())


def said(logs: Sequence[Mapping[str, object]]) -> list[tuple[object, object]]:
    """What is said at the usual level, and of how many objects."""
    return [(entry["event"], entry.get("objects")) for entry in logs if entry["log_level"] == "info"]


def test_a_kind_that_goes_takes_its_objects_along() -> None:
    async def main() -> None:
        api = FakeApi()
        api.put(V1, a_slice("a"))
        cache = following(api)
        with capture_logs() as logs:
            async with running(cache):
                await cache.synced()
                api.fault = serving()  # type: ignore[assignment]
                api.end_watches()
                await asyncio.sleep(HOUR_S)
                assert len(cache) == 0
        assert said(logs) == [("cache is empty now", None)]

    virtual(main())


def test_a_kind_that_is_installed_anew_is_found_within_a_minute() -> None:
    async def main() -> None:
        api = FakeApi()
        api.put(V1, a_slice("a"))
        cache = following(api)
        async with running(cache):
            await cache.synced()
            api.fault = serving()  # type: ignore[assignment]
            api.end_watches()
            await asyncio.sleep(10)
            assert not cache.is_served
            api.fault = None
            await asyncio.sleep(61)
            assert cache.is_served and len(cache) == 1

    virtual(main())


def test_what_may_no_longer_be_seen_is_taken_to_be_as_it_was_until_it_is_gone() -> None:
    async def main() -> None:
        api = FakeApi()
        api.put(V1, a_slice("a"))
        cache = following(api)
        with capture_logs() as logs:
            async with running(cache):
                await cache.synced()
                api.fault = forbidding
                api.end_watches()
                await asyncio.sleep(HOUR_S)
                assert len(cache) == 1
                assert said(logs) == [("cache stays as it was", 1)]
                api.fault = serving()  # type: ignore[assignment]
                await asyncio.sleep(HOUR_S)
                assert len(cache) == 0
        assert said(logs) == [("cache stays as it was", 1), ("cache is empty now", None)]

    virtual(main())


def test_a_server_that_has_yet_to_read_its_roles_is_not_believed() -> None:
    async def main() -> None:
        api = FakeApi()
        api.fault = forbidding
        api.put(V1, a_slice("a"))
        cache = following(api)
        async with running(cache):
            await asyncio.sleep(2)
            assert not cache.is_synced
            api.fault = None
            async with asyncio.timeout(10):
                await cache.synced()
            assert len(cache) == 1 and cache.is_served

    virtual(main())


def test_each_restart_of_the_server_has_its_own_time_of_doubt() -> None:
    async def main() -> None:
        api = FakeApi()
        api.put(V1, a_slice("a"))
        cache = following(api)
        served: list[bool] = []
        cache.subscribe_served(lambda: served.append(cache.is_served))
        async with running(cache):
            await cache.synced()
            for name in ("b", "c"):
                api.fault = forbidding
                api.end_watches()
                await asyncio.sleep(2)
                api.fault = None
                api.put(V1, a_slice(name))
                await asyncio.sleep(10)
            assert len(cache) == 3 and served == []

    virtual(main())


def test_a_kind_that_has_to_be_there_is_asked_for_until_it_is() -> None:
    async def main() -> None:
        api = FakeApi()
        api.fault = serving()  # type: ignore[assignment]
        cache = Cache(client_of(api), V1, dict)
        async with running(cache):
            await asyncio.sleep(10)
            assert not cache.is_synced
            api.fault = None
            await asyncio.sleep(30)
            assert cache.is_synced

    virtual(main())
