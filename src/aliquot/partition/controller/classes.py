"""Keeps GPUClass.status in step with the nodes: what a class could still give, and why it can give nothing.

A change of a node is counted for that node alone. A class is written when its status has become another, and no more than
once a second.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from aliquot.clock import Clock, rfc3339
from aliquot.kube import errors
from aliquot.kube.api.core import Node
from aliquot.kube.api.gpuclass import GPUClass, GPUClassSpec, GPUClassStatus, resource_of
from aliquot.kube.api.gpunode import GPUNode
from aliquot.kube.api.meta import Condition
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client
from aliquot.kube.controller import Controller
from aliquot.kube.resources import GPUCLASSES
from aliquot.partition.controller.claims import Claims
from aliquot.partition.controller.class_status import ClassCount, NodeNow, node_now
from aliquot.partition.served import verdict

FIELD_MANAGER = "aliquot-partitioner"
READY = "Ready"
_PAUSE_S = 1.0
_AT_ONCE = 10
"""Nodes, before others have their turn: where no two GPUs are alike, one takes some milliseconds."""


class ClassStatuses:
    """`may_write` is asked right before each write."""

    def __init__(
        self,
        client: Client,
        *,
        clock: Clock,
        rng: random.Random,
        nodes: Cache[Node],
        gpu_nodes: Cache[GPUNode],
        gpu_classes: Cache[GPUClass],
        claims: Claims,
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        self._client = client
        self._clock = clock
        self._nodes = nodes
        self._gpu_nodes = gpu_nodes
        self._gpu_classes = gpu_classes
        self._may_write = may_write
        self._controller = Controller("gpuclasses", self._reconcile, rng=rng)
        self._claims = claims
        self._now: dict[str, NodeNow] = {}
        self._outdated: set[str] = set()
        """Nodes that are to be looked at again."""
        self._counted: dict[str, _Counted] = {}
        """By class."""

    async def run(self) -> None:
        """Until cancelled. The caches have synced, and the claims are followed. May be run again."""
        # Some of them may have gone since an earlier run.
        self._outdated.update(self._now)
        stops = [
            self._claims.subscribe(self._node_changed),
            self._gpu_nodes.subscribe(self._gpu_node_object_changed),
            self._nodes.subscribe(self._node_object_changed),
            self._controller.watch(self._gpu_classes),
        ]
        try:
            await self._controller.run()
        finally:
            for stop in stops:
                stop()

    def _gpu_node_object_changed(self, old: GPUNode | None, new: GPUNode | None) -> None:
        either = new or old
        assert either is not None
        self._node_changed(either.metadata.name)

    def _node_object_changed(self, old: Node | None, new: Node | None) -> None:
        either = new or old
        assert either is not None
        # Most changes of a Node are its heartbeat.
        if old is None or new is None or _matters(old) != _matters(new):
            self._node_changed(either.metadata.name)

    def _node_changed(self, name: str) -> None:
        if not self._outdated:
            for gpu_class in self._gpu_classes.values():
                self._controller.enqueue_after(gpu_class.metadata.name, _PAUSE_S)
        self._outdated.add(name)

    async def _reconcile(self, name: str) -> None:
        gpu_class = self._gpu_classes.get(name)
        if gpu_class is None:
            self._counted.pop(name, None)
            return
        await self._look_again()
        available = await self._available(name, gpu_class.spec)
        status = self._status(gpu_class, available)
        if status == gpu_class.status or not self._may_write():
            return
        body = _body(gpu_class, status)
        try:
            await self._client.apply(
                GPUCLASSES, body, field_manager=FIELD_MANAGER, force=True, subresource="status"
            )
        except errors.NotFound:
            return

    async def _look_again(self) -> None:
        """A class is looked at by one worker at a time, so nobody else does it meanwhile."""
        for number, name in enumerate(sorted(self._outdated), start=1):
            self._outdated.discard(name)
            gpu_node, node = self._gpu_nodes.get(name), self._nodes.get(name)
            if gpu_node is None or node is None:
                self._now.pop(name, None)
            else:
                labels, takes_pods = _matters(node)
                found = node_now(gpu_node, labels or {}, self._claims.on(name), takes_pods=takes_pods)
                if found == self._now.get(name):
                    continue
                self._now[name] = found
            for counted in self._counted.values():
                counted.by_node.pop(name, None)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _available(self, name: str, spec: GPUClassSpec) -> int:
        counted = self._counted.get(name)
        if counted is None or counted.count.spec != spec:
            counted = self._counted[name] = _Counted(ClassCount(name, spec))
        missing = [node for node in self._now if node not in counted.by_node]
        for number, node in enumerate(missing, start=1):
            counted.by_node[node] = counted.count.on(self._now[node])
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        return sum(counted.by_node.values())

    def _status(self, gpu_class: GPUClass, available: int) -> GPUClassStatus:
        found = verdict(gpu_class.spec, {board for now in self._now.values() for board in now.boards})
        generation = gpu_class.metadata.generation
        status = "True" if found.ready else "False"
        old = next((one for one in gpu_class.status.conditions if one.type == READY), None)
        since = old.last_transition_time if old is not None and old.status == status else None
        resource = resource_of(gpu_class.metadata.name)
        return GPUClassStatus(
            observed_generation=generation,
            available=available,
            in_use=sum(now.held.get(resource, 0) for now in self._now.values()),
            conditions=[
                Condition(
                    type=READY,
                    status=status,
                    reason=found.reason,
                    message=found.message,
                    observed_generation=generation,
                    last_transition_time=since or rfc3339(self._clock.now()),
                )
            ],
        )


@dataclass(slots=True)
class _Counted:
    count: ClassCount
    by_node: dict[str, int] = field(default_factory=dict)


def _matters(node: Node) -> tuple[dict[str, str] | None, bool]:
    """Its labels, and whether it takes pods."""
    ready = next((one.status for one in node.status.conditions or () if one.type == READY), "")
    return node.metadata.labels, ready == "True" and not node.spec.unschedulable


def _body(gpu_class: GPUClass, status: GPUClassStatus) -> dict[str, Any]:
    return {
        "apiVersion": gpu_class.api_version,
        "kind": gpu_class.kind,
        "metadata": {"name": gpu_class.metadata.name, "uid": gpu_class.metadata.uid},
        "status": msgspec.to_builtins(status),
    }
