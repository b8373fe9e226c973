"""The agent of a node with 8 GPUs: how soon kubelet gets its answers and hears of changes, and what the agent costs.

`aliquot node run` runs as users run it, in a process of its own, beside an emulated cluster; this process speaks to its
sockets as kubelet does. Allocate alternates with a bare gRPC echo served by another process of the same interpreter.
How soon all ListAndWatch streams hear of a fault is measured with the agent in this process, from the moment the
driver told it of the XID: the streams are read on the same loop, so this is more than it takes in truth.
"""

import asyncio
import contextlib
import io
import logging
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psutil
import structlog

from aliquot.clock import SystemClock
from aliquot.gpu.driver import XidEvent
from aliquot.gpu.inventory import parse_gpus
from aliquot.gpu.simulated import SimulatedDriver
from aliquot.kube import kubeconfig
from aliquot.kube.api.core import Node
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.kubeletapi.deviceplugin_pb2 import (
    AllocateRequest,
    ContainerAllocateRequest,
    Empty,
    ListAndWatchResponse,
)
from aliquot.kube.kubeletapi.deviceplugin_pb2_grpc import (
    add_DevicePluginServicer_to_server,
    add_RegistrationServicer_to_server,
)
from aliquot.kube.kubeletapi.podresources_pb2_grpc import add_PodResourcesListerServicer_to_server
from aliquot.kube.kubeletapi.sockets import Connection, Service, SocketDirectory
from aliquot.kube.resources import GPUNODES, NODES
from aliquot.node.configuration import Configuration
from aliquot.node.device_plugin import HEALTHY
from aliquot.node.plugin_config.file import Flags, parse
from aliquot.node.plugin_config.settings import resolve
from benchmarks.allocate import Echo, Kubelet, offline_agent, timed, timed_within
from benchmarks.clusters import ALIQUOT, cluster, machine, percentile

GPUS, SHARES = 8, 48
SHARING = (
    f"version: v1\nsharing: {{timeSlicing: {{resources: [{{name: nvidia.com/gpu, replicas: {SHARES}}}]}}}}\n"
)
STREAMS = 4
SETTLED_S = 25.0
"""After which an agent where nothing happens looks at its longest distance."""
_DEADLINE_S = 60.0


def main(short: bool = False) -> None:
    print(f"the agent of {GPUS} GPUs with {SHARES} shares each ({machine()})")
    print(f"  {'ms':<44}{'p50':>8}{'p90':>8}{'p99':>8}{'max':>8}")
    with tempfile.TemporaryDirectory(prefix="aliquot-") as directory:
        asyncio.run(_shares(Path(directory), 500 if short else 5000, 5.0 if short else 20.0))
    with tempfile.TemporaryDirectory(prefix="aliquot-") as directory:
        asyncio.run(_within(Path(directory), 500 if short else 5000))
    with tempfile.TemporaryDirectory(prefix="aliquot-") as directory:
        asyncio.run(_faults(Path(directory), 10 if short else 100))
    with tempfile.TemporaryDirectory(prefix="aliquot-") as directory:
        asyncio.run(_slices(Path(directory), 6 if short else 50))


def _line(name: str, values: list[float], goal: str = "") -> None:
    figures = "".join(f"{percentile(values, share):>8.2f}" for share in (0.5, 0.9, 0.99, 1.0))
    print(f"  {name:<44}{figures}   {goal}", flush=True)


# --- shares: Allocate, memory, idleness ---


async def _shares(directory: Path, calls: int, idle_s: float) -> None:
    (directory / "config.yaml").write_text(SHARING)
    (directory / "echo").mkdir()
    with (
        _agent(f"h100-80gb:{GPUS}", "--config-file", str(directory / "config.yaml")) as (_, plugins, process),
        _python("benchmarks.node", str(directory / "echo")),
    ):
        plugin = await _connected(plugins, "aliquot-gpu.sock")
        echo = await _connected(SocketDirectory(directory / "echo"), "echo.sock")
        stream = plugin.device_plugin.ListAndWatch(Empty())
        ids = await _every_share(stream)
        await asyncio.sleep(SETTLED_S)
        fresh_mib = process.memory_info().rss / 2**20
        idle = await _cpu_share(process, idle_s)
        rng = random.Random(0)
        took_ms: dict[str, list[float]] = {"echo": [], "Allocate": []}
        for _ in range(calls):
            asked = AllocateRequest(
                container_requests=[ContainerAllocateRequest(devices_ids=[rng.choice(ids)])]
            )
            for name, connection in (("echo", echo), ("Allocate", plugin)):
                took_ms[name].append(await timed(connection.device_plugin.Allocate(asked, timeout=5)))
        stream.cancel()
        await plugin.close()
        await echo.close()
        _line("gRPC echo", took_ms["echo"])
        _line(f"Allocate, one of {len(ids)} shares", took_ms["Allocate"], "goal: p99 under 3 ms")
        print(
            f"  resident memory: {fresh_mib:.0f} MiB at rest, {process.memory_info().rss / 2**20:.0f} MiB after "
            f"{calls} calls   goal: under 100 MiB"
        )
        print(f"  CPU at rest, over {idle_s:g} s: {idle:.2%} of a core   goal: under 0.5 %", flush=True)


