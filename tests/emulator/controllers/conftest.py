"""A cluster of one API server and all controllers, in memory and on virtual time."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeAlias

import pytest

from aliquot.clock import VirtualClock, VirtualTimeLoop, rfc3339
from aliquot.emulator.app import ApiServer
from aliquot.emulator.controllers.run import run_all
from aliquot.emulator.storage.store import Store
from aliquot.kube import errors
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.client import Client, PatchKind
from aliquot.kube.resources import NODES, PODS, Resource
from tests.simulation.faults import Weather


class Cluster:
    """`client` may do everything. Nodes and pods act only as tests tell them to; `weather` is the controllers'."""

    def __init__(
        self, client: Client, clock: VirtualClock, weather: Weather, restart: Callable[[], Awaitable[None]]
    ) -> None:
        self.client = client
        self.clock = clock
        self.weather = weather
        self.restart_controllers = restart

    async def eventually(self, check: Callable[[], Awaitable[Any]], within_s: float = 60.0) -> Any:
        """The first true answer of `check`. Raises AssertionError with the last answer or error."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        while True:
            try:
                last = await check()
                if last:
                    return last
            except (errors.NotFound, KeyError, IndexError) as error:
                last = error
            assert loop.time() < deadline, f"not within {within_s:g} s: {last!r}"
            await asyncio.sleep(0.05)

    async def gone(self, resource: Resource, name: str, namespace: str | None = None) -> bool:
        try:
            await self.client.get(resource, name, namespace)
        except errors.NotFound:
            return True
        return False

    async def pods(self, namespace: str = "default", selector: str = "") -> list[dict[str, Any]]:
        listed = await self.client.list(PODS, namespace, label_selector=selector)
        return [pod for pod in listed.items if "deletionTimestamp" not in pod["metadata"]]

    async def set_pod(self, pod: dict[str, Any], **status: Any) -> None:
        meta = pod["metadata"]
        await self.client.patch(
            PODS, meta["name"], {"status": status}, meta["namespace"], subresource="status"
        )

    async def run_pod(self, pod: dict[str, Any]) -> None:
        """Says of the pod what a kubelet says of one that runs and is ready."""
        now = rfc3339(self.clock.now())
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": now}
        await self.set_pod(pod, phase="Running", startTime=now, conditions=[ready])

    async def run_all_pods(self, namespace: str = "default", selector: str = "") -> int:
        fresh = [
            pod for pod in await self.pods(namespace, selector) if pod["status"].get("phase") == "Pending"
        ]
        for pod in fresh:
            await self.run_pod(pod)
        return len(fresh)

    async def end_pod(self, pod: dict[str, Any], exit_code: int = 0) -> None:
        ended = {"exitCode": exit_code, "finishedAt": rfc3339(self.clock.now())}
        status = {"name": "main", "image": "i", "imageID": "", "ready": False, "restartCount": 0}
        phase = "Failed" if exit_code else "Succeeded"
        await self.set_pod(pod, phase=phase, containerStatuses=[{**status, "state": {"terminated": ended}}])

    async def add_node(self, name: str) -> None:
        await self.client.create(NODES, {"metadata": {"name": name}})
        await self.beat(name)

    async def beat(self, name: str) -> None:
        now = rfc3339(self.clock.now())
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "message": "ok",
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
        }
        patch = {"status": {"conditions": [ready]}}
        await self.client.patch(NODES, name, patch, kind=PatchKind.STRATEGIC, subresource="status")


Scenario: TypeAlias = Callable[[Cluster], Awaitable[None]]


class Simulate(Protocol):
    def __call__(self, scenario: Scenario, seed: int = 0) -> None: ...


@asynccontextmanager
async def _cluster(seed: int = 0) -> AsyncIterator[Cluster]:
    clock = VirtualClock()
    server = ApiServer(Store(), clock=clock, rng=random.Random(f"server {seed}"))
    await server.start()
    administrators = ["system:masters", "system:authenticated"]
    client = Client(
        AsgiTransport(server.app, "admin", administrators), clock=clock, rng=random.Random(f"client {seed}")
    )
    rng = random.Random(f"controllers {seed}")
    weather = Weather(server.app, rng)
    outside = weather.over(AsgiTransport(weather.app, "controllers", administrators), rng)
    theirs = Client(outside, clock=clock, rng=rng)
    running: list[asyncio.Task[None]] = []

    async def stop() -> None:
        while running:
            task = running.pop()
            task.cancel()
            await asyncio.wait([task])

    async def restart() -> None:
        await stop()
        running.append(asyncio.create_task(run_all(theirs, clock, rng, root_ca_pem="PEM")))

    await restart()
    try:
        yield Cluster(client, clock, weather, restart)
    finally:
        await stop()
        server.stop()
        await client.close()
        await theirs.close()


@pytest.fixture
def simulate() -> Iterator[Simulate]:
    """Runs a scenario on a cluster of its own, on virtual time."""

    def run(scenario: Scenario, seed: int = 0) -> None:
        async def whole() -> None:
            async with _cluster(seed) as cluster:
                await scenario(cluster)

        loop = VirtualTimeLoop()
        try:
            loop.run_until_complete(whole())
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    yield run
