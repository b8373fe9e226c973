"""Allocate over a unix socket: the agent's plugin with 56 slices on 8 GPUs, beside a bare gRPC echo.

The agent runs whole, in a process of its own, with 56 assigned pods waiting; this process is its kubelet. The echo is
served by the same process with the same library and answers the same message without looking at the question. Calls
to both alternate, so both meet the same machine. "within" is the time from the plugin's being called to its answer:
the agent's own part, whatever the transport and the machine take.
"""
# ruff: noqa: N802 - servicer methods carry the protocol's names

import asyncio
import logging
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, TextIO, cast

import structlog

from aliquot.clock import SystemClock
from aliquot.gpu.inventory import parse_gpus
from aliquot.gpu.simulated import SimulatedDriver
from aliquot.kube.api.assignment import ASSIGNMENT_ANNOTATION, AssignedDevice, Assignment, encode
from aliquot.kube.api.core import ConfigMap, Container, Node, Pod, PodSpec, ResourceRequirements
from aliquot.kube.api.gpunode import GPUNode
from aliquot.kube.api.meta import ObjectMeta
from aliquot.kube.api.resource_slice import ResourceSlice
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.kubeletapi.deviceplugin_pb2 import (
    AllocateRequest,
    AllocateResponse,
    ContainerAllocateRequest,
    ContainerAllocateResponse,
    ContainerPreferredAllocationRequest,
    Empty,
    PreferredAllocationRequest,
    RegisterRequest,
)
from aliquot.kube.kubeletapi.deviceplugin_pb2_grpc import (
    DevicePluginServicer,
    RegistrationServicer,
    add_DevicePluginServicer_to_server,
    add_RegistrationServicer_to_server,
)
from aliquot.kube.kubeletapi.podresources_pb2 import (
    AllocatableResourcesRequest,
    AllocatableResourcesResponse,
    ContainerDevices,
    ContainerResources,
    ListPodResourcesRequest,
    ListPodResourcesResponse,
    PodResources,
)
from aliquot.kube.kubeletapi.podresources_pb2_grpc import (
    PodResourcesListerServicer,
    add_PodResourcesListerServicer_to_server,
)
from aliquot.kube.kubeletapi.rpc import Context
from aliquot.kube.kubeletapi.sockets import Service, SocketDirectory
from aliquot.kube.transport import Request, Response, TransportError
from aliquot.node.agent import Agent
from aliquot.node.configuration import Configuration
from aliquot.node.device_plugin import DevicePlugin
from aliquot.node.feed import (
    config_maps_by_name,
    gpu_nodes_by_name,
    nodes_by_name,
    pods_by_node,
    resource_slices_by_node,
)
from aliquot.node.watched import Watched

NODE = "bench"
RESOURCE = "nvidia.com/mig-1g.10gb"
SLICES = 56
TARGET_P99_MS = 3.0
WARM_UP = 50
_DEADLINE_S = 30.0


def main(short: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="aliquot-") as directory:
        for name in ("plugins", "resources", "echo"):
            (Path(directory) / name).mkdir()
        agent = subprocess.Popen([sys.executable, "-m", "benchmarks.allocate", directory])
        try:
            asyncio.run(measure(Path(directory), calls=500 if short else 5000))
        finally:
            agent.terminate()
            agent.wait()


# --- this process: kubelet ---


class Kubelet(RegistrationServicer, PodResourcesListerServicer):
    """Takes registrations, and lists every device as held, so that the agent can let its answers go."""

    def __init__(self) -> None:
        self.registered = asyncio.Event()
        self.device_ids: list[str] = []

    async def Register(self, request: RegisterRequest, context: Context) -> Empty:
        if request.resource_name == RESOURCE:
            self.registered.set()
        return Empty()

    async def List(self, request: ListPodResourcesRequest, context: Context) -> ListPodResourcesResponse:
        devices = [ContainerDevices(resource_name=RESOURCE, device_ids=self.device_ids)]
        holder = PodResources(
            name="held", namespace="b", containers=[ContainerResources(name="c", devices=devices)]
        )
        return ListPodResourcesResponse(pod_resources=[holder])

    async def GetAllocatableResources(
        self, request: AllocatableResourcesRequest, context: Context
    ) -> AllocatableResourcesResponse:
        devices = [ContainerDevices(resource_name=RESOURCE, device_ids=self.device_ids)]
        return AllocatableResourcesResponse(devices=devices)