async def _cpu_share(process: psutil.Process, seconds: float) -> float:
    def used_s() -> float:
        times = process.cpu_times()
        return float(times.user + times.system)

    began_s, before_s = time.perf_counter(), used_s()
    await asyncio.sleep(seconds)
    return (used_s() - before_s) / (time.perf_counter() - began_s)


async def _within(directory: Path, calls: int) -> None:
    """From the plugin's being called to its answer: the agent's own part, whatever the machine does besides."""
    log = io.StringIO()
    timed_within("Allocate", log)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    rng = random.Random(0)
    async with _offline(directory) as (_, connection):
        stream = connection.device_plugin.ListAndWatch(Empty())
        ids = await _every_share(stream)
        for _ in range(calls):
            asked = [ContainerAllocateRequest(devices_ids=[rng.choice(ids)])]
            await connection.device_plugin.Allocate(AllocateRequest(container_requests=asked), timeout=5)
        stream.cancel()
    _line(
        "of an Allocate, within the agent", [float(line.split()[1]) for line in log.getvalue().splitlines()]
    )


# --- faults: ListAndWatch ---


async def _faults(directory: Path, rounds: int) -> None:
    """Each time another GPU fails, or the next agent's turn comes: a GPU that failed stays so for a minute."""
    reach_ms: list[float] = []
    while len(reach_ms) < rounds:
        async with _offline(directory / str(len(reach_ms))) as (driver, connection):
            streams = [connection.device_plugin.ListAndWatch(Empty()) for _ in range(STREAMS)]
            async with asyncio.timeout(_DEADLINE_S):
                await asyncio.gather(*(_until(stream, GPUS * SHARES) for stream in streams))
            for failed, gpu in enumerate(driver.gpus(), start=1):
                driver.inject_xid(gpu.uuid, 79)
                async with asyncio.timeout(_DEADLINE_S):
                    heard = [_until(stream, (GPUS - failed) * SHARES) for stream in streams]
                    last_s = max(await asyncio.gather(*heard))
                reach_ms.append((last_s - driver.told_s) * 1e3)
            for stream in streams:
                stream.cancel()
    _line(f"a fault, to {STREAMS} ListAndWatch streams", reach_ms, "goal: under 50 ms")


class NotingDriver(SimulatedDriver):
    """Notes when it told of an event."""

    told_s: float

    def wait_event(self, timeout_s: float) -> XidEvent | None:
        event = super().wait_event(timeout_s)
        if event is not None:
            self.told_s = time.perf_counter()
        return event


@asynccontextmanager
async def _offline(directory: Path) -> AsyncIterator[tuple[NotingDriver, Connection]]:
    for name in ("plugins", "resources"):
        (directory / name).mkdir(parents=True)
    kubelet = Kubelet()
    plugins = SocketDirectory(directory / "plugins")
    listeners = [
        await plugins.serve("kubelet.sock", Service(kubelet, add_RegistrationServicer_to_server)),
        await SocketDirectory(directory / "resources").serve(
            "kubelet.sock", Service(kubelet, add_PodResourcesListerServicer_to_server)
        ),
    ]
    driver = NotingDriver(parse_gpus(f"h100-80gb:{GPUS}"), node="bench")
    configuration = Configuration(settings=resolve(Flags(), parse(SHARING, source="the benchmark")))
    running = asyncio.create_task(offline_agent(directory, driver, configuration, ()).run())
    try:
        connection = await _connected(plugins, "aliquot-gpu.sock")
        yield driver, connection
        await connection.close()
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        for listener in listeners:
            await listener.close()


async def _until(stream: Any, healthy: int) -> float:
    """When that many devices are healthy, on time.perf_counter."""
    while len(_healthy(await stream.read())) != healthy:
        pass
    return time.perf_counter()


async def _every_share(stream: Any) -> Sequence[str]:
    """Their ids, once kubelet would know them all."""
    async with asyncio.timeout(_DEADLINE_S):
        while len(ids := _healthy(await stream.read())) != GPUS * SHARES:
            pass
    return ids


def _healthy(message: ListAndWatchResponse) -> Sequence[str]:
    return [device.ID for device in message.devices if device.health == HEALTHY]


# --- slices: what follows a MIG change ---


