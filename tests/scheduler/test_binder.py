"""Binds that are lost, late, refused, or overtaken, in the running scheduler."""

import asyncio

import pytest

from tests.scheduler.fake_api import Refused, World, simulate
from tests.scheduler.running import (
    assigned,
    bind_requests,
    gpu_node,
    node,
    pod,
    running,
    scheduler,
    until,
)


def test_a_pod_deleted_before_its_bind_takes_nothing() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=1))

        def delete_first(key: str) -> None:
            if key == "default/p" and key in api.objects["pods"]:
                api.delete("pods", key)

        api.before_bind = delete_first
        api.put("pods", pod("p", gpus=1))
        async with running(scheduler(world)):
            await until(lambda: "default/p" not in api.objects["pods"])
            api.put("pods", pod("q", gpus=1))
            await until(lambda: api.node_of("q") == "a")
        assert api.binds == [("default/q", "a")]

    simulate(scenario)


def test_a_pod_made_anew_under_the_same_name_is_another_pod() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=1))
        replaced: list[str] = []

        def replace(key: str) -> None:
            if not replaced:
                replaced.append(key)
                api.delete("pods", key)
                api.put("pods", pod("p", gpus=1, priority=1))

        api.before_bind = replace
        api.put("pods", pod("p", gpus=1, priority=1))
        api.put("pods", pod("q", gpus=1))
        async with running(scheduler(world)) as one:
            await until(lambda: bool(api.binds))
            await asyncio.sleep(1)
            # Its own failure frees what was taken for the first p, not what was taken for the second since.
            assert len(api.binds) == 1
            bound = api.binds[0][0]
            assert one.snapshot.pods[bound].uid == api.objects["pods"][bound]["metadata"]["uid"]

    simulate(scenario)


def test_a_pod_bound_by_somebody_else_keeps_its_node() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=1))
        api.put("nodes", node("b", gpus=1, unschedulable=True))

        def bind_elsewhere(key: str) -> None:
            if key == "default/p":
                api.update("pods", key, lambda obj: obj["spec"].update(nodeName="b"))

        api.before_bind = bind_elsewhere
        api.put("pods", pod("p", gpus=1, priority=1))
        api.put("pods", pod("q", gpus=1))
        async with running(scheduler(world)):
            await until(lambda: api.node_of("p") == "b")
            assert await until(lambda: api.node_of("q") == "a") < 0.1
        assert api.binds == [("default/q", "a")]

    simulate(scenario)


def test_a_bind_whose_answer_is_lost_holds_its_device() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=1))
        lost: list[str] = []

        def lose_first_bind(method: str, path: str) -> str:
            if path.endswith("/binding") and not lost:
                lost.append(path)
                api.watching.clear()
                return "after"
            return ""

        api.fault = lose_first_bind
        api.put("pods", pod("p", gpus=1, priority=1))
        api.put("pods", pod("q", gpus=1))
        async with running(scheduler(world)):
            await asyncio.sleep(60)
            api.watching.set()
            await asyncio.sleep(60)
        assert api.binds == [("default/p", "a")]

    simulate(scenario)


@pytest.mark.parametrize(
    ("down_s", "told"),
    [(0.3, []), (20.0, ["binding to node a failed, and is tried again: ServiceUnavailable"])],
)
def test_a_bind_that_never_arrived_is_sent_again_and_told_if_it_takes_a_while(
    down_s: float, told: list[str]
) -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a"))
        until_s = asyncio.get_running_loop().time() + down_s

        def down(method: str, path: str) -> str:
            early = asyncio.get_running_loop().time() < until_s
            return "before" if path.endswith("/binding") and early else ""

        api.fault = down
        api.put("pods", pod("p"))
        async with running(scheduler(world)) as one:
            if told:
                await until(lambda: api.condition("p") == ("False", "BindFailed", told[0]), 2)
            await until(lambda: api.node_of("p") == "a")
            await asyncio.sleep(5)
        assert api.binds == [("default/p", "a")]
        assert api.condition("p") == ("True", "", "")
        assert api.events("FailedScheduling") == told
        assert one.counts.binds["bound"] == 1
        assert one.counts.binds["failed"] == bind_requests(api, "p") - 1 > 0

    simulate(scenario)


def test_a_pod_that_has_its_node_is_not_told_that_its_bind_failed() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a"))

        def lose(method: str, path: str) -> str:
            if path.endswith("/binding"):
                api.watching.clear()
                return "after" if not api.binds else "before"
            return ""

        api.fault = lose
        api.put("pods", pod("p"))
        async with running(scheduler(world)):
            await asyncio.sleep(60)
            assert api.condition("p") == ("True", "", "")
            api.watching.set()
            await asyncio.sleep(60)
        assert api.condition("p") == ("True", "", "")
        assert api.events("FailedScheduling") == []

    simulate(scenario)


def test_a_bind_that_is_refused_is_told_and_tried_again_ever_later() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a"))
        refusing = True

        def refuse(key: str) -> None:
            if refusing:
                raise Refused(403, "Forbidden", "not today")

        api.before_bind = refuse
        api.put("pods", pod("p"))
        async with running(scheduler(world)):
            await until(lambda: api.condition("p")[1] == "SchedulerError")
            assert api.condition("p")[2] == "binding to node a was refused: not today"
            await asyncio.sleep(30)
            assert 3 < bind_requests(api, "p") < 10
            refusing = False
            await until(lambda: api.node_of("p") == "a")

    simulate(scenario)


def test_a_refused_bind_leaves_the_room_to_others() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=1))

        def refuse(key: str) -> None:
            if key == "default/p":
                raise Refused(403, "Forbidden")

        api.before_bind = refuse
        api.put("pods", pod("p", gpus=1, priority=1))
        api.put("pods", pod("q", gpus=1))
        async with running(scheduler(world)):
            assert await until(lambda: api.node_of("q") == "a") < 0.1

    simulate(scenario)


def test_a_pod_that_changes_while_it_is_bound_keeps_what_was_decided() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a"))
        api.put("gpunodes", gpu_node("a", gpus=8))

        def relabel(method: str, path: str) -> str:
            if path.endswith("/binding") and not api.pod("p")["metadata"].get("labels"):
                api.update("pods", "default/p", lambda obj: obj["metadata"].update(labels={"seen": "yes"}))
                return "before"
            return ""

        api.fault = relabel
        api.put("pods", pod("p", gpus=1))
        async with running(scheduler(world)):
            await until(lambda: api.node_of("p") == "a")
            await asyncio.sleep(5)
        assert assigned(api, "p") == ["a-gpu0"]
        assert bind_requests(api, "p") == 2

    simulate(scenario)
