"""APIServices against the API server, all controllers running, on virtual time."""

from typing import Any

from aliquot.kube.resources import APISERVICES, CRDS
from tests.emulator.controllers.conftest import Cluster, Simulate
from tests.emulator.test_api_crds import crd


async def available(cluster: Cluster, name: str) -> tuple[str, str]:
    async def known() -> Any:
        return (await cluster.client.get(APISERVICES, name))["status"]["conditions"][0]

    condition = await cluster.eventually(known)
    return condition["status"], condition["reason"]


def test_what_is_served_is_listed(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        for name in ("v1.", "v1.apps", "v2.autoscaling"):
            assert await available(cluster, name) == ("True", "Local")
        assert await cluster.gone(APISERVICES, "v1.apiregistration.k8s.io")
        autoscaling = (await cluster.client.get(APISERVICES, "v2.autoscaling"))["spec"]
        assert (autoscaling["groupPriorityMinimum"], autoscaling["versionPriority"]) == (17_500, 30)

    simulate(scenario)


def test_custom_versions_come_and_go(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        made = await cluster.client.create(CRDS, crd())
        assert await available(cluster, "v1.kc.example.com") == ("True", "Local")
        await cluster.client.delete(CRDS, made["metadata"]["name"])
        await cluster.eventually(lambda: cluster.gone(APISERVICES, "v1.kc.example.com"))

    simulate(scenario)


def test_what_is_taken_away_comes_back_and_others_are_told_that_nobody_asks_them(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await available(cluster, "v1.apps")
        await cluster.client.delete(APISERVICES, "v1.apps")

        async def back() -> bool:
            return not await cluster.gone(APISERVICES, "v1.apps")

        await cluster.eventually(back)
        metrics = {
            "metadata": {"name": "v1beta1.metrics.k8s.io"},
            "spec": {
                "group": "metrics.k8s.io",
                "version": "v1beta1",
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "service": {"namespace": "kube-system", "name": "metrics-server"},
            },
        }
        await cluster.client.create(APISERVICES, metrics)
        assert await available(cluster, "v1beta1.metrics.k8s.io") == ("False", "NotAggregated")

    simulate(scenario)
