"""One registered device plugin, as kubelet calls it: each call with its deadline, each failure in grpc-go's words.

Must not know what the answers mean.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import TypeVar

import grpc
import grpc.aio

from aliquot.emulator.kubelet.devices import AllocationError, Device
from aliquot.kube.kubeletapi.deviceplugin_pb2 import (
    AllocateRequest,
    ContainerAllocateRequest,
    ContainerAllocateResponse,
    ContainerPreferredAllocationRequest,
    DevicePluginOptions,
    Empty,
    ListAndWatchResponse,
    PreferredAllocationRequest,
    PreStartContainerRequest,
)
from aliquot.kube.kubeletapi.sockets import Connection

OPTIONS_TIMEOUT_S = 10.0
ALLOCATE_TIMEOUT_S = 60.0
"""A real kubelet has no deadline here, and hangs with its plugin."""
PRE_START_TIMEOUT_S = 30.0

T = TypeVar("T")


def go_error(error: grpc.aio.AioRpcError) -> str:
    """As grpc-go prints it: `rpc error: code = Unknown desc = ...`."""
    code = error.code()
    # Go writes OK and Canceled where Python has OK and CANCELLED.
    special = {grpc.StatusCode.OK: "OK", grpc.StatusCode.CANCELLED: "Canceled"}
    name = special.get(code) or code.name.title().replace("_", "")
    return f"rpc error: code = {name} desc = {error.details()}"


class Plugin:
    """Stops being asked once `closed`: when its list has ended, or another has registered in its place."""

    def __init__(self, resource: str, connection: Connection) -> None:
        self.resource = resource
        self.options = DevicePluginOptions()
        self._connection = connection
        self._closed = False

    async def close(self) -> None:
        self._closed = True
        await self._connection.close()

    async def read_options(self) -> None:
        """Raises AllocationError."""
        self.options = await self._call(
            self._connection.device_plugin.GetDevicePluginOptions(Empty(), timeout=OPTIONS_TIMEOUT_S)
        )

    async def lists(self) -> AsyncIterator[tuple[Device, ...]]:
        """The complete list of devices, each time that it changes. Raises grpc.aio.AioRpcError when it breaks off."""
        stream = self._connection.device_plugin.ListAndWatch(Empty())
        try:
            async for message in stream:
                yield _devices(message)
        finally:
            stream.cancel()

    async def preferred(
        self, available: Sequence[str], required: Sequence[str], size: int
    ) -> tuple[str, ...]:
        """Device ids; none when the plugin has no preference. Raises AllocationError."""
        if not self.options.get_preferred_allocation_available:
            return ()
        request = ContainerPreferredAllocationRequest(
            available_deviceIDs=available, must_include_deviceIDs=required, allocation_size=size
        )
        try:
            answer = await self._call(
                self._connection.device_plugin.GetPreferredAllocation(
                    PreferredAllocationRequest(container_requests=[request]), timeout=ALLOCATE_TIMEOUT_S
                )
            )
        except AllocationError as error:
            raise AllocationError(
                f"device plugin GetPreferredAllocation rpc failed with err: {error}"
            ) from error
        responses = answer.container_responses
        return tuple(responses[0].deviceIDs) if responses else ()

    async def allocate(self, ids: Sequence[str]) -> ContainerAllocateResponse:
        """Raises AllocationError."""
        request = AllocateRequest(container_requests=[ContainerAllocateRequest(devices_ids=ids)])
        answer = await self._call(
            self._connection.device_plugin.Allocate(request, timeout=ALLOCATE_TIMEOUT_S)
        )
        if not answer.container_responses:
            raise AllocationError("no containers return in allocation response &AllocateResponse{}")
        return answer.container_responses[0]

    async def pre_start(self, ids: Sequence[str]) -> None:
        """Does nothing unless the plugin asked to be called. Raises AllocationError."""
        if not self.options.pre_start_required:
            return
        try:
            await self._call(
                self._connection.device_plugin.PreStartContainer(
                    PreStartContainerRequest(devices_ids=ids), timeout=PRE_START_TIMEOUT_S
                )
            )
        except AllocationError as error:
            raise AllocationError(f"device plugin PreStartContainer rpc failed with err: {error}") from error

    async def _call(self, call: Awaitable[T]) -> T:
        if self._closed:
            raise AllocationError(f"endpoint of {self.resource} has been stopped")
        try:
            return await call
        except grpc.aio.AioRpcError as error:
            raise AllocationError(go_error(error)) from error
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._closed or (task is not None and task.cancelling()):
                raise
            # Not this task is cancelled, but the call: `close` took the connection from under it.
            raise AllocationError(
                "rpc error: code = Canceled desc = grpc: the client connection is closing"
            ) from None


def _devices(message: ListAndWatchResponse) -> tuple[Device, ...]:
    return tuple(
        Device(
            id=device.ID,
            healthy=device.health == "Healthy",
            numa_nodes=tuple(node.ID for node in device.topology.nodes),
        )
        for device in message.devices
    )
