"""The partitioner put together: caches in, GPUNode.spec and GPUClass.status out, one that leads."""

import asyncio
import random
from collections.abc import Collection, Sequence
from typing import Any

from aliquot.clock import Clock
from aliquot.kube.api.core import Node, Pod
from aliquot.kube.api.gpuclass import GPUClass
from aliquot.kube.api.gpunode import GPUNode, Partitioning
from aliquot.kube.api.policy import PodDisruptionBudget
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.election import LeaderElection
from aliquot.kube.events import Recorder
from aliquot.kube.resources import GPUCLASSES, GPUNODES, NODES, PODDISRUPTIONBUDGETS, PODS
from aliquot.metrics.exposition import Family, Kind, Sample, render
from aliquot.partition.asking import Asking
from aliquot.partition.controller.budget import MoveBudget
from aliquot.partition.controller.claims import Claims
from aliquot.partition.controller.classes import ClassStatuses
from aliquot.partition.controller.loop import Loop
from aliquot.partition.controller.relocating import Relocating, RunAside
from aliquot.partition.value import Valuation
from aliquot.partition.value_tables import ValueTable

COMPONENT = "aliquot-partitioner"
IDLE_S = 600.0
MOVES_PER_HOUR = 20
MINIMUM_RUN_S = 300.0


class Partitioner:
    """`moves_per_hour` and `minimum_run_s` are for nodes that are budgeted. `placed_elsewhere`: names of the schedulers that write assignments; for pods of all others it looks itself. `value_tables`: the shipped ones, unless others are given. `run_aside`: plans take seconds.

    Caches that are passed in are shared and run by their owner; those left out are its own. `run` may be called once.
    """

    def __init__(
        self,
        client: Client,
        *,
        clock: Clock,
        rng: random.Random,
        mode: Partitioning = Partitioning.ON_DEMAND,
        idle_s: float = IDLE_S,
        moves_per_hour: int = MOVES_PER_HOUR,
        minimum_run_s: float = MINIMUM_RUN_S,
        placed_elsewhere: Collection[str] = ("aliquot",),
        value_tables: Sequence[ValueTable] | None = None,
        pods: Cache[Pod] | None = None,
        nodes: Cache[Node] | None = None,
        gpu_nodes: Cache[GPUNode] | None = None,
        gpu_classes: Cache[GPUClass] | None = None,
        run_aside: RunAside = asyncio.to_thread,
        election: LeaderElection | None = None,
    ) -> None:
        self._pods = Cache(client, PODS, Pod) if pods is None else pods
        self._nodes = Cache(client, NODES, Node) if nodes is None else nodes
        self._gpu_nodes = Cache(client, GPUNODES, GPUNode) if gpu_nodes is None else gpu_nodes
        self._gpu_classes = Cache(client, GPUCLASSES, GPUClass) if gpu_classes is None else gpu_classes
        # Who may not see them goes without: an eviction that they forbid is refused all the same.
        self._budgets = Cache(client, PODDISRUPTIONBUDGETS, PodDisruptionBudget, optional=True)
        given: tuple[tuple[Cache[Any], Cache[Any] | None], ...] = (
            (self._pods, pods),
            (self._nodes, nodes),
            (self._gpu_nodes, gpu_nodes),
            (self._gpu_classes, gpu_classes),
            (self._budgets, None),
        )
        self._caches = [own for own, _ in given]
        self._own_caches: list[Cache[Any]] = [own for own, passed in given if passed is None]
        self._election = election
        self._recorder = Recorder(client, COMPONENT)
        may_write = election.is_leader if election is not None else lambda: True
        valuation = Valuation(value_tables)
        self._asking = Asking(
            valuation, pods=self._pods, gpu_nodes=self._gpu_nodes, gpu_classes=self._gpu_classes
        )
        self._claims = Claims(self._pods)
        self._loop = Loop(
            client,
            clock=clock,
            rng=rng,
            pods=self._pods,
            nodes=self._nodes,
            gpu_nodes=self._gpu_nodes,
            gpu_classes=self._gpu_classes,
            claims=self._claims,
            placed_elsewhere=placed_elsewhere,
            recorder=self._recorder,
            mode=mode,
            idle_s=idle_s,
            valuation=valuation,
            may_write=may_write,
        )
        self._relocating = Relocating(
            client,
            clock=clock,
            pods=self._pods,
            nodes=self._nodes,
            gpu_nodes=self._gpu_nodes,
            gpu_classes=self._gpu_classes,
            budgets=self._budgets,
            claims=self._claims,
            names=placed_elsewhere,
            recorder=self._recorder,
            budget=MoveBudget(moves_per_hour),
            minimum_run_s=minimum_run_s,
            valuation=valuation,
            may_write=may_write,
            run_aside=run_aside,
        )
        self._classes = ClassStatuses(
            client,
            clock=clock,
            rng=rng,
            nodes=self._nodes,
            gpu_nodes=self._gpu_nodes,
            gpu_classes=self._gpu_classes,
            claims=self._claims,
            may_write=may_write,
        )

    def waits_for(self) -> str:
        """What it has still to learn before it could decide; empty: nothing."""
        return next((cache.resource.plural for cache in self._caches if not cache.is_synced), "")

    async def metrics(self) -> str:
        """What Prometheus reads."""
        leads = self._election is None or self._election.is_leader()
        return render(
            (
                Family(
                    "aliquot_partitioner_leads",
                    Kind.GAUGE,
                    "Whether this replica decides.",
                    (Sample("", leads),),
                ),
                Family(
                    "aliquot_partitioner_gpunodes",
                    Kind.GAUGE,
                    "Nodes with GPUs that it sees.",
                    (Sample("", len(self._gpu_nodes)),),
                ),
            )
        )

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for cache in self._own_caches:
                tasks.create_task(cache.run(), name=f"cache {cache.resource.plural}")
            tasks.create_task(self._recorder.run(), name="event recorder")
            for cache in self._caches:
                await cache.synced()
            stops = self._asking.follow(), self._claims.follow()
            try:
                if self._election is not None:
                    await self._election.run(self._loops)
                else:
                    await self._loops()
            finally:
                for stop in stops:
                    stop()

    async def _loops(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._loop.run(), name="gpunodes")
            tasks.create_task(self._classes.run(), name="gpuclasses")
            tasks.create_task(self._relocating.run(), name="relocating")
