"""Gangs of which some pods wait for devices that have to be made: the test is the partitioner and the node's agent."""

import asyncio

import pytest

from aliquot.scheduler.preparing import DEADLINE_S
from tests.scheduler.fake_api import FakeApi, Json, World, simulate
from tests.scheduler.running import node, running, scheduler, until
from tests.scheduler.test_preparing import SLICE, given, gpu_node, pod, start

_LONG_AGO = "2026-01-01T00:00:00Z"


def of_gang(name: str, resource: str = SLICE, minimum: int = 2) -> Json:
    return pod(
        name,
        resource,
        labels={"kueue.x-k8s.io/pod-group-name": "gang"},
        annotations={"kueue.x-k8s.io/pod-group-total-count": str(minimum)},
    )


def gang(api: FakeApi, *names: str) -> None:
    for name in names:
        api.put("pods", of_gang(name, minimum=len(names)))


def places(api: FakeApi, *names: str) -> list[str]:
    return [api.node_of(name) for name in names]


def test_none_is_bound_before_the_devices_of_all_are_there() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        # One of the two slices is there already.
        start(api, "1g.10gb@6")
        async with running(scheduler(world)):
            gang(api, "p", "q")
            await until(lambda: bool(given(api, "p") or given(api, "q")), 1)
            await asyncio.sleep(5)
            assert api.binds == []
            api.put("gpunodes", gpu_node("1g.10gb@5 1g.10gb@6"))
            await until(lambda: places(api, "p", "q") == ["a", "a"], 1)

    simulate(scenario)


def test_when_one_cannot_be_made_all_are_given_back() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        start(api, "1g.10gb@6")
        async with running(scheduler(world)):
            gang(api, "p", "q", "r")
            await until(lambda: all(given(api, name) for name in "pqr"), 1)
            await asyncio.sleep(DEADLINE_S - 1)
            assert api.binds == []
            await until(lambda: not any(given(api, name) for name in "pqr"), 2)
            assert api.binds == []

    simulate(scenario)


def test_when_one_goes_meanwhile_the_others_are_given_back() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        start(api, "1g.10gb@6")
        async with running(scheduler(world)):
            gang(api, "p", "q")
            await until(lambda: bool(given(api, "p") and given(api, "q")), 1)
            made, held = ("p", "q") if "@5" in given(api, "p") else ("q", "p")
            api.delete("pods", f"default/{made}")
            await until(lambda: not given(api, held), 1)
            told = "1 of the 2 pods that it takes exist; the others have to be made first"
            await until(lambda: api.condition(held)[2] == told, 5)
            assert api.binds == []

    simulate(scenario)


def test_what_another_leader_began_is_bound_together_too() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        start(api, "1g.10gb@6")

        async with running(scheduler(world, 1)):
            gang(api, "p", "q")
            await until(lambda: bool(given(api, "p") or given(api, "q")), 1)
        async with running(scheduler(world, 2)):
            await asyncio.sleep(40)
            assert api.binds == []
            api.put("gpunodes", gpu_node("1g.10gb@5 1g.10gb@6"))
            await until(lambda: places(api, "p", "q") == ["a", "a"], 1)

    simulate(scenario)


def test_a_gang_without_such_devices_is_bound_at_once() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=2))
        async with running(scheduler(world)):
            api.put("pods", of_gang("p", "nvidia.com/gpu"))
            await until(lambda: api.condition("p")[0] == "False", 1)
            api.put("pods", of_gang("q", "nvidia.com/gpu"))
            await until(lambda: places(api, "p", "q") == ["a", "a"], 1)

    simulate(scenario)


@pytest.mark.parametrize(
    ("phase", "told_to_go", "joins"),
    [("Succeeded", False, True), ("Succeeded", True, False), ("Failed", False, False)],
)
@pytest.mark.parametrize("restarted", [False, True])
def test_a_member_that_ended_well_counts_until_it_is_deleted(
    phase: str, told_to_go: bool, joins: bool, restarted: bool
) -> None:
    def one(name: str) -> Json:
        return of_gang(name, "nvidia.com/gpu")

    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=2))
        async with running(scheduler(world, 1)) as first:
            api.put("pods", one("p"))
            api.put("pods", one("q"))
            await until(lambda: places(api, "p", "q") == ["a", "a"], 1)
            if told_to_go:
                api.update(
                    "pods", "default/p", lambda obj: obj["metadata"].update(deletionTimestamp=_LONG_AGO)
                )
            api.update("pods", "default/p", lambda obj: obj["status"].update(phase=phase))
            api.delete("pods", "default/q")
            if not restarted:
                await until(lambda: not first.snapshot.pods, 1)
                await replaced(api, one("r"), joins)
        if restarted:
            async with running(scheduler(world, 2)):
                await replaced(api, one("r"), joins)

    async def replaced(api: FakeApi, other: Json, joins: bool) -> None:
        api.put("pods", other)
        if joins:
            await until(lambda: api.node_of("r") == "a", 1)
            api.delete("pods", "default/r")
            api.delete("pods", "default/p")
            api.put("pods", other)
        await until(lambda: api.condition("r")[0] == "False", 1)
        assert api.condition("r")[2] == (
            "1 of the 2 pods that it takes exist; the others have to be made first"
        )

    simulate(scenario)


def test_the_first_members_hear_too_why_all_of_them_wait() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=1))
        async with running(scheduler(world)):
            api.put("pods", of_gang("p", "nvidia.com/gpu"))
            await until(lambda: "exist" in api.condition("p")[2], 1)
            api.put("pods", of_gang("q", "nvidia.com/gpu"))
            await until(lambda: "pods find a node" in api.condition("q")[2], 1)
            await until(lambda: api.condition("p") == api.condition("q"), 1)

    simulate(scenario)


def test_what_is_there_is_kept_for_its_pod_while_it_waits_for_the_others() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        start(api, "1g.10gb@6")
        async with running(scheduler(world)):
            gang(api, "p", "q")
            # So that the partitioner, which may need the place, knows of it.
            await until(
                lambda: {given(api, "p"), given(api, "q")} == {f"a: 1g.10gb@{n} of gpu0" for n in (5, 6)}, 1
            )
            await asyncio.sleep(1)
            # One of the two is being made.
            assert len(api.events("MakingDevice")) == 1
            api.put("gpunodes", gpu_node("1g.10gb@5 1g.10gb@6"))
            await until(lambda: places(api, "p", "q") == ["a", "a"], 1)

    simulate(scenario)


def test_when_one_cannot_be_made_one_whose_device_was_made_is_given_back_too() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        start(api, "whole")
        async with running(scheduler(world)):
            gang(api, "p", "q")
            await until(lambda: bool(given(api, "p") and given(api, "q")), 1)
            slot = given(api, "p").partition("@")[2].partition(" ")[0]
            api.put("gpunodes", gpu_node(f"1g.10gb@{slot}"))
            await until(lambda: not given(api, "p") and not given(api, "q"), DEADLINE_S + 5)
            await until(lambda: "another pod of its job could not be placed" in api.condition("p")[2], 1)
            assert api.binds == []

    simulate(scenario)
