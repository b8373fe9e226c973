"""Pods come one by one; a policy says where each goes.

Pods of one kind see every node alike, and placing a pod changes one node. So a decision costs the nodes that changed
since a pod of that kind came last, scored all at once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

import numpy as np

from aliquot.scheduler.core.fragmentation import Task
from aliquot.scheduler.simulation.fleet import Fleet, Floats, Rows
from aliquot.scheduler.simulation.protocol import Arrivals
from aliquot.scheduler.simulation.trace import Pod
from aliquot.scheduler.simulation.usable import Fragmentation

EVERY_PERCENT = 10
"""Of arrived load fragmentation is looked at: each time is a look at all nodes."""
UNFIT = -np.inf
"""The score of a node on which a pod does not fit."""


class Policy(Protocol):
    def scores(self, task: Task, rows: Rows) -> Floats:
        """Of nodes on which it fits, the higher the better. They hold until the node changes."""
        ...

    def pick(self, scores: Floats) -> int:
        """A node with a score that is not UNFIT."""
        ...

    def gpus(self, task: Task, row: int) -> Sequence[int]:
        """Of the node that was picked."""
        ...

    def took(self, task: Task, row: int) -> None:
        """The node has changed so."""
        ...


MakePolicy = Callable[[Fleet, Mapping[Task, int], Random], Policy]
"""Of the nodes, how often the list has each task, and chance."""


@dataclass(slots=True)
class Outcome:
    total_gpu_milli: int
    arrived_gpu_milli: list[int] = field(default_factory=list)
    """After each pod."""
    allocated_gpu_milli: list[int] = field(default_factory=list)
    fragmented_gpu_milli: dict[int, float] = field(default_factory=dict)
    """Free, and of no use where it is to the tasks of the list, by arrived load in percent: of every tenth."""
    rows: list[int] = field(default_factory=list)
    """Of the node that each pod went to; -1: it was turned away."""
    took_s: float = 0.0


def run(arrivals: Arrivals, make: MakePolicy, random: Random, timer: Callable[[], float]) -> Outcome:
    """`timer` gives seconds."""
    fleet = Fleet(arrivals.nodes)
    outcome = Outcome(int(fleet.gpu_milli.sum()))
    rankings: dict[tuple[Task, int], _Ranking] = {}
    arrived = allocated = 0
    fragmentation = Fragmentation(fleet, arrivals.demand)
    next_percent = EVERY_PERCENT
    began = timer()
    policy = make(fleet, arrivals.demand, random)
    for pod in arrivals.pods:
        task = pod.task
        arrived += task.total_gpu_milli
        key = (task, pod.memory_mib)
        ranking = rankings.get(key)
        if ranking is None:
            ranking = rankings[key] = _Ranking(len(fleet))
        row = -1
        if ranking.catch_up(fleet, policy, pod):
            row = policy.pick(ranking.scores)
            fleet.take(pod, row, policy.gpus(task, row) if task.gpus else ())
            policy.took(task, row)
            allocated += task.total_gpu_milli
        outcome.rows.append(row)
        outcome.arrived_gpu_milli.append(arrived)
        outcome.allocated_gpu_milli.append(allocated)
        percent = 100 * arrived / outcome.total_gpu_milli if outcome.total_gpu_milli else 0
        # Rounded, as allocation is.
        if percent >= next_percent - 0.5:
            fragmented = fragmentation.gpu_milli()
            while percent >= next_percent - 0.5:
                outcome.fragmented_gpu_milli[next_percent] = fragmented
                next_percent += EVERY_PERCENT
    outcome.took_s = timer() - began
    return outcome


class _Ranking:
    """All nodes for one kind of pod."""

    __slots__ = ("_seen", "scores")

    def __init__(self, nodes: int) -> None:
        self.scores: Floats = np.zeros(nodes)
        self._seen = -1

    def catch_up(self, fleet: Fleet, policy: Policy, pod: Pod) -> bool:
        """Whether any node will do. One that was unfit stays so."""
        scores = self.scores
        rows = ((fleet.changed_at > self._seen) & (scores > UNFIT)).nonzero()[0]
        self._seen = fleet.changes
        if len(rows):
            fits = fleet.fits(pod, rows)
            scores[rows[~fits]] = UNFIT
            rows = rows[fits]
            if len(rows):
                scores[rows] = policy.scores(pod.task, rows)
                return True
        return bool(scores.max() > UNFIT)
