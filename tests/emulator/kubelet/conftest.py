"""Pods as short manifests, containers' runs as rows, and a device plugin that does as the test says."""
# ruff: noqa: N802 - servicer methods carry the protocol's names

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

import grpc
import msgspec
import yaml

from aliquot.clock import VirtualTimeLoop
from aliquot.emulator.kubelet.runtimes.base import ContainerRecord
from aliquot.kube.api.core import Pod
from aliquot.kube.kubeletapi.deviceplugin_pb2 import (
    AllocateRequest,
    AllocateResponse,
    ContainerAllocateResponse,
    ContainerPreferredAllocationResponse,
    Device,
    DevicePluginOptions,
    Empty,
    ListAndWatchResponse,
    NUMANode,
    PreferredAllocationRequest,
    PreferredAllocationResponse,
    PreStartContainerRequest,
    PreStartContainerResponse,
    RegisterRequest,
    TopologyInfo,
)
from aliquot.kube.kubeletapi.deviceplugin_pb2_grpc import (
    DevicePluginServicer,
    add_DevicePluginServicer_to_server,
)
from aliquot.kube.kubeletapi.rpc import Context
from aliquot.kube.kubeletapi.sockets import Listener, Service, Sockets

T = TypeVar("T")

GPU = "nvidia.com/gpu"
BOOT = "boot-1"


def virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end on virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


def manifest(spec: str, *, name: str = "p", namespace: str = "ns", uid: str = "", **metadata: Any) -> Any:
    """A pod object of a spec in YAML flow style, without the outer braces."""
    return {
        "metadata": {"name": name, "namespace": namespace, "uid": uid or f"uid-{name}", **metadata},
        "spec": yaml.safe_load(f"{{{spec}}}"),
    }


def pod(spec: str, *, status: Mapping[str, Any] | None = None, **metadata: Any) -> Pod:
    return msgspec.convert(manifest(spec, **metadata) | {"status": status or {}}, Pod)


def run(
    name: str = "main",
    *,
    code: int | None = None,
    attempt: int = 0,
    start: float = 0.0,
    end: float | None = None,
    boot: str = BOOT,
) -> ContainerRecord:
    """One run of a container; it runs unless `code` says how it ended."""
    finished = None if code is None else (start + 1.0 if end is None else end)
    return ContainerRecord(
        id=f"{name}-{attempt}",
        pod_uid="uid-p",
        name=name,
        attempt=attempt,
        boot_id=boot,
        image="image:1",
        started_at=start,
        finished_at=finished,
        exit_code=code or 0,
        reason="" if code is None else ("Completed" if code == 0 else "Error"),
    )


def device(device_id: str, *, healthy: bool = True, numa: Sequence[int] = ()) -> Device:
    topology = TopologyInfo(nodes=[NUMANode(ID=node) for node in numa]) if numa else None
    return Device(ID=device_id, health="Healthy" if healthy else "Unhealthy", topology=topology)


class ScriptedPlugin(DevicePluginServicer):
    """Lists what it is given, answers as it is told, and notes what it is asked."""

    def __init__(self, *ids: str, preferred: Sequence[str] | None = None, pre_start: bool = False) -> None:
        self.devices: list[Device] = [device(device_id) for device_id in ids]
        self.preferred = preferred
        self.options = DevicePluginOptions(
            get_preferred_allocation_available=preferred is not None, pre_start_required=pre_start
        )
        self.answer = ContainerAllocateResponse(envs={"NVIDIA_VISIBLE_DEVICES": "IDS"})
        self.refuse: Mapping[str, str] = {}
        """Method to error text."""
        self.delay_s = 0.0
        self.asked: list[tuple[str, tuple[str, ...]]] = []
        self.available: list[tuple[str, ...]] = []
        """As offered with each GetPreferredAllocation, in kubelet's order."""
        self.left = asyncio.Event()
        """Kubelet no longer reads the list."""
        self._changed = asyncio.Event()
        self._listing = asyncio.Event()
        self._listener: Listener | None = None

    def list(self, *devices: Device) -> None:
        """Tell kubelet of other devices."""
        self.devices = list(devices)
        self._changed.set()

    async def serve(
        self,
        sockets: Sockets,
        resource: str = GPU,
        *,
        endpoint: str = "",
        version: str = "v1beta1",
        listed: bool = True,
    ) -> None:
        """Serve and register. With `listed`, returns when kubelet has asked for the list."""
        endpoint = endpoint or f"{resource.replace('/', '-')}.sock"
        self._listener = await sockets.serve(endpoint, Service(self, add_DevicePluginServicer_to_server))
        self._listing.clear()
        await register(sockets, resource, endpoint, version)
        if listed:
            async with asyncio.timeout(5):
                await self._listing.wait()
        await settle()

    async def close(self) -> None:
        if self._listener is not None:
            await self._listener.close()
            self._listener = None
        await settle()

    async def GetDevicePluginOptions(self, request: Empty, context: Context) -> DevicePluginOptions:
        await self._obey("GetDevicePluginOptions", (), context)
        return self.options

    async def ListAndWatch(self, request: Empty, context: Context) -> AsyncIterator[ListAndWatchResponse]:
        try:
            while True:
                self._changed.clear()
                self._listing.set()
                yield ListAndWatchResponse(devices=self.devices)
                await self._changed.wait()
        finally:
            self.left.set()

    async def GetPreferredAllocation(
        self, request: PreferredAllocationRequest, context: Context
    ) -> PreferredAllocationResponse:
        (asked,) = request.container_requests
        self.available.append(tuple(asked.available_deviceIDs))
        required = "".join(asked.must_include_deviceIDs)
        what = f"GetPreferredAllocation {asked.allocation_size} with {required or 'none'}"
        await self._obey(what, asked.available_deviceIDs, context)
        answer = ContainerPreferredAllocationResponse(deviceIDs=self.preferred)
        return PreferredAllocationResponse(container_responses=[answer])

    async def Allocate(self, request: AllocateRequest, context: Context) -> AllocateResponse:
        (asked,) = request.container_requests
        await self._obey("Allocate", asked.devices_ids, context)
        answer = ContainerAllocateResponse()
        answer.CopyFrom(self.answer)
        for name, value in answer.envs.items():
            answer.envs[name] = value.replace("IDS", ",".join(asked.devices_ids))
        return AllocateResponse(container_responses=[answer])

    async def PreStartContainer(
        self, request: PreStartContainerRequest, context: Context
    ) -> PreStartContainerResponse:
        await self._obey("PreStartContainer", request.devices_ids, context)
        return PreStartContainerResponse()

    async def _obey(self, method: str, ids: Sequence[str], context: Context) -> None:
        self.asked.append((method, tuple(sorted(ids))))
        await asyncio.sleep(self.delay_s)
        refusal = self.refuse.get(method.partition(" ")[0])
        if refusal is not None:
            await context.abort(grpc.StatusCode.UNKNOWN, refusal)


async def register(sockets: Sockets, resource: str, endpoint: str, version: str = "v1beta1") -> None:
    """Raises grpc.aio.AioRpcError."""
    connection = sockets.connect("kubelet.sock")
    try:
        request = RegisterRequest(version=version, endpoint=endpoint, resource_name=resource)
        await connection.registration.Register(request, timeout=5)
    finally:
        await connection.close()


async def settle() -> None:
    """Let what was sent arrive, over real sockets too."""
    await asyncio.sleep(0.05)
