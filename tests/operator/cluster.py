"""A cluster in memory for the operator: the emulated API server with its rights, the controllers that it needs, and nodes."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from typing import Any

from aliquot.clock import Clock, VirtualClock, VirtualTimeLoop
from aliquot.emulator.app import ApiServer
from aliquot.emulator.controllers import ownership, pods
from aliquot.emulator.controllers.daemon_sets import DaemonSets
from aliquot.emulator.controllers.disruption import Disruption
from aliquot.emulator.controllers.garbage import Garbage
from aliquot.emulator.controllers.jobs import Jobs
from aliquot.emulator.controllers.kinds import Crd, Kinds
from aliquot.emulator.controllers.replica_sets import ReplicaSets
from aliquot.emulator.controllers.types import (
    ControllerRevision,
    DaemonSet,
    Deployment,
    DisruptionBudget,
    Job,
    ReplicaSet,
    StatefulSet,
)
from aliquot.emulator.storage.store import Store
from aliquot.emulator.versions import STANDARD
from aliquot.kube import crds, roles
from aliquot.kube.api.core import Node, Pod
from aliquot.kube.asgi_transport import Application, AsgiTransport
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.events import Recorder
from aliquot.kube.resources import (
    CONTROLLERREVISIONS,
    CRDS,
    DAEMONSETS,
    DEPLOYMENTS,
    EVENTS,
    GPUNODES,
    JOBS,
    NAMESPACES,
    NODES,
    PODDISRUPTIONBUDGETS,
    PODS,
    REPLICASETS,
    SERVICEACCOUNTS,
    STATEFULSETS,
    Resource,
)
from aliquot.kube.roles import NAMESPACE
from aliquot.kube.transport import Transport
from tests.operator.machines import Machines

OPERATOR = f"system:serviceaccount:{NAMESPACE}:aliquot-operator"
_GROUPS = ("system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}", "system:authenticated")
_ACCOUNTS = (
    "default",
    *(f"aliquot-{name}" for name in ("driver", "toolkit", "node-agent", "exporter", "validator", "operator")),
)


class Cluster:
    """Made inside a running virtual-time loop; `admin` may do anything."""

    def __init__(self, seed: int = 0, *, driver_s: float = 30.0) -> None:
        self.seed = seed
        self.clock = VirtualClock()
        self.store = Store(None)
        self.api = ApiServer(self.store, clock=self.clock, rng=self.rng("api"))
        self._transports: list[Transport] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.admin = self.client("admin", ("system:masters",), user_agent="kubectl/v1.37.1")
        self.nodes: Cache[Node] = Cache(self.admin, NODES, Node)
        self.pods: Cache[Pod] = Cache(self.admin, PODS, Pod, indexes=pods.INDEXES)
        self.machines = Machines(
            self.admin,
            clock=self.clock,
            rng=self.rng("machines"),
            nodes=self.nodes,
            pod_cache=self.pods,
            driver_s=driver_s,
        )

    def rng(self, name: str) -> random.Random:
        return random.Random(f"{self.seed} {name}")

    def client(
        self,
        user: str,
        groups: Sequence[str] = (),
        *,
        app: Application | None = None,
        dress: Callable[[Transport], Transport] = lambda one: one,
        clock: Clock | None = None,
        user_agent: str = "aliquot/1.0",
    ) -> Client:
        """`app`: another than the API server's own, in front of it. `dress`: what lies between. `clock`: of its host.
        `user_agent`: by which the API server knows who wrote a field."""
        transport = AsgiTransport(app or self.api.app, user, [*groups])
        self._transports.append(transport)
        return Client(
            dress(transport),
            clock=clock or self.clock,
            rng=self.rng(f"client {user} {len(self._transports)}"),
            user_agent=user_agent,
        )

    def operator(self, **more: Any) -> Client:
        """With the rights of the operator's account, and no others."""
        return self.client(OPERATOR, _GROUPS, **more)

    async def start(self) -> None:
        await self.api.start()
        await self.admin.create(NAMESPACES, {"metadata": {"name": NAMESPACE}})
        for namespace, names in ((NAMESPACE, _ACCOUNTS), ("default", ("default",))):
            for name in names:
                await self.admin.create(SERVICEACCOUNTS, {"metadata": {"name": name, "namespace": namespace}})
        await self.admin.create(
            Resource("node.k8s.io", "v1", "runtimeclasses", "RuntimeClass", namespaced=False),
            {"metadata": {"name": "nvidia"}, "handler": "nvidia"},
        )
        await crds.install(self.admin)
        await roles.install(self.admin)
        await self._controllers()

    async def _controllers(self) -> None:
        client, clock = self.admin, self.clock
        daemon_sets = Cache(client, DAEMONSETS, DaemonSet)
        revisions = Cache(client, CONTROLLERREVISIONS, ControllerRevision, indexes=ownership.INDEXES)
        replica_sets = Cache(client, REPLICASETS, ReplicaSet, indexes=ownership.INDEXES)
        budgets = Cache(client, PODDISRUPTIONBUDGETS, DisruptionBudget)
        jobs = Cache(client, JOBS, Job, indexes=ownership.INDEXES)
        # What a budget may be about beside.
        deployments, stateful_sets = (
            Cache(client, DEPLOYMENTS, Deployment),
            Cache(client, STATEFULSETS, StatefulSet),
        )
        definitions = Cache(client, CRDS, Crd)
        caches: tuple[Cache[Any], ...] = (
            self.nodes,
            self.pods,
            daemon_sets,
            revisions,
            replica_sets,
            budgets,
            jobs,
            deployments,
            stateful_sets,
            definitions,
        )
        recorder = Recorder(client, "controllers")
        for cache in caches:
            self._spawn(cache.run())
        self._spawn(recorder.run())
        for cache in caches:
            await cache.synced()
        kinds = Kinds(definitions, STANDARD)
        owners = {one.resource: one for one in (self.nodes, self.pods, daemon_sets, replica_sets, jobs)}
        for one in (
            DaemonSets(
                client, clock, self.rng("daemons"), recorder, daemon_sets, revisions, self.pods, self.nodes
            ),
            ReplicaSets(client, clock, self.rng("replicas"), recorder, REPLICASETS, replica_sets, self.pods),
            Jobs(client, clock, self.rng("jobs"), recorder, jobs, self.pods),
            Disruption(
                client,
                clock,
                self.rng("budgets"),
                recorder,
                budgets,
                self.pods,
                deployments,
                replica_sets,
                stateful_sets,
                kinds,
            ),
            Garbage(client, self.rng("garbage"), definitions, owners, STANDARD),
            self.machines,
        ):
            self._spawn(one.run())

    async def add_node(self, obj: dict[str, Any]) -> None:
        """With its GPUNode."""
        status = obj["status"]
        made = await self.admin.create(NODES, {key: value for key, value in obj.items() if key != "status"})
        name = made["metadata"]["name"]
        await self.admin.patch(NODES, name, {"status": status}, subresource="status")
        # A node begins with the taint of one that is not ready.
        await self.admin.patch(NODES, name, {"spec": {"taints": None}})
        owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": made["metadata"]["uid"]}
        await self.admin.create(
            GPUNODES, {"metadata": {"name": name, "ownerReferences": [owner]}, "spec": {}}
        )

    async def events(self, reason: str) -> list[str]:
        found = (await self.admin.list(EVENTS)).items
        return [one["message"] for one in found if one["reason"] == reason]

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work))

    async def close(self) -> None:
        """Raises what went wrong in a controller."""
        for task in self._tasks:
            task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        for transport in self._transports:
            await transport.close()
        self.store.close()
        for error in ended:
            if isinstance(error, Exception):
                raise error


@contextlib.asynccontextmanager
async def running(seed: int = 0, **more: Any) -> AsyncIterator[Cluster]:
    cluster = Cluster(seed, **more)
    try:
        await cluster.start()
        yield cluster
    finally:
        await cluster.close()


def simulate(scenario: Callable[[], Awaitable[None]], *, within_s: float = 20_000.0) -> None:
    async def whole() -> None:
        async with asyncio.timeout(within_s):
            await scenario()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(whole())
