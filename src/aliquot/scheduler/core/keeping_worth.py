"""The score by worth: the less a node's worth shrinks when the pod is placed there, the higher.

Where it shrinks alike, scores after it decide. Holds for as long as its worth does; so what was found is kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import tanh
from typing import TypeVar

from msgspec import Struct

from aliquot.scheduler.core import devices
from aliquot.scheduler.core.fragmentation import Task
from aliquot.scheduler.core.free_gpus import MIB, Free, Layout
from aliquot.scheduler.core.mix import Units, ask_of, tasks_of
from aliquot.scheduler.core.node import NodeState
from aliquot.scheduler.core.pod import CPU, MEMORY, DeviceChoice, PodShape
from aliquot.scheduler.core.policies import Policies
from aliquot.scheduler.core.scores import BEST
from aliquot.scheduler.core.worth import Worth

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

_NOTHING_LOST = BEST // 2
IDLE = 0.2
"""How much more, by what the pod asks for, it loses to begin a node of which nobody has a GPU: such nodes may be drained or
given back, and the worth of one is much the same as that of one in use. Of the default trace of openb it costs a tenth of a
percent of the GPUs."""
_MOST_KEPT = 20_000
"""Of each kind of what is kept."""


def by_worth(policies: Policies, worth: Worth, units: Units) -> Policies:
    """`policies` where GPU pods, and others on GPU nodes, are placed by worth first, and then as they were."""
    keeping = KeepingWorth(worth, units)
    return replace(policies, by_room=(keeping, *policies.by_room), choose=keeping.assign)


class _Node(Struct, gc=False):
    """One for each node, told of its state as it changes."""

    state: NodeState
    layout: Layout
    free: Free
    choices: dict[str, tuple[DeviceChoice, ...]] | None = None
    """By signature, the devices that a pod would get; those that were looked for."""


@dataclass(slots=True)
class _Pod:
    """What counts of a shape."""

    cpu_milli: int
    memory_mib: int
    gpus: Mapping[str, int]
    """By resource of GPUs, slices and shares."""
    asked: float
    """In GPUs: what the loss is measured by."""
    scores: dict[tuple[Free, tuple[object, ...] | None], int] = field(default_factory=dict)
    """By what is free before; of nodes where no more need be known, see `Layout.alike`."""


class KeepingWorth:
    """A Score, and the devices that go with it. `units`: what resources are in GPUs."""

    def __init__(self, worth: Worth, units: Units) -> None:
        self.worth = worth
        self.units = units
        self._nodes: dict[str, _Node] = {}
        self._pods: dict[str, _Pod] = {}
        self._of_free: dict[Free, float] = {}

    def __call__(self, shape: PodShape, state: NodeState) -> int:
        node = self._nodes.get(state.name)
        if node is None or node.state is not state:
            node = self._look(state, node)
        layout = node.layout
        if not layout.gpus:
            return _NOTHING_LOST
        pod = self._pods.get(shape.signature)
        if pod is None:
            pod = self._read(shape)
        divided = False
        for resource in pod.gpus:
            if resource not in layout.totals:
                divided = True
        if divided and layout.alike is None:
            return self._score(pod, node.free, self._after(shape, pod, node))
        known = (node.free, layout.alike)
        score = pod.scores.get(known)
        if score is None:
            _bound(pod.scores)
            if divided:
                after = self._after(shape, pod, node)
            else:
                after = node.free.without(pod.cpu_milli, pod.memory_mib, sum(pod.gpus.values()))
            score = pod.scores[known] = self._score(pod, node.free, after)
        return score

    def assign(self, shape: PodShape, state: NodeState) -> tuple[DeviceChoice, ...]:
        """Raises LookupError when too few devices are free."""
        node = self._nodes.get(state.name)
        if node is not None and node.state is state and node.choices is not None:
            known = node.choices.get(shape.signature)
            if known is not None:
                return known
        return devices.assign(shape, state, self.worth)

    def _look(self, state: NodeState, node: _Node | None) -> _Node:
        if node is None:
            _bound(self._nodes)
            layout = Layout(state.facts)
            node = self._nodes[state.name] = _Node(state, layout, layout.free(state))
            return node
        if node.state.facts is not state.facts:
            node.layout = Layout(state.facts)
        node.state, node.free, node.choices = state, node.layout.free(state), None
        return node

    def _read(self, shape: PodShape) -> _Pod:
        _bound(self._pods)
        ask = ask_of(shape)
        cpu_milli, memory_mib = shape.request.get(CPU, 0), shape.request.get(MEMORY, 0) // MIB
        tasks = tasks_of(ask, self.units) if ask is not None else {}
        asked = max(
            self.worth.asked(Task(cpu_milli, memory_mib=memory_mib)),
            sum(times * self.worth.asked(task) for task, times in tasks.items()),
        )
        gpus = dict(ask.gpus) if ask is not None else {}
        pod = self._pods[shape.signature] = _Pod(cpu_milli, memory_mib, gpus, asked or 1.0)
        return pod

    def _after(self, shape: PodShape, pod: _Pod, node: _Node) -> Free:
        parts = {resource: n for resource, n in pod.gpus.items() if resource not in node.layout.totals}
        if len(parts) == len(pod.gpus):
            choices = devices.assign(shape, node.state, self.worth)
            if node.choices is None:
                node.choices = {}
            node.choices[shape.signature] = choices
        else:
            # Which of the whole GPUs does not matter here, and takes long to find out.
            choices = devices.assign(replace(shape, request=parts), node.state, self.worth)
        return node.layout.free_after(node.state, shape.request, choices)

    def _score(self, pod: _Pod, before: Free, after: Free) -> int:
        """The steps are the finest where as much is lost as is asked for: about half a hundredth of that."""
        lost = (self._worth_of(before) - self._worth_of(after)) / pod.asked
        return int(_NOTHING_LOST * (1 - tanh((lost + IDLE * before.idle) / 2)))

    def _worth_of(self, free: Free) -> float:
        worth = self._of_free.get(free)
        if worth is None:
            _bound(self._of_free)
            worth = self.worth(free.cpu_milli, free.gpu_milli, free.model, free.memory_mib)
            self._of_free[free] = worth
        return worth


def _bound(kept: dict[_Key, _Value]) -> None:
    if len(kept) >= _MOST_KEPT:
        kept.clear()
