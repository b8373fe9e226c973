"""What kubelet says about devices: who holds which, and which it would hand out. The truth that status follows."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import grpc.aio

from aliquot.clock import Clock
from aliquot.gpu.profiles import RESOURCE_PREFIX
from aliquot.kube.api.gpuclass import CLASS_PREFIX
from aliquot.kube.kubeletapi.podresources_pb2 import (
    AllocatableResourcesRequest,
    AllocatableResourcesResponse,
    ListPodResourcesRequest,
    ListPodResourcesResponse,
)
from aliquot.kube.kubeletapi.sockets import Sockets
from aliquot.node.advertise import Device, device_of

SOCKET = "kubelet.sock"
PREFIXES = (RESOURCE_PREFIX, CLASS_PREFIX)
"""Of the resources that are ours to hand out."""

_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Holding:
    """One container's devices of one resource."""

    pod: str
    """`namespace/name`"""
    container: str
    resource: str
    device_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClaimedDevice:
    """A device of a DRA driver that a pod has by a ResourceClaim."""

    pod: str
    """`namespace/name`"""
    claim: str
    """`namespace/name`"""
    driver: str
    device: str
    """As the driver's ResourceSlice calls it."""


@dataclass(frozen=True, slots=True)
class Allocations:
    holdings: tuple[Holding, ...] = ()
    listed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Resource name -> what kubelet would allocate of it, held or not: devices, or shares of them."""
    claimed: tuple[ClaimedDevice, ...] = ()
    """Empty as well where kubelet does not tell of claims."""
    asked_at: float | None = None
    """When the question was put (Unix seconds), None before the first answer."""
    failure: str = "kubelet's pod-resources have not answered yet"
    """Why this is old or empty; empty when it is current."""
    allocatable_ids: frozenset[str] = field(init=False, compare=False)
    """All that kubelet would allocate."""
    held_ids: frozenset[str] = field(init=False, compare=False)
    """Devices and shares that somebody holds."""
    shares_by_device: Mapping[str, Mapping[str, int]] = field(init=False, compare=False)
    """Device -> pod -> how many of its shares the pod holds; 1 of a device that is not shared."""
    allocatable: frozenset[str] = field(init=False, compare=False)
    """Devices of which kubelet would allocate something."""

    def __post_init__(self) -> None:
        pods: dict[str, dict[str, int]] = {}
        held: set[str] = set()
        for holding in self.holdings:
            for kubelet_id in holding.device_ids:
                device_id = device_of(kubelet_id)
                holders = pods.setdefault(device_id, {})
                if device_id != kubelet_id or holding.pod not in holders:
                    holders[holding.pod] = holders.get(holding.pod, 0) + 1
            held.update(holding.device_ids)
        object.__setattr__(self, "shares_by_device", pods)
        object.__setattr__(self, "held_ids", frozenset(held))
        object.__setattr__(self, "allocatable_ids", frozenset[str]().union(*self.listed.values()))
        object.__setattr__(self, "allocatable", frozenset(map(device_of, self.allocatable_ids)))

    def pods(self, device_id: str) -> tuple[str, ...]:
        """That hold the device or a share of it."""
        return tuple(self.shares_by_device.get(device_id, ()))

    def would_give(self, device: Device) -> bool:
        """Whether kubelet would allocate all that the device is offered as."""
        return self.allocatable_ids.issuperset(device.kubelet_ids)


class PodResources:
    """Asks kubelet. After a failure the last known holdings stand, and nothing counts as allocatable."""

    def __init__(self, sockets: Sockets, clock: Clock) -> None:
        self._connection = sockets.connect(SOCKET)
        self._clock = clock
        self._last = Allocations()

    async def ask(self) -> Allocations:
        """Allocatable first: a device that is gone from it cannot be handed out after the list was made."""
        asked_at = self._clock.now()
        stub = self._connection.pod_resources
        try:
            answer = await stub.GetAllocatableResources(AllocatableResourcesRequest(), timeout=_TIMEOUT_S)
            listed = await stub.List(ListPodResourcesRequest(), timeout=_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            failure = f"kubelet's pod-resources do not answer: {error.code().name}: {error.details()}"
            self._last = replace(self._last, listed={}, failure=failure)
        else:
            held = holdings(listed)
            if held == self._last.holdings:
                held = self._last.holdings  # the same object, for who compares by identity
            self._last = Allocations(held, allocatable(answer), claimed(listed), asked_at, failure="")
        return self._last

    async def close(self) -> None:
        await self._connection.close()


def holdings(response: ListPodResourcesResponse) -> tuple[Holding, ...]:
    """Kubelet lists one entry per NUMA node; they are joined here."""
    joined: dict[tuple[str, str, str], list[str]] = {}
    for pod in response.pod_resources:
        for container in pod.containers:
            for devices in container.devices:
                if devices.resource_name.startswith(PREFIXES):
                    key = (f"{pod.namespace}/{pod.name}", container.name, devices.resource_name)
                    joined.setdefault(key, []).extend(devices.device_ids)
    return tuple(Holding(*key, tuple(sorted(set(ids)))) for key, ids in sorted(joined.items()))


def claimed(response: ListPodResourcesResponse) -> tuple[ClaimedDevice, ...]:
    """Kubelet lists a pod's claim once for each container that uses it."""
    found = {
        ClaimedDevice(
            f"{pod.namespace}/{pod.name}",
            f"{claim.claim_namespace}/{claim.claim_name}",
            device.driver_name,
            device.device_name,
        ): None
        for pod in response.pod_resources
        for container in pod.containers
        for claim in container.dynamic_resources
        for device in claim.claim_resources
    }
    return tuple(found)


def allocatable(response: AllocatableResourcesResponse) -> Mapping[str, frozenset[str]]:
    """Resource name -> ids, joined in the same way."""
    joined: dict[str, set[str]] = {}
    for devices in response.devices:
        if devices.resource_name.startswith(PREFIXES):
            joined.setdefault(devices.resource_name, set()).update(devices.device_ids)
    return {resource: frozenset(ids) for resource, ids in sorted(joined.items())}
