"""What is left of a node, in GPUs that the usual demand can be expected to make of it.

A pod goes where the worth shrinks the least. Four things make what is left worth less, or more, than its milli:

- A part of a GPU is worth what the sizes that come can make of it (`cutting`): 0.19 beside 0.81 may be worth nothing,
  0.53 as much as a pod of 0.47 takes. Some of that is taken off, as it is not sure that the right one comes: so GPUs
  in use are filled before others are begun, but not by a pod that wastes them.
- Free GPUs of one node are worth more together, as far as pods ask for several at once.
- GPUs without CPU or memory are worth nothing, nor are those without GPUs. What counts is the scarcest of them, measured
  by what a GPU's pods take on average. It is a smooth minimum, as nobody knows whose CPU will come: where two are near,
  both cost. What pods do not ask for is not scarce.
- GPUs that pods ask for by their model are worth more, by how many are asked for of those that there are.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from aliquot.scheduler.core.cutting import prices, worth_by_milli
from aliquot.scheduler.core.fragmentation import WHOLE_MILLI, Task

SURE = 0.88
"""Of the worth of a part, once a GPU is begun."""
TOGETHER = 0.2
"""Of the demand for several GPUs at once, that counts."""
SHARPNESS = 8.0
"""Of the minimum of GPUs, CPU and memory: infinite would be the plain one."""
BY_NAME = 0.3
"""How much more a GPU is worth whose model is asked for by name, as often as there are GPUs in the cluster."""


class Worth:
    """`demand` says how often each task comes; only ratios count. `supply` says how many GPUs there are of each model."""

    def __init__(self, demand: Mapping[Task, float], supply: Mapping[str, int], most_gpus: int) -> None:
        self.demand, self.supply, self.most_gpus = demand, supply, most_gpus
        by_milli: defaultdict[int, float] = defaultdict(float)
        by_gpus: defaultdict[int, float] = defaultdict(float)
        cpu_milli = memory_mib = 0.0
        for task, times in demand.items():
            if task.gpus:
                by_milli[task.gpu_milli] += task.gpus * times
                by_gpus[task.gpus] += task.total_gpu_milli * times
                cpu_milli += task.cpu_milli * times
                memory_mib += task.memory_mib * times
        total = sum(by_gpus.values())
        parts = worth_by_milli(prices(by_milli))
        self.of_part: tuple[float, ...] = (*(SURE * worth for worth in parts[:WHOLE_MILLI]), 1.0)
        """By milli left of a GPU."""
        self.apart: tuple[float, ...] = tuple(
            TOGETHER * sum(asked / total * (free % gpus) for gpus, asked in by_gpus.items())
            for free in range(most_gpus + 1)
        )
        """By number of free GPUs on a node: what is taken off as pods for several GPUs leave them over."""
        self.gpus_by_cpu_milli: float = total / WHOLE_MILLI / cpu_milli if cpu_milli else 0.0
        """GPUs that one milli of CPU is enough for; 0: they take none."""
        self.gpus_by_memory_mib: float = total / WHOLE_MILLI / memory_mib if memory_mib else 0.0
        self.of_model: Mapping[str, float] = _by_name(demand, supply, total)
        """What a node's worth is multiplied with."""

    def __call__(self, cpu_milli: int, gpu_milli: Sequence[int], model: str, memory_mib: int = 0) -> float:
        """Of a node with so much free CPU and memory and so much free of each GPU; in GPUs."""
        gpus = self.of_gpus(gpu_milli)
        if self.gpus_by_cpu_milli:
            gpus = scarcer(gpus, cpu_milli * self.gpus_by_cpu_milli)
        if self.gpus_by_memory_mib:
            gpus = scarcer(gpus, memory_mib * self.gpus_by_memory_mib)
        return gpus * self.of_model.get(model, 1.0)

    def of_gpus(self, gpu_milli: Sequence[int]) -> float:
        """With CPU and memory enough, whatever their model."""
        free = min(gpu_milli.count(WHOLE_MILLI), len(self.apart) - 1)
        return sum(self.of_part[milli] for milli in gpu_milli) - self.apart[free]

    def lost(self, before_milli: int, after_milli: int, free: int) -> float:
        """When a GPU is used so, of a node with so many free ones; by GPUs alone."""
        lost = self.of_part[before_milli] - self.of_part[after_milli]
        if before_milli == WHOLE_MILLI > after_milli:
            most = len(self.apart) - 1
            lost += self.apart[min(free - 1, most)] - self.apart[min(free, most)]
        return lost

    def asked(self, task: Task) -> float:
        """What a pod takes, in GPUs: of what it takes most of."""
        return max(
            task.total_gpu_milli / WHOLE_MILLI,
            task.cpu_milli * self.gpus_by_cpu_milli,
            task.memory_mib * self.gpus_by_memory_mib,
        )


def _by_name(demand: Mapping[Task, float], supply: Mapping[str, int], total: float) -> Mapping[str, float]:
    """A pod that names several models asks for each by as much as it asks for all of them together."""
    gpus = sum(supply.values())
    of_model = dict.fromkeys(supply, 1.0)
    for task, times in demand.items():
        named = [model for model in task.models if supply.get(model)]
        for model in named:
            asked = task.total_gpu_milli * times / total if task.gpus else 0.0
            of_model[model] += BY_NAME * asked * gpus / sum(supply[other] for other in named)
    return of_model


def scarcer(one: float, other: float) -> float:
    """The smaller, or somewhat less where both are near."""
    less, more = sorted((one, other))
    if less <= 0:
        return 0.0
    return less / float((1 + (less / more) ** SHARPNESS) ** (1 / SHARPNESS))
