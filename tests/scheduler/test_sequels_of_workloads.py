"""Jobs that wait for others, by the scheduler that runs: what ends, is deleted or comes again, and who starts by it when."""

import asyncio
from typing import Any

import pytest

from aliquot.scheduler.explaining import Subject, explain
from tests.scheduler.fake_api import KINDS, FakeApi, Json, World, simulate
from tests.scheduler.running import node, pod, running, scheduler, until

ALL = (*KINDS, "queues", "podgroups", "jobs", "pytorchjobs", "rayjobs", "rayclusters")
AT_ONCE_S = 0.05


def job(name: str, after: str = "", *, ended: str = "") -> Json:
    made: Json = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"completions": 1, "parallelism": 1},
        "status": {},
    }
    if after:
        made["metadata"]["annotations"] = {"aliquot.dev/after": after}
    if ended:
        made["status"]["conditions"] = [{"type": ended, "status": "True"}]
    return made


def start(api: FakeApi, name: str, after: str = "", *, pods: int = 1) -> None:
    """A Job and its pods."""
    made = api.put("jobs", job(name, after))
    for number in range(pods):
        api.put("pods", owned(f"{name}-{number}", "batch/v1", "Job", made))


def owned(name: str, api_version: str, kind: str, owner: Json, **more: Any) -> Json:
    made = pod(name, gpus=1, **more)
    meta = owner["metadata"]
    made["metadata"]["ownerReferences"] = [
        {
            "apiVersion": api_version,
            "kind": kind,
            "name": meta["name"],
            "uid": meta["uid"],
            "controller": True,
        }
    ]
    return made


def end(api: FakeApi, name: str, how: str = "Complete") -> None:
    """As the Job controller does it: the pods first, then the Job's condition."""
    phase = "Succeeded" if how == "Complete" else "Failed"
    for key in [one for one in api.objects["pods"] if one.startswith(f"default/{name}-")]:
        api.update("pods", key, lambda one: one["status"].update(phase=phase))
    api.update(
        "jobs",
        f"default/{name}",
        lambda one: one["status"].update(conditions=[{"type": how, "status": "True"}]),
    )


def ended(pod: Json, phase: str) -> Json:
    return {**pod, "status": {"phase": phase}}


def why(api: FakeApi, name: str) -> str:
    return api.condition(name)[2]


def cluster(api: FakeApi, gpus: int = 8) -> None:
    api.put("nodes", node("n", gpus=gpus))


def test_it_starts_as_soon_as_the_job_before_it_has_succeeded() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        cluster(api)
        start(api, "a")
        start(api, "b", "a", pods=2)
        async with running(scheduler(world)):
            await until(lambda: why(api, "b-1") == "waits for a to succeed")
            assert api.node_of("a-0") == "n"
            api.update("pods", "default/a-0", lambda one: one["status"].update(phase="Succeeded"))
            await asyncio.sleep(5)
            assert not api.node_of("b-0"), "the Job is not complete yet"
            end(api, "a")
            assert await until(lambda: bool(api.node_of("b-0") and api.node_of("b-1"))) < AT_ONCE_S

    simulate(scenario, kinds=ALL)


def test_a_failure_is_for_ever_until_it_is_made_anew() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        cluster(api)
        start(api, "a")
        start(api, "b", "a")
        start(api, "c", "a:Ended")
        async with running(scheduler(world)):
            await until(lambda: bool(api.node_of("a-0") and why(api, "c-0")))
            end(api, "a", "Failed")
            assert await until(lambda: bool(api.node_of("c-0"))) < AT_ONCE_S
            await until(lambda: why(api, "b-0").startswith("a was to succeed, and has failed"))
            api.delete("pods", "default/a-0")
            api.delete("jobs", "default/a")
            await asyncio.sleep(5)
            assert why(api, "b-0").startswith("a was to succeed")
            api.put("jobs", job("a"))
            await until(lambda: why(api, "b-0") == "waits for a to succeed")
            end(api, "a")
            assert await until(lambda: bool(api.node_of("b-0"))) < AT_ONCE_S

    simulate(scenario, kinds=ALL)


