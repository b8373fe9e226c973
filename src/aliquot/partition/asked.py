"""What pods ask for, of what can be made: amounts by resource, and the slice that serves first on a board. Pure."""

from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from aliquot.gpu.driver import InstanceProfile
from aliquot.kube import quantity
from aliquot.kube.api.core import Container, Pod
from aliquot.partition.demand import Classes, could_be_made, ways
from aliquot.partition.gpus import GpuFacts
from aliquot.partition.ways import SliceWay

T = TypeVar("T")

MOST_OF_A_POD = 64
"""Slices that are counted of one pod: who asks for thousands gets none, and is not what a mix is made of."""


def asked_of(pod: Pod) -> Counter[str]:
    """What it needs at its neediest moment. Raises QuantityError."""
    return neediest(pod, _asked)


def neediest(pod: Pod, amounts: Callable[[Container], Counter[T]]) -> Counter[T]:
    """Of what its containers have, as Kubernetes counts it (KEP-753): all that run together in the end, or an init container
    beside the sidecars that were started before it."""
    together: Counter[T] = Counter()
    starting: Counter[T] = Counter()
    for container in pod.spec.init_containers or ():
        if container.restart_policy == "Always":
            together.update(amounts(container))
        else:
            starting |= together + amounts(container)
    for container in pod.spec.containers:
        together.update(amounts(container))
    return together | starting


def _asked(container: Container) -> Counter[str]:
    amounts = {**(container.resources.limits or {}), **(container.resources.requests or {})}
    return Counter({name: quantity.whole(text) for name, text in amounts.items() if could_be_made(name)})


def slice_for(resource: str, classes: Classes, board: GpuFacts) -> InstanceProfile | None:
    """The slice that `resource` is on GPUs of the board, or, of a GPUClass, is by its first way there. None: it is something
    else, or not to be had there."""
    found = ways(resource, classes, board)
    return found[0].profile if found and isinstance(found[0], SliceWay) else None
