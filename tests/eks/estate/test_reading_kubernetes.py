"""What an API server says, read off the emulator with its rights."""

import base64
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from aliquot.clock import SystemClock, VirtualClock, VirtualTimeLoop
from aliquot.eks.estate import gpu_kinds, reading_kubernetes
from aliquot.eks.estate.gangs import of_objects
from aliquot.eks.estate.job_kinds import JOB_KINDS, WORKLOADS
from aliquot.eks.estate.objects import Objects
from aliquot.eks.estate.reading_kubernetes import CRDS, Reading
from aliquot.eks.sightings.helm import SECRET_TYPE, encode
from aliquot.eks.sightings.sighting import Trace
from aliquot.eks.versions import removals
from aliquot.emulator.app import ApiServer
from aliquot.emulator.storage.store import Store
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.client import Client
from aliquot.kube.errors import ApiError
from aliquot.kube.resources import (
    CONFIGMAPS,
    DEPLOYMENTS,
    JOBS,
    NAMESPACES,
    PODDISRUPTIONBUDGETS,
    PODS,
    REPLICASETS,
    SECRETS,
    Resource,
)
from aliquot.kube.transport import Request, Response, Transport, TransportError

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
        assert "Node" in objects.unread
        assert "Pod" not in objects.unread
        await admin.close()
        await viewer.close()


