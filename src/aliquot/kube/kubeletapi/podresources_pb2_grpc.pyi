"""Types of the generated module: its generator writes none."""
# ruff: noqa: N802 - the names are the protocol's

from typing import Any

from aliquot.kube.kubeletapi.podresources_pb2 import (
    AllocatableResourcesRequest,
    AllocatableResourcesResponse,
    GetPodResourcesRequest,
    GetPodResourcesResponse,
    ListPodResourcesRequest,
    ListPodResourcesResponse,
)
from aliquot.kube.kubeletapi.rpc import Context, ServerLike, UnaryCall

class PodResourcesListerStub:
    List: UnaryCall[ListPodResourcesRequest, ListPodResourcesResponse]
    GetAllocatableResources: UnaryCall[AllocatableResourcesRequest, AllocatableResourcesResponse]
    Get: UnaryCall[GetPodResourcesRequest, GetPodResourcesResponse]
    def __init__(self, channel: Any) -> None: ...

class PodResourcesListerServicer:
    async def List(self, request: ListPodResourcesRequest, context: Context) -> ListPodResourcesResponse: ...
    async def GetAllocatableResources(
        self, request: AllocatableResourcesRequest, context: Context
    ) -> AllocatableResourcesResponse: ...
    async def Get(self, request: GetPodResourcesRequest, context: Context) -> GetPodResourcesResponse: ...

def add_PodResourcesListerServicer_to_server(
    servicer: PodResourcesListerServicer, server: ServerLike
) -> None: ...
