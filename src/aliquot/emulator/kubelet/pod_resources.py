"""The pod-resources service, v1: which pod holds which device, and which devices may be allocated now.

Answers from the device table itself, so it knows a device as soon as kubelet would allocate it, which is before
node.status does. Must not change anything.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import grpc

from aliquot.emulator.kubelet.devices import NO_NUMA, Allocation, DeviceTable
from aliquot.kube.api.core import Container, Pod
from aliquot.kube.kubeletapi.podresources_pb2 import (
    AllocatableResourcesRequest,
    AllocatableResourcesResponse,
    ContainerDevices,
    ContainerResources,
    GetPodResourcesRequest,
    GetPodResourcesResponse,
    ListPodResourcesRequest,
    ListPodResourcesResponse,
    NUMANode,
    PodResources,
    TopologyInfo,
)
from aliquot.kube.kubeletapi.podresources_pb2_grpc import (
    PodResourcesListerServicer,
    add_PodResourcesListerServicer_to_server,
)
from aliquot.kube.kubeletapi.rpc import Context
from aliquot.kube.kubeletapi.sockets import Service

POD_RESOURCES_SOCKET = "kubelet.sock"


class PodResourcesLister(PodResourcesListerServicer):
    """`active_pods` answers with the node's pods that have not ended."""

    def __init__(self, table: DeviceTable, active_pods: Callable[[], Sequence[Pod]]) -> None:
        self._table = table
        self._active_pods = active_pods

    def service(self) -> Service:
        return Service(self, add_PodResourcesListerServicer_to_server)

    async def List(  # noqa: N802
        self, request: ListPodResourcesRequest, context: Context
    ) -> ListPodResourcesResponse:
        return ListPodResourcesResponse(pod_resources=map(self._of_pod, self._active_pods()))

    async def GetAllocatableResources(  # noqa: N802
        self, request: AllocatableResourcesRequest, context: Context
    ) -> AllocatableResourcesResponse:
        return AllocatableResourcesResponse(
            devices=[
                listed
                for resource, devices in self._table.healthy_devices().items()
                for device in devices
                for listed in _listed(resource, device.id, device.numa_nodes)
            ]
        )

    async def Get(  # noqa: N802
        self, request: GetPodResourcesRequest, context: Context
    ) -> GetPodResourcesResponse:
        for pod in self._active_pods():
            if (pod.metadata.name, pod.metadata.namespace) == (request.pod_name, request.pod_namespace):
                return GetPodResourcesResponse(pod_resources=self._of_pod(pod))
        text = f"pod {request.pod_name} in namespace {request.pod_namespace} not found"
        return await context.abort(grpc.StatusCode.UNKNOWN, text)

    def _of_pod(self, pod: Pod) -> PodResources:
        held = self._table.held_by(pod.metadata.uid)
        return PodResources(
            name=pod.metadata.name,
            namespace=pod.metadata.namespace,
            containers=[
                ContainerResources(name=name, devices=_devices(held.get(name, {})))
                for name in _lasting_containers(pod)
            ],
        )


def _lasting_containers(pod: Pod) -> Iterable[str]:
    """Sidecars and containers; ordinary init containers are not listed."""
    init: tuple[Container, ...] = pod.spec.init_containers or ()
    yield from (container.name for container in init if container.restart_policy == "Always")
    yield from (container.name for container in pod.spec.containers)


def _devices(held: Mapping[str, Allocation]) -> list[ContainerDevices]:
    """One entry for each device and NUMA node, as kubelet writes them."""
    return [
        listed
        for resource, allocation in sorted(held.items())
        for node, ids in allocation.numa.items()
        for device_id in ids
        for listed in _listed(resource, device_id, () if node == NO_NUMA else (node,))
    ]


def _listed(resource: str, device_id: str, numa_nodes: Sequence[int]) -> list[ContainerDevices]:
    if not numa_nodes:
        return [ContainerDevices(resource_name=resource, device_ids=[device_id])]
    return [
        ContainerDevices(
            resource_name=resource,
            device_ids=[device_id],
            topology=TopologyInfo(nodes=[NUMANode(ID=node)]),
        )
        for node in numa_nodes
    ]