class Watched:
    """A transport that notes what goes through it."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.asked: Counter[str] = Counter()
        self.queries: dict[str, Mapping[str, str]] = {}
        self.most_at_once = 0
        self._at_once = 0

    async def send(self, request: Request) -> Response:
        self.asked[request.path] += 1
        self.queries[request.path] = request.query
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return await self._transport.send(request)
        finally:
            self._at_once -= 1

    async def close(self) -> None:
        await self._transport.close()


async def test_each_page_of_each_kind_is_asked_for_once_and_few_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reading_kubernetes, "_A_PAGE", 2)
    async with cluster() as server:
        admin = client(server)
        await filled(admin)
        watched = Watched(AsgiTransport(server.app, "admin", ["system:masters"]))
        reader = Client(watched, clock=SystemClock(), rng=random.Random(2))
        reading = Reading(reader, removals.shipped())
        objects = await reading.read()
        await reading.releases()
        await reading.requests()
        assert len(objects.pods) == 3
        pages = {path: times for path, times in watched.asked.items() if times > 1}
        # What the emulator has by itself: rights, and settings of its priorities.
        assert pages.pop("/api/v1/pods") == 2
        for path, times in pages.items():
            held = await admin.get_raw(path)
            assert times == -(-len(json.loads(held)["items"]) // 2), path
        assert sum(reading.calls.values()) == sum(watched.asked.values())
        assert watched.most_at_once == 4
        releases = watched.queries["/api/v1/secrets"]
        assert releases["fieldSelector"] == "type=helm.sh/release.v1"
        assert int(releases["limit"]) <= 50
        await admin.close()
        await reader.close()


async def test_traces_are_read_and_not_kept() -> None:
    async with cluster() as server:
        admin = client(server)
        await filled(admin)
        reading = Reading(admin, removals.shipped())
        text = msgspec.json.encode(await reading.read())
        assert len(reading.sightings) > 2
        assert b"last-applied" not in text
        assert b'"manager"' not in text
        await admin.close()


class Canned:
    """Answers by path; every other list is empty."""

    def __init__(self, answers: dict[str, tuple[int, object]]) -> None:
        self._answers = answers

    async def send(self, request: Request) -> Response:
        status, body = self._answers.get(request.path, (200, {"metadata": {}, "items": []}))
        if status == 0:
            raise TransportError("connection refused", delivered=False)
        return Answer(status, msgspec.json.encode(body))

    async def close(self) -> None:
        pass


class Answer:
    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.headers: dict[str, str] = {}
        self._body = body

    async def read(self) -> bytes:
        return self._body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._body

    async def close(self) -> None:
        pass


DEPLOYMENTS_PATH = "/apis/apps/v1/deployments"


def read(answers: dict[str, tuple[int, object]]) -> tuple[Reading, Objects]:
    """On virtual time: what fails is asked for again, after a while."""
    loop = VirtualTimeLoop()
    try:
        reader = Client(Canned(answers), clock=VirtualClock(), rng=random.Random(2))
        reading = Reading(reader, removals.shipped())
        return reading, loop.run_until_complete(reading.read())
    finally:
        loop.close()


def test_an_object_that_cannot_be_read_is_unchecked_and_hides_no_other() -> None:
    good = {"metadata": {"name": "web", "namespace": "shop"}}
    bad = {"metadata": {"name": "odd", "namespace": "shop"}, "spec": {"replicas": "three"}}
    reading, objects = read({DEPLOYMENTS_PATH: (200, {"metadata": {}, "items": [bad, good]})})
    assert [one.metadata.name for one in objects.workloads["Deployment"]] == ["web"]
    (unchecked,) = reading.unchecked
    assert unchecked.what == "Deployment shop/odd"
    assert "replicas" in unchecked.why


@pytest.mark.parametrize("status", [403, 410, 500])
def test_a_kind_that_is_not_told_is_unchecked(status: int) -> None:
    refused = {"kind": "Status", "status": "Failure", "message": "no", "code": status}
    reading, objects = read({DEPLOYMENTS_PATH: (status, refused)})
    assert objects.workloads["Deployment"] == ()
    assert [one.what for one in reading.unchecked] == ["all deployments.apps"]


@pytest.mark.parametrize("status", [401, 0])
def test_a_server_that_knows_us_not_or_is_not_there_fails_the_reading(status: int) -> None:
    with pytest.raises(ApiError):
        read({DEPLOYMENTS_PATH: (status, {"kind": "Status", "message": "who?", "code": status})})


CRD: dict[str, Any] = {
    "metadata": {
        "name": "flows.example.com",
        "annotations": {APPLIED: json.dumps({"apiVersion": "apiextensions.k8s.io/v1beta1", "kind": CRDS.kind})},
    },
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"kind": "Flow", "plural": "flows", "singular": "flow"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}],
    },
}  # fmt: skip


async def test_crds_are_read_without_their_schemas_and_tell_how_they_were_written() -> None:
    async with cluster() as server:
        admin = client(server)
        await admin.create(CRDS, CRD)
        reading = Reading(admin, removals.shipped())
        objects = await reading.read()
        (crd,) = [one for one in objects.crds if one.metadata.name == "flows.example.com"]
        assert (crd.spec.names.plural, crd.status.stored_versions) == ("flows", ("v1",))
        assert [(one.name, one.served, one.storage) for one in crd.spec.versions] == [("v1", True, True)]
        assert "apiextensions.k8s.io/v1beta1" in {one.api_version for one in reading.sightings}
        await admin.close()


ISSUERS = Resource("cert-manager.io", "v1", "issuers", "Issuer")


async def test_kinds_of_components_are_read_where_the_cluster_has_them() -> None:
    old = {"apiVersion": "cert-manager.io/v1alpha2", "kind": "Issuer", "metadata": {"name": "x"}}
    crd = {
        "metadata": {"name": "issuers.cert-manager.io"},
        "spec": {
            **CRD["spec"],
            "group": "cert-manager.io",
            "names": {"kind": "Issuer", "plural": "issuers", "singular": "issuer"},
        },
    }
    async with cluster() as server:
        admin = client(server)
        await filled(admin)
        await admin.create(CRDS, crd)
        issuer = {"metadata": {"name": "x", "namespace": "shop", "annotations": {APPLIED: json.dumps(old)}}}
        await admin.create(ISSUERS, issuer)
        reading = Reading(admin, removals.shipped())
        await reading.read()
        assert ("cert-manager.io/v1alpha2", "Issuer shop/x") in {
            (one.api_version, one.object) for one in reading.sightings
        }
        assert reading.calls["issuers.cert-manager.io"] == 1
        assert not [name for name in reading.calls if name.startswith("certificates.")]
        await admin.close()


async def test_releases_that_helm_keeps_in_config_maps() -> None:
    body = {"name": "web", "namespace": "shop", "manifest": json.dumps(OLD_BUDGET)}
    inner = base64.b64decode(encode(body)).decode()
    labels = {"owner": "helm", "status": "deployed", "name": "web"}
    kept = {"metadata": {"name": "web.v1", "namespace": "shop", "labels": labels}, "data": {"release": inner}}
    async with cluster() as server:
        admin = client(server)
        await admin.create(NAMESPACES, {"metadata": {"name": "shop"}})
        await admin.create(CONFIGMAPS, kept)
        reading = Reading(admin, removals.shipped())
        await reading.releases()
        assert [(one.where.release, one.api_version) for one in reading.sightings] == [
            ("shop/web", "policy/v1beta1")
        ]
        assert reading.unchecked == []
        await admin.close()


def owned(name: str, kind: str, api_version: str, by: str, **labels: str) -> dict[str, Any]:
    reference = {"apiVersion": api_version, "kind": kind, "name": by, "uid": f"uid-{by}", "controller": True}
    return {"metadata": {"name": name, "namespace": "shop", "labels": labels, "ownerReferences": [reference]}}


@pytest.mark.parametrize(
    ("labels", "gangs", "pages"), [({"aliquot.dev/pod-group": "g"}, ["Deployment shop/web"], 1), ({}, [], 0)]
)
async def test_replica_sets_are_read_where_a_group_ties_their_pods(
    labels: dict[str, str], gangs: list[str], pages: int
) -> None:
    """What its Deployment can be asked for is then known, and is not that of a ReplicaSet that nobody has read."""
    web = {"app": "web"}
    spec = {"containers": [{"name": "c", "image": "web:1"}]}
    replicas = owned("web-1", "Deployment", "apps/v1", "web")
    replicas["spec"] = {
        "selector": {"matchLabels": web},
        "template": {"metadata": {"labels": web}, "spec": spec},
    }
    async with cluster() as server:
        admin = client(server)
        await filled(admin)
        await admin.create(REPLICASETS, replicas)
        for name in ("a", "b"):
            await admin.create(
                PODS, {**owned(name, "ReplicaSet", "apps/v1", "web-1", **labels), "spec": spec}
            )
        reading = Reading(admin, removals.shipped())
        objects = await reading.read()
    assert [str(gang) for gang in of_objects(objects)] == gangs
    assert all(root.target is not None for gang in of_objects(objects) for root in gang.roots)
    assert reading.calls.get(REPLICASETS.name, 0) == pages


def test_every_kind_that_makes_pods_is_read() -> None:
    as_asked_for = {("apps", "ReplicaSet"), ("", "ReplicationController")}
    assert {*JOB_KINDS, (WORKLOADS.group, WORKLOADS.kind)} - as_asked_for == gpu_kinds.READ
