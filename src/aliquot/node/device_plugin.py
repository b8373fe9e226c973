"""Kubelet's device plugin service for one resource name.

Serves what it was last told to offer; every change of devices or health reaches open ListAndWatch streams at once,
without a restart. Must not know drivers, MIG or pods: who gets which device, and how a container is told of it, is the
policy's business.
"""
# ruff: noqa: N802 - servicer methods carry the protocol's names

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import grpc

from aliquot.gpu.profiles import RESOURCE_PREFIX
from aliquot.kube.kubeletapi.deviceplugin_pb2 import (
    AllocateRequest,
    AllocateResponse,
    ContainerAllocateResponse,
    ContainerPreferredAllocationResponse,
    DevicePluginOptions,
    Empty,
    ListAndWatchResponse,
    NUMANode,
    PreferredAllocationRequest,
    PreferredAllocationResponse,
    PreStartContainerRequest,
    PreStartContainerResponse,
    TopologyInfo,
)
from aliquot.kube.kubeletapi.deviceplugin_pb2 import Device as WireDevice
from aliquot.kube.kubeletapi.deviceplugin_pb2_grpc import (
    DevicePluginServicer,
    add_DevicePluginServicer_to_server,
)
from aliquot.kube.kubeletapi.rpc import Context, Service
from aliquot.node.advertise import Device
from aliquot.node.allocation import Given, refusal
from aliquot.node.assignments import Question

HEALTHY, UNHEALTHY = "Healthy", "Unhealthy"


@dataclass(frozen=True, slots=True)
class Offer:
    """A device, or a share of one, as kubelet is to see it."""

    id: str
    device: Device
    fault: str = ""
    """Why kubelet must not hand it out; empty when it may."""
    closed: bool = False
    """Whether Allocate refuses it. A device that is only being withdrawn is unhealthy but still given: kubelet may
    have chosen it before it knew, and a refusal would fail the pod for good."""
    files: tuple[str, ...] = ()
    """Device nodes for the container; all of them exist."""


class Policy(Protocol):
    def prefer(self, question: Question) -> Sequence[str]:
        """The device ids to take."""
        ...

    def allocate(self, resource: str, ids: Sequence[str], given: Given) -> ContainerAllocateResponse:
        """Called for each container whose Allocate is about to be answered, with what it answers."""
        ...


class DevicePlugin(DevicePluginServicer):
    """`stream_changed` is called whenever kubelet begins or ends to watch."""

    def __init__(self, resource: str, policy: Policy, stream_changed: Callable[[], None]) -> None:
        self.resource = resource
        self.streams = 0
        """Open ListAndWatch streams. None means that kubelet does not know what is offered."""
        self._policy = policy
        self._stream_changed = stream_changed
        self._offers: dict[str, Offer] = {}
        self._message = ListAndWatchResponse()
        self._changed = asyncio.Event()

    @property
    def endpoint(self) -> str:
        """File name of its socket."""
        return f"aliquot-{self.resource.removeprefix(RESOURCE_PREFIX).replace('/', '_')}.sock"

    def service(self) -> Service:
        return Service(self, add_DevicePluginServicer_to_server)

    def would_lose(self, offers: Sequence[Offer]) -> bool:
        """Whether anything offered now is not among `offers`."""
        return not self._offers.keys() <= {offer.id for offer in offers}

    def offer(self, offers: Sequence[Offer]) -> None:
        """Replace what is offered. Kubelet hears of it only if something it can see has changed."""
        by_id = {offer.id: offer for offer in offers}
        if by_id == self._offers:
            return
        self._offers = by_id
        message = ListAndWatchResponse(devices=[_wire(offer) for offer in offers])
        if message != self._message:
            self._message = message
            self._changed.set()
            self._changed = asyncio.Event()

    async def GetDevicePluginOptions(self, request: Empty, context: Context) -> DevicePluginOptions:
        return options()

    async def ListAndWatch(self, request: Empty, context: Context) -> AsyncIterator[ListAndWatchResponse]:
        self.streams += 1
        self._stream_changed()
        try:
            while True:
                changed = self._changed
                yield self._message
                await changed.wait()
        finally:
            self.streams -= 1
            self._stream_changed()

    async def GetPreferredAllocation(
        self, request: PreferredAllocationRequest, context: Context
    ) -> PreferredAllocationResponse:
        answers = [
            self._policy.prefer(
                Question(
                    self.resource,
                    tuple(asked.available_deviceIDs),
                    tuple(asked.must_include_deviceIDs),
                    asked.allocation_size,
                )
            )
            for asked in request.container_requests
        ]
        return PreferredAllocationResponse(
            container_responses=[ContainerPreferredAllocationResponse(deviceIDs=ids) for ids in answers]
        )

    async def Allocate(self, request: AllocateRequest, context: Context) -> AllocateResponse:
        chosen: list[list[Offer]] = []
        for asked in request.container_requests:
            offers: list[Offer] = []
            for device_id in asked.devices_ids:
                offer = self._offers.get(device_id)
                if offer is None:
                    await context.abort(
                        grpc.StatusCode.NOT_FOUND, f"{self.resource} has no device {device_id} on this node"
                    )
                if offer.closed:
                    await context.abort(
                        grpc.StatusCode.FAILED_PRECONDITION,
                        f"{self.resource} {device_id} cannot be allocated: {offer.fault}",
                    )
                offers.append(offer)
            if fault := refusal([offer.device for offer in offers]):
                await context.abort(grpc.StatusCode.FAILED_PRECONDITION, fault)
            chosen.append(offers)
        return AllocateResponse(
            container_responses=[
                self._policy.allocate(self.resource, [offer.id for offer in offers], self._given(offers))
                for offers in chosen
            ]
        )

    def _given(self, offers: Sequence[Offer]) -> Given:
        devices = {offer.device.id: offer.device for offer in offers}
        files = dict.fromkeys(path for offer in offers for path in offer.files)
        shares = sum(offer.device.shares is not None for offer in offers)
        return Given(self.resource, tuple(devices.values()), shares, tuple(files))

    async def PreStartContainer(
        self, request: PreStartContainerRequest, context: Context
    ) -> PreStartContainerResponse:
        return PreStartContainerResponse()


def options() -> DevicePluginOptions:
    return DevicePluginOptions(pre_start_required=False, get_preferred_allocation_available=True)


def _wire(offer: Offer) -> WireDevice:
    numa = offer.device.numa_node
    return WireDevice(
        ID=offer.id,
        health=UNHEALTHY if offer.fault else HEALTHY,
        topology=None if numa is None else TopologyInfo(nodes=[NUMANode(ID=numa)]),
    )