def test_what_is_not_there_yet_is_waited_for() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        cluster(api)
        start(api, "b", "a")
        async with running(scheduler(world)):
            await until(lambda: why(api, "b-0") == "waits for a to succeed: there is no job of that name")
            start(api, "a")
            await until(lambda: why(api, "b-0") == "waits for a to succeed")
            api.update("jobs", "default/b", lambda one: one["metadata"].pop("annotations"))
            assert await until(lambda: bool(api.node_of("b-0"))) < AT_ONCE_S, "the annotation is gone"

    simulate(scenario, kinds=ALL)


def test_an_end_outlives_its_job_and_a_restart_finds_it_by_the_jobs_condition() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        cluster(api)
        start(api, "a")
        start(api, "first", "a")
        start(api, "b", "a, later")
        async with running(scheduler(world)):
            await until(lambda: bool(api.node_of("a-0")))
            end(api, "a")
            await until(lambda: bool(api.node_of("first-0")))
        api.delete("pods", "default/a-0")
        async with running(scheduler(world, 1)):
            start(api, "second", "a")
            await until(lambda: bool(api.node_of("second-0")))
            # Its time to live is over.
            api.delete("jobs", "default/a")
            start(api, "later")
            start(api, "c", "a")
            await until(lambda: bool(api.node_of("later-0") and api.node_of("c-0")))
            end(api, "later")
            assert await until(lambda: bool(api.node_of("b-0"))) < AT_ONCE_S

    simulate(scenario, kinds=ALL)


def test_one_that_has_begun_is_not_held_up_again() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        cluster(api)
        start(api, "a")
        start(api, "b", "a")
        async with running(scheduler(world)):
            await until(lambda: bool(api.node_of("a-0")))
            end(api, "a")
            await until(lambda: bool(api.node_of("b-0")))
        api.delete("jobs", "default/a")
        api.delete("pods", "default/a-0")
        async with running(scheduler(world, 1)):
            # The next pod of the same Job, beside the one that runs.
            api.put("pods", owned("b-1", "batch/v1", "Job", api.objects["jobs"]["default/b"]))
            await until(lambda: bool(api.node_of("b-1")))

    simulate(scenario, kinds=ALL)


def test_a_cycle_is_refused_for_all_that_are_on_it_and_ends_with_one_of_them() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        cluster(api)
        start(api, "a", "c")
        start(api, "b", "a")
        start(api, "d", "d:Ended")
        async with running(scheduler(world)):
            await until(lambda: why(api, "b-0") == "waits for a to succeed")
            start(api, "c", "b")
            cycle = "a, b, c wait for each other"
            await until(lambda: all(why(api, f"{one}-0").startswith(cycle) for one in "abc"))
            assert why(api, "d-0").startswith("d waits for itself")
            api.delete("pods", "default/c-0")
            api.delete("jobs", "default/c")
            await until(lambda: why(api, "a-0").startswith("waits for c to succeed"))
            await until(lambda: why(api, "b-0") == "waits for a to succeed")

    simulate(scenario, kinds=ALL)


def test_a_cycle_by_the_name_of_the_job_of_a_groups_pods() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        cluster(api)
        made = api.put("jobs", job("maker"))
        api.put("podgroups", group("g", 1, after=[{"name": "b"}]))
        first = owned("maker-0", "batch/v1", "Job", made)
        first["metadata"]["labels"] = {"aliquot.dev/pod-group": "g"}
        api.put("pods", first)
        start(api, "b", "maker")
        async with running(scheduler(world)):
            await until(lambda: all("wait for each other" in why(api, one) for one in ("maker-0", "b-0")))

    simulate(scenario, kinds=ALL)


