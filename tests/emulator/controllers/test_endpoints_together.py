"""Services and where they lead, against the API server, all controllers running, on virtual time."""

import asyncio
from typing import Any

from aliquot.clock import rfc3339
from aliquot.kube.resources import DEPLOYMENTS, ENDPOINTS, ENDPOINTSLICES, PODS, SERVICES
from tests.emulator.controllers.conftest import Cluster, Simulate

TEMPLATE = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {
        "containers": [{"name": "main", "image": "i", "ports": [{"name": "http", "containerPort": 8080}]}]
    },
}


def service(**spec: Any) -> dict[str, Any]:
    port = {"name": "web", "port": 80, "targetPort": "http"}
    return {
        "metadata": {"name": "s", "namespace": "default"},
        "spec": {"selector": {"app": "web"}, "ports": [port], **spec},
    }


def deployment(replicas: int) -> dict[str, Any]:
    selector = {"matchLabels": {"app": "web"}}
    spec = {"replicas": replicas, "selector": selector, "template": TEMPLATE}
    return {"metadata": {"name": "web", "namespace": "default"}, "spec": spec}


async def start(cluster: Cluster) -> None:
    """Pods get an address, and are ready."""
    for pod in await cluster.pods():
        if pod["status"].get("phase") == "Pending":
            now = rfc3339(cluster.clock.now())
            ready = {"type": "Ready", "status": "True", "lastTransitionTime": now}
            number = int(pod["metadata"]["uid"][:2], 16)
            ip = f"10.0.{number}.{int(pod['metadata']['uid'][2:4], 16)}"
            ips = {"podIP": ip, "podIPs": [{"ip": ip}]}
            await cluster.set_pod(pod, phase="Running", conditions=[ready], **ips)


async def slices(cluster: Cluster) -> list[dict[str, Any]]:
    return list((await cluster.client.list(ENDPOINTSLICES, "default")).items)


async def addresses(cluster: Cluster) -> list[str]:
    return sorted(
        endpoint["addresses"][0] for found in await slices(cluster) for endpoint in found["endpoints"] or ()
    )


async def pod_ips(cluster: Cluster) -> list[str]:
    return sorted(pod["status"]["podIP"] for pod in await cluster.pods() if pod["status"].get("podIP"))


def test_a_service_follows_its_pods(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(SERVICES, service())

        async def nowhere() -> bool:
            found = await slices(cluster)
            return [one.get("endpoints") or [] for one in found] == [[]]

        await cluster.eventually(nowhere)
        await cluster.client.create(DEPLOYMENTS, deployment(3))
        for replicas in (3, 5, 1):
            patch = {"spec": {"replicas": replicas}}
            await cluster.client.patch(DEPLOYMENTS, "web", patch, "default")

            async def follows(replicas: int = replicas) -> bool:
                await start(cluster)
                there = await pod_ips(cluster)
                older = await cluster.client.get(ENDPOINTS, "s", "default")
                listed = [
                    one["ip"] for part in older.get("subsets") or () for one in part.get("addresses") or ()
                ]
                return len(there) == replicas == len(await cluster.pods()) and await addresses(
                    cluster
                ) == there == sorted(listed)

            await cluster.eventually(follows)
        [found] = [one for one in await slices(cluster) if one["endpoints"]]
        assert found["ports"] == [{"name": "web", "port": 8080, "protocol": "TCP"}]
        assert found["metadata"]["ownerReferences"][0]["kind"] == "Service"

        await cluster.client.delete(SERVICES, "s", "default")

        async def nothing_left() -> bool:
            return not await slices(cluster) and await cluster.gone(ENDPOINTS, "s", "default")

        await cluster.eventually(nothing_left)

    simulate(scenario)


def test_no_slice_twice_though_controllers_are_killed(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(SERVICES, service())
        await cluster.client.create(DEPLOYMENTS, deployment(4))

        async def all_there() -> bool:
            await start(cluster)
            await cluster.restart_controllers()
            await asyncio.sleep(0.03)
            return len(await addresses(cluster)) == 4

        await cluster.eventually(all_there)
        await asyncio.sleep(5)
        found = await addresses(cluster)
        assert len(found) == len(set(found)) == 4

    simulate(scenario)


def test_a_pod_on_its_way_out_still_serves_but_is_not_ready(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(SERVICES, service())
        metadata = {
            "name": "p",
            "namespace": "default",
            "labels": {"app": "web"},
            "finalizers": ["a/b"],
        }
        await cluster.client.create(PODS, {"metadata": metadata, "spec": TEMPLATE["spec"]})
        await start(cluster)
        await cluster.client.delete(PODS, "p", "default")

        async def terminating() -> Any:
            found = [endpoint for one in await slices(cluster) for endpoint in one["endpoints"] or ()]
            return found and found[0]["conditions"]["terminating"] and found[0]["conditions"]

        conditions = await cluster.eventually(terminating)
        assert conditions == {"ready": False, "serving": True, "terminating": True}

    simulate(scenario)
