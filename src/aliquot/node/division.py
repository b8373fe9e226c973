"""Things divided into sets whose members go well together: of all divisions the one with the highest total.

Things that have the same with every other thing need not be told apart, so divisions are weighed by how many of each
kind a set takes. GPUs behind a switch are alike, so sixteen of them are few kinds; where there are too many divisions
to weigh even so, sets are grown and improved.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import cache, lru_cache
from itertools import combinations
from math import prod

MAX_STATES = 2**10
"""Sets of things left over, told apart by kind, up to which all divisions are weighed: ten things that differ."""

MAX_STARTS = 16

Division = tuple[tuple[str, ...], ...]
Weights = Sequence[Sequence[int]]


def best_division(
    things: Sequence[str], together: Collection[str], size: int, scores: Mapping[tuple[str, str], int]
) -> Division:
    """All of `things` in sets of `size`, one of them smaller where it does not divide.

    `together`, fewer than `size`, lies in one full set. Equal choices go to what comes first in `things`.
    """
    weights = [[scores.get((one, other), 0) for other in things] for one in things]
    fixed = frozenset(number for number, thing in enumerate(things) if thing in together)
    kinds = _kinds(weights, fixed)
    if prod(len(kind) + 1 for kind in kinds) <= MAX_STATES:
        sets = _weighed(weights, kinds, fixed, size)
    else:
        sets = _improved(weights, fixed, size)
    in_order = sorted(sorted(members) for members in sets)
    return tuple(tuple(things[number] for number in members) for members in in_order)


def _kinds(weights: Weights, fixed: Collection[int]) -> list[list[int]]:
    """Numbers that can be exchanged without changing any total, by the first of each kind."""
    kinds: list[list[int]] = []
    for number, row in enumerate(weights):
        for kind in kinds:
            first = kind[0]
            alike = (number in fixed) == (first in fixed) and all(
                row[other] == weights[first][other]
                for other in range(len(weights))
                if other not in (number, first)
            )
            if alike:
                kind.append(number)
                break
        else:
            kinds.append([number])
    return kinds


# --- all divisions ---

_BITS = 8
_ONE_KIND = (1 << _BITS) - 1
"""Counts of each kind, packed into one number, the first kind lowest: what is left is then a subtraction away."""


def _weighed(
    weights: Weights, kinds: Sequence[Sequence[int]], fixed: Collection[int], size: int
) -> list[list[int]]:
    must = _packed([len(kind) if kind[0] in fixed else 0 for kind in kinds])
    of_must = _packed([_ONE_KIND if kind[0] in fixed else 0 for kind in kinds])

    @cache
    def score(taken: int) -> int:
        members = [
            number for kind, count in zip(kinds, _counts(taken), strict=False) for number in kind[:count]
        ]
        return sum(weights[one][other] for one, other in combinations(members, 2))

    @cache
    def divide(left: int, short: int) -> tuple[int, tuple[int, ...]] | None:
        """`short`: size of the smaller set still to be formed, 0 when there is none."""
        if not left:
            return 0, ()
        best: tuple[int, tuple[int, ...]] | None = None
        for length in sorted({size, short} - {0}, reverse=True):
            for taken in _with_the_first(left, length):
                inside = taken & of_must
                if inside and (inside != must or length != size):
                    continue
                below = divide(left - taken, short if length == size else 0)
                if below is None:
                    continue
                total = score(taken) + below[0]
                if best is None or total > best[0]:
                    best = total, (taken, *below[1])
        return best

    found = divide(_packed([len(kind) for kind in kinds]), len(weights) % size)
    assert found is not None, "every set can be divided"
    waiting = [iter(kind) for kind in kinds]
    return [
        [next(waiting[kind]) for kind, count in enumerate(_counts(taken)) for _ in range(count)]
        for taken in found[1]
    ]


def _packed(counts: Sequence[int]) -> int:
    return sum(count << _BITS * kind for kind, count in enumerate(counts))


def _counts(packed: int) -> list[int]:
    return list(packed.to_bytes(-(-packed.bit_length() // _BITS), "little"))


def _with_the_first(left: int, length: int) -> list[int]:
    """Every set of `length` that has one of the first kind there is: some set must, and so none is met twice."""
    shift = 0
    while not left >> shift & _ONE_KIND:
        shift += _BITS
    return [rest + 1 << shift for rest in _sets((left >> shift) - 1, length - 1)]


@lru_cache(1 << 12)
def _sets(left: int, length: int) -> list[int]:
    if length == 0:
        return [0]
    if not left:
        return []
    have, others = left & _ONE_KIND, left >> _BITS
    return [
        (rest << _BITS) + count
        for count in range(min(have, length), -1, -1)
        for rest in _sets(others, length - count)
    ]


# --- a good one, made better ---


def _improved(weights: Weights, fixed: Collection[int], size: int) -> list[list[int]]:
    """From several starts: sets are grown, then members of two sets exchanged as long as that makes the whole better."""
    best: list[list[int]] = []
    best_total = -1
    numbers = range(len(weights))
    strongest_first = sorted(numbers, key=lambda number: -max(weights[number]))
    rotated = ([*numbers[start:], *numbers[:start]] for start in numbers[:MAX_STARTS])
    for order in (*rotated, strongest_first):
        sets = _grown(weights, sorted(fixed), order, size)
        total = _improve(weights, sets, fixed)
        if total > best_total:
            best, best_total = sets, total
    return best


def _grown(weights: Weights, first: Sequence[int], order: Sequence[int], size: int) -> list[list[int]]:
    """Sets grown one after the other from the first in `order` that is left, each member the one that adds most."""
    left = [number for number in order if number not in first]
    sets: list[list[int]] = []
    # The set of those that are given too has another member for each start, and grows another way.
    members = [*first, left.pop(0)]
    while True:
        drawn = {number: sum(weights[number][member] for member in members) for number in left}
        while left and len(members) < size:
            best = max(left, key=drawn.__getitem__)
            left.remove(best)
            members.append(best)
            for number in left:
                drawn[number] += weights[number][best]
        sets.append(members)
        if not left:
            return sets
        members = [left.pop(0)]


def _improve(weights: Weights, sets: list[list[int]], fixed: Collection[int]) -> int:
    """Exchange members of `sets` until no exchange of two helps; the total of all sets. `fixed` stay where they are."""
    # How much each number has with each set.
    drawn = [[sum(row[member] for member in members) for row in weights] for members in sets]
    movable = [[member for member in members if member not in fixed] for members in sets]
    better = True
    while better:
        better = False
        for a, b in combinations(range(len(sets)), 2):
            while exchange := _best_exchange(weights, drawn[a], drawn[b], movable[a], movable[b]):
                better = True
                one, other = exchange
                for pool, out, into in (
                    (movable[a], one, other),
                    (movable[b], other, one),
                    (sets[a], one, other),
                    (sets[b], other, one),
                ):
                    pool[pool.index(out)] = into
                for number, row in enumerate(weights):
                    change = row[other] - row[one]
                    drawn[a][number] += change
                    drawn[b][number] -= change
    return sum(drawn[which][member] for which, members in enumerate(sets) for member in members) // 2


def _best_exchange(
    weights: Weights,
    drawn_a: Sequence[int],
    drawn_b: Sequence[int],
    in_a: Sequence[int],
    in_b: Sequence[int],
) -> tuple[int, int] | None:
    """The two members, one of each set, whose exchange adds most; None where none adds."""
    best, best_gain = None, 0
    for one in in_a:
        row = weights[one]
        own = drawn_b[one] - drawn_a[one]
        for other in in_b:
            gain = own + drawn_a[other] - drawn_b[other] - 2 * row[other]
            if gain > best_gain:
                best, best_gain = (one, other), gain
    return best
