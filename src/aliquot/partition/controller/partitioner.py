"""The partitioner put together: caches in, GPUNode.spec and GPUClass.status out, one that leads."""

import asyncio
import random
from typing import Any

from aliquot.clock import Clock
from aliquot.kube.api.core import Node, Pod
from aliquot.kube.api.gpunode import GPUNode, Partitioning
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.election import LeaderElection
from aliquot.kube.events import Recorder
from aliquot.kube.resources import GPUNODES, NODES, PODS
from aliquot.partition.controller.loop import Loop

COMPONENT = "aliquot-partitioner"
IDLE_S = 600.0


class Partitioner:
    """Caches that are passed in are shared and run by their owner; those left out are its own. `run` may be called once."""

    def __init__(
        self,
        client: Client,
        *,
        clock: Clock,
        rng: random.Random,
        mode: Partitioning = Partitioning.ON_DEMAND,
        idle_s: float = IDLE_S,
        pods: Cache[Pod] | None = None,
        nodes: Cache[Node] | None = None,
        gpu_nodes: Cache[GPUNode] | None = None,
        election: LeaderElection | None = None,
    ) -> None:
        self._pods = Cache(client, PODS, Pod) if pods is None else pods
        self._nodes = Cache(client, NODES, Node) if nodes is None else nodes
        self._gpu_nodes = Cache(client, GPUNODES, GPUNode) if gpu_nodes is None else gpu_nodes
        given = ((self._pods, pods), (self._nodes, nodes), (self._gpu_nodes, gpu_nodes))
        self._own_caches: list[Cache[Any]] = [own for own, passed in given if passed is None]
        self._election = election
        self._recorder = Recorder(client, COMPONENT)
        self._loop = Loop(
            client,
            clock=clock,
            rng=rng,
            pods=self._pods,
            nodes=self._nodes,
            gpu_nodes=self._gpu_nodes,
            recorder=self._recorder,
            mode=mode,
            idle_s=idle_s,
            may_write=election.is_leader if election is not None else lambda: True,
        )

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for cache in self._own_caches:
                tasks.create_task(cache.run(), name=f"cache {cache.resource.plural}")
            tasks.create_task(self._recorder.run(), name="event recorder")
            for cache in (self._pods, self._nodes, self._gpu_nodes):
                await cache.synced()
            if self._election is not None:
                await self._election.run(self._loop.run)
            else:
                await self._loop.run()
