"""What the scheduler watches all the time, for all of its parts. GPUNodes and GPUClasses a cluster may do without."""

import asyncio
import random
from contextlib import aclosing

import structlog

from aliquot.kube import errors
from aliquot.kube.api.core import Node, Pod
from aliquot.kube.api.gpuclass import GPUClass
from aliquot.kube.api.gpunode import GPUNode
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.resources import GPUCLASSES, GPUNODES, NODES, PODS
from aliquot.kube.retry import Backoff

_log = structlog.get_logger()


class Watched:
    """Caches that are passed in are run by their owner; those left out are its own."""

    def __init__(
        self,
        client: Client,
        *,
        pods: Cache[Pod] | None,
        nodes: Cache[Node] | None,
        gpu_nodes: Cache[GPUNode] | None,
        gpu_classes: Cache[GPUClass] | None,
    ) -> None:
        self._client = client
        # An empty cache is false: ask for None.
        self.pods = Cache(client, PODS, Pod) if pods is None else pods
        self.nodes = Cache(client, NODES, Node) if nodes is None else nodes
        self.gpu_nodes = Cache(client, GPUNODES, GPUNode) if gpu_nodes is None else gpu_nodes
        self.gpu_classes = Cache(client, GPUCLASSES, GPUClass) if gpu_classes is None else gpu_classes
        self._own = [
            own
            for own, given in (
                (self.pods, pods),
                (self.nodes, nodes),
                (self.gpu_nodes, gpu_nodes),
                (self.gpu_classes, gpu_classes),
            )
            if given is None
        ]

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for cache in self._own:
                tasks.create_task(cache.run(), name=f"cache {cache.resource.plural}")

    async def gpu_nodes_known(self, rng: random.Random) -> None:
        """GPUNodes are synced, or this cluster has no such thing (yet): GPUs are then counted from node.status."""
        backoff = Backoff(rng)
        while not self.gpu_nodes.is_synced:
            try:
                pages = self._client.pages(GPUNODES, into=GPUNode, page_size=1)
                async with aclosing(pages):
                    async for _ in pages:
                        break
            except errors.NotFound:
                _log.info("no GPUNode resource here: GPUs are counted from node.status")
                return
            except errors.ApiError as error:
                _log.warning("cannot read GPUNodes", error=error.message)
                await asyncio.sleep(backoff.delay_s())
                continue
            await self.gpu_nodes.synced()
