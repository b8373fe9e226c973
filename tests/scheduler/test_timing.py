"""Jobs in front of one that is blocked, with an API in memory, on virtual time."""

import asyncio

from aliquot.clock import rfc3339
from tests.scheduler.fake_api import KINDS, FakeApi, Json, World, simulate
from tests.scheduler.running import node, running, scheduler, until
from tests.scheduler.test_departing import GPU
from tests.scheduler.test_moving import owned_by


def pod(world: World, name: str, *, gpus: int = 1, lasts_s: float | None = None, on: str = "") -> Json:
    said = {} if lasts_s is None else {"aliquot.dev/max-runtime": f"{round(lasts_s * 1000)}ms"}
    status = {"phase": "Running", "startTime": rfc3339(world.clock.now())} if on else {"phase": "Pending"}
    return {
        "metadata": {"name": name, "namespace": "default", "annotations": said},
        "spec": {
            "schedulerName": "aliquot",
            "nodeName": on,
            "containers": [{"name": "main", "resources": {"limits": {GPU: str(gpus)}}}],
        },
        "status": status,
    }


def where(api: FakeApi, *names: str) -> list[str]:
    return [api.node_of(name) for name in names]


def test_only_what_ends_in_time_goes_in_front_of_a_job_that_is_blocked() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=2))
        api.put("pods", pod(world, "runs", lasts_s=600, on="a"))
        async with running(scheduler(world)):
            api.put("pods", pod(world, "big", gpus=2, lasts_s=600))
            await until(lambda: api.condition("big")[0] == "False", 1)
            api.put("pods", pod(world, "long", lasts_s=3600))
            api.put("pods", pod(world, "unknown"))
            await until(lambda: "kept for default/big" in api.condition("long")[2], 2)
            await until(lambda: "kept for default/big" in api.condition("unknown")[2], 2)
            api.put("pods", pod(world, "short", lasts_s=300))
            await until(lambda: api.node_of("short") == "a", 2)
            await asyncio.sleep(30)
            assert where(api, "long", "unknown", "big") == ["", "", ""]
            api.update("pods", "default/short", lambda obj: obj["status"].update(phase="Succeeded"))
            api.update("pods", "default/runs", lambda obj: obj["status"].update(phase="Succeeded"))
            await until(lambda: api.node_of("big") == "a", 2)

    simulate(scenario)


def test_without_any_run_times_nobody_waits_for_anothers_sake() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=2))
        api.put("pods", pod(world, "runs", on="a"))
        async with running(scheduler(world)):
            api.put("pods", pod(world, "big", gpus=2))
            await until(lambda: api.condition("big")[0] == "False", 1)
            api.put("pods", pod(world, "small"))
            await until(lambda: api.node_of("small") == "a", 2)

    simulate(scenario)


def test_what_says_how_long_it_runs_at_most_is_stopped_by_then() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=2))
        async with running(scheduler(world)):
            api.put("pods", pod(world, "p", lasts_s=90.5))
            api.put("pods", pod(world, "q"))
            await until(lambda: where(api, "p", "q") == ["a", "a"], 2)
            await until(lambda: api.pod("p")["spec"].get("activeDeadlineSeconds") == 91, 2)
            await asyncio.sleep(5)
            assert "activeDeadlineSeconds" not in api.pod("q")["spec"]

    simulate(scenario)


def test_a_job_may_run_for_longer_than_a_pod_can_be_told() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=2))
        job = {"name": "j", "namespace": "default", "uid": "uid-j"}
        api.put("jobs", {"metadata": job, "spec": {"activeDeadlineSeconds": 2**31}})
        async with running(scheduler(world)):
            owned = pod(world, "p")
            owned["metadata"] |= owned_by("Job", "j", "batch/v1")
            api.put("pods", owned)
            await until(lambda: api.pod("p")["spec"].get("activeDeadlineSeconds") == 2**31 - 1, 2)

    simulate(scenario, kinds=(*KINDS, "jobs"))


def test_an_earlier_deadline_of_its_own_stays() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=2))
        async with running(scheduler(world)):
            own = pod(world, "p", lasts_s=90)
            own["spec"]["activeDeadlineSeconds"] = 30
            api.put("pods", own)
            await until(lambda: api.node_of("p") == "a", 2)
            await asyncio.sleep(5)
            assert api.pod("p")["spec"]["activeDeadlineSeconds"] == 30

    simulate(scenario)
