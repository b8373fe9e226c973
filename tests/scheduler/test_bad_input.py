"""What is asked in error, and what happens at the worst moment: each has a condition with a reason, and there is never an
over-commit, nor half a gang. One test or row for each, against an API in memory, on virtual time.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from aliquot.clock import VirtualClock
from tests.scheduler.fake_api import FakeApi, Json, World, simulate
from tests.scheduler.running import GPU, gpu_node, node, pod, running, scheduler, until
from tests.scheduler.test_group_status import GROUPS, condition, group, member
from tests.scheduler.test_handover import election, holder
from tests.scheduler.test_queue_status import condition as queue_condition
from tests.scheduler.test_queue_status import queue, queued

DAY_S = 86_400.0
LONG_S = 60.0
"""For which whoever waits is watched."""


def gang(
    name: str, pods: int, minimum: int | None = None, *, gpus: int = 1, **spec: object
) -> list[tuple[str, Json]]:
    wanted = pods if minimum is None else minimum
    members = [("pods", member(f"{name}-{number}", name, gpus=gpus)) for number in range(pods)]
    return [("podgroups", group(name, wanted, **spec)), *members]


def of_a_job(pods: int, *, minimum: int) -> list[tuple[str, Json]]:
    said = {"aliquot.dev/min-member": str(minimum)}
    job = {
        "metadata": {"name": "g", "namespace": "default", "uid": "g", "annotations": said},
        "spec": {"parallelism": pods},
    }
    members = [("pods", pod(f"g-{number}", gpus=1)) for number in range(pods)]
    for _, one in members:
        one["metadata"]["ownerReferences"] = [
            {"apiVersion": "batch/v1", "kind": "Job", "name": "g", "uid": "g", "controller": True}
        ]
    return [("jobs", job), *members]


def waiting(api: FakeApi) -> list[str]:
    return [
        obj["metadata"]["name"] for obj in api.objects["pods"].values() if not obj["spec"].get("nodeName")
    ]


def taken(api: FakeApi) -> dict[str, int]:
    """GPUs by node, of pods that are there."""
    found: dict[str, int] = {}
    for obj in api.objects["pods"].values():
        if name := obj["spec"].get("nodeName"):
            asked = int(obj["spec"]["containers"][0]["resources"]["limits"].get(GPU, 0))
            found[name] = found.get(name, 0) + asked
    return found


def never_more_than(api: FakeApi, capacity: dict[str, int]) -> None:
    """Whenever a bind takes, no more is given on a node than there is; else it is in `api.broken`."""

    def check() -> None:
        for name, gpus in taken(api).items():
            assert gpus <= capacity[name], f"{gpus} of {capacity[name]} GPUs given on {name}"

    api.after_bind = check


def never_half(api: FakeApi, gangs: dict[str, int]) -> None:
    """Of each, by the start of its pods' names, all so many pods have a node, or none."""
    for name, size in gangs.items():
        pods = [obj for key, obj in api.objects["pods"].items() if key.startswith(f"default/{name}-")]
        there = sum(bool(obj["spec"].get("nodeName")) for obj in pods)
        assert there in (0, size), f"{there} of {size} pods of {name}"


@dataclass(frozen=True)
class Case:
    what: str
    objects: Sequence[tuple[str, Json]]
    reason: str
    """Of PodScheduled, on every pod."""
    message: str
    """How it begins."""
    queues: dict[str, str] = field(default_factory=dict)
    """Reasons of the condition Ready of queues."""


