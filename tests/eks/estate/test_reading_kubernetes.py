"""What an API server says, read off the emulator with its rights."""

import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from aliquot.clock import SystemClock
from aliquot.eks.estate import gpu_kinds
from aliquot.eks.estate.reading_kubernetes import Reading
from aliquot.eks.sightings.helm import SECRET_TYPE, encode
from aliquot.eks.sightings.sighting import Trace
from aliquot.eks.versions import removals
from aliquot.emulator.app import ApiServer
from aliquot.emulator.storage.store import Store
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.client import Client
from aliquot.kube.resources import (
    DEPLOYMENTS,
    JOBS,
    NAMESPACES,
    PODDISRUPTIONBUDGETS,
    PODS,
    SECRETS,
    Resource,
)

BINDINGS = Resource(
    "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False
)
OLD_BUDGET = {"apiVersion": "policy/v1beta1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"}}
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@asynccontextmanager
async def cluster() -> AsyncIterator[ApiServer]:
    store = Store(None)
    server = ApiServer(store, clock=SystemClock(), rng=random.Random(1))
    await server.start()
    try:
        yield server
    finally:
        server.stop()
        store.close()


def client(server: ApiServer, user: str = "admin", groups: tuple[str, ...] = ("system:masters",)) -> Client:
    return Client(AsgiTransport(server.app, user, [*groups]), clock=SystemClock(), rng=random.Random(2))


def deployment(name: str) -> dict[str, Any]:
    labels = {"app": name}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "web:1"}]}}
    return {
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": pod},
    }


async def filled(admin: Client) -> None:
    await admin.create(NAMESPACES, {"metadata": {"name": "shop"}})
    await admin.create(DEPLOYMENTS, deployment("web"))
    budget = {
        "metadata": {"name": "web", "namespace": "shop", "annotations": {APPLIED: json.dumps(OLD_BUDGET)}},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
    }
    await admin.create(PODDISRUPTIONBUDGETS, budget)
    spec = {"containers": [{"name": "c", "image": "web:1"}]}
    for number in range(3):
        await admin.create(PODS, {"metadata": {"name": f"p{number}", "namespace": "shop"}, "spec": spec})
    release = {"name": "web", "namespace": "shop", "manifest": f"{json.dumps(OLD_BUDGET)}\n"}
    await admin.create(
        SECRETS,
        {
            "metadata": {
                "name": "sh.helm.release.v1.web.v1",
                "namespace": "shop",
                "labels": {"owner": "helm", "status": "deployed", "name": "web"},
            },
            "type": SECRET_TYPE,
            "data": {"release": encode(release)},
        },
    )


async def test_objects_and_their_traces_in_one_walk_for_each_kind() -> None:
    async with cluster() as server:
        admin = client(server)
        await filled(admin)
        reading = Reading(admin, removals.shipped())
        objects = await reading.read()
        await reading.releases()
        assert [pod.metadata.name for pod in objects.pods] == ["p0", "p1", "p2"]
        assert [one.metadata.name for one in objects.workloads["Deployment"]] == ["web"]
        assert objects.workloads["Deployment"][0].spec.replicas == 1
        assert len(objects.of("PodDisruptionBudget")) == 1
        assert "NodePool" in objects.missing
        found = {(one.where.trace, one.api_version) for one in reading.sightings}
        assert (Trace.LAST_APPLIED, "policy/v1beta1") in found
        assert (Trace.HELM, "policy/v1beta1") in found
        assert (Trace.MANAGED_FIELDS, "apps/v1") in found
        assert set(reading.calls.values()) == {1}
        await admin.close()


async def test_kinds_of_groups_that_are_not_served_are_not_asked_for() -> None:
    async with cluster() as server:
        admin = client(server)
        await admin.create(NAMESPACES, {"metadata": {"name": "shop"}})
        spec = {
            "suspend": True,
            "template": {
                "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "train:1"}]}
            },
        }
        await admin.create(JOBS, {"metadata": {"name": "train", "namespace": "shop"}, "spec": spec})
        reading = Reading(admin, removals.shipped())
        objects = await reading.read()
        assert [(one.metadata.name, one.spec.suspend) for one in objects.jobs] == [("train", True)]
        assert "JobSet" in objects.missing
        assert "jobsets.jobset.x-k8s.io" not in reading.calls
        assert reading.calls["/apis"] == 1
        await admin.close()


@pytest.mark.parametrize(
    ("groups", "version"),
    [
        (None, "v1alpha2"),
        ({}, None),
        ({"jobset.x-k8s.io": ("v1alpha2",)}, "v1alpha2"),
        ({"jobset.x-k8s.io": ("v1", "v1alpha2")}, "v1alpha2"),
        ({"jobset.x-k8s.io": ("v1",)}, "v1"),
    ],
)
def test_a_kind_is_read_in_a_version_that_is_there(groups: Any, version: str | None) -> None:
    there = gpu_kinds.served(Resource("jobset.x-k8s.io", "v1alpha2", "jobsets", "JobSet"), groups)
    assert (there.version if there else None) == version


async def test_what_somebody_may_not_see_is_unchecked_and_the_rest_is_read() -> None:
    """With the rights of Kubernetes' own `view`, which has no Secrets and nothing of the whole cluster."""
    async with cluster() as server:
        admin = client(server)
        await filled(admin)
        binding = {
            "metadata": {"name": "v"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "v"}],
        }
        await admin.create(BINDINGS, binding)
        viewer = client(server, "v", ("system:authenticated",))
        reading = Reading(viewer, removals.shipped())
        objects = await reading.read()
        await reading.releases()
        await reading.requests()
        assert len(objects.pods) == 3
        unchecked = {one.what for one in reading.unchecked}
        assert "all secrets" in unchecked
        assert "all nodes" in unchecked
        assert "deprecated APIs that were asked for (/metrics)" in unchecked
        assert "all pods" not in unchecked
        await admin.close()
        await viewer.close()
