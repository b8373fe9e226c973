import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from structlog.testing import capture_logs

from aliquot.kube.events import Recorder, Severity
from aliquot.kube.resources import EVENTS, NODES, PODS
from tests.kube.fake_api import FakeApi, Refused, client_of, pod, virtual

POD = pod("a") | {"metadata": {"name": "a", "namespace": "default", "uid": "u"}}


@asynccontextmanager
async def recording(api: FakeApi) -> AsyncIterator[Recorder]:
    recorder = Recorder(client_of(api), "aliquot-test")
    task = asyncio.create_task(recorder.run())
    try:
        yield recorder
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def events(api: FakeApi) -> list[Any]:
    return list(api.objects(EVENTS).values())


def test_an_event_says_what_happened_to_whom() -> None:
    async def main() -> None:
        api = FakeApi()
        async with recording(api) as recorder:
            recorder.event(PODS, POD, Severity.WARNING, "FailedScheduling", "no node has a free GPU")
            await asyncio.sleep(1)
        (event,) = events(api)
        assert event["involvedObject"] == {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": "default",
            "name": "a",
            "uid": "u",
        }
        assert (event["type"], event["reason"], event["count"]) == ("Warning", "FailedScheduling", 1)
        assert event["metadata"]["namespace"] == "default"
        assert event["reportingComponent"] == "aliquot-test"

    virtual(main())


def test_events_about_nodes_are_in_the_default_namespace() -> None:
    async def main() -> None:
        api = FakeApi()
        async with recording(api) as recorder:
            recorder.event(NODES, {"metadata": {"name": "n"}}, Severity.NORMAL, "Ready", "it is ready")
            await asyncio.sleep(1)
        (event,) = events(api)
        assert event["metadata"]["namespace"] == "default"

    virtual(main())


def test_a_thousand_repeats_are_one_object_and_few_writes() -> None:
    async def main() -> None:
        api = FakeApi()
        async with recording(api) as recorder:
            for _ in range(1000):
                recorder.event(PODS, POD, Severity.WARNING, "FailedScheduling", "no")
                await asyncio.sleep(0.01)
        (event,) = events(api)
        assert event["count"] == 1000
        assert len(api.requests) <= 5

    virtual(main())


def test_other_words_are_another_event() -> None:
    async def main() -> None:
        api = FakeApi()
        async with recording(api) as recorder:
            await asyncio.sleep(0)
            recorder.event(PODS, POD, Severity.NORMAL, "Scheduled", "on n1")
            recorder.event(PODS, POD, Severity.NORMAL, "Scheduled", "on n2")
        assert [event["message"] for event in events(api)] == ["on n1", "on n2"]

    virtual(main())


def test_a_repeat_much_later_is_a_new_event() -> None:
    async def main() -> None:
        api = FakeApi()
        async with recording(api) as recorder:
            for _ in range(2):
                recorder.event(PODS, POD, Severity.NORMAL, "Scheduled", "on n1")
                await asyncio.sleep(1000)
        assert [event["count"] for event in events(api)] == [1, 1]

    virtual(main())


def test_an_event_the_server_has_forgotten_is_written_anew() -> None:
    async def main() -> None:
        api = FakeApi()
        async with recording(api) as recorder:
            recorder.event(PODS, POD, Severity.NORMAL, "Scheduled", "on n1")
            await asyncio.sleep(10)
            api.remove(EVENTS, next(iter(api.objects(EVENTS))))
            recorder.event(PODS, POD, Severity.NORMAL, "Scheduled", "on n1")
        (event,) = events(api)
        assert event["count"] == 2

    virtual(main())


def test_what_cannot_be_sent_is_dropped_with_a_line() -> None:
    async def main() -> None:
        async def full(method: str, path: str) -> None:
            raise Refused(403, "Forbidden", "namespace is terminating")

        api = FakeApi()
        api.fault = full
        with capture_logs() as logs:
            async with recording(api) as recorder:
                recorder.event(PODS, POD, Severity.NORMAL, "Scheduled", "on n1")
                await asyncio.sleep(1)
                api.fault = None
                recorder.event(PODS, POD, Severity.NORMAL, "Started", "runs")
        assert [log["error"] for log in logs] == ["namespace is terminating"]
        assert [event["reason"] for event in events(api)] == ["Started"]

    virtual(main())
