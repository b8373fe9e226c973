"""Many nodes in one process."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aliquot.clock import Clock, SystemClock, VirtualClock
from aliquot.emulator.app import ApiServer
from aliquot.emulator.kubelet.checkpoint import CheckpointDirectory, MemoryCheckpoints
from aliquot.emulator.kubelet.fleet import Fleet
from aliquot.emulator.kubelet.machine import Machine
from aliquot.emulator.kubelet.node_pods import BY_NODE, by_node
from aliquot.emulator.kubelet.runtimes.process import ProcessRuntime
from aliquot.emulator.kubelet.runtimes.simulated import SimulatedRuntime
from aliquot.emulator.storage.store import Store
from aliquot.emulator.streaming.session import Execution, Output, SessionRefused
from aliquot.emulator.verbs.subresources import LogOptions, LogsUnavailable
from aliquot.kube.api.core import Pod
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.kubeletapi.sockets import Listener, MemorySockets, Service, SocketDirectory, SocketError
from aliquot.kube.resources import NODES, PODS
from tests.emulator.kubelet.conftest import GPU, ScriptedPlugin, manifest, virtual

MASTERS = ("system:masters", "system:authenticated")


@dataclass(frozen=True)
class Cluster:
    fleet: Fleet
    client: Client
    clock: Clock

    def add(self, name: str) -> None:
        """A simulated node."""
        state = MemoryCheckpoints()
        self.fleet.add(
            Machine(name),
            runtime=SimulatedRuntime(state, clock=self.clock, rng=random.Random(name)),
            plugin_sockets=MemorySockets(),
            pod_resources_sockets=MemorySockets(),
            state=state,
        )

    async def create(self, spec: str, name: str, **metadata: Any) -> dict[str, Any]:
        body = manifest(spec, name=name, namespace="default", **metadata)
        del body["metadata"]["uid"]
        for container in body["spec"]["containers"]:
            container.setdefault("image", "image:1")
        return await self.client.create(PODS, body)

    async def ready(self) -> int:
        nodes = await self.client.list(NODES)
        return sum(
            any((c["type"], c["status"]) == ("Ready", "True") for c in node["status"].get("conditions", ()))
            for node in nodes.items
        )

    async def phases(self) -> dict[str, str]:
        pods = await self.client.list(PODS)
        return {pod["metadata"]["name"]: pod["status"]["phase"] for pod in pods.items}

    async def until(self, **phases: str) -> None:
        async with asyncio.timeout(30):
            while (await self.phases()) != phases:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def logs(self, pod: dict[str, Any], container: str = "main", **options: Any) -> str:
        chunks = self.fleet.logs(pod, LogOptions(container, **options))
        return b"".join([chunk async for chunk in chunks]).decode()


@asynccontextmanager
async def cluster(clock: Clock, *nodes: str) -> AsyncIterator[Cluster]:
    api = ApiServer(Store(), clock=clock, rng=random.Random(1))
    await api.start()
    client = Client(AsgiTransport(api.app, "admin", MASTERS), clock=clock, rng=random.Random(2))
    pods = Cache(client, PODS, Pod, indexes={BY_NODE: by_node})
    fleet = Fleet(pods, client_of=lambda _: client, clock=clock, rng=random.Random(3))
    made = Cluster(fleet, client, clock)
    for node in nodes:
        made.add(node)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(part.run()) for part in (pods, fleet)]
        yield made
        for task in running:
            task.cancel()
    await client.close()


def test_every_node_gets_its_own_pods() -> None:
    async def scenario() -> None:
        async with cluster(VirtualClock(), *(f"node-{n}" for n in range(20))) as made:
            for n in range(20):
                await made.create(f"nodeName: node-{n}, containers: [{{name: main}}]", f"pod-{n}")
            await made.create("containers: [{name: main}]", "unbound")
            await asyncio.sleep(1)
            assert await made.phases() == dict.fromkeys((f"pod-{n}" for n in range(20)), "Running") | {
                "unbound": "Pending"
            }
            assert await made.ready() == 20

    virtual(scenario())


def test_a_pod_that_is_bound_later_runs() -> None:
    async def scenario() -> None:
        async with cluster(VirtualClock(), "a", "b") as made:
            await made.create("containers: [{name: main}]", "p")
            await asyncio.sleep(1)
            await made.client.bind("default", "p", "b")
            await made.until(p="Running")
            assert [len(made.fleet[node].runtime.pods()) for node in ("a", "b")] == [0, 1]

    virtual(scenario())


def test_a_node_can_join_a_running_fleet() -> None:
    async def scenario() -> None:
        async with cluster(VirtualClock(), "a") as made:
            await asyncio.sleep(1)
            made.add("late")
            await asyncio.sleep(1)
            assert (await made.ready(), len(made.fleet)) == (2, 2)
            with pytest.raises(ValueError, match="node late is in the fleet already"):
                made.add("late")

    virtual(scenario())


def test_a_node_can_leave_a_running_fleet() -> None:
    async def scenario() -> None:
        async with cluster(VirtualClock(), "a", "gone") as made:
            await asyncio.sleep(1)
            made.fleet.remove("gone")
            await made.client.delete(NODES, "gone")
            await made.create("nodeName: gone, containers: [{name: main}]", "p")
            await asyncio.sleep(60)
            assert [node["metadata"]["name"] for node in (await made.client.list(NODES)).items] == ["a"]
            made.add("gone")
            await asyncio.sleep(1)
            assert await made.ready() == 2

    virtual(scenario())


def test_a_kubelet_that_cannot_serve_does_not_trouble_the_others() -> None:
    class Broken(MemorySockets):
        failures = 3

        async def serve(self, name: str, *services: Service) -> Listener:
            if self.failures:
                self.failures -= 1
                raise SocketError(f"/somewhere/{name}: no such directory")
            return await super().serve(name, *services)

    async def scenario() -> None:
        async with cluster(VirtualClock(), "a") as made:
            state = MemoryCheckpoints()
            made.fleet.add(
                Machine("b"),
                runtime=SimulatedRuntime(state, clock=made.clock, rng=random.Random(1)),
                plugin_sockets=Broken(),
                pod_resources_sockets=MemorySockets(),
                state=state,
            )
            await asyncio.sleep(0.1)
            assert await made.ready() == 1
            await asyncio.sleep(60)
            assert await made.ready() == 2

    virtual(scenario())


def test_the_same_seed_gives_the_same_history() -> None:
    async def scenario() -> list[str]:
        async with cluster(VirtualClock(), "a", "b") as made:
            for n in range(6):
                spec = f"nodeName: {'ab'[n % 2]}, restartPolicy: OnFailure, containers: [{{name: main}}]"
                annotations = {"aliquot.dev/run-for": f"{n}s", "aliquot.dev/exit-code": str(n % 2)}
                await made.create(spec, f"p-{n}", annotations=annotations)
            await asyncio.sleep(100)
            pods = await made.client.list(PODS)
            return [
                f"{pod['metadata']['resourceVersion']} {pod['status']['containerStatuses']}"
                for pod in pods.items
            ]

    assert virtual(scenario()) == virtual(scenario())


def test_logs_come_from_the_pod_s_node() -> None:
    async def scenario() -> None:
        async with cluster(VirtualClock(), "a", "b") as made:
            spec = "nodeName: b, restartPolicy: Never, containers: [{name: main}]"
            pod = await made.create(spec, "p", annotations={"aliquot.dev/run-for": "3s"})
            await made.until(p="Running")
            assert await made.logs(pod, follow=True) == (
                "simulated container main, image image:1, attempt 0\nended with exit code 0\n"
            )
            with pytest.raises(
                LogsUnavailable, match='previous terminated container "main" in pod "p" not found'
            ):
                await made.logs(pod, previous=True)
            older = {"metadata": pod["metadata"] | {"uid": "another"}, "spec": pod["spec"]}
            with pytest.raises(LogsUnavailable, match='kubelet on b does not know pod "p" yet'):
                await made.logs(older)
            with pytest.raises(LogsUnavailable, match='node "c" is not emulated here'):
                await made.logs({"metadata": {"name": "q"}, "spec": {"nodeName": "c"}})

    virtual(scenario())


def test_a_simulated_container_is_looked_at_and_runs_no_commands() -> None:
    async def scenario() -> None:
        async with cluster(VirtualClock(), "a") as made:
            spec = "nodeName: a, restartPolicy: Never, containers: [{name: main}]"
            pod = await made.create(spec, "p", annotations={"aliquot.dev/run-for": "3s"})
            await made.until(p="Running")
            older = {"metadata": pod["metadata"] | {"uid": "another"}, "spec": pod["spec"]}
            for asked, container, words in (
                (older, "main", 'kubelet on a does not know pod "p" yet'),
                (pod, "main", "simulated containers run no commands"),
                (pod, "other", r'container not found \("other"\)'),
            ):
                with pytest.raises(SessionRefused, match=words):
                    await made.fleet.exec(asked, container, Execution(("ls",)))
            typing = await (await made.fleet.attach(pod, "main", stdin=True))()
            ((_, line),) = [piece async for piece in typing.output()]
            assert line.startswith(b"simulated containers read no input") and line.endswith(b"\r\n")
            session = await (await made.fleet.attach(pod, "main", stdin=False))()
            assert [piece async for piece in session.output()] == [
                (Output.STDOUT, b"ended with exit code 0\n")
            ]
            assert await session.ended() == 0
            with pytest.raises(SessionRefused, match=r'container not found \("main"\)'):
                await made.fleet.attach(pod, "main", stdin=False)

    virtual(scenario())


def test_logs_of_the_run_before_and_of_a_container_that_waits() -> None:
    async def scenario() -> None:
        async with cluster(VirtualClock(), "a") as made:
            annotations = {"aliquot.dev/run-for": "1s", "aliquot.dev/exit-code": "2"}
            pod = await made.create("nodeName: a, containers: [{name: main}]", "p", annotations=annotations)
            waits = await made.create(
                "nodeName: a, initContainers: [{name: i, image: 'i:1', env: [{name: V, valueFrom: "
                "{secretKeyRef: {name: none, key: k}}}]}], containers: [{name: main}]",
                "waits",
            )
            await asyncio.sleep(5)
            assert "attempt 1" in await made.logs(pod)
            # It waits to be restarted: the run that ended last is the one that its lastState tells of.
            assert "attempt 1" in await made.logs(pod, previous=True)
            with pytest.raises(
                LogsUnavailable, match='container "main" in pod "waits" is waiting to start: PodInitializing'
            ):
                await made.logs(waits)
            with pytest.raises(LogsUnavailable, match="waiting to start: CreateContainerConfigError"):
                await made.logs(waits, "i")

            lives = await made.create(
                "nodeName: a, containers: [{name: main}]", "lives", annotations={"aliquot.dev/run-for": "11s"}
            )
            await asyncio.sleep(15)
            assert "attempt 1" in await made.logs(lives)
            assert "attempt 0" in await made.logs(lives, previous=True)

    virtual(scenario())


async def test_the_whole_way_over_real_sockets_with_a_real_process(tmp_path: Path) -> None:
    async with cluster(SystemClock()) as made:
        for directory in ("plugins", "pod-resources"):
            (tmp_path / directory).mkdir()
        state = CheckpointDirectory(tmp_path / "state")
        runtime = ProcessRuntime(tmp_path / "pods", state, clock=made.clock, rng=random.Random(4))
        plugins = SocketDirectory(tmp_path / "plugins")
        made.fleet.add(
            Machine("real"),
            runtime=runtime,
            plugin_sockets=plugins,
            pod_resources_sockets=SocketDirectory(tmp_path / "pod-resources"),
            state=state,
        )
        async with asyncio.timeout(10):
            while plugins.generation("kubelet.sock") is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        plugin = ScriptedPlugin("GPU-1")
        await plugin.serve(plugins)
        spec = (
            "nodeName: real, restartPolicy: Never, containers: [{name: main, "
            f"resources: {{limits: {{{GPU}: 1}}}}, env: [{{name: WHO, value: world}}], "
            "command: [sh, -c], args: ['echo hello $(WHO) on $CUDA_VISIBLE_DEVICES; exit 6']}]"
        )
        pod = await made.create(spec, "p")
        await made.until(p="Failed")
        assert await made.logs(pod) == "hello world on GPU-1\n"
        found = await made.client.get(PODS, "p", "default")
        assert found["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 6
        await plugin.close()
        await runtime.shutdown()