def test_what_runs_is_on_no_cycle_with_what_it_came_after_and_that_is_made_anew() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        cluster(api, gpus=2)
        start(api, "a")
        start(api, "b", "a", pods=3)
        async with running(scheduler(world)):
            await until(lambda: bool(api.node_of("a-0")))
            end(api, "a")
            await until(lambda: sum(bool(api.node_of(f"b-{number}")) for number in range(3)) == 2)
            api.delete("pods", "default/a-0")
            api.delete("jobs", "default/a")
            start(api, "a", "b")
            await until(lambda: why(api, "a-0") == "waits for b to succeed")
            await asyncio.sleep(5)
            assert "wait for each other" not in why(api, "a-0") + why(api, "b-2")

    simulate(scenario, kinds=ALL)


def grouped(name: str, group: str, phase: str = "Pending") -> Json:
    made = pod(name, gpus=1)
    made["metadata"]["labels"] = {"aliquot.dev/pod-group": group}
    return ended(made, phase)


def group(name: str, minimum: int, **spec: Any) -> Json:
    return {
        "metadata": {"name": name, "namespace": "default", "generation": 1},
        "spec": {"minMember": minimum, **spec},
    }


def phase(api: FakeApi, name: str) -> str:
    found: str = api.objects["podgroups"][f"default/{name}"].get("status", {}).get("phase", "")
    return found


def test_pod_groups_after_each_other_also_when_the_pods_are_gone() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        cluster(api)
        api.put("podgroups", group("prepare", 2))
        api.put("podgroups", group("train", 1, after=[{"name": "prepare"}]))
        api.put("podgroups", group("report", 1, after=[{"name": "prepare"}]))
        for number in range(2):
            api.put("pods", grouped(f"p{number}", "prepare"))
        api.put("pods", grouped("t", "train"))
        async with running(scheduler(world)):
            await until(lambda: why(api, "t") == "waits for prepare to succeed")
            waiting = api.objects["podgroups"]["default/train"]["status"].get("waiting", {})
            assert waiting.get("reason") in (None, "Dependency")
            await until(lambda: bool(api.node_of("p0") and api.node_of("p1")))
            api.update("pods", "default/p0", lambda one: one["status"].update(phase="Succeeded"))
            await asyncio.sleep(5)
            assert not api.node_of("t")
            api.update("pods", "default/p1", lambda one: one["status"].update(phase="Succeeded"))
            assert await until(lambda: bool(api.node_of("t"))) < AT_ONCE_S
            await until(lambda: phase(api, "prepare") == "Succeeded")
            for number in range(2):
                api.delete("pods", f"default/p{number}")
                await asyncio.sleep(2)
            assert phase(api, "prepare") == "Succeeded"
        async with running(scheduler(world, 1)):
            api.put("pods", grouped("r", "report"))
            await until(lambda: bool(api.node_of("r")))

    simulate(scenario, kinds=ALL)


def test_a_group_whose_job_tries_again_has_not_ended() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        cluster(api)
        api.put("podgroups", group("prepare", 1))
        api.put("podgroups", group("train", 1, after=[{"name": "prepare", "condition": "Ended"}]))
        made = api.put("jobs", job("worker"))
        first = owned("worker-0", "batch/v1", "Job", made)
        first["metadata"]["labels"] = {"aliquot.dev/pod-group": "prepare"}
        api.put("pods", ended(first, "Failed"))
        api.put("pods", grouped("t", "train"))
        async with running(scheduler(world)):
            await until(lambda: why(api, "t") == "waits for prepare to end")
            await asyncio.sleep(5)
            assert not api.node_of("t")
            end(api, "worker", "Failed")
            assert await until(lambda: bool(api.node_of("t"))) < AT_ONCE_S

    simulate(scenario, kinds=ALL)