TEAM = ("queues", queue("team", limit=2))
CASES = [
    Case(
        "a gang larger than the cluster",
        gang("g", 6),
        "Unschedulable",
        "4 of 6 pods find a node, and all are needed",
    ),
    Case(
        "a pod larger than any node",
        [("pods", pod("p", gpus=3))],
        "Unschedulable",
        "no node has 3 nvidia.com/gpu: the largest has 2",
    ),
    Case(
        "a gang larger than its queue's limit",
        [TEAM, *gang("g", 3, queue="team")],
        "LargerThanLimit",
        "3 GPUs are asked for, and queue team may have 2 at most",
    ),
    Case(
        "in an unknown queue",
        [TEAM, *gang("g", 2, queue="taem")],
        "QueueDoesNotExist",
        "there is no queue taem",
    ),
    Case(
        "in an unknown queue, where there is no queue at all",
        gang("g", 2, queue="team"),
        "QueueDoesNotExist",
        "there is no queue team",
    ),
    Case(
        "in a queue that is not a leaf",
        [TEAM, ("queues", queue("part", "team")), *gang("g", 2, queue="team")],
        "QueueNotLeaf",
        "queue team has queues below it",
    ),
    Case(
        "a queue cycle",
        [("queues", queue("x", "y")), ("queues", queue("y", "x")), *gang("g", 2, queue="x")],
        "QueueClosed",
        "queue x is closed",
        {"x": "QueueCycle", "y": "QueueCycle"},
    ),
    Case(
        "a queue under one that does not exist",
        [("queues", queue("x", "nowhere")), ("pods", queued("p", "x"))],
        "QueueClosed",
        "queue x is closed",
        {"x": "ParentDoesNotExist"},
    ),
    Case(
        "a minimum above its size",
        gang("g", 3, minimum=4),
        "MembersMissing",
        "3 of the 4 pods that it takes exist",
    ),
    Case(
        "a minimum above the size of its Job",
        of_a_job(2, minimum=3),
        "PodGroup",
        "aliquot.dev/min-member is 3, above the 2 pods of a Job: lower it",
    ),
    Case(
        "a minimum of sub-groups above how many there are",
        [
            (
                "podgroups",
                {
                    "metadata": {"name": "g", "namespace": "default", "generation": 1},
                    "spec": {"minSubGroup": 3, "subGroups": [{"name": "s", "minMember": 1}]},
                },
            ),
            ("pods", member("g-0", "g")),
        ],
        "PodGroup",
        "PodGroup g",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_what_cannot_be_is_told_and_nothing_of_it_is_placed(case: Case) -> None:
    async def scenario(world: World) -> None:
        api = world.api
        for name in ("a", "b"):
            api.put("nodes", node(name, gpus=2))
        for kind, obj in case.objects:
            api.put(kind, obj)
        async with running(scheduler(world)):
            await until(lambda: all(api.condition(name)[0] for name in waiting(api)), 5)
            await asyncio.sleep(LONG_S)
            assert api.binds == []
            for name in waiting(api):
                status, reason, message = api.condition(name)
                assert (status, reason) == ("False", case.reason)
                assert message.startswith(case.message), message
            for name, reason in case.queues.items():
                assert (queue_condition(api, name)["status"], queue_condition(api, name)["reason"]) == (
                    "False",
                    reason,
                )
            if "default/g" in api.objects["podgroups"]:
                assert condition(api, "g")[0] == "False"
            # Others are not held up.
            api.put("pods", pod("other", gpus=1))
            await until(lambda: api.node_of("other") != "", 5)

    simulate(scenario, kinds=(*GROUPS, "jobs"))


@pytest.mark.parametrize("text", ["lots", "-4", "", "0", "0.5"])
def test_a_node_whose_capacity_is_no_number_of_gpus_gives_none(text: str) -> None:
    async def scenario(world: World) -> None:
        api = world.api
        lying = node("lying")
        lying["status"]["allocatable"][GPU] = text
        api.put("nodes", lying)
        async with running(scheduler(world)):
            api.put("pods", pod("p", gpus=1))
            await until(lambda: api.condition("p")[0] == "False", 5)
            assert api.condition("p")[1] == "Unschedulable"
            assert api.condition("p")[2].startswith("nvidia.com/gpu is not offered by any node")
            api.put("nodes", node("honest", gpus=1))
            await until(lambda: api.node_of("p") == "honest", 5)

    simulate(scenario)


def test_a_node_that_says_more_than_its_agent_lists_gives_what_is_listed() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("lying", gpus=64))
        api.put("gpunodes", gpu_node("lying", gpus=2))
        never_more_than(api, {"lying": 2})
        async with running(scheduler(world)):
            for number in range(4):
                api.put("pods", pod(f"p{number}", gpus=1))
            await until(lambda: len(api.binds) == 2, 5)
            await until(lambda: all(api.condition(name)[0] == "False" for name in waiting(api)), 5)
            await asyncio.sleep(LONG_S)
            assert len(api.binds) == 2
        assert api.broken == []

    simulate(scenario)


def test_a_node_that_has_less_than_it_gave_gives_no_more_until_enough_is_back() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=4))
        async with running(scheduler(world)):
            for number in range(3):
                api.put("pods", pod(f"p{number}", gpus=1))
            await until(lambda: len(api.binds) == 3, 5)
            api.put("nodes", node("a", gpus=1))
            await asyncio.sleep(1)
            api.put("pods", pod("more", gpus=1))
            await until(lambda: api.condition("more")[1] == "Unschedulable", 5)
            for number in range(2):
                api.delete("pods", f"default/p{number}")
            await asyncio.sleep(LONG_S)
            assert api.node_of("more") == ""
            api.delete("pods", "default/p2")
            await until(lambda: api.node_of("more") == "a", 5)

    simulate(scenario)


def test_of_a_gang_whose_pod_is_deleted_in_mid_bind_nothing_stays() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=3))
        never_more_than(api, {"a": 3})

        def delete(key: str) -> None:
            if key == "default/g-1" and key in api.objects["pods"]:
                api.delete("pods", key)

        api.before_bind = delete
        for kind, obj in gang("g", 3):
            if kind == "pods":
                owner = {
                    "apiVersion": "example.com/v1",
                    "kind": "Trainer",
                    "name": "t",
                    "uid": "t",
                    "controller": True,
                }
                obj["metadata"]["ownerReferences"] = [owner]
            api.put(kind, obj)
        async with running(scheduler(world)):
            await until(lambda: condition(api, "g", "Stale") == ("True", "BelowMinimum"), 10)
            # It has a minute to be made whole; then all of it goes.
            await until(lambda: sorted(api.evictions) == ["default/g-0", "default/g-2"], 2 * LONG_S)
            for name in ("g-0", "g-2"):
                api.delete("pods", f"default/{name}")
            api.put("pods", pod("other", gpus=3))
            await until(lambda: api.node_of("other") == "a", 5)
        assert api.broken == []

    simulate(scenario, kinds=GROUPS)


