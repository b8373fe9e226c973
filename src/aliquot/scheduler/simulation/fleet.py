"""Nodes as arrays: what is free on each, and which changed since when. Room only shrinks: nobody leaves."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aliquot.scheduler.core.fragmentation import WHOLE_MILLI
from aliquot.scheduler.simulation.trace import Node, Pod

Rows = NDArray[np.intp]
Bools = NDArray[np.bool_]
Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


class Fleet:
    """A row for each node. GPUs that a node does not have are columns with nothing free."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = tuple(nodes)
        self.models = tuple(sorted({node.model for node in nodes}))
        self.most_gpus = max(1, *(node.gpus for node in nodes))
        self.model: Rows = np.array([self.models.index(node.model) for node in nodes])
        self.gpus: Integers = np.array([node.gpus for node in nodes])
        self.cpu_milli: Integers = np.array([node.cpu_milli for node in nodes])
        self.memory_mib: Integers = np.array([node.memory_mib for node in nodes])
        self.gpu_milli: Integers = WHOLE_MILLI * (np.arange(self.most_gpus) < self.gpus[:, None]).astype(
            np.int64
        )
        self.free: Integers = self.gpus.copy()
        """GPUs that nobody has a part of."""
        self.largest_milli: Integers = self.gpu_milli.max(axis=1)
        """Of a GPU."""
        self.parts: list[list[int]] = [[WHOLE_MILLI] * node.gpus for node in nodes]
        """`gpu_milli` once more, of the GPUs that there are: one node is read faster from a list."""
        self.changes = 0
        self.changed_at: Integers = np.zeros(len(nodes), np.int64)
        """Which of the changes was a node's last; 0: none."""

    def __len__(self) -> int:
        return len(self.nodes)

    def fits(self, pod: Pod, rows: Rows) -> Bools:
        task = pod.task
        fits = (self.cpu_milli[rows] >= task.cpu_milli) & (self.memory_mib[rows] >= pod.memory_mib)
        if task.gpus and task.gpu_milli == WHOLE_MILLI:
            fits &= self.free[rows] >= task.gpus
        elif task.gpus:
            fits &= self.largest_milli[rows] >= task.gpu_milli
        if task.models:
            fits &= np.array([task.runs_on(model) for model in self.models])[self.model[rows]]
        return fits

    def take(self, pod: Pod, row: int, gpus: Sequence[int]) -> None:
        task, parts = pod.task, self.parts[row]
        self.cpu_milli[row] -= task.cpu_milli
        self.memory_mib[row] -= pod.memory_mib
        for gpu in gpus:
            parts[gpu] -= task.gpu_milli
            self.gpu_milli[row, gpu] = parts[gpu]
        if gpus:
            self.free[row] = parts.count(WHOLE_MILLI)
            self.largest_milli[row] = max(parts)
        self.changes += 1
        self.changed_at[row] = self.changes
