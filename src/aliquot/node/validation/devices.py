"""Which devices a node offers, and which of them a pod could have now."""

from collections import Counter
from collections.abc import Iterable, Mapping

from aliquot.kube import quantity
from aliquot.kube.api.core import Container, Pod, Quantities
from aliquot.kube.api.gpuclass import CLASS_PREFIX

_GPU = "nvidia.com/gpu"
_MIG = "nvidia.com/mig-"


def is_device(resource: str) -> bool:
    return resource.startswith((_GPU, _MIG, CLASS_PREFIX))


def advertised(allocatable: Quantities | None) -> Mapping[str, int]:
    return {name: quantity.whole(amount) for name, amount in (allocatable or {}).items() if is_device(name)}


def free(allocatable: Quantities | None, pods: Iterable[Pod]) -> Mapping[str, int]:
    """`pods`: those of the node. Their devices are theirs until they have ended."""
    taken: Counter[str] = Counter()
    for pod in pods:
        if not pod.status.has_ended:
            taken += _asked(pod)
    left = {name: count - taken[name] for name, count in advertised(allocatable).items()}
    return {name: count for name, count in left.items() if count > 0}


def to_try(free: Mapping[str, int]) -> str:
    """The resource that a pod is to ask for; empty: there is none. A slice rather than a whole GPU, of which a job would
    miss more."""
    return min(free, key=lambda name: (_RANKS[_kind(name)], name), default="")


_RANKS = {_MIG: 0, CLASS_PREFIX: 1, _GPU: 2}


def _kind(resource: str) -> str:
    return next(prefix for prefix in _RANKS if resource.startswith(prefix))


def _asked(pod: Pod) -> Counter[str]:
    """As kubelet reserves devices: of all containers together, or of the largest that runs before them."""
    together: Counter[str] = Counter()
    before: Counter[str] = Counter()
    for container in pod.spec.containers:
        together += _devices_of(container)
    for container in pod.spec.init_containers or ():
        if container.restart_policy == "Always":
            together += _devices_of(container)
        else:
            before |= _devices_of(container)
    return together | before


def _devices_of(container: Container) -> Counter[str]:
    limits = container.resources.limits or container.resources.requests or {}
    return Counter({name: quantity.whole(amount) for name, amount in limits.items() if is_device(name)})
