"""PodDisruptionBudgets and evictions against the API server, all controllers running, on virtual time."""

import asyncio
from typing import Any

import pytest

from aliquot.clock import rfc3339
from aliquot.kube import errors
from aliquot.kube.resources import DEPLOYMENTS, JOBS, PODDISRUPTIONBUDGETS, PODS, STATEFULSETS
from tests.emulator.controllers.conftest import Cluster, Simulate

POD = {"containers": [{"name": "main", "image": "i"}]}
TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": POD}
SELECTOR = {"matchLabels": {"app": "web"}}


def named(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default"}, "spec": spec}


async def evict(cluster: Cluster, pod: str, **options: Any) -> None:
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": "default"},
        **({"deleteOptions": options} if options else {}),
    }
    await cluster.client.create(PODS, body, "default", name=pod, subresource="eviction")


async def status(cluster: Cluster) -> dict[str, Any]:
    found: dict[str, Any] = (await cluster.client.get(PODDISRUPTIONBUDGETS, "b", "default")).get("status", {})
    return found


async def allows(cluster: Cluster, number: int) -> None:
    async def right() -> bool:
        await cluster.run_all_pods()
        said = await status(cluster)
        return bool(said.get("disruptionsAllowed") == number and said["currentHealthy"])

    await cluster.eventually(right)


async def names(cluster: Cluster) -> list[str]:
    return sorted(pod["metadata"]["name"] for pod in await cluster.pods())


def test_evictions_stay_within_the_budget(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(
            DEPLOYMENTS, named("web", replicas=4, selector=SELECTOR, template=TEMPLATE)
        )
        await cluster.client.create(PODDISRUPTIONBUDGETS, named("b", selector=SELECTOR, maxUnavailable="50%"))
        await allows(cluster, 2)
        pods = await names(cluster)
        results = await asyncio.gather(*(evict(cluster, pod) for pod in pods), return_exceptions=True)
        refused = [error for error in results if isinstance(error, errors.TooManyRequests)]
        assert len(refused) == 2
        assert "disruption budget" in refused[0].message
        assert len(await cluster.pods()) >= 2
        # Those that came instead are ready: two more may go.
        await allows(cluster, 2)
        assert "disruptedPods" not in await status(cluster) or not (await status(cluster))["disruptedPods"]

    simulate(scenario)


def test_a_dry_run_costs_nothing(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(
            STATEFULSETS,
            named("web", replicas=2, serviceName="s", selector=SELECTOR, template=TEMPLATE),
        )
        await cluster.client.create(PODDISRUPTIONBUDGETS, named("b", selector=SELECTOR, minAvailable=1))
        await allows(cluster, 1)
        for _ in range(3):
            await evict(cluster, "web-1", dryRun=["All"])
        assert (await status(cluster))["disruptionsAllowed"] == 1
        assert await names(cluster) == ["web-0", "web-1"]
        await evict(cluster, "web-1")
        with pytest.raises(errors.TooManyRequests):
            await evict(cluster, "web-0", dryRun=["All"])

    simulate(scenario)


def test_an_eviction_says_why_the_pod_goes(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        metadata = {"name": "p", "namespace": "default", "finalizers": ["a/b"]}
        await cluster.client.create(PODS, {"metadata": metadata, "spec": POD})
        await evict(cluster, "p")
        found = await cluster.client.get(PODS, "p", "default")
        assert found["metadata"]["deletionTimestamp"]
        [condition] = found["status"]["conditions"]
        assert (condition["type"], condition["reason"]) == ("DisruptionTarget", "EvictionByEvictionAPI")

    simulate(scenario)


def test_an_eviction_that_came_to_nothing_is_given_back(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(
            DEPLOYMENTS, named("web", replicas=2, selector=SELECTOR, template=TEMPLATE)
        )
        await cluster.client.create(PODDISRUPTIONBUDGETS, named("b", selector=SELECTOR, maxUnavailable=1))
        await allows(cluster, 1)
        pod = (await names(cluster))[0]
        noted = {"disruptionsAllowed": 0, "disruptedPods": {pod: "2020-01-01T00:00:00Z"}}
        await cluster.client.patch(
            PODDISRUPTIONBUDGETS, "b", {"status": noted}, "default", subresource="status"
        )
        await allows(cluster, 1)

    simulate(scenario)


def test_a_pod_that_was_to_go_and_stays_is_told_so(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        metadata = {"name": "p", "namespace": "default"}
        pod = await cluster.client.create(PODS, {"metadata": metadata, "spec": POD})
        since = rfc3339(cluster.clock.now())
        target = {"type": "DisruptionTarget", "status": "True", "reason": "R", "lastTransitionTime": since}
        await cluster.set_pod(pod, conditions=[target])

        async def status_of_target() -> str:
            [found] = (await cluster.client.get(PODS, "p", "default"))["status"]["conditions"]
            return str(found["status"])

        await asyncio.sleep(118)
        assert await status_of_target() == "True"
        await asyncio.sleep(4)
        assert await status_of_target() == "False"

    simulate(scenario)


def test_pods_of_a_kind_without_a_scale_may_not_go(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        spec = {**TEMPLATE, "spec": {**POD, "restartPolicy": "Never"}}
        await cluster.client.create(JOBS, named("j", template=spec))
        await cluster.client.create(PODDISRUPTIONBUDGETS, named("b", selector=SELECTOR, maxUnavailable=1))

        async def failed() -> Any:
            conditions = (await status(cluster)).get("conditions", ())
            return next((one["message"] for one in conditions if one["reason"] == "SyncFailed"), None)

        assert await cluster.eventually(failed) == "jobs.batch does not implement the scale subresource"
        await cluster.run_all_pods()
        with pytest.raises(errors.TooManyRequests):
            await evict(cluster, (await names(cluster))[0])

    simulate(scenario)
