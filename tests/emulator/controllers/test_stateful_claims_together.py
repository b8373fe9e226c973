"""The claims of StatefulSets against the API server, all controllers running, on virtual time."""

from typing import Any

from aliquot.kube.client import Propagation
from aliquot.kube.resources import PERSISTENTVOLUMECLAIMS, PODS, STATEFULSETS
from tests.emulator.controllers.conftest import Cluster, Simulate


def stateful_set(replicas: int, **policy: str) -> dict[str, Any]:
    pod = {"containers": [{"name": "main", "image": "i"}]}
    storage = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return {
        "metadata": {"name": "db", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "podManagementPolicy": "Parallel",
            "serviceName": "peers",
            "selector": {"matchLabels": {"app": "db"}},
            "template": {"metadata": {"labels": {"app": "db"}}, "spec": pod},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": storage}],
            "persistentVolumeClaimRetentionPolicy": policy,
        },
    }


async def claims(cluster: Cluster) -> dict[str, str]:
    """Kind of the owner by name, empty for none."""
    found = (await cluster.client.list(PERSISTENTVOLUMECLAIMS, "default")).items
    return {
        one["metadata"]["name"]: (one["metadata"].get("ownerReferences") or [{}])[0].get("kind", "")
        for one in found
        if "deletionTimestamp" not in one["metadata"]
    }


async def settle(cluster: Cluster, replicas: int, expected: dict[str, str]) -> None:
    async def settled() -> bool:
        await cluster.run_all_pods()
        return len(await cluster.pods()) == replicas and await claims(cluster) == expected

    await cluster.eventually(settled)


def test_claims_are_made_and_stay(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.client.create(STATEFULSETS, stateful_set(2))
        both = {"data-db-0": "", "data-db-1": ""}
        await settle(cluster, 2, both)
        volumes = (await cluster.client.get(PODS, "db-1", "default"))["spec"]["volumes"]
        assert volumes[0] == {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-1"}}
        await cluster.client.patch(STATEFULSETS, "db", {"spec": {"replicas": 1}}, "default")
        await settle(cluster, 1, both)
        await cluster.client.delete(STATEFULSETS, "db", "default", propagation=Propagation.BACKGROUND)
        await settle(cluster, 0, both)

    simulate(scenario)


def test_claims_go_as_the_policy_says(simulate: Simulate) -> None:
    async def scenario(cluster: Cluster) -> None:
        made = stateful_set(2, whenDeleted="Delete", whenScaled="Delete")
        await cluster.client.create(STATEFULSETS, made)
        await settle(cluster, 2, {"data-db-0": "StatefulSet", "data-db-1": "StatefulSet"})
        await cluster.client.patch(STATEFULSETS, "db", {"spec": {"replicas": 1}}, "default")
        await settle(cluster, 1, {"data-db-0": "StatefulSet"})
        await cluster.client.delete(STATEFULSETS, "db", "default", propagation=Propagation.BACKGROUND)
        await settle(cluster, 0, {})

    simulate(scenario)