def test_pods_alone_and_groups_of_others_end_when_their_pods_do() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        cluster(api)
        waits = pod("w", gpus=1)
        waits["metadata"]["annotations"] = {"aliquot.dev/after": "x, k:Ended"}
        api.put("pods", waits)
        api.put("pods", pod("x", gpus=1))
        for number in range(2):
            made = pod(f"k{number}", gpus=1)
            made["metadata"]["labels"] = {
                "kueue.x-k8s.io/pod-group-name": "k",
                "kueue.x-k8s.io/pod-group-total-count": "2",
            }
            api.put("pods", made)
        async with running(scheduler(world)):
            await until(lambda: why(api, "w") == "waits for k to end, and for 1 more")
            api.update("pods", "default/x", lambda one: one["status"].update(phase="Succeeded"))
            api.delete("pods", "default/x")
            await until(lambda: bool(api.node_of("k0") and api.node_of("k1")))
            api.update("pods", "default/k0", lambda one: one["status"].update(phase="Failed"))
            api.delete("pods", "default/k0")
            await asyncio.sleep(5)
            assert not api.node_of("w")
            api.update("pods", "default/k1", lambda one: one["status"].update(phase="Succeeded"))
            assert await until(lambda: bool(api.node_of("w"))) < AT_ONCE_S

    simulate(scenario, kinds=ALL)


def test_a_workload_that_makes_another_is_waited_for_by_its_own_name() -> None:
    async def scenario(world: World) -> None:
        api = world.api
        cluster(api)
        made = api.put(
            "rayjobs",
            {
                "apiVersion": "ray.io/v1",
                "kind": "RayJob",
                "metadata": {"name": "tune", "namespace": "default"},
                "status": {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"},
            },
        )
        start(api, "b", "tune")
        async with running(scheduler(world)):
            await until(lambda: why(api, "b-0") == "waits for tune to succeed")
            api.put(
                "rayjobs", {**made, "status": {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}}
            )
            assert await until(lambda: bool(api.node_of("b-0"))) < AT_ONCE_S

    simulate(scenario, kinds=ALL)


def test_it_is_in_nobodys_way() -> None:
    """No start is promised to it, nobody is evicted for it, and its queue's turn goes to the next."""

    async def scenario(world: World) -> None:
        api = world.api
        cluster(api, gpus=4)
        api.put("queues", {"metadata": {"name": "q"}, "spec": {"resources": {"gpu": {"quota": 4}}}})
        held = pod("low", gpus=4)
        held["spec"]["priority"] = 0
        held["metadata"]["labels"] = {"aliquot.dev/queue": "q"}
        api.put("pods", held)
        async with running(scheduler(world)):
            await until(lambda: bool(api.node_of("low")))
            high = pod("high", gpus=4)
            high["spec"]["priority"] = 1000
            high["metadata"]["labels"] = {"aliquot.dev/queue": "q"}
            high["metadata"]["annotations"] = {"aliquot.dev/after": "never"}
            api.put("pods", high)
            await until(lambda: why(api, "high").startswith("waits for never"))
            await asyncio.sleep(30)
            assert api.evictions == []
            status = api.objects["queues"]["q"]["status"]
            assert (status["requested"]["gpu"], status["pendingJobs"]) == ("4", 1)
            api.update("pods", "default/low", lambda one: one["status"].update(phase="Succeeded"))
            next_ = pod("next", gpus=4)
            next_["metadata"]["labels"] = {"aliquot.dev/queue": "q"}
            api.put("pods", next_)
            assert await until(lambda: bool(api.node_of("next"))) < AT_ONCE_S

    simulate(scenario, kinds=ALL)


@pytest.mark.parametrize(
    ("how", "reason", "told"),
    [
        ("", "Dependency", "pod default/b-0 waits for a to succeed"),
        (
            "Failed",
            "DependencyFailed",
            "pod default/b-0 waits: a was to succeed, and has failed: make it anew",
        ),
    ],
)
def test_explain_says_what_to_do(how: str, reason: str, told: str) -> None:
    async def scenario(world: World) -> None:
        api = world.api
        cluster(api)
        api.put("jobs", job("a", ended=how))
        start(api, "b", "a")
        answer = await explain(
            world.client(9), Subject("pod", "default", "b-0"), clock=world.clock, names=("default-scheduler",)
        )
        assert answer.told.startswith(told) and answer.why is not None
        assert (answer.why.reason, answer.changes, answer.predicted_start) == (reason, (), None)

    simulate(scenario, kinds=ALL)
