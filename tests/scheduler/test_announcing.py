"""What is told of pods that have got a node: each, or the first of a burst and the sum of the others."""

import asyncio
from typing import Any

import pytest

from aliquot.kube.events import Recorder
from aliquot.kube.resources import EVENTS
from aliquot.scheduler.announcing import FIRST, WHILE_S, Announcer, Events
from aliquot.scheduler.core.pod import PodRequest
from aliquot.scheduler.testing import pod
from tests.kube.fake_api import FakeApi, client_of, virtual

SHAPE = pod("any").shape


def told(events: Events, *bursts: tuple[str, int], apart_s: float) -> list[tuple[str, str, str]]:
    """(namespace, kind, message) of what is told when so many pods of a namespace are bound at once, and others later."""

    async def main() -> list[tuple[str, str, str]]:
        api = FakeApi()
        recorder = Recorder(client_of(api), "aliquot-scheduler")
        announcer = Announcer(recorder, events)
        running = [asyncio.create_task(recorder.run()), asyncio.create_task(announcer.run())]
        for burst, (namespace, pods) in enumerate(bursts):
            for number in range(pods):
                name = f"{namespace}/p{burst}-{number}"
                announcer.bound(PodRequest(name, f"uid-{name}", SHAPE), f"node-{number % 3}")
            await asyncio.sleep(apart_s)
        for task in reversed(running):
            task.cancel()
            await asyncio.wait([task])
        return [_facts(event) for event in api.objects(EVENTS).values()]

    return virtual(main())


def _facts(event: Any) -> tuple[str, str, str]:
    about = event["involvedObject"]
    assert about["namespace"] == event["metadata"]["namespace"]
    assert (event["type"], event["reason"]) == ("Normal", "Scheduled")
    return about["namespace"], about["kind"], event["message"]


def test_each_has_its_event_in_the_words_of_kube_scheduler() -> None:
    assert told(Events.EACH, ("team", 100), apart_s=0.0) == [
        ("team", "Pod", f"Successfully assigned team/p0-{number} to node-{number % 3}")
        for number in range(100)
    ]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (1, "Successfully assigned 1 pod to 1 node: p0-16 to node-1"),
        (2, "Successfully assigned 2 pods to 2 nodes: p0-16 to node-1, p0-17 to node-2"),
        (
            84,
            "Successfully assigned 84 pods to 3 nodes: p0-16 to node-1, p0-17 to node-2, p0-18 to node-0, "
            "p0-19 to node-1, p0-20 to node-2, p0-21 to node-0, p0-22 to node-1, p0-23 to node-2, 76 more",
        ),
    ],
)
def test_of_a_burst_the_first_have_their_own_and_the_others_share_one(more: int, message: str) -> None:
    *own, summed = told(Events.SUMMED, ("team", FIRST + more), apart_s=2 * WHILE_S)
    assert [kind for _, kind, _ in own] == ["Pod"] * FIRST
    assert summed == ("team", "Namespace", message)


def test_pods_that_come_slowly_have_their_own() -> None:
    bursts = [("team", FIRST)] * 3
    assert {kind for _, kind, _ in told(Events.SUMMED, *bursts, apart_s=2 * WHILE_S)} == {"Pod"}


def test_a_burst_takes_nothing_from_other_namespaces() -> None:
    events = told(Events.SUMMED, ("busy", 1000), ("quiet", 1), apart_s=0.0)
    assert [event for event in events if event[0] == "quiet"] == [
        ("quiet", "Pod", "Successfully assigned quiet/p1-0 to node-0")
    ]


def test_what_is_summed_is_told_at_the_end_at_the_latest() -> None:
    *_, (_, kind, message) = told(Events.SUMMED, ("team", FIRST + 3), apart_s=0.1)
    assert kind == "Namespace"
    assert message.startswith("Successfully assigned 3 pods")
