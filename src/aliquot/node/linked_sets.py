"""Which GPUs belong together: the set with the best links, leaving the best sets for those who come after.

The scores and the rule are go-gpuallocator's best-effort policy, so that a node behaves as users of NVIDIA's plugin
know it: of all ways to divide the free GPUs into sets of the wanted size take the one with the highest total, then
its best set. Unlike there, what is not known of a GPU makes a choice worse, and never fails it.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from aliquot.gpu.driver import LinkKind
from aliquot.node.division import best_division
from aliquot.node.inventory import ObservedGpu

PairScores = Mapping[tuple[str, str], int]
"""Both orders of a pair of GPU UUIDs -> how well they are linked."""

_SCORES = {
    LinkKind.CROSS_CPU: 10,
    LinkKind.SAME_CPU: 20,
    LinkKind.HOST_BRIDGE: 30,
    LinkKind.MULTI_SWITCH: 40,
    LinkKind.SINGLE_SWITCH: 50,
    LinkKind.SAME_BOARD: 60,
}
_PER_NVLINK = 100


def pair_scores(gpus: Iterable[ObservedGpu]) -> PairScores:
    """Alike in both orders: of two GPUs one may have failed to tell."""
    scores: dict[tuple[str, str], int] = {}
    for one, other in combinations(gpus, 2):
        score = max(_score(one, other), _score(other, one))
        if score:
            scores[one.gpu.uuid, other.gpu.uuid] = scores[other.gpu.uuid, one.gpu.uuid] = score
    return scores


def _score(one: ObservedGpu, other: ObservedGpu) -> int:
    links = [link for link in one.links if link.peer_uuid == other.gpu.uuid]
    score = sum(_PER_NVLINK * link.lanes + _SCORES.get(link.kind, 0) for link in links)
    if all(link.kind is LinkKind.NVLINK for link in links) and None not in (
        one.gpu.numa_node,
        other.gpu.numa_node,
    ):
        # The driver does not tell their PCIe path: NUMA stands in.
        near = one.gpu.numa_node == other.gpu.numa_node
        score += _SCORES[LinkKind.SAME_CPU if near else LinkKind.CROSS_CPU]
    return score


def best_linked_set(
    free: Sequence[str], must_include: Sequence[str], size: int, scores: PairScores
) -> tuple[str, ...]:
    """`size` of `free` with `must_include` among them. Equal choices go to what comes first in `free`."""
    if len(free) <= size:
        return tuple(free)
    must = frozenset(must_include)
    if len(must) >= size:
        return tuple(uuid for uuid in free if uuid in must)[:size]

    def score(uuids: Sequence[str]) -> int:
        return sum(scores.get(pair, 0) for pair in combinations(uuids, 2))

    division = best_division(free, must, size, scores)
    fitting = [group for group in division if len(group) == size and must <= set(group)]
    return max(fitting, key=score)
