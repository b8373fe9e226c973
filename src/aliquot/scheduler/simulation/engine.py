"""Pods come one by one; a policy says where each goes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

import numpy as np

from aliquot.scheduler.core.fragmentation import Popularity, Task
from aliquot.scheduler.simulation.fleet import Bools, Fleet, Floats, Rows
from aliquot.scheduler.simulation.protocol import Arrivals
from aliquot.scheduler.simulation.trace import Pod


class Policy(Protocol):
    """Scores of a node are a function of the node as it is: they are kept until it changes."""

    def scores(self, task: Task, rows: Rows) -> Floats:
        """Of nodes on which it fits; the highest wins, and the first of equal ones."""
        ...

    def gpus(self, task: Task, row: int) -> Sequence[int]:
        """On the node that won."""
        ...

    def took(self, task: Task, row: int) -> None:
        """The fleet has changed so."""
        ...


MakePolicy = Callable[[Fleet, Popularity, Random], Policy]


class _Ranking:
    """Of all nodes for one kind of pod."""

    __slots__ = ("scores", "seen")

    def __init__(self, nodes: int) -> None:
        self.scores = np.full(nodes, -np.inf)
        self.seen = -1


@dataclass(slots=True)
class Outcome:
    total_gpu_milli: int
    arrived_gpu_milli: list[int] = field(default_factory=list)
    """After each pod."""
    allocated_gpu_milli: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    """Of the node that each pod went to; -1: it was turned away."""
    took_s: float = 0.0


def run(arrivals: Arrivals, make: MakePolicy, random: Random, timer: Callable[[], float]) -> Outcome:
    fleet = Fleet(arrivals.nodes)
    began = timer()
    policy = make(fleet, arrivals.popularity, random)
    outcome = Outcome(int(fleet.gpu_milli.sum()))
    rankings: dict[tuple[Task, int], _Ranking] = {}
    arrived = allocated = 0
    for pod in arrivals.pods:
        task = pod.task
        arrived += task.total_gpu_milli
        ranking = rankings.get((task, pod.memory_mib))
        if ranking is None:
            ranking = rankings[task, pod.memory_mib] = _Ranking(len(fleet))
        _catch_up(ranking, fleet, policy, pod)
        row = int(ranking.scores.argmax())
        if ranking.scores[row] > -np.inf:
            fleet.take(pod, row, policy.gpus(task, row) if task.gpus else ())
            policy.took(task, row)
            allocated += task.total_gpu_milli
        else:
            row = -1
        outcome.rows.append(row)
        outcome.arrived_gpu_milli.append(arrived)
        outcome.allocated_gpu_milli.append(allocated)
    outcome.took_s = timer() - began
    return outcome


def _catch_up(ranking: _Ranking, fleet: Fleet, policy: Policy, pod: Pod) -> None:
    rows = fleet.changed_since(ranking.seen)
    if len(rows):
        fits: Bools = fleet.fits(pod, rows)
        ranking.scores[rows] = -np.inf
        able = rows[fits]
        if len(able):
            ranking.scores[able] = policy.scores(pod.task, able)
    ranking.seen = fleet.changes
