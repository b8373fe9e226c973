"""For whom autoscalers are asked to buy a node: they do for whoever has PodScheduled=False with the reason Unschedulable."""

import asyncio

import pytest

from aliquot.scheduler.core.reasons import A_NODE_WOULD_HELP, Kind
from aliquot.scheduler.reporter import HOLD_S
from aliquot.scheduler.telling import COUNT_S
from tests.scheduler.fake_api import KINDS, FakeApi, World, simulate
from tests.scheduler.running import node, pod, running, scheduler, until
from tests.scheduler.test_group_status import group, member
from tests.scheduler.test_queue_status import queue, queued

SERVED = (*KINDS, "queues", "podgroups")
YES, NO = True, False

TABLE = {
    Kind.NODE_NAME: YES,
    Kind.NODE_SELECTOR: YES,
    Kind.NODE_AFFINITY: YES,
    Kind.VOLUME_AFFINITY: YES,
    Kind.VOLUME_BINDING: YES,
    Kind.CORDONED: YES,
    Kind.TAINT: YES,
    Kind.DEVICES: YES,
    Kind.GPU_TOPOLOGY: YES,
    Kind.EXTENDED: YES,
    Kind.RESOURCES: YES,
    Kind.HOST_PORTS: YES,
    Kind.SPREAD_LABEL: YES,
    Kind.SPREAD: YES,
    Kind.POD_AFFINITY: YES,
    Kind.POD_ANTI_AFFINITY: YES,
    Kind.KEPT_OUT: YES,
    Kind.NO_NODES: YES,
    Kind.NOT_OFFERED: YES,
    Kind.TOO_LARGE: YES,
    Kind.FULL: YES,
    Kind.TOPOLOGY: YES,
    # What is wrong with it is wrong on every node.
    Kind.RESOURCE_CLAIMS: NO,
    Kind.VOLUME_CLAIMS: NO,
    Kind.SURROUNDINGS: NO,
    Kind.UNSUPPORTED: NO,
    Kind.POD_GROUP: NO,
    Kind.TOPOLOGY_UNKNOWN: NO,
    # It waits for others, not for room.
    Kind.MEMBERS: NO,
    Kind.DEPENDENCY: NO,
    Kind.DEPENDENCY_FAILED: NO,
    Kind.DEPENDENCY_CYCLE: NO,
    # There is room.
    Kind.RESERVED: NO,
    # With more nodes its queue may have no more.
    Kind.QUEUE_UNKNOWN: NO,
    Kind.QUEUE_NOT_LEAF: NO,
    Kind.QUEUE_CLOSED: NO,
    Kind.LARGER_THAN_LIMIT: NO,
    Kind.OVER_LIMIT: NO,
    Kind.LARGER_THAN_QUOTA: NO,
    Kind.NON_PREEMPTIBLE_OVER_QUOTA: NO,
    # Of queues; pods are not told so.
    Kind.QUEUE_PARENT_UNKNOWN: NO,
    Kind.QUEUE_CYCLE: NO,
    Kind.QUEUE_DUPLICATE: NO,
    Kind.QUEUE_UNREADABLE: NO,
}


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_reason_is_a_matter_for_an_autoscaler_or_not(kind: Kind) -> None:
    assert (kind in A_NODE_WOULD_HELP) is TABLE[kind]


def reasons(api: FakeApi, *names: str) -> list[str]:
    return [api.condition(name)[1] for name in names]


def test_what_is_in_the_way_changes_while_it_waits() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=2))
        api.put("queues", queue("team", limit=2))
        api.put("pods", queued("runs", "team", gpus=2))
        async with running(scheduler(world)):
            await until(lambda: api.node_of("runs") == "a")
            api.put("pods", queued("waits", "team"))
            await until(lambda: reasons(api, "waits") == ["OverLimit"], 5)
            api.put("queues", queue("team", limit=8))
            await until(lambda: reasons(api, "waits") == ["Unschedulable"], 5)
            api.put("queues", queue("team", limit=2))
            await until(lambda: reasons(api, "waits") == ["OverLimit"], 5)

    simulate(scenario, kinds=SERVED)


