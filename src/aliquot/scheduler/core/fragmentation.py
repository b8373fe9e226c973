"""How much of a node's free GPU the tasks that usually come can use: fragmentation gradient descent (FGD).

Q. Weng et al., "Beware of Fragmentation", USENIX ATC 2023; spelled out as the authors' simulator computes it. Of a node
and a typical task, the fragmented part is all its free GPU where the task cannot run there, else the free parts of GPUs
that are too small for it. `Popularity` weighs the tasks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp
from typing import TypeAlias

WHOLE_MILLI = 1000
"""One GPU."""


@dataclass(frozen=True, slots=True)
class Task:
    """What counts of a pod when GPUs are divided."""

    cpu_milli: int
    gpu_milli: int = 0
    """Of each of its GPUs: less than 1000 only of one."""
    gpus: int = 0
    models: frozenset[str] = frozenset()
    """GPUs that will do; empty: any."""
    memory_mib: int = 0

    @property
    def total_gpu_milli(self) -> int:
        return self.gpus * self.gpu_milli

    def runs_on(self, model: str) -> bool:
        return not self.models or model in self.models


Popularity: TypeAlias = Mapping[Task, float]
"""Parts of all pods; they add up to one."""

TYPICAL_COVER = 0.95


def typical(demand: Mapping[Task, int], cover: float = TYPICAL_COVER) -> Popularity:
    """The most frequent tasks that make up this part of all, weighed by how often they come."""
    total = sum(demand.values())
    found: dict[Task, int] = {}
    covered = 0
    for task, times in sorted(demand.items(), key=lambda item: (item[1], _key(item[0])), reverse=True):
        if covered >= cover * total:
            break
        found[task] = times
        covered += times
    return {task: times / covered for task, times in found.items()}


def _key(task: Task) -> tuple[int, int, int, list[str], int]:
    return task.cpu_milli, task.gpu_milli, task.gpus, sorted(task.models), task.memory_mib


def fragmentation(cpu_milli: int, gpu_milli: Sequence[int], model: str, popularity: Popularity) -> float:
    """In milli-GPU, of a node with so much free CPU and so much free of each GPU."""
    free = sum(gpu_milli)
    total = 0.0
    for task, part in popularity.items():
        large_enough = [left for left in gpu_milli if left >= task.gpu_milli]
        runs = task.gpus and task.runs_on(model) and cpu_milli >= task.cpu_milli
        if runs and len(large_enough) >= task.gpus:
            total += part * (free - sum(large_enough))
        else:
            total += part * free
    return total


def fgd_score(before: float, after: float) -> int:
    """0 to 100 of a placement that changes a node's fragmentation so. Whole numbers: near ones are equal."""
    return int(100 / (1 + exp((after - before) / 1000)))


class UsableTables:
    """`fragmentation` as sums of table entries, of nodes with one model of GPU.

    What is not fragmented falls into two sums. A task of one GPU uses each GPU by itself, so that its part is a function
    of CPU level and GPU; tasks of more GPUs need free ones, so that theirs is one of CPU level and free GPUs. Levels
    are the amounts of CPU that tasks ask for: `levels[n]` is the least CPU of level n.
    """

    def __init__(self, popularity: Popularity, model: str, most_gpus: int) -> None:
        tasks = {task: part for task, part in popularity.items() if task.gpus and task.runs_on(model)}
        self.levels = tuple(sorted({0, *(task.cpu_milli for task in tasks)}))
        self.of_gpu: list[list[float]] = []
        """By level and milli free: milli that are of use to tasks of one GPU."""
        self.of_free: list[list[float]] = []
        """By level and number of free GPUs: milli that are of use to tasks of several."""
        for level in self.levels:
            able = {task: part for task, part in tasks.items() if task.cpu_milli <= level}
            begins = [0.0] * (WHOLE_MILLI + 1)
            for task, part in able.items():
                if task.gpus == 1:
                    begins[task.gpu_milli] += part
            share, used = 0.0, []
            for milli, part in enumerate(begins):
                share += part
                used.append(share * milli)
            self.of_gpu.append(used)
            self.of_free.append(
                [
                    free * WHOLE_MILLI * sum(part for task, part in able.items() if 1 < task.gpus <= free)
                    for free in range(most_gpus + 1)
                ]
            )
