"""Who comes when: the experiment of the FGD paper (ATC 2023, its simulator's scripts).

Pods of the list in random order, then pods drawn from the list until the GPUs asked for come to 1.3 times those that
are there. Nobody leaves; who does not fit is turned away. A random order of the nodes, fixed at the start, breaks ties.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from aliquot.scheduler.core.fragmentation import Task
from aliquot.scheduler.simulation.trace import Node, Pod

LOAD = 1.3
"""GPUs asked for in a whole run, by those of the cluster."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    nodes: Sequence[Node]
    """In the order that breaks ties."""
    pods: Sequence[Pod]
    """In the order of arrival."""
    demand: Mapping[Task, int]
    """How often the list has each task: what a policy may know of the future."""


def draw(nodes: Sequence[Node], pods: Sequence[Pod], random: Random, load: float = LOAD) -> Arrivals:
    most = load * 1000 * sum(node.gpus for node in nodes)
    order = sorted(pods, key=lambda pod: pod.name)
    random.shuffle(order)
    asked = sum(pod.task.total_gpu_milli for pod in order)
    while asked > most:
        asked -= order.pop(random.randrange(len(order))).task.total_gpu_milli
    if any(pod.task.gpus for pod in pods):
        while True:
            pod = random.choice(pods)
            if asked + pod.task.total_gpu_milli > most:
                break
            asked += pod.task.total_gpu_milli
            order.append(pod)
    tied = sorted(nodes, key=lambda node: node.name)
    random.shuffle(tied)
    return Arrivals(tied, order, Counter(pod.task for pod in pods))
