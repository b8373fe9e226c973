"""Which GPUs belong together: the set with the best links, leaving the best sets for those who come after.

The scores and the rule are go-gpuallocator's best-effort policy, so that a node behaves as users of NVIDIA's plugin
know it: of all ways to divide the free GPUs into sets of the wanted size take the one with the highest total, then
its best set.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import combinations

from aliquot.gpu.driver import LinkKind
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

MAX_EXACT = 10
"""GPUs up to which all divisions are weighed; beyond, the set grows greedily from its best pair."""


def pair_scores(gpus: Iterable[ObservedGpu]) -> PairScores:
    by_uuid = {observed.gpu.uuid: observed for observed in gpus}
    scores: dict[tuple[str, str], int] = {}
    for uuid, observed in by_uuid.items():
        for peer in by_uuid:
            links = [link for link in observed.links if link.peer_uuid == peer]
            if not links:
                continue
            score = sum(_PER_NVLINK * link.lanes + _SCORES.get(link.kind, 0) for link in links)
            if all(link.kind is LinkKind.NVLINK for link in links):
                # NVML gives the PCIe path of a pair as well; where only its NVLinks are known, NUMA stands in.
                near = observed.gpu.numa_node == by_uuid[peer].gpu.numa_node
                score += _SCORES[LinkKind.SAME_CPU if near else LinkKind.CROSS_CPU]
            scores[uuid, peer] = score
    return scores


def best_linked_set(
    free: Sequence[str], must_include: Sequence[str], size: int, scores: PairScores
) -> tuple[str, ...]:
    """`size` of `free` with `must_include` among them. Equal choices go to what comes first in `free`."""
    if len(free) <= size:
        return tuple(free)
    must = frozenset(must_include)
    if len(must) >= size:
        return tuple(uuid for uuid in free if uuid in must)[:size]

    def score(uuids: Iterable[str]) -> int:
        return _total(uuids, scores)

    if len(free) > MAX_EXACT:
        return _grown(free, must, size, scores)
    full = [group for group in _best_division(tuple(free), size, score, must) if len(group) == size]
    fitting = [group for group in full if must <= set(group)]
    return max(fitting, key=score)


def _best_division(
    free: tuple[str, ...], size: int, score: Callable[[Iterable[str]], int], must: frozenset[str]
) -> tuple[tuple[str, ...], ...]:
    """All of `free` in sets of `size`, one of them smaller where it does not divide; `must` lies in one full set."""

    @cache
    def divide(rest: tuple[str, ...], short: int) -> tuple[int, tuple[tuple[str, ...], ...]] | None:
        """`short`: size of the smaller set still to be formed, 0 when there is none."""
        if not rest:
            return 0, ()
        first, others = rest[0], rest[1:]
        best: tuple[int, tuple[tuple[str, ...], ...]] | None = None
        for length in sorted({size, short} - {0}, reverse=True):
            if length > len(rest):
                continue
            for companions in combinations(others, length - 1):
                group = (first, *companions)
                inside = must & set(group)
                if inside and (inside != must or length != size):
                    continue
                left = tuple(uuid for uuid in others if uuid not in companions)
                below = divide(left, 0 if length == short and length != size else short)
                if below is None:
                    continue
                total = score(group) + below[0]
                if best is None or total > best[0]:
                    best = total, (group, *below[1])
        return best

    found = divide(free, len(free) % size)
    assert found is not None, "every set can be divided"
    return found[1]


def _total(uuids: Iterable[str], scores: PairScores) -> int:
    return sum(scores.get((one, other), 0) for one, other in combinations(uuids, 2))


def _grown(free: Sequence[str], must: frozenset[str], size: int, scores: PairScores) -> tuple[str, ...]:
    chosen = [uuid for uuid in free if uuid in must]
    if not chosen:
        chosen = list(max(combinations(free, 2), key=lambda pair: _total(pair, scores)))[:size]
    while len(chosen) < size:
        rest = [uuid for uuid in free if uuid not in chosen]
        chosen.append(max(rest, key=lambda uuid: sum(scores.get((uuid, other), 0) for other in chosen)))
    return tuple(chosen)
