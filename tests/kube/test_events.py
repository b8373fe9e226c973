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


def test_a_burst_is_told_whole_a_few_at_a_time() -> None:
    async def main() -> None:
        api = FakeApi()
        under_way: list[str] = []
        most = 0

        async def slow(method: str, path: str) -> None:
            nonlocal most
            under_way.append(path)
            most = max(most, len(under_way))
            await asyncio.sleep(0.01)
            under_way.pop()

        api.fault = slow
        async with recording(api) as recorder:
            for number in range(6000):
                recorder.event(PODS, POD, Severity.NORMAL, "Scheduled", f"on n{number}")
            await asyncio.sleep(600)
        assert len(events(api)) == 6000
        assert most == 8

    virtual(main())


def test_an_event_that_repeats_while_it_is_sent_is_still_one_object() -> None:
    async def main() -> None:
        api = FakeApi()

        async def slow(method: str, path: str) -> None:
            await asyncio.sleep(20)

        api.fault = slow
        async with recording(api) as recorder:
            for _ in range(10):
                recorder.event(PODS, POD, Severity.WARNING, "FailedScheduling", "no")
                await asyncio.sleep(6)
            await asyncio.sleep(60)
        assert [event["count"] for event in events(api)] == [10]

    virtual(main())


def test_more_than_can_be_kept_is_dropped_oldest_first_with_a_line() -> None:
    async def main() -> None:
        api = FakeApi()
        with capture_logs() as logs:
            async with recording(api) as recorder:
                for number in range(20_003):
                    recorder.event(PODS, POD, Severity.NORMAL, "Scheduled", f"on n{number}")
                await asyncio.sleep(600)
        assert [(log["event"], log["events"]) for log in logs] == [("events dropped: too many at once", 3)]
        assert {event["message"] for event in events(api)} == {f"on n{number}" for number in range(3, 20_003)}

    virtual(main())
