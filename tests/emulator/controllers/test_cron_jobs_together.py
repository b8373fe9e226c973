"""CronJobs against the API server, all controllers running, on virtual time."""

import asyncio
from typing import Any

from aliquot.kube.client import Propagation
from aliquot.kube.resources import CRONJOBS, EVENTS, JOBS, PODS
from tests.emulator.controllers.conftest import Cluster, Simulate


def cron_job(**spec: Any) -> dict[str, Any]:
    pod = {"containers": [{"name": "main", "image": "i"}], "restartPolicy": "Never"}
    return {
        "metadata": {"name": "c", "namespace": "default"},
        "spec": {
            "schedule": "* * * * *",
            "jobTemplate": {"spec": {"template": {"spec": pod}}},
            **spec,
        },
    }


async def jobs(cluster: Cluster) -> list[dict[str, Any]]:
    return list((await cluster.client.list(JOBS, "default")).items)


async def status(cluster: Cluster) -> dict[str, Any]:
    found: dict[str, Any] = (await cluster.client.get(CRONJOBS, "c", "default"))["status"]
    return found


async def end_pods(cluster: Cluster, exit_code: int = 0) -> None:
    for pod in await cluster.pods():
        if pod["status"]["phase"] == "Pending":
            await cluster.end_pod(pod, exit_code)


async def minutes(cluster: Cluster, count: int, exit_code: int | None = 0) -> None:
    """Lets time pass, to a second after the last; pods end as they come, unless `exit_code` is None."""
    await asyncio.sleep(1)
    for _ in range(count * 12):
        await asyncio.sleep(5)
        if exit_code is not None:
            await end_pods(cluster, exit_code)


def test_a_job_a_minute_and_the_last_three_kept(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(CRONJOBS, cron_job())
        await minutes(cluster, 6)
        await end_pods(cluster)
        await asyncio.sleep(5)
        found = await jobs(cluster)
        assert len(found) == 3
        assert all(one["status"]["succeeded"] == 1 for one in found)
        said = await status(cluster)
        assert "active" not in said
        assert said["lastSuccessfulTime"] > said["lastScheduleTime"]
        reasons = [event["reason"] for event in (await cluster.client.list(EVENTS, "default")).items]
        assert {"SuccessfulCreate", "SawCompletedJob", "SuccessfulDelete"} <= set(reasons)

    simulate(scenario)


def test_what_runs_is_waited_for_or_replaced(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        expected = {"Allow": 3, "Forbid": 1, "Replace": 1}
        for policy, count in expected.items():
            await cluster.client.create(CRONJOBS, cron_job(concurrencyPolicy=policy))
            await minutes(cluster, 3, exit_code=None)
            found = await jobs(cluster)
            assert len(found) == len((await status(cluster))["active"]) == count
            first = min(one["metadata"]["name"] for one in found)
            replaced = first.endswith(str(int(cluster.clock.now()) // 60))
            assert replaced == (policy == "Replace")
            await cluster.client.delete(CRONJOBS, "c", "default", propagation=Propagation.BACKGROUND)

            async def nothing_left() -> bool:
                return not await jobs(cluster) and not (await cluster.client.list(PODS)).items

            await cluster.eventually(nothing_left)

    simulate(scenario)


def test_never_two_for_one_start_though_controllers_are_killed(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(CRONJOBS, cron_job(successfulJobsHistoryLimit=100))
        for _ in range(40):
            await asyncio.sleep(4.5)
            await cluster.restart_controllers()
        await asyncio.sleep(10)
        found = [one["metadata"]["name"] for one in await jobs(cluster)]
        assert len(found) == len(set(found)) == 3
        active = [one["name"] for one in (await status(cluster))["active"]]
        assert sorted(active) == sorted(found)

    simulate(scenario)


def test_suspended_and_taken_up_again_only_the_last_missed_start_is_made_up_for(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(CRONJOBS, cron_job(suspend=True))
        await minutes(cluster, 5)
        assert await jobs(cluster) == []
        await cluster.client.patch(CRONJOBS, "c", {"spec": {"suspend": False}}, "default")
        await asyncio.sleep(1)
        assert len(await jobs(cluster)) == 1

    simulate(scenario)
