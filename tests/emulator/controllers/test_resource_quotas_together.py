"""ResourceQuotas against the API server, all controllers running, on virtual time."""

from typing import Any

from aliquot.kube.resources import CONFIGMAPS, CRDS, DEPLOYMENTS, EVENTS, PODS, RESOURCEQUOTAS, Resource
from tests.emulator.controllers.conftest import Cluster, Simulate
from tests.emulator.test_api_crds import crd, widget

SERVICES = Resource("", "v1", "services", "Service")
WIDGETS = Resource("kc.example.com", "v1", "widgets", "Widget")


def named(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "default"}, "spec": spec}


def asking(**amounts: str) -> dict[str, Any]:
    return {
        "containers": [{"name": "main", "image": "i", "resources": {"requests": amounts, "limits": amounts}}]
    }


async def used(cluster: Cluster, **wanted: str) -> None:
    async def right() -> bool:
        status = (await cluster.client.get(RESOURCEQUOTAS, "q", "default"))["status"]
        return bool(status["used"] == {name.replace("_", "/"): amount for name, amount in wanted.items()})

    await cluster.eventually(right)


def test_status_tells_what_is_used(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        hard = {"pods": "3", "cpu": "2", "services": "4", "count/configmaps": "9"}
        await cluster.client.create(RESOURCEQUOTAS, named("q", hard=hard))
        # kube-root-ca.crt is there from the start.
        await used(cluster, pods="0", cpu="0", services="1", count_configmaps="1")
        await cluster.client.create(PODS, named("a", **asking(cpu="500m")))
        await cluster.client.create(PODS, named("b", **asking(cpu="250m")))
        await cluster.client.create(SERVICES, named("s", ports=[{"port": 1}]))
        await cluster.client.create(CONFIGMAPS, {"metadata": {"name": "c", "namespace": "default"}})
        await used(cluster, pods="2", cpu="750m", services="2", count_configmaps="2")
        await cluster.end_pod((await cluster.pods())[0])
        await cluster.client.delete(SERVICES, "s", "default")
        await used(cluster, pods="1", cpu="250m", services="1", count_configmaps="2")
        # What is no longer limited is no longer told.
        await cluster.client.patch(RESOURCEQUOTAS, "q", {"spec": {"hard": {"cpu": None}}}, "default")
        await used(cluster, pods="1", services="1", count_configmaps="2")
        assert "cpu" not in (await cluster.client.get(RESOURCEQUOTAS, "q", "default"))["status"]["hard"]

    simulate(scenario)


def test_custom_objects_are_counted_once_there_are_any(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(RESOURCEQUOTAS, named("q", hard={"count/widgets.kc.example.com": "2"}))
        await used(cluster, **{"count_widgets.kc.example.com": "0"})
        await cluster.client.create(CRDS, crd())
        await cluster.client.create(WIDGETS, {**widget(), "metadata": {"name": "w", "namespace": "default"}})
        await used(cluster, **{"count_widgets.kc.example.com": "1"})

    simulate(scenario)


def test_a_status_that_somebody_else_wrote_is_put_right(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(RESOURCEQUOTAS, named("q", hard={"pods": "2"}))
        await used(cluster, pods="0")
        wrong = {"status": {"used": {"pods": "7"}}}
        await cluster.client.patch(RESOURCEQUOTAS, "q", wrong, "default", subresource="status")
        await used(cluster, pods="0")

    simulate(scenario)


def test_workloads_are_told_why_their_pods_are_not_made(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(RESOURCEQUOTAS, named("q", hard={"pods": "1"}))
        template = {"metadata": {"labels": {"app": "web"}}, "spec": asking()}
        selector = {"matchLabels": {"app": "web"}}
        await cluster.client.create(
            DEPLOYMENTS, named("web", replicas=2, selector=selector, template=template)
        )

        async def told() -> Any:
            events = (await cluster.client.list(EVENTS, "default")).items
            return [
                one
                for one in events
                if one["reason"] == "FailedCreate" and "exceeded quota: q" in one["message"]
            ]

        await cluster.eventually(told)
        assert len(await cluster.pods()) == 1
        await cluster.client.patch(RESOURCEQUOTAS, "q", {"spec": {"hard": {"pods": "5"}}}, "default")

        async def both() -> bool:
            return len(await cluster.pods()) == 2

        await cluster.eventually(both, within_s=1000)

    simulate(scenario)
