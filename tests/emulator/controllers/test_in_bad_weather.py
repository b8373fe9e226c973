"""Controllers whose requests fail, whose watches break and who are killed, in the end do what they should."""

import asyncio
import random
from typing import Any

import pytest

from aliquot.kube.client import Propagation
from aliquot.kube.resources import DEPLOYMENTS, JOBS, PODS, REPLICASETS
from tests.emulator.controllers.conftest import Cluster, Simulate
from tests.emulator.controllers.test_workloads_together import deployment, job, progress, template


async def kubelet(cluster: Cluster) -> None:
    """Runs every pod; those of Jobs end after a while."""
    while True:
        for pod in (await cluster.client.list(PODS, "default")).items:
            phase = pod["status"]["phase"]
            if "deletionTimestamp" in pod["metadata"]:
                continue
            if phase == "Pending":
                await cluster.run_pod(pod)
            elif phase == "Running" and pod["metadata"]["ownerReferences"][0]["kind"] == "Job":
                await cluster.end_pod(pod)
        await asyncio.sleep(0.5)


async def storm(cluster: Cluster, rng: random.Random) -> tuple[int, str]:
    """Changes of mind in bad weather. The size and the image that were wanted last."""
    cluster.weather.storm()
    replicas, image = 3, "i:1"
    for _ in range(8):
        replicas, image = rng.randrange(7), f"i:{rng.randrange(3)}"
        wanted = {"spec": {"replicas": replicas, "template": template(image)}}
        await cluster.client.patch(DEPLOYMENTS, "web", wanted, "default")
        await asyncio.sleep(rng.uniform(0, 6))
        if rng.random() < 0.5:
            await cluster.restart_controllers()
    cluster.weather.calm()
    return replicas, image


async def rolled_out(cluster: Cluster) -> bool:
    found = await cluster.client.get(DEPLOYMENTS, "web", "default")
    status = found["status"]
    current = status.get("observedGeneration") == found["metadata"]["generation"]
    return current and (await progress(cluster))[0] == "NewReplicaSetAvailable"


@pytest.mark.parametrize("seed", range(6))
def test_all_is_well_after_the_storm(simulate: Simulate, seed: int) -> None:
    async def scenario(cluster: Cluster) -> None:
        running = asyncio.create_task(kubelet(cluster))
        await cluster.client.create(DEPLOYMENTS, deployment(3))
        await cluster.client.create(JOBS, job(completions=12, parallelism=3))
        replicas, image = await storm(cluster, random.Random(seed))

        async def settled() -> Any:
            found = await cluster.client.get(JOBS, "j", "default")
            said = {one["type"] for one in found["status"].get("conditions", ()) if one["status"] == "True"}
            pods = await cluster.pods(selector="app=web")
            mine = [pod for pod in pods if pod["metadata"]["ownerReferences"][0]["kind"] == "ReplicaSet"]
            there = {pod["spec"]["containers"][0]["image"] for pod in mine} <= {image}
            return "Complete" in said and len(mine) == replicas and there and await rolled_out(cluster)

        await cluster.eventually(settled, within_s=120)
        pods = (await cluster.client.list(PODS, "default")).items
        succeeded = [pod for pod in pods if pod["status"]["phase"] == "Succeeded"]
        counted = (await cluster.client.get(JOBS, "j", "default"))["status"]
        assert counted["succeeded"] == len(succeeded) >= 12
        assert not any(pod["metadata"].get("finalizers") for pod in pods)
        running.cancel()
        await asyncio.wait([running])

        cluster.weather.storm()
        await cluster.client.delete(DEPLOYMENTS, "web", "default", propagation=Propagation.FOREGROUND)
        await cluster.client.delete(JOBS, "j", "default", propagation=Propagation.BACKGROUND)
        await asyncio.sleep(10)
        cluster.weather.calm()

        async def nothing_left() -> bool:
            kinds = (DEPLOYMENTS, REPLICASETS, JOBS, PODS)
            return not any([(await cluster.client.list(kind, "default")).items for kind in kinds])

        await cluster.eventually(nothing_left, within_s=120)

    simulate(scenario, seed)
