"""Groups beside an API in memory, on virtual time, of which a test says what it serves and shows."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aliquot.kube.api.core import Pod
from aliquot.kube.cache import Cache
from aliquot.kube.resources import CRONJOBS, JOBS, PODGROUPS, PODS, PRIORITYCLASSES, REPLICASETS, Resource
from aliquot.scheduler.grouping.membership import Membership
from aliquot.scheduler.groups import Groups
from tests.kube.fake_api import FakeApi, Json, Refused, client_of, virtual
from tests.scheduler.grouping.objects import shown

PYTORCHJOBS = Resource("kubeflow.org", "v1", "pytorchjobs", "PyTorchJob")
LWS = Resource("leaderworkerset.x-k8s.io", "v1", "leaderworkersets", "LeaderWorkerSet")
STATEFULSETS = Resource("apps", "v1", "statefulsets", "StatefulSet")
BUILT_IN = {PODS, JOBS, CRONJOBS, REPLICASETS, STATEFULSETS, PRIORITYCLASSES}
WORKER = {"training.kubeflow.org/replica-type": "worker"}
SETTLED_S = 1.0
REFUSED_S = 15.0
"""By then it is believed that a kind may not be seen."""
RARELY_S = 700.0
"""Longer than a kind that was not there is left alone."""


class World:
    def __init__(self) -> None:
        self.api = FakeApi()
        self.served = {*BUILT_IN, PODGROUPS, PYTORCHJOBS, LWS}
        self.forbidden: set[Resource] = set()
        self.is_down = False
        self.api.fault = self._fault
        client = client_of(self.api)
        self.pods = Cache(client, PODS, Pod)
        self.groups = Groups(client, rng=random.Random(1), pods=self.pods)
        self.heard: list[frozenset[str]] = []
        self.groups.subscribe(lambda names: self.heard.append(frozenset(names)))

    async def _fault(self, _method: str, path: str) -> None:
        if self.is_down and not path.endswith("/pods"):
            raise Refused(500, "InternalError", "down")
        plural = next(part for part in path.split("/") if part in self._plurals())
        for resource in self.forbidden:
            if resource.plural == plural and path.startswith(f"/apis/{resource.group}/"):
                raise Refused(403, "Forbidden", "not yours to see")
        if not any(
            path.startswith(f"{resource.path().rsplit('/', 1)[0]}/") and resource.plural == plural
            for resource in self.served
        ):
            raise Refused(404, "NotFound", "the server could not find the requested resource")

    def _plurals(self) -> set[str]:
        return {resource.plural for resource in self.served} | {
            "podgroups",
            "compositepodgroups",
            "rayclusters",
        }

    def put(self, resource: Resource, name: str, **fields: Any) -> Json:
        metadata = {"name": name, "namespace": "a"} | fields.pop("metadata", {})
        if not resource.namespaced:
            del metadata["namespace"]
        identity = {"apiVersion": resource.api_version, "kind": resource.kind}
        return self.api.put(resource, {**identity, "metadata": metadata, **fields})

    def pod(
        self, name: str, owner: Json | None = None, labels: dict[str, str] | None = None, **spec: Any
    ) -> None:
        metadata: Json = {"labels": labels or {}}
        if owner is not None:
            metadata["ownerReferences"] = [reference(owner)]
        self.put(PODS, name, metadata=metadata, spec=spec)

    def membership(self, name: str) -> Membership | None:
        pod = self.pods.get(f"a/{name}")
        assert pod is not None
        return self.groups.membership(pod)

    async def settled(self, name: str) -> Membership:
        """Asked, and asked again when it is known."""
        self.membership(name)
        await asyncio.sleep(SETTLED_S)
        found = self.membership(name)
        assert found is not None
        return found

    def reads(self, resource: Resource) -> list[str]:
        """Paths of GETs of one object of the kind."""
        prefix = f"{resource.path()[: -len(resource.plural)]}namespaces/a/{resource.plural}/"
        return [
            path for method, path, _, _ in self.api.requests if method == "GET" and path.startswith(prefix)
        ]

    def collection_requests(self, resource: Resource) -> int:
        return sum(1 for _, path, _, _ in self.api.requests if path == resource.path())


def reference(obj: Json) -> Json:
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "name": obj["metadata"]["name"],
        "uid": obj["metadata"]["uid"],
        "controller": True,
    }


def relabelled(obj: Json, **labels: str) -> Json:
    metadata = obj["metadata"]
    return {**obj, "metadata": {**metadata, "labels": {**metadata.get("labels", {}), **labels}}}


def pytorch(workers: Any) -> Json:
    return {"pytorchReplicaSpecs": {"Master": {"replicas": 1}, "Worker": {"replicas": workers}}}


@contextlib.asynccontextmanager
async def running(world: World) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(world.pods.run()), asyncio.create_task(world.groups.run())]
    try:
        await asyncio.sleep(SETTLED_S)
        yield
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def simulate(scenario: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        world = World()
        async with running(world):
            await scenario(world)

    virtual(main())


def refusal(found: Membership | None) -> str:
    return found.job.refusal.detail if found is not None and found.job.refusal is not None else ""


def tree(found: Membership | None) -> str:
    return shown(found.job.root) if found is not None else "?"
