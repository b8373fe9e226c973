"""Indexed Jobs and the policies of Jobs against the API server, all controllers running, on virtual time."""

import asyncio
from typing import Any

from aliquot.emulator.controllers import index_failures, indexes
from aliquot.emulator.controllers.job_plan import TRACKING
from aliquot.kube.resources import JOBS, PODS
from tests.emulator.controllers.conftest import Cluster, Simulate


def job(**spec: Any) -> dict[str, Any]:
    pod = {"containers": [{"name": "main", "image": "i"}], "restartPolicy": "Never"}
    return {
        "metadata": {"name": "j", "namespace": "default"},
        "spec": {
            "template": {"spec": pod},
            "completionMode": "Indexed",
            "completions": 3,
            "parallelism": 3,
            **spec,
        },
    }


async def run(cluster: Cluster, ends: dict[int, list[int]], within_s: float = 300.0) -> dict[str, Any]:
    """Lets each pod of an index end with the next of its exit codes, the last one again and again; the Job's end."""
    left = {index: list(codes) for index, codes in ends.items()}

    async def ended() -> Any:
        for pod in await cluster.pods():
            if pod["status"].get("phase") != "Pending":
                continue
            codes = left[int(pod["metadata"]["annotations"][indexes.LABEL])]
            if codes:
                await cluster.end_pod(pod, codes.pop(0) if len(codes) > 1 else codes[0])
        found = await cluster.client.get(JOBS, "j", "default")
        conditions = found["status"].get("conditions", ())
        return found["status"] if any(one["type"] in ("Complete", "Failed") for one in conditions) else None

    found: dict[str, Any] = await cluster.eventually(ended, within_s=within_s)
    return found


def reasons(status: dict[str, Any]) -> dict[str, str]:
    return {one["type"]: one["reason"] for one in status["conditions"]}


def test_each_index_is_done_once(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(JOBS, job(parallelism=2))
        said = await run(cluster, {0: [0], 1: [0], 2: [0]})
        assert (said["succeeded"], said["completedIndexes"]) == (3, "0-2")
        pods = (await cluster.client.list(PODS, "default")).items
        assert sorted(pod["spec"]["hostname"] for pod in pods) == ["j-0", "j-1", "j-2"]
        assert not any(TRACKING in pod["metadata"].get("finalizers", ()) for pod in pods)

    simulate(scenario)


def test_an_index_may_fail_alone(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(JOBS, job(backoffLimitPerIndex=1))
        said = await run(cluster, {0: [0], 1: [1], 2: [1, 0]})
        assert (said["completedIndexes"], said["failedIndexes"]) == ("0,2", "1")
        assert reasons(said) == {"FailureTarget": "FailedIndexes", "Failed": "FailedIndexes"}
        assert (said["succeeded"], said["failed"]) == (2, 3)
        pods = (await cluster.client.list(PODS, "default")).items
        counts = sorted(pod["metadata"]["annotations"][index_failures.COUNT] for pod in pods)
        assert counts == ["0", "0", "0", "1", "1"]
        assert not any(TRACKING in pod["metadata"].get("finalizers", ()) for pod in pods)

    simulate(scenario)


def test_failures_of_an_index_are_counted_once_though_controllers_are_killed(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(JOBS, job(backoffLimitPerIndex=2, completions=2, parallelism=2))

        async def kill() -> None:
            while True:
                await asyncio.sleep(cluster.client.rng.random() * 5)
                await cluster.restart_controllers()

        killer = asyncio.create_task(kill())
        said = await run(cluster, {0: [1, 0], 1: [1]})
        killer.cancel()
        assert (said["completedIndexes"], said["failedIndexes"]) == ("0", "1")
        assert (said["succeeded"], said["failed"]) == (1, 4)

    simulate(scenario)


def test_a_leader_s_success_is_the_job_s(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        policy = {"rules": [{"succeededIndexes": "0"}]}
        await cluster.client.create(JOBS, job(successPolicy=policy))
        said = await run(cluster, {0: [0], 1: [], 2: []})
        assert reasons(said) == {"SuccessCriteriaMet": "SuccessPolicy", "Complete": "SuccessPolicy"}
        assert said["succeeded"] == 1
        assert await cluster.pods() == [
            pod for pod in await cluster.pods() if pod["status"]["phase"] == "Succeeded"
        ]

    simulate(scenario)


def test_an_exit_code_ends_the_job(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        rule = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}
        await cluster.client.create(JOBS, job(podFailurePolicy={"rules": [rule]}))
        said = await run(cluster, {0: [0], 1: [42], 2: []})
        assert reasons(said) == {"FailureTarget": "PodFailurePolicy", "Failed": "PodFailurePolicy"}
        message = next(one["message"] for one in said["conditions"] if one["type"] == "Failed")
        assert "failed with exit code 42 matching FailJob rule at index 0" in message

    simulate(scenario)


def test_who_else_manages_it_is_left_alone(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(JOBS, job(managedBy="acme.io/queue"))
        await asyncio.sleep(10)
        assert await cluster.pods() == []
        found = await cluster.client.get(JOBS, "j", "default")
        assert not found.get("status")

    simulate(scenario)
