"""Which of the nodes that can is the best? Each score is a whole number from 0 to `BEST`; none looks at another node.

They are in order of concern: a later score only decides between nodes that all earlier ones hold equal. What is left equal
goes to the node whose name sorts first.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeAlias

from aliquot.scheduler.core.gpu_domains import as_preferred
from aliquot.scheduler.core.matching import TaintEffect, first_untolerated, term_matches
from aliquot.scheduler.core.node import NodeState
from aliquot.scheduler.core.pod import CPU, MEMORY, PODS, PodShape

BEST = 1000

Score: TypeAlias = Callable[[PodShape, NodeState], int]

_SOFT = frozenset({TaintEffect.PREFER_NO_SCHEDULE})
_MOST_WEIGHT = 100
"""Of a preferred term, by Kubernetes' rules."""
_ACCELERATORS = ("nvidia.com/gpu", "nvidia.com/mig-", "class.aliquot.dev/")


def untainted(shape: PodShape, node: NodeState) -> int:
    """Away from PreferNoSchedule taints that the pod does not tolerate."""
    return BEST if first_untolerated(node.facts.taints, shape.tolerations, _SOFT) is None else 0


def preferred_affinity(shape: PodShape, node: NodeState) -> int:
    """The weight of the preferred terms that match, of the weight of all. That its GPUs are together weighs as much as a term
    can."""
    if not shape.preferred and shape.gpu_wish is None:
        return 0
    matched = sum(p.weight for p in shape.preferred if term_matches(p.term, node.name, node.facts.labels))
    weights = sum(p.weight for p in shape.preferred)
    if shape.gpu_wish is not None and shape.gpu_wish.preferred is not None:
        matched += _MOST_WEIGHT * as_preferred(shape, node)
        weights += _MOST_WEIGHT
    return BEST * matched // max(1, weights)


def gpu_nodes_kept_clear(shape: PodShape, node: NodeState) -> int:
    """Pods without a GPU go where there is none: their CPU and memory would strand GPUs."""
    return BEST if wants_accelerator(shape) or not has_accelerator(node) else 0


def packed(shape: PodShape, node: NodeState) -> int:
    """GPU pods: onto the node whose resource of that kind is the most used, so that whole nodes stay free. Others are spread."""
    wanted = accelerators(shape)
    return _fill(shape, node, wanted) if wanted else spread(shape, node)


def unpacked(shape: PodShape, node: NodeState) -> int:
    """GPU pods: onto the node whose resource of that kind is the least used, so that each has its node's CPU, memory and
    network as much for itself as can be. Others are spread."""
    wanted = accelerators(shape)
    return BEST - _fill(shape, node, wanted) if wanted else spread(shape, node)


def _fill(shape: PodShape, node: NodeState, wanted: Sequence[str]) -> int:
    """How much of these resources is used once the pod is there."""
    fill = 0
    for resource in wanted:
        total = node.total(resource)
        if total:
            fill += BEST * (total - node.available(resource) + shape.request[resource]) // total
    return min(BEST, fill // len(wanted))


def spread(shape: PodShape, node: NodeState) -> int:
    """Onto the node with the largest part of CPU, memory and pod slots left."""
    left = 0
    for resource in (CPU, MEMORY, PODS):
        total = node.total(resource)
        if total:
            left += BEST * max(0, node.available(resource) - shape.request.get(resource, 0)) // total
    return left // 3


BY_FACTS: tuple[Score, ...] = (untainted, preferred_affinity, gpu_nodes_kept_clear)
"""They look at the node's facts alone, but for a pod with a wish where its GPUs are."""
PACKING: tuple[Score, ...] = (packed,)
SPREADING: tuple[Score, ...] = (unpacked,)
"""For clusters that want GPU pods apart."""
BEFORE_NEIGHBOURS = 2
"""So many of all of them weigh more than what the pod and other pods prefer of each other, the rest less."""


@lru_cache(maxsize=4096)
def is_accelerator(resource: str) -> bool:
    return resource.startswith(_ACCELERATORS)


@lru_cache(maxsize=4096)
def accelerators(shape: PodShape) -> tuple[str, ...]:
    """What the pod asks for of them."""
    return tuple(resource for resource in shape.request if is_accelerator(resource))


def wants_accelerator(shape: PodShape) -> bool:
    return bool(accelerators(shape))


def has_accelerator(node: NodeState) -> bool:
    return bool(node.facts.devices.all) or any(
        is_accelerator(r) for r, n in node.facts.allocatable.items() if n
    )