def test_a_gang_whose_pod_is_deleted_before_any_was_bound_waits_whole() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=2))
        api.put("pods", pod("runs", gpus=1))
        async with running(scheduler(world)):
            await until(lambda: api.node_of("runs") == "a", 5)
            for kind, obj in gang("g", 2):
                api.put(kind, obj)
            await until(lambda: api.condition("g-0")[1] == "Unschedulable", 5)
            # At once: room comes, and one of them goes.
            api.delete("pods", "default/runs")
            api.delete("pods", "default/g-1")
            await until(lambda: api.condition("g-0")[1] == "MembersMissing", 5)
            await asyncio.sleep(LONG_S)
            assert api.node_of("g-0") == ""
            api.put("pods", member("g-2", "g"))
            await until(lambda: bool(api.node_of("g-0") and api.node_of("g-2")), 5)

    simulate(scenario, kinds=GROUPS)


@pytest.mark.parametrize("seed", range(3))
def test_two_schedulers_that_race_for_the_lead_give_nothing_twice(seed: int) -> None:
    async def scenario(world: World) -> None:
        api, loop = world.api, asyncio.get_running_loop()
        capacity = dict.fromkeys("abc", 4)
        for name, gpus in capacity.items():
            api.put("nodes", node(name, gpus=gpus))
            api.put("gpunodes", gpu_node(name, gpus=gpus))
        never_more_than(api, capacity)
        # Nobody can renew for longer than a lead lasts, twice, while there is much to bind and many answers are lost.
        api.fault = lambda method, path: (
            "before"
            if "/leases" in path and 5 < loop.time() % 60 < 40
            else "after"
            if path.endswith("/binding") and (loop.time() * 1000) % 7 < 3
            else ""
        )
        leaders = set()
        one, other = (scheduler(world, 2 * seed + n, election=election(world, str(n))) for n in (0, 1))
        async with running(one), running(other):
            await until(lambda: bool(api.objects["leases"]))
            for number in range(30):
                for kind, obj in gang(f"g{number:02}", 2):
                    api.put(kind, obj)
                await asyncio.sleep(4)
                leaders.add(holder(api))
                if number >= 4:
                    for name in (f"g{number - 4:02}-0", f"g{number - 4:02}-1"):
                        api.delete("pods", f"default/{name}")
            api.fault = lambda method, path: ""
            await asyncio.sleep(2 * LONG_S)
            never_half(api, {f"g{number:02}": 2 for number in range(26, 30)})
        assert api.broken == []
        assert taken(api) and sum(taken(api).values()) == 8
        assert leaders == {"0", "1"}
        assert max(map([key for key, _ in api.binds].count, {key for key, _ in api.binds})) == 1

    simulate(scenario, kinds=GROUPS)


class SteppedClock(VirtualClock):
    """The time of day, which somebody sets."""

    offset_s = 0.0

    def now(self) -> float:
        return super().now() + self.offset_s


@pytest.mark.parametrize("step_s", [DAY_S, -DAY_S, 0.5, -3600.0])
def test_a_clock_step_moves_nobody_and_holds_nobody_up(step_s: float) -> None:
    async def scenario(world: World) -> None:
        api, world.clock = world.api, SteppedClock()
        api.put("nodes", node("a", gpus=4))
        never_more_than(api, {"a": 4})
        async with running(scheduler(world)):
            for kind, obj in gang("g", 2, maxRuntime="2h"):
                api.put(kind, obj)
            await until(lambda: bool(api.node_of("g-0") and api.node_of("g-1")), 5)
            for kind, obj in gang("big", 3, maxRuntime="1h"):
                api.put(kind, obj)
            await until(lambda: api.condition("big-0")[1] == "Unschedulable", 5)
            assert isinstance(world.clock, SteppedClock)
            world.clock.offset_s = step_s
            # One that ends before the other is to start, as far as anybody can tell.
            for kind, obj in gang("small", 2, maxRuntime="1m"):
                api.put(kind, obj)
            await until(lambda: bool(api.node_of("small-0") and api.node_of("small-1")), LONG_S)
            await asyncio.sleep(LONG_S)
            never_half(api, {"g": 2, "small": 2, "big": 3})
            assert api.evictions == []
            for name in ("g-0", "g-1", "small-0", "small-1"):
                api.delete("pods", f"default/{name}")
            await until(lambda: all(api.node_of(f"big-{n}") for n in range(3)), LONG_S)
        assert api.broken == []

    simulate(scenario, kinds=GROUPS)
