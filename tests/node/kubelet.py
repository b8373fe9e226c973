"""A kubelet that follows a script."""
# ruff: noqa: N802 - servicer methods carry the protocol's names

import asyncio
from collections.abc import Sequence
from typing import TypeVar

import grpc.aio

from aliquot.kube.kubeletapi.deviceplugin_pb2 import (
    AllocateRequest,
    ContainerAllocateRequest,
    ContainerAllocateResponse,
    ContainerPreferredAllocationRequest,
    Empty,
    ListAndWatchResponse,
    PreferredAllocationRequest,
    RegisterRequest,
)
from aliquot.kube.kubeletapi.deviceplugin_pb2_grpc import (
    DevicePluginStub,
    RegistrationServicer,
    add_RegistrationServicer_to_server,
)
from aliquot.kube.kubeletapi.podresources_pb2 import (
    AllocatableResourcesRequest,
    AllocatableResourcesResponse,
    ClaimResource,
    ContainerDevices,
    ContainerResources,
    DynamicResource,
    ListPodResourcesRequest,
    ListPodResourcesResponse,
    PodResources,
)
from aliquot.kube.kubeletapi.podresources_pb2_grpc import (
    PodResourcesListerServicer,
    add_PodResourcesListerServicer_to_server,
)
from aliquot.kube.kubeletapi.rpc import Context
from aliquot.kube.kubeletapi.sockets import Connection, Listener, MemorySockets, Service, Sockets
from tests.node.machines import NODE

T = TypeVar("T")


def claiming(device: str, *, driver: str = "gpu.nvidia.com", claim: str = "gpus") -> ContainerResources:
    """A container that has a device by a claim."""
    resource = ClaimResource(driver_name=driver, pool_name=NODE, device_name=device)
    dynamic = DynamicResource(claim_name=claim, claim_namespace="default", claim_resources=[resource])
    return ContainerResources(name="main", dynamic_resources=[dynamic])


class Refused(Exception):
    """The pod fails admission."""


