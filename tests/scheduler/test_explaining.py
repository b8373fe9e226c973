"""Why, when, what if: asked of a cluster in memory, with nothing written."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from aliquot.kube import errors
from aliquot.scheduler.explaining import Answer, Subject, Unknown, explain, spoken
from tests.scheduler.fake_api import FakeApi, Json, World, simulate
from tests.scheduler.running import node, pod, running, scheduler, until
from tests.scheduler.test_group_status import GROUPS, group, member
from tests.scheduler.test_queue_status import queue, queued

NAMES = ("aliquot", "default-scheduler")


def asked(subject: str, put: Callable[[FakeApi], object], *, runs: bool = False) -> Answer:
    """`runs`: after the scheduler has run on it for a while."""
    kind, namespace, name = subject.split("/")
    found: list[Answer] = []

    async def scenario(world: World) -> None:
        put(world.api)
        if runs:
            async with running(scheduler(world)):
                await asyncio.sleep(5)
        before = list(world.api.writes)
        found.append(
            await explain(world.client(9), Subject(kind, namespace, name), clock=world.clock, names=NAMES)
        )
        assert world.api.writes == before

    simulate(scenario, kinds=GROUPS)
    return found[0]


def vision(api: FakeApi, *, limit: int = 6, uses: int = 3, gang: int = 4) -> None:
    api.put("nodes", node("a", gpus=8))
    api.put("queues", queue("research", limit=limit))
    api.put("queues", queue("vision", "research", quota=4))
    for number in range(uses):
        api.put("pods", queued(f"run{number}", "vision"))
    if gang:
        api.put("podgroups", group("train", gang, queue="vision"))
    for number in range(gang):
        api.put("pods", member(f"train-{number}", "train"))


def test_a_gang_that_its_queue_holds_back() -> None:
    answer = asked("podgroup/default/train", vision, runs=True)
    assert answer.told == (
        "podgroup default/train waits: 4 GPUs are asked for, and queue research has 3 of 6 at most"
    )
    assert answer.state == "Waiting" and answer.why is not None and answer.why.reason == "OverLimit"
    assert answer.members is not None
    assert (answer.members.needed, answer.members.exist, answer.members.placed) == (4, 4, 0)
    assert [
        (one.queue, one.resource, one.allocated, one.requested, one.quota, one.limit, one.fair_share)
        for one in answer.queues
    ] == [("vision", "gpu", "3", "7", "4", "", "6"), ("research", "gpu", "3", "7", "", "6", "6")]
    assert (answer.position, answer.line, answer.ahead) == (1, 1, ())
    assert [change.steps for change in answer.changes] == [
        ("raise the limit of queue research from 6 to 7 GPUs",),
        ("begin with 3 pods instead of 4",),
    ]
    assert answer.predicted_start is None and answer.start_told == ""


def test_a_pod_says_what_its_job_waits_for() -> None:
    answer = asked("pod/default/train-2", vision, runs=True)
    assert (answer.job, answer.kind, answer.name) == ("podgroup default/train", "pod", "train-2")
    assert answer.told.startswith("pod default/train-2 waits: 4 GPUs are asked for")


@pytest.mark.parametrize(
    ("subject", "told"),
    [
        ("podgroup/default/train", "podgroup default/train runs, and 1 more of its pods waits: "),
        ("pod/default/train-3", "pod default/train-3 waits, and its job runs without it: "),
    ],
)
def test_what_waits_beyond_the_minimum(subject: str, told: str) -> None:
    def put(api: FakeApi) -> None:
        vision(api)
        api.put("podgroups", group("train", 2, queue="vision"))

    answer = asked(subject, put, runs=True)
    assert answer.told == f"{told}1 GPU is asked for, and queue research has 6 of 6 at most"


def test_who_is_before_it() -> None:
    def put(api: FakeApi) -> None:
        vision(api, limit=1, uses=1)
        for number in range(4):
            api.put("pods", queued(f"later{number}", "vision", gpus=2))

    answer = asked("pod/default/later3", put, runs=True)
    assert (answer.position, answer.line) == (5, 5)
    assert [(one.job, one.asks) for one in answer.ahead] == [
        ("podgroup default/train", "4 pods, 4 GPUs"),
        ("pod default/later0", "1 pod, 2 GPUs"),
        ("pod default/later1", "1 pod, 2 GPUs"),
    ]


def test_when_it_is_likely_to_start() -> None:
    def put(api: FakeApi) -> None:
        api.put("nodes", node("a", gpus=8))
        first = pod("first", gpus=8)
        first["metadata"]["annotations"] = {"aliquot.dev/max-runtime": "2h"}
        first["spec"]["nodeName"] = "a"
        first["status"] = {"phase": "Running", "startTime": "2026-01-01T00:00:00Z"}
        api.put("pods", first)
        api.put("pods", pod("second", gpus=4))

    answer = asked("pod/default/second", put)
    assert answer.why is not None and answer.why.reason == "Full"
    assert answer.start_told == "starts in 2h at the latest"
    assert answer.predicted_start == "2026-01-01T02:00:00Z"
    assert answer.changes[0].steps == ("add 1 node like a (8 nvidia.com/gpu)",)


def test_nothing_is_known_of_when_others_end() -> None:
    def put(api: FakeApi) -> None:
        api.put("nodes", node("a", gpus=8))
        first = pod("first", gpus=8)
        first["spec"]["nodeName"] = "a"
        api.put("pods", first)
        api.put("pods", pod("second", gpus=4))

    answer = asked("pod/default/second", put)
    assert answer.predicted_start is None
    assert answer.start_told.startswith("when it starts cannot be said")


def test_nobody_who_ends_makes_room_for_what_no_node_is_large_enough_for() -> None:
    def put(api: FakeApi) -> None:
        api.put("nodes", node("a", gpus=8))
        api.put("pods", pod("second", gpus=9))

    answer = asked("pod/default/second", put)
    assert answer.why is not None and answer.why.reason == "TooLarge"
    assert (answer.predicted_start, answer.start_told) == (None, "")


def _pod(
    name: str = "p", *, status: Mapping[str, Any] | None = None, **spec: Any
) -> Callable[[FakeApi], object]:
    made = pod(name, gpus=1, **spec)
    made["status"] |= status or {}

    def put(api: FakeApi) -> None:
        api.put("nodes", node("a", gpus=1))
        api.put("pods", made)

    return put


def _deleted(api: FakeApi) -> None:
    made = pod("p", gpus=1)
    made["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    api.put("pods", made)


def _less_urgent(api: FakeApi) -> None:
    api.put("nodes", node("a", gpus=1))
    low = pod("low", gpus=1, priority=0)
    low["spec"]["nodeName"] = "a"
    low["status"] = {"phase": "Running", "startTime": "2025-12-31T22:30:00Z"}
    api.put("pods", low)
    api.put("pods", pod("p", gpus=1, priority=10))


@pytest.mark.parametrize(
    ("put", "state", "told"),
    [
        (_pod(nodeName="a", status={"phase": "Running"}), "Placed", "is on node a (Running)"),
        (_pod(status={"phase": "Failed"}), "Ended", "has ended: Failed"),
        (
            _pod(scheduler="volcano"),
            "NotOurs",
            "is placed by the scheduler 'volcano': only that one knows why it waits",
        ),
        (
            _pod(scheduler="volcano", nodeName="a", status={"phase": "Running"}),
            "Placed",
            "is on node a (Running)",
        ),
        (_pod(schedulingGates=[{"name": "later"}]), "Gated", "waits for its scheduling gates: later"),
        (_deleted, "BeingDeleted", "is being deleted"),
        (_pod(), "Placeable", "has room on a: it is placed at once where the scheduler runs"),
        (
            _less_urgent,
            "MakingRoom",
            "is to start on a once others have left: default/low, at the cost of 1.5 GPU-hours of their work",
        ),
    ],
)
def test_what_does_not_wait_for_room_is_said_in_a_line(
    put: Callable[[FakeApi], object], state: str, told: str
) -> None:
    answer = asked("pod/default/p", put)
    assert (answer.state, answer.told) == (state, f"pod default/p {told}")
    assert answer.why is None and answer.changes == ()


@pytest.mark.parametrize(
    ("gang", "pods", "told"),
    [
        (2, [], "waits: 0 of the 2 pods that it takes exist; the others have to be made first"),
        (2, ["p0"], "waits: 1 of the 2 pods that it takes exist; the others have to be made first"),
        (2, ["p0", "p1"], "has all its pods placed: 2, and 2 are needed"),
    ],
)
def test_groups(gang: int, pods: list[str], told: str) -> None:
    def put(api: FakeApi) -> None:
        api.put("nodes", node("a", gpus=8))
        api.put("podgroups", group("train", gang))
        for name in pods:
            api.put("pods", member(name, "train"))

    assert asked("podgroup/default/train", put, runs=True).told == f"podgroup default/train {told}"


@pytest.mark.parametrize(
    ("subject", "message"),
    [
        ("pod/default/tran-0", "there is no pod default/tran-0; did you mean 'train-0'?"),
        ("pod/team/train-0", "there is no pod team/train-0; there is one in the namespace default"),
        ("podgroup/default/trian", "there is no podgroup default/trian; did you mean 'train'?"),
        ("podgroup/default/zzz", "there is no podgroup default/zzz"),
    ],
)
def test_a_name_that_nobody_has(subject: str, message: str) -> None:
    with pytest.raises(Unknown) as refused:
        asked(subject, vision)
    assert str(refused.value) == message


def test_who_may_not_look_is_told() -> None:
    async def scenario(world: World) -> None:
        del world.api.objects["nodes"]
        with pytest.raises(errors.NotFound):
            await explain(world.client(9), Subject("pod", "default", "p"), clock=world.clock, names=NAMES)

    simulate(scenario)


@pytest.mark.parametrize("why", ["BindFailed", "SchedulerError", "DevicesNotMade", "VolumesNotBound"])
def test_who_has_room_and_does_not_get_there_is_told_why(why: str) -> None:
    def put(api: FakeApi) -> None:
        api.put("nodes", node("a", gpus=8))
        one = pod("p", gpus=1)
        condition = {"type": "PodScheduled", "status": "False", "reason": why, "message": "it did not work"}
        one["status"]["conditions"] = [condition | {"lastTransitionTime": "2026-01-01T00:00:00Z"}]
        api.put("pods", one)

    answer = asked("pod/default/p", put)
    assert answer.state == "Placeable"
    assert answer.told == (
        "pod default/p has room on a: it is placed at once where the scheduler runs. "
        "It is being tried, since 2026-01-01T00:00:00Z: it did not work"
    )


def test_it_says_what_the_pod_is_told() -> None:
    """By the scheduler that runs beside it."""

    async def scenario(world: World) -> None:
        api = world.api
        vision(api)
        async with running(scheduler(world)):
            await until(lambda: api.condition("train-0")[0] == "False")
            answer = await explain(
                world.client(9), Subject("pod", "default", "train-0"), clock=world.clock, names=NAMES
            )
            assert answer.why is not None
            assert api.condition("train-0")[2] == answer.why.message
            shown: Json = api.objects["podgroups"]["default/train"]
            await until(lambda: api.objects["podgroups"]["default/train"].get("status") is not None)
            shown = api.objects["podgroups"]["default/train"]["status"]["waiting"]
            assert (shown["reason"], shown["message"]) == (answer.why.reason, answer.why.message)

    simulate(scenario, kinds=GROUPS)


@pytest.mark.parametrize(
    ("job", "said"),
    [
        ("team-a/x", "pod team-a/x"),
        ("team-a/podgroup.aliquot.dev:train", "podgroup team-a/train"),
        ("team-a/pytorchjob.kubeflow.org:mnist", "pytorchjob team-a/mnist"),
    ],
)
def test_jobs_in_words(job: str, said: str) -> None:
    assert spoken(job) == said
