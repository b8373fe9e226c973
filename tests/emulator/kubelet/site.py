"""An emulated node on virtual time, with the emulated API server it reports to."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aliquot.clock import VirtualClock
from aliquot.emulator.app import ApiServer
from aliquot.emulator.kubelet.checkpoint import MemoryCheckpoints
from aliquot.emulator.kubelet.kubelet import Kubelet
from aliquot.emulator.kubelet.machine import Machine
from aliquot.emulator.kubelet.node_pods import BY_NODE, NodePods, by_node
from aliquot.emulator.kubelet.runtimes.base import Runtime
from aliquot.emulator.kubelet.runtimes.simulated import SimulatedRuntime
from aliquot.emulator.storage.store import Store
from aliquot.kube import errors
from aliquot.kube.api.core import Pod
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.events import Recorder
from aliquot.kube.kubeletapi.sockets import MemorySockets
from aliquot.kube.resources import EVENTS, NODES, PODS
from aliquot.kube.transport import Request, Response, TransportError
from tests.emulator.kubelet.conftest import GPU, manifest, virtual

NODE = "node-1"


class Faults:
    """A transport that loses what the test tells it to lose."""

    def __init__(self, inner: AsgiTransport) -> None:
        self._inner = inner
        self.lose: Callable[[Request], bool] = lambda request: False
        self.seen: list[tuple[str, str]] = []

    async def send(self, request: Request) -> Response:
        self.seen.append((request.method, request.path))
        if self.lose(request):
            raise TransportError("lost", delivered=False)
        return await self._inner.send(request)

    async def close(self) -> None:
        await self._inner.close()

    def writes(self, path_end: str) -> int:
        return sum(method == "PATCH" and path.endswith(path_end) for method, path in self.seen)


@dataclass(frozen=True)
class Site:
    api: ApiServer
    client: Client
    """The administrator's."""
    faults: Faults
    """Between kubelet and the API server."""
    kubelet: Kubelet
    plugins: MemorySockets
    pod_resources: MemorySockets
    checkpoints: MemoryCheckpoints
    clock: VirtualClock

    async def create(self, spec: str, name: str = "p", **metadata: Any) -> dict[str, Any]:
        """A pod bound to the node."""
        bound = f"nodeName: {NODE}, {spec}"
        body = manifest(bound, name=name, namespace="default", **metadata)
        del body["metadata"]["uid"]
        for container in (*body["spec"].get("initContainers", ()), *body["spec"]["containers"]):
            container.setdefault("image", "image:1")
        return await self.client.create(PODS, body)

    async def pod(self, name: str = "p") -> dict[str, Any]:
        return await self.client.get(PODS, name, "default")

    async def status(self, name: str = "p") -> dict[str, Any]:
        found: dict[str, Any] = (await self.pod(name)).get("status", {})
        return found

    async def container(self, name: str = "p", index: int = 0) -> dict[str, Any]:
        statuses: list[dict[str, Any]] = (await self.status(name)).get("containerStatuses", [])
        return statuses[index] if index < len(statuses) else {}

    async def phase(self, name: str = "p") -> str:
        """Empty when the pod is gone."""
        try:
            return str((await self.status(name)).get("phase", ""))
        except errors.NotFound:
            return ""

    async def until(self, phase: str, name: str = "p", limit_s: float = 60.0) -> float:
        """Wait for the pod's phase (empty: gone). Returns the seconds it took."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while await self.phase(name) != phase:
            if loop.time() - began > limit_s:
                raise AssertionError(f"{name} is {await self.phase(name)!r}, not {phase!r}")
            await asyncio.sleep(0.05)
        return loop.time() - began

    async def node(self) -> dict[str, Any]:
        return await self.client.get(NODES, NODE)

    async def allocatable(self, resource: str) -> str | None:
        found = (await self.node())["status"].get("allocatable", {}).get(resource)
        return None if found is None else str(found)

    async def events(self) -> list[tuple[str, str]]:
        listed = await self.client.list(EVENTS)
        return [(event["reason"], event["message"]) for event in listed.items]


@asynccontextmanager
async def emulated_node(
    machine: Machine | None = None,
    *,
    runtime: Callable[[VirtualClock], Runtime] | None = None,
    prepare: Callable[[Client], Any] | None = None,
    wait: bool = True,
    plugin_patience_s: float = 0.0,
    tells_at_once: bool = False,
    together_s: float = 0.0,
) -> AsyncIterator[Site]:
    """`prepare(client)` may write to the API before the node is there. With `wait`, the node is Ready."""
    clock = VirtualClock()
    api = ApiServer(Store(), clock=clock, rng=random.Random(1))
    await api.start()
    administrator = AsgiTransport(api.app, "admin", ("system:masters", "system:authenticated"))
    client = Client(administrator, clock=clock, rng=random.Random(2))
    if prepare is not None:
        await prepare(client)
    faults = Faults(AsgiTransport(api.app, "kubelet", ("system:masters", "system:authenticated")))
    own = Client(faults, clock=clock, rng=random.Random(3))
    pods = Cache(own, PODS, Pod, indexes={BY_NODE: by_node})
    recorder = Recorder(own, "kubelet", min_interval_s=0.1)
    checkpoints = MemoryCheckpoints()
    kubelet = Kubelet(
        machine or Machine(NODE, cpu="8", memory="16Gi"),
        client=own,
        clock=clock,
        rng=random.Random(4),
        runtime=runtime(clock)
        if runtime is not None
        else SimulatedRuntime(checkpoints, clock=clock, rng=random.Random(5)),
        plugin_sockets=(plugins := MemorySockets()),
        pod_resources_sockets=(pod_resources := MemorySockets()),
        state=checkpoints,
        pods=NodePods(pods),
        recorder=recorder,
        plugin_patience_s=plugin_patience_s,
        tells_at_once=tells_at_once,
        together_s=together_s,
    )
    site = Site(api, client, faults, kubelet, plugins, pod_resources, checkpoints, clock)
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(part.run()) for part in (pods, recorder, kubelet)]
            if wait:
                await _ready(site)
            yield site
            for task in running:
                task.cancel()
    finally:
        await client.close()
        await own.close()


async def _ready(site: Site) -> None:
    while True:
        try:
            conditions = (await site.node())["status"].get("conditions", [])
        except errors.NotFound:
            conditions = []
        if any((c["type"], c["status"]) == ("Ready", "True") for c in conditions):
            return
        await asyncio.sleep(0.01)


ONE = "containers: [{name: main}]"
ONE_GPU = f"containers: [{{name: main, resources: {{limits: {{{GPU}: 1}}}}}}]"
RUN_5S = {"aliquot.dev/run-for": "5s"}


def on_a_node(scenario: Callable[[Site], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        async with asyncio.timeout(7200):
            async with emulated_node(**options) as site:
                await scenario(site)

    virtual(main())
