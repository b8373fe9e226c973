"""Fragmentation gradient descent, as published: whole-numbered scores of how much a placement fragments its node."""

from collections.abc import Sequence

import numpy as np

from aliquot.scheduler.core.fragmentation import WHOLE_MILLI, Popularity, Task, UsableTables
from aliquot.scheduler.simulation.fleet import Fleet, Floats, Integers, Rows


class Usable:
    """What is not fragmented, of many nodes at once."""

    def __init__(self, fleet: Fleet, popularity: Popularity) -> None:
        tables = [UsableTables(popularity, model, fleet.most_gpus) for model in fleet.models]
        self._levels = [np.array(table.levels) for table in tables]
        self._first = np.cumsum([0, *(len(table.levels) for table in tables)])[:-1]
        self.of_gpu: Floats = np.array([row for table in tables for row in table.of_gpu])
        self.of_free: Floats = np.array([row for table in tables for row in table.of_free])
        # All levels of all models in one sorted array: a model's are moved beyond those of the one before.
        self._step = 1 + int(fleet.cpu_milli.max(initial=0)) + max(int(levels[-1]) for levels in self._levels)
        self._all = np.concatenate([levels + n * self._step for n, levels in enumerate(self._levels)])

    def level(self, model: Rows, cpu_milli: Integers) -> Rows:
        """Rows of the tables."""
        return self._all.searchsorted(model * self._step + cpu_milli, side="right") - 1


class Fgd:
    def __init__(self, fleet: Fleet, popularity: Popularity) -> None:
        self._fleet = fleet
        self._usable = Usable(fleet, popularity)
        everywhere = np.arange(len(fleet))
        self._now = self._value(everywhere, fleet.cpu_milli)

    def _value(self, rows: Rows, cpu_milli: Integers) -> Floats:
        fleet, usable = self._fleet, self._usable
        level = usable.level(fleet.model[rows], cpu_milli)
        parts = fleet.gpu_milli[rows]
        free = (parts == WHOLE_MILLI).sum(axis=1)
        of_gpus: Floats = usable.of_gpu[level[:, None], parts].sum(axis=1)
        return of_gpus + usable.of_free[level, free]

    def scores(self, task: Task, rows: Rows) -> Floats:
        best: Floats = self._by_gpu(task, rows).max(axis=1)
        return best

    def gpus(self, task: Task, row: int) -> Sequence[int]:
        if task.gpu_milli == WHOLE_MILLI:
            return np.flatnonzero(self._fleet.gpu_milli[row] == WHOLE_MILLI)[: task.gpus].tolist()
        return (int(self._by_gpu(task, np.array([row]))[0].argmax()),)

    def took(self, task: Task, row: int) -> None:
        self._now[row] = self._value(np.array([row]), self._fleet.cpu_milli[[row]])[0]

    def _by_gpu(self, task: Task, rows: Rows) -> Floats:
        """Scores by node and GPU; of tasks that do not share one, by node alone."""
        fleet, usable = self._fleet, self._usable
        level = usable.level(fleet.model[rows], fleet.cpu_milli[rows] - task.cpu_milli)
        parts = fleet.gpu_milli[rows]
        free = (parts == WHOLE_MILLI).sum(axis=1)
        of_gpu = usable.of_gpu[level[:, None], parts]
        together = of_gpu.sum(axis=1)
        if task.gpus == 0 or task.gpu_milli == WHOLE_MILLI:
            after = together - task.gpus * usable.of_gpu[level, WHOLE_MILLI] + usable.of_free[level, free - task.gpus]
            usable_less = (self._now[rows] - after)[:, None]
        else:
            left = parts - task.gpu_milli
            taken = usable.of_gpu[level[:, None], np.maximum(left, 0)] - of_gpu
            after = together[:, None] + taken
            after += usable.of_free[level[:, None], free[:, None] - (parts == WHOLE_MILLI)]
            usable_less = np.where(left >= 0, self._now[rows, None] - after, np.inf)
        # Free GPU shrinks by what the task takes, usable by what is counted here: the rest is what fragments.
        fragmented = usable_less - task.total_gpu_milli
        with np.errstate(over="ignore"):
            scores: Floats = np.floor(100 / (1 + np.exp(fragmented / 1000)))
        return scores