class Kubelet(RegistrationServicer, PodResourcesListerServicer):
    """The real one's behaviour as far as a plugin sees it: it forgets plugins at a restart and removes their sockets,
    allocates before it tells anybody, and lists devices only by what it has read from ListAndWatch.
    """

    def __init__(self, sockets: Sockets, pod_resources: Sockets) -> None:
        self.sockets = sockets
        self.pod_resources = pod_resources
        self.offered: dict[str, dict[str, bool]] = {}
        """Resource -> device id -> healthy, as last read."""
        self.updates: dict[str, list[dict[str, bool]]] = {}
        self.registrations: list[str] = []
        self.held: dict[tuple[str, str, str], tuple[str, ...]] = {}
        """(pod, container, resource) -> device ids"""
        self.claimed: dict[str, str] = {}
        """Pod -> the device of DRA driver gpu.nvidia.com that its claim got."""
        self.listed_after_s = 0.0
        """Until then List says nothing of what was allocated."""
        self._held_since: dict[tuple[str, str, str], float] = {}
        self.refusal = ""
        """Of registrations."""
        self.deaf = asyncio.Event()
        """Set: updates are read. Cleared: they wait, as with a slow kubelet."""
        self.deaf.set()
        self._listeners: list[Listener] = []
        self._watches: dict[str, tuple[Connection, asyncio.Task[None]]] = {}

    async def start(self) -> None:
        self._listeners = [
            await self.sockets.serve("kubelet.sock", Service(self, add_RegistrationServicer_to_server)),
            await self.pod_resources.serve(
                "kubelet.sock", Service(self, add_PodResourcesListerServicer_to_server)
            ),
        ]

    async def stop(self) -> None:
        for listener in self._listeners:
            await listener.close()
        for resource in sorted(self._watches):
            await self._unwatch(resource)
        self.offered = {resource: {} for resource in self.offered}

    async def restart(self) -> None:
        await self.stop()
        if isinstance(self.sockets, MemorySockets):
            for resource in self.registrations:
                self.sockets.drop(f"aliquot-{resource.rpartition('/')[2]}.sock")
        await self.start()

    async def Register(self, request: RegisterRequest, context: Context) -> Empty:
        if self.refusal:
            await context.abort(grpc.StatusCode.UNKNOWN, self.refusal)
        await self._unwatch(request.resource_name)
        connection = self.sockets.connect(request.endpoint)
        watch = asyncio.get_running_loop().create_task(self._watch(request.resource_name, connection))
        self._watches[request.resource_name] = (connection, watch)
        self.registrations.append(request.resource_name)
        return Empty()

    async def _watch(self, resource: str, connection: Connection) -> None:
        self.offered.setdefault(resource, {})
        try:
            async for message in connection.device_plugin.ListAndWatch(Empty()):
                await self.deaf.wait()
                self._take(resource, message)
        except grpc.aio.AioRpcError:
            pass
        # As the real one: devices of a lost plugin count no longer.
        self.offered[resource] = dict.fromkeys(self.offered[resource], False)

    def _take(self, resource: str, message: ListAndWatchResponse) -> None:
        ids = [device.ID for device in message.devices]
        assert len(ids) == len(set(ids)), f"{resource} advertises a device twice: {ids}"
        now = {device.ID: device.health == "Healthy" for device in message.devices}
        others = {i for name, devices in self.offered.items() if name != resource for i in devices}
        assert not others & set(ids), "a device under two names"
        self.offered[resource] = now
        self.updates.setdefault(resource, []).append(now)

    async def forget(self, resource: str) -> None:
        """Drop the plugin's stream for no reason that the plugin could know."""
        await self._unwatch(resource)

    async def _unwatch(self, resource: str) -> None:
        if resource in self._watches:
            connection, task = self._watches.pop(resource)
            task.cancel()
            await asyncio.wait((task,))
            await connection.close()

    async def GetAllocatableResources(
        self, request: AllocatableResourcesRequest, context: Context
    ) -> AllocatableResourcesResponse:
        return AllocatableResourcesResponse(
            devices=[
                ContainerDevices(
                    resource_name=resource, device_ids=[i for i, healthy in d.items() if healthy]
                )
                for resource, d in sorted(self.offered.items())
            ]
        )

    async def List(self, request: ListPodResourcesRequest, context: Context) -> ListPodResourcesResponse:
        shown_from = asyncio.get_running_loop().time() - self.listed_after_s
        return ListPodResourcesResponse(
            pod_resources=[
                PodResources(
                    namespace=name.partition("/")[0],
                    name=name.partition("/")[2],
                    containers=[
                        ContainerResources(
                            name=container,
                            devices=[ContainerDevices(resource_name=resource, device_ids=[i]) for i in ids],
                        )
                    ],
                )
                for (name, container, resource), ids in sorted(self.held.items())
                if self._held_since[name, container, resource] <= shown_from
            ]
            + [
                PodResources(namespace="default", name=name, containers=[claiming(device)])
                for name, device in self.claimed.items()
            ]
        )

    def allocatable(self, resource: str) -> set[str]:
        return {i for i, healthy in self.offered.get(resource, {}).items() if healthy}

    def free(self, resource: str) -> list[str]:
        taken = {i for ids in self.held.values() for i in ids}
        return sorted(self.allocatable(resource) - taken)

    async def admit(
        self, name: str, resource: str, count: int = 1, container: str = "main"
    ) -> tuple[str, ...]:
        """The device ids that the pod gets. Raises Refused."""
        free = self.free(resource)
        if len(free) < count:
            raise Refused(f"requested {count} of {resource}, available {len(free)}")
        ids = await self.preferred(resource, free, count)
        assert len(ids) == count and set(ids) <= set(free), f"no valid preference: {ids} of {free}"
        await self.allocate(resource, ids)
        self.hold(name, resource, ids, container)
        return ids

    def hold(self, name: str, resource: str, ids: tuple[str, ...], container: str = "main") -> None:
        self.held[f"default/{name}", container, resource] = ids
        self._held_since[f"default/{name}", container, resource] = asyncio.get_running_loop().time()

    async def preferred(
        self, resource: str, free: Sequence[str], count: int, must: Sequence[str] = ()
    ) -> tuple[str, ...]:
        asked = ContainerPreferredAllocationRequest(
            available_deviceIDs=free, must_include_deviceIDs=must, allocation_size=count
        )
        answer = await self._stub(resource).GetPreferredAllocation(
            PreferredAllocationRequest(container_requests=[asked]), timeout=5
        )
        return tuple(answer.container_responses[0].deviceIDs)

    async def allocate(self, resource: str, ids: Sequence[str]) -> ContainerAllocateResponse:
        try:
            answer = await self._stub(resource).Allocate(
                AllocateRequest(container_requests=[ContainerAllocateRequest(devices_ids=ids)]), timeout=5
            )
        except grpc.aio.AioRpcError as error:
            raise Refused(f"{error.code().name}: {error.details()}") from error
        return answer.container_responses[0]

    def _stub(self, resource: str) -> DevicePluginStub:
        return self._watches[resource][0].device_plugin

    def release(self, name: str) -> None:
        self.held = {holder: ids for holder, ids in self.held.items() if holder[0] != f"default/{name}"}
