"""Room for pods that found none: made on the nodes where it costs least, by evicting whole units.

For each node, the cheapest units that free what the pod lacks there; of all nodes the cheapest. What was evicted and turned
out not to be in the way stays after all.
"""

import heapq
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from typing import Protocol

from aliquot.scheduler.core.facts import device_id
from aliquot.scheduler.core.filters import devices
from aliquot.scheduler.core.gpu_domains import gpus_held, requires_gpus_together
from aliquot.scheduler.core.making import asks
from aliquot.scheduler.core.node import NodeState
from aliquot.scheduler.core.pod import PlacedPod, PodRequest, PodShape
from aliquot.scheduler.core.rankings import Rankings
from aliquot.scheduler.core.reasons import CAPACITY, Kind
from aliquot.scheduler.core.session import Session
from aliquot.scheduler.core.victims import CHEAPEST, Cost, Unit

_MOST_TRIED = 32
"""Nodes that looked as if room could be made, for one pod."""


class Candidates(Protocol):
    @property
    def units(self) -> Sequence[Unit]: ...
    def may_go(self, unit: Unit) -> bool:
        """As things are in the session."""


class Room:
    def __init__(self, session: Session, rankings: Rankings, victims: Candidates) -> None:
        self._session = session
        self._rankings = rankings
        self._victims = victims
        self._on: dict[str, list[Unit]] = {}
        """By node, the cheapest first."""
        self._units_of: dict[str, list[Unit]] = {}
        """By pod."""
        for unit in sorted(victims.units, key=lambda unit: unit.cost):
            for name in dict.fromkeys(session.snapshot.pods[key].node for key in unit.pods):
                self._on.setdefault(name, []).append(unit)
            for key in unit.pods:
                self._units_of.setdefault(key, []).append(unit)
        self._heaps: dict[str, list[tuple[tuple[Cost, int], str]]] = {}
        """By shape: what room for one pod costs on each node, as it was when last looked at."""

    def nodes_for(self, pod: PodRequest, within: Collection[str] | None) -> Generator[str, None, None]:
        """Nodes on which there may be room for the pod now, cheapest first; of each the victims are gone while it is looked at,
        and have to be put back by undoing before the next."""
        shape = pod.shape
        heap = self._heaps.get(shape.signature)
        if heap is None:
            heap = self._heaps[shape.signature] = self._priced(shape)
        put_back: list[tuple[tuple[Cost, int], str]] = []
        tried = 0
        try:
            while heap and tried < _MOST_TRIED:
                price, name = heapq.heappop(heap)
                if within is not None and name not in within:
                    put_back.append((price, name))
                    continue
                units = self._cheapest(shape, name)
                if units is None:
                    continue
                now = _price(units)
                if now != price:
                    heapq.heappush(heap, (now, name))
                    continue
                put_back.append((price, name))
                tried += 1
                for unit in units:
                    self._go(unit)
                yield name
        finally:
            for one in put_back:
                heapq.heappush(heap, one)

    def look_again(self) -> None:
        """What was evicted before is there again."""
        self._heaps.clear()

    def settles(self) -> bool:
        """Whether those may go who have gone for the pod that has been placed now."""
        return True

    def give_back(self) -> None:
        """Whoever can stay after all, the dearest first."""
        evicted = self._session.evicted
        gone = {id(unit): unit for key in evicted for unit in self._units_of.get(key, ())}
        for unit in sorted(gone.values(), key=lambda unit: unit.cost, reverse=True):
            pods = [evicted[key] for key in unit.pods if key in evicted]
            if len(pods) < len(unit.pods) or any(key in evicted for key in unit.needs):
                continue
            mark = self._session.checkpoint()
            for pod in pods:
                if not _fits(pod, self._session.snapshot.nodes.get(pod.node)):
                    self._session.undo(mark)
                    break
                self._session.put_back(pod.key)

    def freeing(self, name: str, gpus: Collection[str]) -> Iterator[None]:
        """One more of those that have these GPUs of the node is gone each time, the cheapest first."""
        node = self._session.snapshot.nodes[name]
        for unit in self._all_that_hold(name) or ():
            if any(gpus_held(node, key) & set(gpus) for key in unit.pods):
                self._go(unit)
                yield

    def _go(self, unit: Unit) -> None:
        for key in unit.pods:
            if key in self._session.snapshot.pods:
                self._session.evict(key)

    def _priced(self, shape: PodShape) -> list[tuple[tuple[Cost, int], str]]:
        heap = []
        for name in self._on:
            units = self._cheapest(shape, name)
            if units is not None:
                heap.append((_price(units), name))
        heapq.heapify(heap)
        return heap

    def _cheapest(self, shape: PodShape, name: str) -> list[Unit] | None:
        """None where it is not room that is lacking, or not enough of it could be made."""
        snapshot = self._session.snapshot
        state = snapshot.nodes.get(name)
        reason = self._rankings.of(shape).rejections(snapshot).get(name)
        if state is None or reason is None or reason.kind not in CAPACITY:
            return None
        if asks(shape) and state.facts.makes_devices:
            return self._all_that_hold(name)
        if reason.kind in (Kind.DEVICES, Kind.GPU_TOPOLOGY) and requires_gpus_together(shape):
            return self._until_together(shape, name)
        short = {r: n - state.available(r) for r, n in shape.request.items() if n > state.available(r)}
        chosen: list[Unit] = []
        for unit in self._on.get(name, ()):
            if not short:
                break
            frees = self._frees(unit, name)
            if any(frees.get(resource) for resource in short) and self._victims.may_go(unit):
                chosen.append(unit)
                short = {r: n - frees.get(r, 0) for r, n in short.items() if n > frees.get(r, 0)}
        if short:
            return None
        return self._without_needless(shape, state, chosen)

    def _without_needless(self, shape: PodShape, state: NodeState, chosen: list[Unit]) -> list[Unit]:
        """A large one at the end may make small ones before it needless: the dearest of those stay."""
        frees = [self._frees(unit, state.name) for unit in chosen]
        spare = {
            r: state.available(r) + sum(free.get(r, 0) for free in frees) - n
            for r, n in shape.request.items()
        }
        kept = []
        for unit, free in sorted(zip(chosen, frees, strict=True), key=lambda one: one[0].cost, reverse=True):
            if all(free.get(r, 0) <= spare[r] for r in spare) and not unit.going:
                spare = {r: n - free.get(r, 0) for r, n in spare.items()}
            else:
                kept.append(unit)
        return kept

    def _all_that_hold(self, name: str) -> list[Unit] | None:
        """Which of them are in the way of what could be made, is found by giving back."""
        units = [
            unit
            for unit in self._on.get(name, ())
            if any(self._devices(key) for key in unit.pods) and self._victims.may_go(unit)
        ]
        return units or None

    def _until_together(self, shape: PodShape, name: str) -> list[Unit] | None:
        """The cheapest, until the devices are free in one domain. Which of them are of others is found by giving back."""
        mark = self._session.checkpoint()
        chosen: list[Unit] = []
        try:
            for unit in self._all_that_hold(name) or ():
                chosen.append(unit)
                self._go(unit)
                if devices(shape, self._session.snapshot.nodes[name]) is None:
                    return chosen
            return None
        finally:
            self._session.undo(mark)

    def _devices(self, key: str) -> bool:
        pod = self._session.snapshot.pods.get(key)
        return pod is not None and bool(pod.devices)

    def _frees(self, unit: Unit, name: str) -> dict[str, int]:
        found: dict[str, int] = {}
        for key in unit.pods:
            pod = self._session.snapshot.pods.get(key)
            if pod is not None and pod.node == name:
                for resource, amount in pod.request.items():
                    found[resource] = found.get(resource, 0) + amount
        return found


def _price(units: Iterable[Unit]) -> tuple[Cost, int]:
    """The dearest of them, then how many pods."""
    found = [unit for unit in units if not unit.going]
    worst = max((unit.cost for unit in found), default=CHEAPEST)
    return worst, sum(len(unit.pods) for unit in found)


def _fits(pod: PlacedPod, node: NodeState | None) -> bool:
    """Whether it can stay where it is."""
    if node is None or any(node.available(r) < n for r, n in pod.request.items()):
        return False
    for choice in pod.devices:
        device = node.facts.devices.by_id.get(device_id(choice.gpu, choice.start))
        if device is None or device.resource != choice.resource or not node.free_of(device):
            return False
    return True