async def measure(directory: Path, calls: int) -> None:
    kubelet = Kubelet()
    plugins = SocketDirectory(directory / "plugins")
    listeners = [
        await plugins.serve("kubelet.sock", Service(kubelet, add_RegistrationServicer_to_server)),
        await SocketDirectory(directory / "resources").serve(
            "kubelet.sock", Service(kubelet, add_PodResourcesListerServicer_to_server)
        ),
    ]
    async with asyncio.timeout(_DEADLINE_S):
        await kubelet.registered.wait()
    agent = plugins.connect("aliquot-mig-1g.10gb.sock")
    echo = SocketDirectory(directory / "echo").connect("echo.sock")
    stream = agent.device_plugin.ListAndWatch(Empty())
    async with asyncio.timeout(_DEADLINE_S):
        async for message in stream:
            kubelet.device_ids = [device.ID for device in message.devices]
            if len(kubelet.device_ids) == SLICES:
                break

    rng = random.Random(0)
    figures: dict[str, list[float]] = {"echo": [], "Allocate": [], "GetPreferredAllocation": []}
    for call in range(calls + WARM_UP):
        chosen = rng.choice(kubelet.device_ids)
        request = AllocateRequest(container_requests=[ContainerAllocateRequest(devices_ids=[chosen])])
        question = ContainerPreferredAllocationRequest(
            available_deviceIDs=kubelet.device_ids, allocation_size=1
        )
        asked = PreferredAllocationRequest(container_requests=[question])
        for name, took_ms in (
            ("echo", await timed(echo.device_plugin.Allocate(request, timeout=5))),
            (
                "GetPreferredAllocation",
                await timed(agent.device_plugin.GetPreferredAllocation(asked, timeout=5)),
            ),
            ("Allocate", await timed(agent.device_plugin.Allocate(request, timeout=5))),
        ):
            if call >= WARM_UP:
                figures[name].append(took_ms)
    stream.cancel()
    await agent.close()
    await echo.close()
    for listener in listeners:
        await listener.close()
    report(figures, within(directory))


async def timed(call: Awaitable[Any]) -> float:
    """Milliseconds. A gRPC call is sent no sooner than the loop runs again, so this is all of it."""
    began = time.perf_counter()
    await call
    return (time.perf_counter() - began) * 1e3


def within(directory: Path) -> dict[str, list[float]]:
    """Milliseconds that the agent itself took, by call."""
    figures: dict[str, list[float]] = {}
    for line in (directory / "within").read_text().splitlines():
        name, took_ms = line.split()
        figures.setdefault(name, []).append(float(took_ms))
    return {name: values[WARM_UP:] for name, values in figures.items()}


def report(figures: dict[str, list[float]], own: dict[str, list[float]]) -> None:
    base = statistics.median(figures["echo"])
    print(f"{'call':<24}{'p50 ms':>8}{'p99 ms':>8}{'max ms':>8}{'x echo':>8}{'within p50':>12}{'p99':>8}")
    for name, values in figures.items():
        middle, late, most = spread(values)
        inside = ""
        if name in own:
            own_middle, own_late, _ = spread(own[name])
            inside = f"{own_middle:>12.2f}{own_late:>8.2f}"
        print(f"{name:<24}{middle:>8.2f}{late:>8.2f}{most:>8.2f}{middle / base:>8.2f}{inside}")
    print(
        f"{len(figures['Allocate'])} calls of each; the target for Allocate is a p99 under {TARGET_P99_MS:g} ms"
    )