async def _slices(directory: Path, rounds: int) -> None:
    """GPU 0 has one 3g.40gb or two, by turns; from the patch of GPUNode's spec on."""
    cdi = directory / "cdi"
    options = ("--device-list-strategy", "cdi-cri", "--cdi-dir", str(cdi))
    with _agent(f"h100-80gb:{GPUS}:mig", *options) as (config, plugins, _):
        transport = kubeconfig.load(str(config), None).transport()
        client = Client(transport, clock=SystemClock(), rng=random.Random(1))
        nodes = Cache(client, NODES, Node)
        watching = asyncio.create_task(nodes.run())
        try:
            uuid = await _first_gpu(client)
            await _want(client, uuid, 2)
            plugin = await _connected(plugins, "aliquot-mig-3g.40gb.sock")
            stream = plugin.device_plugin.ListAndWatch(Empty())
            async with asyncio.timeout(_DEADLINE_S):
                await _until(stream, 2)
                await _label(nodes, 2)
                await _described(cdi, 2)
            reached = ("ListAndWatch", "the Node's labels", "CDI specs")
            took_ms: dict[tuple[int, str], list[float]] = {(c, name): [] for c in (2, 1) for name in reached}
            for number in range(rounds):
                count = 1 + number % 2
                began_s = time.perf_counter()
                await _want(client, uuid, count)
                async with asyncio.timeout(_DEADLINE_S):
                    at_s = await asyncio.gather(
                        _until(stream, count), _label(nodes, count), _described(cdi, count)
                    )
                for name, reached_s in zip(reached, at_s, strict=True):
                    took_ms[count, name].append((reached_s - began_s) * 1e3)
            stream.cancel()
            await plugin.close()
        finally:
            watching.cancel()
            await asyncio.wait((watching,))
            await transport.close()
    for (count, name), values in took_ms.items():
        _line(f"a slice {'made' if count == 2 else 'taken away'}, to {name}", values)


async def _first_gpu(client: Client) -> str:
    async with asyncio.timeout(_DEADLINE_S):
        while True:
            for node in (await client.list(GPUNODES)).items:
                for gpu in node.get("status", {}).get("gpus", ()):
                    return str(gpu["uuid"])
            await asyncio.sleep(0.1)


async def _want(client: Client, uuid: str, count: int) -> None:
    instances = [{"profile": "3g.40gb", "start": 4 * number} for number in range(count)]
    await client.patch(GPUNODES, "node-0", {"spec": {"gpus": [{"uuid": uuid, "instances": instances}]}})


async def _label(nodes: Cache[Node], count: int) -> float:
    reached = asyncio.Event()

    def look(_: Node | None, node: Node | None) -> None:
        labels = (node.metadata.labels if node is not None else None) or {}
        if labels.get("nvidia.com/mig-3g.40gb.count") == str(count):
            reached.set()

    unsubscribe = nodes.subscribe(look)
    try:
        await reached.wait()
        return time.perf_counter()
    finally:
        unsubscribe()


async def _described(directory: Path, count: int) -> float:
    while len(_slices_described(directory)) != count:  # noqa: ASYNC110 - another process writes the files
        await asyncio.sleep(0.002)
    return time.perf_counter()


def _slices_described(directory: Path) -> set[str]:
    specs = [msgspec.json.decode(path.read_bytes()) for path in directory.glob("*.json")]
    return {
        name for spec in specs for device in spec["devices"] if (name := device["name"]).startswith("MIG-")
    }


# --- processes ---


@contextmanager
def _agent(gpus: str, *options: str) -> Iterator[tuple[Path, SocketDirectory, psutil.Process]]:
    """A cluster of one node, and its agent in a process of its own: (kubeconfig, plugins' sockets, process)."""
    with cluster("--nodes", "1", "--gpus", gpus, "--no-agents") as running:
        state = running.kubeconfig.parent
        shown = subprocess.run(
            [ALIQUOT, "status", "--state", str(state), "-o", "json"], check=True, capture_output=True
        )
        directory = Path(msgspec.json.decode(shown.stdout)["kubelet_directories"]["node-0"])
        where = ("--node-name", "node-0", "--kubeconfig", str(running.kubeconfig))
        driver = ("--kubelet-dir", str(directory), "--driver", f"simulated:{state / 'inventory.yaml'}")
        with _process([str(ALIQUOT), "node", "run", *where, *driver, *options]) as process:
            yield running.kubeconfig, SocketDirectory(directory / "device-plugins"), process


@contextmanager
def _python(module: str, *arguments: str) -> Iterator[psutil.Process]:
    with _process([sys.executable, "-m", module, *arguments]) as process:
        yield process


@contextmanager
def _process(command: Sequence[str]) -> Iterator[psutil.Process]:
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


async def _connected(sockets: SocketDirectory, name: str) -> Connection:
    """Once the socket answers."""
    connection = sockets.connect(name)
    async with asyncio.timeout(_DEADLINE_S):
        while True:
            with contextlib.suppress(Exception):
                await connection.device_plugin.GetDevicePluginOptions(Empty(), timeout=1)
                return connection
            await asyncio.sleep(0.05)


class _EchoWithOptions(Echo):
    async def GetDevicePluginOptions(self, request: Empty, context: Any) -> Any:  # noqa: N802
        from aliquot.node.device_plugin import options

        return options()


async def _serve_echo(directory: Path) -> None:
    listener = await SocketDirectory(directory).serve(
        "echo.sock", Service(_EchoWithOptions(), add_DevicePluginServicer_to_server)
    )
    try:
        await asyncio.Event().wait()
    finally:
        await listener.close()


if __name__ == "__main__":
    asyncio.run(_serve_echo(Path(sys.argv[1])))
