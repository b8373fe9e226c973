"""The other way to choose GPUs that belong together: go-gpuallocator's best-effort policy, plainly written.

Every division of the free GPUs into sets of the wanted size is scored, the last set filled up with nothing where they
do not divide; the first with the highest total wins, and of its full sets that hold what must be included the best.
"""

from collections.abc import Collection, Iterator, Sequence
from functools import cache
from itertools import combinations

from aliquot.node.linked_sets import PairScores

Division = tuple[tuple[str, ...], ...]


def preferred(
    free: Sequence[str], must_include: Collection[str], size: int, scores: PairScores
) -> tuple[str, ...]:
    fitting = [group for group in best(free, must_include, size, scores) if fits(group, must_include, size)]
    return max(fitting, key=lambda group: set_score(group, scores), default=())


def best(free: Sequence[str], must_include: Collection[str], size: int, scores: PairScores) -> Division:
    """The division; empty where there is none."""

    @cache
    def score(group: tuple[str, ...]) -> int:
        return set_score(group, scores)

    found: Division = ()
    found_total = -1
    for division in divisions(tuple(free), size):
        total = sum(map(score, division))
        if total > found_total and any(fits(group, must_include, size) for group in division):
            found, found_total = division, total
    return found


def fits(group: Collection[str], must_include: Collection[str], size: int) -> bool:
    return len(group) == size and set(must_include) <= set(group)


def divisions(free: tuple[str, ...], size: int) -> Iterator[Division]:
    if size == 1:
        yield from (((one,),) for one in free)
    else:
        yield from _divisions(free, size, len(free) % size)


def _divisions(free: tuple[str, ...], size: int, short: int) -> Iterator[Division]:
    """`short`: how many are in the set that is not full, 0 when there is none left to form."""
    if not free:
        yield ()
        return
    first, others = free[0], free[1:]
    for length in sorted({size, short} - {0}, reverse=True):
        for companions in combinations(others, length - 1):
            left = tuple(one for one in others if one not in companions)
            for rest in _divisions(left, size, short if length == size else 0):
                yield ((first, *companions), *rest)


def set_score(group: Sequence[str], scores: PairScores) -> int:
    return sum(scores.get(pair, 0) for pair in combinations(group, 2))
