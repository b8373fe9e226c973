"""How much of the free GPU of each node is of use to the tasks that usually come, of all nodes at once."""

from collections.abc import Mapping

import numpy as np

from aliquot.scheduler.core.fragmentation import Popularity, Task, UsableTables, typical
from aliquot.scheduler.simulation.fleet import Fleet, Floats, Integers, Rows


class FleetTables:
    """The UsableTables of all models below each other: a level of CPU is one of one model."""

    def __init__(self, fleet: Fleet, popularity: Popularity) -> None:
        tables = [UsableTables(popularity, model, fleet.most_gpus) for model in fleet.models]
        self.of_gpu: Floats = np.array([row for table in tables for row in table.of_gpu])
        self.of_free: Floats = np.array([row for table in tables for row in table.of_free])
        self.one_fewer: Floats = np.diff(self.of_free, axis=1, prepend=0) * -1
        """What a free GPU adds to `of_free` when it is begun, by level and free GPUs."""
        most = max([int(fleet.cpu_milli.max()), *(table.levels[-1] for table in tables)])
        self._apart = most + 1
        self._least = np.array(
            [model * self._apart + low for model, t in enumerate(tables) for low in t.levels]
        )

    def levels(self, model: Rows, cpu_milli: Integers) -> Rows:
        return self._least.searchsorted(model * self._apart + cpu_milli, side="right") - 1

    def of_gpus(self, fleet: Fleet, rows: Rows, levels: Rows) -> Floats:
        found: Floats = self.of_gpu[levels[:, None], fleet.gpu_milli[rows]].sum(axis=1)
        return found

    def usable(self, fleet: Fleet, rows: Rows, levels: Rows) -> Floats:
        found: Floats = self.of_gpus(fleet, rows, levels) + self.of_free[levels, fleet.free[rows]]
        return found


class Fragmentation:
    """Of a fleet as it changes, by the tasks of a list of pods."""

    def __init__(self, fleet: Fleet, demand: Mapping[Task, int]) -> None:
        self._fleet = fleet
        self._rows: Rows = np.arange(len(fleet))
        self._tables = FleetTables(fleet, typical(demand))

    def gpu_milli(self) -> float:
        """Of all nodes: free, and of no use where it is."""
        fleet, tables = self._fleet, self._tables
        levels = tables.levels(fleet.model, fleet.cpu_milli)
        return float(fleet.gpu_milli.sum() - tables.usable(fleet, self._rows, levels).sum())