def test_nodes_are_asked_for_no_more_jobs_than_the_limit_lets_run() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a"))
        api.put("queues", queue("team", limit=4))
        names = [f"p{number}" for number in range(4)]
        for name in names:
            api.put("pods", queued(name, "team", gpus=2))
        asked: list[list[str]] = []
        async with running(scheduler(world)):
            await until(lambda: all(reasons(api, *names)), 5)
            assert reasons(api, *names) == ["Unschedulable", "Unschedulable", "OverLimit", "OverLimit"]
            assert api.condition("p2")[2].endswith(
                "; with those before it in the line its queue would have all that it may have"
            )
            await asyncio.sleep(5)
            # The first goes, the next one has its turn.
            api.delete("pods", "default/p0")
            await until(lambda: reasons(api, "p2") == ["Unschedulable"], 5)
            assert reasons(api, "p1", "p3") == ["Unschedulable", "OverLimit"]
            # What comes before them takes the turn of the last.
            first = queued("first", "team", gpus=2)
            first["spec"]["priority"] = 10
            api.put("pods", first)
            await until(lambda: reasons(api, "first", "p2") == ["Unschedulable", "OverLimit"], 5)
            asked.append(reasons(api, "p1", "p3"))
            # Without a limit all have theirs.
            api.put("queues", queue("team"))
            await until(lambda: set(reasons(api, "first", *names[1:])) == {"Unschedulable"}, 5)
        assert asked == [["Unschedulable", "OverLimit"]]

    simulate(scenario, kinds=SERVED)


def test_who_is_beyond_the_limit_never_said_otherwise() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a"))
        api.put("queues", queue("team", limit=4))
        async with running(scheduler(world)):
            for number in range(40):
                api.put("pods", queued(f"p{number:02}", "team", gpus=2))
                await asyncio.sleep(HOLD_S / 7)
            await asyncio.sleep(5)
        said = {
            obj["metadata"]["name"]
            for _, kind, _, obj in api.log
            if kind == "pods"
            for one in obj["status"].get("conditions", ())
            if one["reason"] == "Unschedulable"
        }
        assert said == {"p00", "p01"}
        assert COUNT_S < HOLD_S

    simulate(scenario, kinds=SERVED)


def test_of_a_gang_that_a_node_would_help_all_pods_ask_for_it() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=2))
        api.put("podgroups", group("train", 4))
        names = [f"p{number}" for number in range(4)]
        async with running(scheduler(world)):
            for name in names[:3]:
                api.put("pods", member(name, "train"))
            await until(lambda: set(reasons(api, *names[:3])) == {"MembersMissing"}, 5)
            api.put("pods", member(names[3], "train"))
            # There is room for two of them; nodes are bought for what is asked by all.
            await until(lambda: set(reasons(api, *names)) == {"Unschedulable"}, 5)
            api.put("nodes", node("b", gpus=2))
            await until(lambda: all(api.node_of(name) for name in names), 5)

    simulate(scenario, kinds=SERVED)


def test_a_gang_that_joins_others_that_wait_asks_as_a_whole() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=1))
        for name in ("one", "two"):
            api.put("podgroups", group(name, 2))
        async with running(scheduler(world)):
            for number in range(2):
                api.put("pods", member(f"one-{number}", "one"))
            await until(lambda: set(reasons(api, "one-0", "one-1")) == {"Unschedulable"}, 5)
            api.put("pods", member("two-0", "two"))
            await until(lambda: reasons(api, "two-0") == ["MembersMissing"], 5)
            api.put("pods", member("two-1", "two"))
            await until(lambda: reasons(api, "two-0", "two-1") == ["Unschedulable", "Unschedulable"], 5)
            # And not for half of it.
            api.delete("pods", "default/one-1")
            await until(lambda: reasons(api, "one-0") == ["MembersMissing"], 5)
            api.delete("pods", "default/two-0")
            await until(lambda: reasons(api, "two-1") == ["MembersMissing"], 5)

    simulate(scenario, kinds=SERVED)


def test_a_pod_is_soon_told_something() -> None:
    """Of pods without any condition an autoscaler may take it that no scheduler looked at them."""

    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a"))
        async with running(scheduler(world)):
            api.put("pods", pod("p", gpus=1))
            assert await until(lambda: api.condition("p")[0] == "False", 5) < 2 * HOLD_S

    simulate(scenario)