def spread(values: list[float]) -> tuple[float, float, float]:
    """Median, 99th percentile, maximum."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100], ordered[-1]


# --- the other process: the agent, and the echo ---


class Echo(DevicePluginServicer):
    async def Allocate(self, request: AllocateRequest, context: Context) -> AllocateResponse:
        answer = ContainerAllocateResponse(
            envs={"NVIDIA_VISIBLE_DEVICES": "MIG-00000000-0000-0000-0000-000000000000"}
        )
        return AllocateResponse(container_responses=[answer])


class Standing:
    """Stands where a cache would, with objects that never change."""

    is_synced = True

    def __init__(self, *objects: Any) -> None:
        self._objects = objects

    async def synced(self) -> None:
        pass

    def subscribe(self, handler: Callable[[Any, Any], None]) -> Callable[[], None]:
        for obj in self._objects:
            handler(None, obj)
        return lambda: None


class Nowhere:
    """No API server: GPUNode is not written, devices are served all the same."""

    async def send(self, request: Request) -> Response:
        raise TransportError("no API server here")

    async def close(self) -> None:
        pass


def timed_within(name: str, log: TextIO) -> None:
    """Have the plugin's method write down how long it took."""
    method = getattr(DevicePlugin, name)

    @wraps(method)
    async def timed_method(plugin: DevicePlugin, request: Any, context: Context) -> Any:
        began = time.perf_counter()
        answer = await method(plugin, request, context)
        log.write(f"{name} {(time.perf_counter() - began) * 1e3}\n")
        return answer

    setattr(DevicePlugin, name, timed_method)


async def serve(directory: Path) -> None:
    log = (directory / "within").open("w", buffering=1)
    for name in ("Allocate", "GetPreferredAllocation"):
        timed_within(name, log)
    driver = SimulatedDriver(parse_gpus("h100-80gb:8:mig"), node=NODE)
    pods = [waiting_pod(gpu.uuid, start) for gpu in driver.gpus() for start in range(7)]
    for gpu in driver.gpus():
        profile = next(p for p in driver.instance_profiles(gpu.uuid) if p.name == "1g.10gb")
        for start in range(7):
            made = driver.create_gpu_instance(gpu.uuid, profile.profile_id, start)
            driver.create_compute_instance(gpu.uuid, made.gi_id, profile.compute_profiles[0].profile_id)
    agent = offline_agent(directory, driver, Configuration(), pods)
    echo = SocketDirectory(directory / "echo")
    listener = await echo.serve("echo.sock", Service(Echo(), add_DevicePluginServicer_to_server))
    try:
        await agent.run()
    finally:
        await listener.close()


def offline_agent(
    directory: Path, driver: SimulatedDriver, configuration: Configuration, pods: Sequence[Pod]
) -> Agent:
    """One whose pods never change and whose API server does not answer; kubelet's sockets are in `directory`."""

    async def directly(function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments)

    clock, rng = SystemClock(), random.Random(0)
    return Agent(
        NODE,
        client=Client(Nowhere(), clock=clock, rng=rng),
        driver=driver,
        plugin_sockets=SocketDirectory(directory / "plugins"),
        pod_resources_sockets=SocketDirectory(directory / "resources"),
        clock=clock,
        rng=rng,
        run_blocking=directly,
        configuration=configuration,
        watched=Watched(
            pods_by_node(cast("Cache[Pod]", Standing(*pods))),
            nodes_by_name(cast("Cache[Node]", Standing())),
            gpu_nodes_by_name(cast("Cache[GPUNode]", Standing())),
            config_maps_by_name(cast("Cache[ConfigMap]", Standing())),
            resource_slices_by_node(cast("Cache[ResourceSlice]", Standing())),
        ),
    )


def waiting_pod(gpu_uuid: str, start: int) -> Pod:
    name = f"pod-{gpu_uuid}-{start}"
    device = AssignedDevice(container="main", resource=RESOURCE, gpu=gpu_uuid, profile="1g.10gb", start=start)
    return Pod(
        metadata=ObjectMeta(
            name=name,
            namespace="bench",
            uid=name,
            annotations={ASSIGNMENT_ANNOTATION: encode(Assignment(devices=(device,), pod_uid=name))},
        ),
        spec=PodSpec(
            node_name=NODE,
            containers=(Container(name="main", resources=ResourceRequirements(limits={RESOURCE: 1})),),
        ),
    )


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    asyncio.run(serve(Path(sys.argv[1])))
