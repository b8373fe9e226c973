"""What is written on Queues, against an API in memory, on virtual time."""

import asyncio
from collections.abc import Sequence
from typing import Any

from aliquot.scheduler.queue_status import PAUSE_S
from tests.scheduler.fake_api import KINDS, FakeApi, Json, World, simulate
from tests.scheduler.running import node, pod, running, scheduler, until

QUEUES = (*KINDS, "queues")


def queue(name: str, parent: str = "", **gpu: Any) -> Json:
    return {
        "metadata": {"name": name, "generation": 1},
        "spec": {"parent": parent, "resources": {"gpu": gpu}},
    }


def queued(name: str, queue: str, *, gpus: int = 1) -> Json:
    made = pod(name, gpus=gpus)
    made["metadata"]["labels"] = {"aliquot.dev/queue": queue}
    return made


def shown(api: FakeApi, name: str) -> Json:
    found: Json = api.objects["queues"][name].get("status", {})
    return found


def gpus(api: FakeApi, name: str) -> tuple[str, str, str]:
    """Allocated, requested, due."""
    status = shown(api, name)
    fields: Sequence[str] = ("allocated", "requested", "fairShare")
    one, two, three = (status.get(field, {}).get("gpu", "") for field in fields)
    return one, two, three


def condition(api: FakeApi, name: str) -> Json:
    found: Json = next(iter(shown(api, name).get("conditions", ())), {})
    return found


def writes(api: FakeApi, name: str) -> int:
    return api.writes.count(("PATCH", f"/apis/aliquot.dev/v1alpha1/queues/{name}/status"))


def test_what_a_queue_holds_wants_and_is_due() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=4))
        api.put("queues", queue("all"))
        api.put("queues", queue("vision", "all", quota=2, limit=3))
        async with running(scheduler(world)):
            await until(lambda: condition(api, "vision").get("status") == "True")
            assert gpus(api, "vision") == ("0", "0", "0")
            for number in range(5):
                api.put("pods", queued(f"p{number}", "vision"))
            await until(lambda: gpus(api, "vision") == ("3", "5", "3"))
            assert gpus(api, "all") == ("3", "5", "3")
            assert shown(api, "vision")["pendingJobs"] == shown(api, "all")["pendingJobs"] == 2
            assert condition(api, "all")["message"] == "those below it take jobs"
            before = writes(api, "vision")
            await asyncio.sleep(300)
            # What does not change is not written.
            assert writes(api, "vision") == before

    simulate(scenario, kinds=QUEUES)


def test_much_that_happens_at_once_is_one_write() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a", gpus=8))
        api.put("queues", queue("vision"))
        async with running(scheduler(world)):
            await until(lambda: bool(shown(api, "vision")))
            await asyncio.sleep(PAUSE_S)
            before = writes(api, "vision")
            for number in range(8):
                api.put("pods", queued(f"p{number}", "vision"))
                await asyncio.sleep(0.1)
            await until(lambda: gpus(api, "vision") == ("8", "8", "8"))
        # The first, and the others together.
        assert writes(api, "vision") - before == 2

    simulate(scenario, kinds=QUEUES)


def test_what_is_wrong_is_said_and_cured() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a"))
        api.put("queues", queue("vision", "research"))
        api.put("queues", queue("broken", limit="many"))
        async with running(scheduler(world)):
            await until(lambda: condition(api, "vision").get("status") == "False")
            one = condition(api, "vision")
            assert (one["reason"], one["message"]) == (
                "ParentDoesNotExist",
                "its parent research does not exist",
            )
            await until(lambda: condition(api, "broken").get("reason") == "SpecUnreadable")
            assert condition(api, "broken")["message"].startswith(
                "it cannot be read: spec.resources.gpu.limit: 'many' is not a quantity"
            )
            api.put("pods", queued("waits", "broken"))
            await until(lambda: api.condition("waits")[0] == "False")
            assert api.condition("waits")[2].startswith(
                "queue broken is closed: it cannot be read: spec.resources.gpu.limit: 'many' is not a quantity"
            )
            since = one["lastTransitionTime"]
            api.put("queues", queue("research"))
            await until(lambda: condition(api, "vision")["status"] == "True")
            assert condition(api, "vision")["lastTransitionTime"] > since

    simulate(scenario, kinds=QUEUES)


def test_of_a_quota_above_its_limit_it_is_said_what_is_of_use() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a"))
        api.put("queues", queue("vision", quota=8, limit="4500m"))
        api.put("queues", queue("speech", quota=-1, limit=4))
        async with running(scheduler(world)):
            await until(lambda: bool(condition(api, "speech") and condition(api, "vision")))
            assert condition(api, "vision")["status"] == "True"
            assert condition(api, "vision")["message"] == (
                "it takes jobs; of its quota of 8 GPUs no more than its limit of 4.5 is of use"
            )
            assert condition(api, "speech")["message"] == "it takes jobs"

    simulate(scenario, kinds=QUEUES)


def test_the_generation_is_that_which_was_reckoned_with() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a"))
        api.put("queues", queue("vision"))
        async with running(scheduler(world)):
            await until(lambda: shown(api, "vision").get("observedGeneration") == 1)

            def change(obj: Json) -> None:
                obj["metadata"]["generation"] = 2
                obj["spec"]["parent"] = "gone"

            api.update("queues", "vision", change)
            await until(lambda: shown(api, "vision")["observedGeneration"] == 2)
            assert condition(api, "vision")["status"] == "False"

    simulate(scenario, kinds=QUEUES)


def test_models_that_are_no_more_are_taken_out() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a"))
        left = {"observedGeneration": 1, "allocated": {"gpu": "1", "gpuModels": {"NVIDIA-L4": "1"}}}
        api.put("queues", {**queue("vision"), "status": left})
        async with running(scheduler(world)):
            await until(lambda: gpus(api, "vision")[0] == "0")
            assert "gpuModels" not in shown(api, "vision")["allocated"]

    simulate(scenario, kinds=QUEUES)


def test_what_somebody_else_writes_is_put_right() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a"))
        api.put("queues", queue("vision"))
        async with running(scheduler(world)):
            await until(lambda: gpus(api, "vision")[0] == "0")
            await asyncio.sleep(30)
            api.update("queues", "vision", lambda obj: obj["status"]["allocated"].update(gpu="7"))
            await until(lambda: gpus(api, "vision")[0] == "0")

    simulate(scenario, kinds=QUEUES)


def test_a_write_that_fails_is_done_again() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a"))
        api.put("queues", queue("vision"))
        api.fault = lambda method, path: "before" if path.endswith("vision/status") else ""
        async with running(scheduler(world)):
            await asyncio.sleep(120)
            assert not shown(api, "vision")
            api.fault = lambda method, path: ""
            await until(lambda: gpus(api, "vision")[0] == "0")

    simulate(scenario, kinds=QUEUES)


def test_only_who_leads_writes() -> None:
    from aliquot.kube.election import LeaderElection

    async def scenario(world: World) -> None:
        api = world.api
        api.put("nodes", node("a"))
        api.put("queues", queue("vision"))
        held = {
            "metadata": {"name": "s", "namespace": "kube-system"},
            "spec": {
                "holderIdentity": "another",
                "leaseDurationSeconds": 3600,
                "renewTime": "2026-01-01T00:00:00.000000Z",
            },
        }
        api.put("leases", held)
        client = world.client(1)
        election = LeaderElection(client, namespace="kube-system", name="s", identity="me")
        async with running(scheduler(world, election=election)):
            await asyncio.sleep(60)
            assert writes(api, "vision") == 0

    simulate(scenario, kinds=QUEUES)
