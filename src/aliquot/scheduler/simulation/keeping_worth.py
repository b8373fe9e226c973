"""Aliquot's own: a pod goes where the worth of what is left shrinks the least."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from aliquot.scheduler.core.fragmentation import WHOLE_MILLI, Task
from aliquot.scheduler.core.worth import SHARPNESS, Worth
from aliquot.scheduler.simulation.fleet import Fleet, Floats, Integers, Rows
from aliquot.scheduler.simulation.policy import Highest, whole_gpus

_LEAST = 1e-300
"""Divides where both are nothing."""


class KeepingWorth(Highest):
    """`Worth`, of many nodes at once. On a node the GPU decides alone: the CPU that is left is the same for each."""

    def __init__(self, fleet: Fleet, demand: Mapping[Task, int]) -> None:
        self._fleet = fleet
        supply: Counter[str] = Counter()
        for node in fleet.nodes:
            supply[node.model] += node.gpus
        self._worth = worth = Worth(demand, supply, fleet.most_gpus)
        self._of_model = np.array([worth.of_model[model] for model in fleet.models])[fleet.model]
        self._of_part = np.array(worth.of_part)
        self._apart = np.array(worth.apart)
        self._begun = np.diff(self._apart, prepend=0)
        """What is no longer taken off when one of so many free GPUs is begun."""
        self._gpus: Floats = np.zeros(len(fleet))
        self._now: Floats = np.zeros(len(fleet))
        for row in range(len(fleet)):
            self._see(row)
        self._changes: dict[int, Floats] = {}

    def scores(self, task: Task, rows: Rows) -> Floats:
        fleet, free = self._fleet, self._fleet.free[rows]
        gpus = self._gpus[rows]
        if task.gpus == 0:
            pass
        elif task.gpu_milli == WHOLE_MILLI:
            gpus += self._apart[free] - self._apart[free - task.gpus] - task.gpus
        else:
            change = self._change(task.gpu_milli)
            best = change[fleet.gpu_milli[rows]].max(axis=1)
            begun = self._of_part[WHOLE_MILLI - task.gpu_milli] - 1 + self._begun[free]
            gpus += np.maximum(best, np.where(free > 0, begun, -np.inf))
        left = self._of_node(fleet.cpu_milli[rows] - task.cpu_milli, gpus) * self._of_model[rows]
        lost: Floats = self._now[rows] - left
        return -lost

    def gpus(self, task: Task, row: int) -> Sequence[int]:
        parts = self._fleet.parts[row]
        if task.gpu_milli == WHOLE_MILLI:
            return whole_gpus(parts, task.gpus)
        of_part, begun = self._worth.of_part, float(self._begun[parts.count(WHOLE_MILLI)])
        able = [gpu for gpu, left in enumerate(parts) if left >= task.gpu_milli]

        def change(gpu: int) -> float:
            left = parts[gpu]
            return of_part[left - task.gpu_milli] - of_part[left] + (begun if left == WHOLE_MILLI else 0)

        return (max(able, key=change),)

    def took(self, task: Task, row: int) -> None:
        self._see(row)

    def _see(self, row: int) -> None:
        parts = self._fleet.parts[row]
        self._gpus[row] = self._worth.of_gpus(parts)
        self._now[row] = self._worth(int(self._fleet.cpu_milli[row]), parts, self._fleet.nodes[row].model)

    def _of_node(self, cpu_milli: Integers, gpus: Floats) -> Floats:
        """The scarcer, of what GPUs and CPU are worth by themselves."""
        if not self._worth.gpus_by_cpu_milli:
            return gpus
        by_cpu = cpu_milli * self._worth.gpus_by_cpu_milli
        more = np.maximum(gpus, by_cpu)
        less = np.maximum(0, np.minimum(gpus, by_cpu))
        nearness = (less / np.maximum(more, _LEAST)) ** SHARPNESS
        found: Floats = less / (1 + nearness) ** (1 / SHARPNESS)
        return found

    def _change(self, gpu_milli: int) -> Floats:
        """By milli left of a GPU that is begun: how its worth changes when the task takes its part."""
        if gpu_milli not in self._changes:
            change = np.full_like(self._of_part, -np.inf)
            change[gpu_milli:] = self._of_part[: len(change) - gpu_milli] - self._of_part[gpu_milli:]
            change[WHOLE_MILLI] = -np.inf
            self._changes[gpu_milli] = change
        return self._changes[gpu_milli]
