"""Jobs that begin after others, in the running scheduler."""

from typing import Any

from tests.scheduler.fake_api import KINDS, FakeApi, Json, World, simulate
from tests.scheduler.running import node, pod, running, scheduler, until

ALL_KINDS = (*KINDS, "jobs")
MET = "aliquot.dev/after-met"


def sequel(name: str, after: str, **more: Any) -> Json:
    made = pod(name, **more)
    made["metadata"]["annotations"] = {"aliquot.dev/after": after}
    return made


def ended(api: FakeApi, name: str, phase: str = "Succeeded") -> None:
    found = api.pod(name)
    found["status"]["phase"] = phase
    api.put("pods", found)


def test_a_pod_goes_at_once_when_what_it_comes_after_has_ended() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a"))
        api.put("pods", pod("first"))
        api.put("pods", sequel("second", "first"))
        async with running(scheduler(world)):
            await until(lambda: api.node_of("first") == "a")
            await until(lambda: "waits for first to succeed" in api.condition("second")[2])
            assert api.node_of("second") == ""
            ended(api, "first")
            assert await until(lambda: api.node_of("second") == "a") < 1

    simulate(scenario)


def test_a_failure_is_told_and_a_new_try_counts() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a"))
        api.put("pods", pod("first"))
        api.put("pods", sequel("second", "first"))
        async with running(scheduler(world)):
            await until(lambda: api.node_of("first") == "a")
            ended(api, "first", "Failed")
            await until(lambda: "has failed" in api.condition("second")[2])
            api.delete("pods", "default/first")
            await until(lambda: "has failed" in api.condition("second")[2])
            api.put("pods", pod("first"))
            await until(lambda: "waits for first to succeed" in api.condition("second")[2])
            ended(api, "first")
            await until(lambda: api.node_of("second") == "a")

    simulate(scenario)


def test_a_job_of_the_api_is_waited_for_by_its_name() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a"))
        api.put("pods", sequel("second", "prepare"))
        async with running(scheduler(world)):
            await until(lambda: "there is no job of that name" in api.condition("second")[2])
            job: Json = {"metadata": {"name": "prepare", "namespace": "default"}, "spec": {}, "status": {}}
            api.put("jobs", job)
            await until(lambda: api.condition("second")[2] == "waits for prepare to succeed")
            api.put("jobs", job | {"status": {"conditions": [{"type": "Complete", "status": "True"}]}})
            await until(lambda: api.node_of("second") == "a")

    simulate(scenario, kinds=ALL_KINDS)


def test_what_has_ended_and_gone_is_known_to_who_leads_next() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=1))
        api.put("pods", pod("first"))
        api.put("pods", pod("other", gpus=1))
        api.put("pods", sequel("second", "first", gpus=1))
        async with running(scheduler(world)):
            await until(lambda: api.node_of("first") == "a")
            ended(api, "first")
            await until(lambda: api.pod("second")["metadata"]["annotations"].get(MET) == "first")
            api.delete("pods", "default/first")
            await until(lambda: "full" in api.condition("second")[2])
        async with running(scheduler(world, 1)):
            ended(api, "other")
            await until(lambda: api.node_of("second") == "a")

    simulate(scenario)


def test_who_wait_for_each_other_are_both_told() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a"))
        api.put("pods", sequel("first", "second"))
        async with running(scheduler(world)):
            await until(lambda: "no job of that name" in api.condition("first")[2])
            api.put("pods", sequel("second", "first"))
            both = "first, second wait for each other"
            await until(lambda: both in api.condition("first")[2] and both in api.condition("second")[2])
            api.put("pods", pod("third"))
            await until(lambda: api.node_of("third") == "a")

    simulate(scenario)
