"""The other ways of placement that the FGD paper compares with, as its simulator has them.

Scores are whole numbers there, and so here: they decide who is equal. GPUs of a shared pod are the fullest that will do.
"""

from collections.abc import Sequence
from random import Random as Chance

import numpy as np

from aliquot.scheduler.core.fragmentation import WHOLE_MILLI, Task
from aliquot.scheduler.simulation.engine import UNFIT
from aliquot.scheduler.simulation.fleet import Fleet, Floats, Rows
from aliquot.scheduler.simulation.policy import Highest, fullest_gpus

_MOST_CPU_MILLI = 128_000
_MOST_GPU_MILLI = 8 * WHOLE_MILLI
"""Of the largest node."""


class Random:
    """Any node where it fits, any GPU of it."""

    def __init__(self, fleet: Fleet, chance: Chance) -> None:
        self._fleet = fleet
        self._chance = chance

    def scores(self, task: Task, rows: Rows) -> Floats:
        return np.zeros(len(rows))

    def pick(self, scores: Floats) -> int:
        able = (scores > UNFIT).nonzero()[0]
        return int(able[self._chance.randrange(len(able))])

    def gpus(self, task: Task, row: int) -> Sequence[int]:
        able = [gpu for gpu, left in enumerate(self._fleet.parts[row]) if left >= task.gpu_milli]
        return self._chance.sample(able, task.gpus)

    def took(self, task: Task, row: int) -> None:
        pass


class _OnFullestGpus(Highest):
    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def gpus(self, task: Task, row: int) -> Sequence[int]:
        return fullest_gpus(self._fleet.parts[row], task)


class BestFit(_OnFullestGpus):
    """Where the least CPU and GPU is left."""

    def scores(self, task: Task, rows: Rows) -> Floats:
        cpu = (self._fleet.cpu_milli[rows] - task.cpu_milli) / _MOST_CPU_MILLI
        gpu = (self._fleet.gpu_milli[rows].sum(axis=1) - task.total_gpu_milli) / _MOST_GPU_MILLI
        found: Floats = np.floor(100 * (1 - (cpu + gpu) / 2))
        return found


class DotProduct(_OnFullestGpus):
    """Where request and free room are the least alike (as the simulator's score has it)."""

    def scores(self, task: Task, rows: Rows) -> Floats:
        cpu = self._fleet.cpu_milli[rows] / _MOST_CPU_MILLI * (task.cpu_milli / _MOST_CPU_MILLI)
        gpu = (
            self._fleet.gpu_milli[rows].sum(axis=1)
            / _MOST_GPU_MILLI
            * (task.total_gpu_milli / _MOST_GPU_MILLI)
        )
        found: Floats = np.floor(100 * (1 - (cpu + gpu) / 2))
        return found


class Packing(_OnFullestGpus):
    """Onto GPUs in use, else free GPUs of nodes in use, else the node with the fewest GPUs. Pods without a GPU: the first
    node."""

    def scores(self, task: Task, rows: Rows) -> Floats:
        if task.gpus == 0:
            return np.zeros(len(rows))
        fleet = self._fleet
        free = fleet.free[rows]
        parts = fleet.gpu_milli[rows]
        if task.gpu_milli < WHOLE_MILLI:
            able = (parts >= task.gpu_milli) & (parts < WHOLE_MILLI)
            least = np.where(able, parts, WHOLE_MILLI).min(axis=1)
            shared = np.maximum(100 - least * 100 // WHOLE_MILLI // 10, 50)
            used = np.where(able.any(axis=1), shared, 50 - 1)
        else:
            used = np.full(len(rows), max(50 - task.gpus, 33))
        found: Floats = np.where(free == fleet.gpus[rows], np.maximum(33 - free, free), used).astype(float)
        return found


class Clustering(_OnFullestGpus):
    """To pods that ask for as many GPUs, or share one too; else to an empty node. Of each, where the least GPU is left."""

    def __init__(self, fleet: Fleet) -> None:
        super().__init__(fleet)
        self._kinds = np.zeros((len(fleet), fleet.most_gpus + 1), bool)
        """By node: whether pods that share a GPU are there, or pods of so many GPUs."""

    def scores(self, task: Task, rows: Rows) -> Floats:
        if task.gpus == 0:
            return np.zeros(len(rows))
        kinds = self._kinds[rows]
        count = kinds.sum(axis=1)
        alike = kinds[:, self._kind(task)]
        tier = np.where(alike, np.where(count == 1, 75, 50), np.where(count == 0, 25, 0))
        left = self._fleet.gpu_milli[rows].sum(axis=1)
        found: Floats = (tier + 25 * (_MOST_GPU_MILLI - left) // _MOST_GPU_MILLI).astype(float)
        return found

    def took(self, task: Task, row: int) -> None:
        if task.gpus:
            self._kinds[row, self._kind(task)] = True

    def _kind(self, task: Task) -> int:
        return 0 if task.gpu_milli < WHOLE_MILLI else task.gpus
