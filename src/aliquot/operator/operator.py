"""The operator put together: caches in; labels, conditions and DaemonSets out; one that leads."""

import asyncio
import random
from collections.abc import Mapping

from aliquot.clock import Clock
from aliquot.kube.api.core import Node, Pod
from aliquot.kube.api.gpunode import GPUNode
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.election import LeaderElection
from aliquot.kube.events import Recorder
from aliquot.kube.roles import NAMESPACE
from aliquot.metrics.exposition import render
from aliquot.operator.board import Board
from aliquot.operator.core.operands import Image, OperandName
from aliquot.operator.effort import Effort
from aliquot.operator.metrics import families
from aliquot.operator.node_loop import NodeLoop
from aliquot.operator.policy_loop import PolicyLoop
from aliquot.operator.standing import Standing
from aliquot.operator.status_loop import StatusLoop
from aliquot.operator.upgrading.loop import Upgrades
from aliquot.operator.watched import Watched

COMPONENT = "aliquot-operator"


class Operator:
    """`images`: those of operands whose policy names none. Caches that are passed in are shared and run by their owner. `run` may
    be called once."""

    def __init__(
        self,
        client: Client,
        *,
        clock: Clock,
        rng: random.Random,
        images: Mapping[OperandName, Image],
        namespace: str = NAMESPACE,
        pods: Cache[Pod] | None = None,
        nodes: Cache[Node] | None = None,
        gpu_nodes: Cache[GPUNode] | None = None,
        election: LeaderElection | None = None,
    ) -> None:
        self._watched = Watched(client, namespace=namespace, pods=pods, nodes=nodes, gpu_nodes=gpu_nodes)
        self._standing = Standing(self._watched, images, namespace)
        self._board = Board()
        self.effort = Effort()
        self._election = election
        self._recorder = Recorder(client, COMPONENT)
        may_write = election.is_leader if election is not None else lambda: True
        self._nodes = NodeLoop(
            client,
            clock=clock,
            rng=rng,
            watched=self._watched,
            standing=self._standing,
            board=self._board,
            effort=self.effort,
            recorder=self._recorder,
            namespace=namespace,
            may_write=may_write,
        )
        self._policies = PolicyLoop(
            client,
            rng=rng,
            watched=self._watched,
            standing=self._standing,
            board=self._board,
            effort=self.effort,
            recorder=self._recorder,
            namespace=namespace,
            may_write=may_write,
        )
        self._statuses = StatusLoop(
            client,
            clock=clock,
            rng=rng,
            watched=self._watched,
            standing=self._standing,
            board=self._board,
            effort=self.effort,
            may_write=may_write,
        )

        self._upgrades = Upgrades(
            client,
            clock=clock,
            rng=rng,
            watched=self._watched,
            standing=self._standing,
            board=self._board,
            effort=self.effort,
            recorder=self._recorder,
            namespace=namespace,
            may_write=may_write,
        )

    def waits_for(self) -> str:
        """What it is not ready for want of; empty: it is."""
        return self._watched.waits_for

    async def metrics(self) -> str:
        return render(families(self._standing, self._board, self.effort, self._upgrades.failures))

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for cache in self._watched.own:
                tasks.create_task(cache.run(), name=f"cache {cache.resource.plural}")
            tasks.create_task(self._recorder.run(), name="event recorder")
            await self._watched.synced()
            stop = self._standing.follow()
            try:
                if self._election is not None:
                    await self._election.run(self._loops)
                else:
                    await self._loops()
            finally:
                stop()

    async def _loops(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._policies.run(), name="policies")
            tasks.create_task(self._nodes.run(), name="nodes")
            tasks.create_task(self._statuses.run(), name="status")
            tasks.create_task(self._upgrades.run(), name="driver upgrades")
