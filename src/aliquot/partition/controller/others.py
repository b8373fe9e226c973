"""Follows the pods of other schedulers that wait for what could be made, and says by node what is to be made for them."""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

from aliquot.kube.api.core import Node, Pod
from aliquot.kube.api.gpuclass import GPUClass
from aliquot.kube.api.gpunode import GPUNode
from aliquot.kube.cache import Cache
from aliquot.kube.resources import key
from aliquot.partition.asked import asked_of
from aliquot.partition.class_specs import ClassSpecs
from aliquot.partition.controller.claims import Claim, Claims, claimed, open_claims
from aliquot.partition.controller.needs import Need, needs_of, place_of, supply
from aliquot.partition.value import Valuation

_SETTLE_S = 0.05
"""Pods that come together are looked at together."""


class OtherSchedulers:
    """`placed_elsewhere`: names of the schedulers that say themselves what they need. `changed` is called with each node for
    which something else is to be made."""

    def __init__(
        self,
        *,
        pods: Cache[Pod],
        nodes: Cache[Node],
        gpu_nodes: Cache[GPUNode],
        gpu_classes: Cache[GPUClass],
        claims: Claims,
        placed_elsewhere: Collection[str],
        changed: Callable[[str], None],
        valuation: Valuation,
    ) -> None:
        self._pods = pods
        self._nodes = nodes
        self._gpu_nodes = gpu_nodes
        self._classes = ClassSpecs(gpu_classes)
        self._claims = claims
        self._placed_elsewhere = frozenset(placed_elsewhere)
        self._changed = changed
        self._valuation = valuation
        self._needs: dict[str, tuple[Need, ...]] = {}
        self._unlisted: dict[str, tuple[str, Counter[str]]] = {}
        """Live pods that were bound without an assignment: node, and what of ours they are to get there."""
        self._for: Mapping[str, Sequence[Claim]] = {}
        self._wake = asyncio.Event()

    def on(self, node: str) -> Sequence[Claim]:
        return self._for.get(node, ())

    async def run(self) -> None:
        """Until cancelled."""
        stops = [
            self._pods.subscribe(self._pod_changed),
            self._nodes.subscribe(self._something_changed),
            self._gpu_nodes.subscribe(self._something_changed),
            self._classes.follow(self._something_changed),
        ]
        try:
            while True:
                await self._wake.wait()
                await asyncio.sleep(_SETTLE_S)
                self._wake.clear()
                self._look()
        finally:
            for stop in stops:
                stop()

    def _look(self) -> None:
        before, self._for = self._for, self._supplied() if self._needs else {}
        for node in sorted(before.keys() | self._for.keys()):
            if before.get(node) != self._for.get(node):
                self._changed(node)

    def _supplied(self) -> Mapping[str, Sequence[Claim]]:
        awaited = self._awaited()
        places = []
        for gpu_node in sorted(self._gpu_nodes.values(), key=lambda one: one.metadata.name):
            name = gpu_node.metadata.name
            if (node := self._nodes.get(name)) is None:
                continue
            claims = open_claims(self._claims.on(name), gpu_node.status)
            # What was asked for in an earlier look is for whoever needs it now.
            place = place_of(node, gpu_node, claims, awaited=awaited.get(name, ()), to_come_is_free=True)
            if place is not None:
                places.append(place)
        needs = (need for needs in self._needs.values() for need in needs)
        return supply(needs, places, self._classes.now, self._valuation)

    def _awaited(self) -> Mapping[str, set[str]]:
        """By node, the resources of which not all bound pods are listed with theirs."""
        asked: dict[str, Counter[str]] = {}
        for node, amounts in self._unlisted.values():
            asked.setdefault(node, Counter()).update(amounts)
        awaited: dict[str, set[str]] = {}
        for name, amounts in asked.items():
            gpu_node = self._gpu_nodes.get(name)
            held = _held(gpu_node, self._unlisted) if gpu_node is not None else Counter()
            awaited[name] = {resource for resource, count in amounts.items() if held[resource] < count}
        return awaited

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        either = new or old
        assert either is not None
        name = key(either)
        ours = either.spec.scheduler_name in self._placed_elsewhere
        needs = needs_of(new) if new is not None and not ours else ()
        if needs != self._needs.get(name, ()):
            self._wake.set()
        self._needs.pop(name, None)
        if needs:
            self._needs[name] = needs
        if self._unlisted.pop(name, None) is not None:
            self._wake.set()
        if new is not None and new.spec.node_name and not new.status.has_ended and not claimed(new)[1]:
            amounts = asked_of(new)
            if amounts:
                self._unlisted[name] = new.spec.node_name, amounts
                self._wake.set()

    def _something_changed(self, *_: object) -> None:
        if self._needs:
            self._wake.set()


def _held(gpu_node: GPUNode, pods: Collection[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for gpu in gpu_node.status.gpus:
        for device in gpu.instances:
            found[device.resource] += sum(1 for pod in device.pods if pod in pods)
        found[gpu.resource] += sum(1 for pod in gpu.pods if pod in pods)
    return found
