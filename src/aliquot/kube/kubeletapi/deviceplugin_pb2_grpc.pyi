"""Types of the generated module: its generator writes none."""
# ruff: noqa: N802 - the names are the protocol's

from collections.abc import AsyncIterator
from typing import Any

from aliquot.kube.kubeletapi.deviceplugin_pb2 import (
    AllocateRequest,
    AllocateResponse,
    DevicePluginOptions,
    Empty,
    ListAndWatchResponse,
    PreferredAllocationRequest,
    PreferredAllocationResponse,
    PreStartContainerRequest,
    PreStartContainerResponse,
    RegisterRequest,
)
from aliquot.kube.kubeletapi.rpc import Context, ServerLike, StreamCall, UnaryCall

class RegistrationStub:
    Register: UnaryCall[RegisterRequest, Empty]
    def __init__(self, channel: Any) -> None: ...

class RegistrationServicer:
    async def Register(self, request: RegisterRequest, context: Context) -> Empty: ...

def add_RegistrationServicer_to_server(servicer: RegistrationServicer, server: ServerLike) -> None: ...

class DevicePluginStub:
    GetDevicePluginOptions: UnaryCall[Empty, DevicePluginOptions]
    ListAndWatch: StreamCall[Empty, ListAndWatchResponse]
    GetPreferredAllocation: UnaryCall[PreferredAllocationRequest, PreferredAllocationResponse]
    Allocate: UnaryCall[AllocateRequest, AllocateResponse]
    PreStartContainer: UnaryCall[PreStartContainerRequest, PreStartContainerResponse]
    def __init__(self, channel: Any) -> None: ...

class DevicePluginServicer:
    async def GetDevicePluginOptions(self, request: Empty, context: Context) -> DevicePluginOptions: ...
    def ListAndWatch(self, request: Empty, context: Context) -> AsyncIterator[ListAndWatchResponse]: ...
    async def GetPreferredAllocation(
        self, request: PreferredAllocationRequest, context: Context
    ) -> PreferredAllocationResponse: ...
    async def Allocate(self, request: AllocateRequest, context: Context) -> AllocateResponse: ...
    async def PreStartContainer(
        self, request: PreStartContainerRequest, context: Context
    ) -> PreStartContainerResponse: ...

def add_DevicePluginServicer_to_server(servicer: DevicePluginServicer, server: ServerLike) -> None: ...
