"""Fragmentation gradient descent, as published: whole-numbered scores of how much a placement fragments its node."""

from collections.abc import Mapping, Sequence

import numpy as np

from aliquot.scheduler.core.fragmentation import (
    WHOLE_MILLI,
    Task,
    fgd_score,
    typical,
)
from aliquot.scheduler.simulation.fleet import Fleet, Floats, Rows
from aliquot.scheduler.simulation.policy import Highest, whole_gpus
from aliquot.scheduler.simulation.usable import FleetTables


class Fgd(Highest):
    def __init__(self, fleet: Fleet, demand: Mapping[Task, int]) -> None:
        self._fleet = fleet
        self._tables = FleetTables(fleet, typical(demand))
        rows = np.arange(len(fleet))
        self._usable = self._tables.usable(fleet, rows, self._tables.levels(fleet.model, fleet.cpu_milli))
        """Milli-GPU of each node that are not fragmented."""
        self._taking: dict[int, Floats] = {}

    def scores(self, task: Task, rows: Rows) -> Floats:
        lost = self._usable[rows] - self._after(task, rows)
        # Free GPU shrinks by what the task takes: what else is lost to others fragments.
        found: Floats = np.floor(100 / (1 + np.exp((lost - task.total_gpu_milli) / 1000)))
        return found

    def gpus(self, task: Task, row: int) -> Sequence[int]:
        """The first of those that score best."""
        parts = self._fleet.parts[row]
        if task.gpu_milli == WHOLE_MILLI:
            return whole_gpus(parts, task.gpus)
        rows = np.array([row])
        level = int(
            self._tables.levels(self._fleet.model[rows], self._fleet.cpu_milli[rows] - task.cpu_milli)[0]
        )
        usable = self._tables.usable(self._fleet, rows, np.array([level]))[0]
        best, chosen = -1, -1
        for gpu, left in enumerate(parts):
            if left >= task.gpu_milli and left not in parts[:gpu]:
                after = usable + self._gain(task.gpu_milli)[level, left]
                if left == WHOLE_MILLI:
                    after += self._tables.one_fewer[level, parts.count(WHOLE_MILLI)]
                score = fgd_score(0, self._usable[row] - after - task.gpu_milli)
                if score > best:
                    best, chosen = score, gpu
        return (chosen,)

    def took(self, task: Task, row: int) -> None:
        rows = np.array([row])
        levels = self._tables.levels(self._fleet.model[rows], self._fleet.cpu_milli[rows])
        self._usable[row] = self._tables.usable(self._fleet, rows, levels)[0]

    def _after(self, task: Task, rows: Rows) -> Floats:
        """Usable milli-GPU, with the task on the GPU where most is left."""
        fleet, tables = self._fleet, self._tables
        levels = tables.levels(fleet.model[rows], fleet.cpu_milli[rows] - task.cpu_milli)
        free = fleet.free[rows]
        if task.gpus == 0:
            return tables.usable(fleet, rows, levels)
        if task.gpu_milli == WHOLE_MILLI:
            others = tables.of_gpus(fleet, rows, levels) - task.gpus * tables.of_gpu[levels, WHOLE_MILLI]
            left: Floats = others + tables.of_free[levels, free - task.gpus]
            return left
        gain = self._gain(task.gpu_milli)
        parts = fleet.gpu_milli[rows]
        best = np.where(parts == WHOLE_MILLI, -np.inf, gain[levels[:, None], parts]).max(axis=1)
        begun = np.where(free > 0, gain[levels, WHOLE_MILLI] + tables.one_fewer[levels, free], -np.inf)
        found: Floats = tables.usable(fleet, rows, levels) + np.maximum(best, begun)
        return found

    def _gain(self, gpu_milli: int) -> Floats:
        """By level and milli free of a GPU: by how much more of it is usable once the task is there, as a rule negative."""
        if gpu_milli not in self._taking:
            of_gpu = self._tables.of_gpu
            gain = np.full_like(of_gpu, -np.inf)
            gain[:, gpu_milli:] = of_gpu[:, : of_gpu.shape[1] - gpu_milli] - of_gpu[:, gpu_milli:]
            self._taking[gpu_milli] = gain
        return self._taking[gpu_milli]
