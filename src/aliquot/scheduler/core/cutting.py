"""What parts of a GPU are worth, when all that is asked for has to be cut from as few GPUs as can be.

The linear program of the cutting-stock problem, by Gilmore and Gomory's column generation (Operations Research 9, 1961):
a price for each size, the highest total at which no way to cut a GPU is worth more than one. A size of which two fit on
a GPU and nothing beside them has a price of one half, whatever its milli; one that only fills what others leave costs
nothing.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import gcd

from aliquot.scheduler.core.fragmentation import WHOLE_MILLI

_TOLERANCE = 1e-9


def prices(wanted: Mapping[int, float]) -> dict[int, float]:
    """In GPUs, by milli: 1 to 1000. `wanted` says how often each size is asked for; only ratios count."""
    sizes = tuple(sorted(wanted))
    if not sizes:
        return {}
    basis = _Basis(sizes, [wanted[size] for size in sizes])
    # It ends by itself, as a rule after a few changes for each size; whenever it is stopped, prices are valid.
    for _ in range(100 * len(sizes)):
        found = basis.prices()
        lowest = min(range(len(sizes)), key=lambda row: found[row])
        if found[lowest] < -_TOLERANCE:
            # More of this size than is wanted would make the rest cheaper: let there be more.
            basis.enter([-float(row == lowest) for row in range(len(sizes))], cost=0)
            continue
        cut = best_cut(dict(zip(sizes, found, strict=True)))
        if cut.price <= 1 + _TOLERANCE:
            break
        basis.enter([float(cut.counts[size]) for size in sizes], cost=1)
    found = [max(0.0, price) for price in basis.prices()]
    most = best_cut(dict(zip(sizes, found, strict=True))).price
    return {size: price / most for size, price in zip(sizes, found, strict=True)}


@dataclass(frozen=True, slots=True)
class Cut:
    """One way to divide a GPU."""

    price: float
    counts: "Counter[int]"
    """By size in milli."""


def best_cut(price: Mapping[int, float]) -> Cut:
    """The most that a GPU is worth in parts."""
    worth, last = _knapsack(price)
    counts: Counter[int] = Counter()
    step = WHOLE_MILLI // (len(worth) - 1)
    left = len(worth) - 1
    while left:
        size = last[left]
        counts[size] += size > 0
        left -= size // step or 1
    return Cut(worth[-1], +counts)


def worth_by_milli(price: Mapping[int, float]) -> list[float]:
    """By milli left of a GPU, 0 to 1000: the most that parts of the priced sizes come to that fit in it."""
    worth, _ = _knapsack(price)
    step = WHOLE_MILLI // (len(worth) - 1)
    return [worth[milli // step] for milli in range(WHOLE_MILLI + 1)]


def _knapsack(price: Mapping[int, float]) -> tuple[list[float], list[int]]:
    """By steps of the sizes' common divisor: the worth, and the last part put in, 0 for none."""
    step = gcd(WHOLE_MILLI, *price)
    worth, last = [0.0], [0]
    for room in range(step, WHOLE_MILLI + 1, step):
        best, chosen = worth[-1], 0
        for size, value in price.items():
            if size <= room and worth[(room - size) // step] + value > best + _TOLERANCE:
                best, chosen = worth[(room - size) // step] + value, size
        worth.append(best)
        last.append(chosen)
    return worth, last


class _Basis:
    """Of the revised simplex method: as many ways to cut as there are sizes, and how often each is used."""

    def __init__(self, sizes: Sequence[int], wanted: Sequence[float]) -> None:
        each = [WHOLE_MILLI // size for size in sizes]
        self._inverse = [
            [1 / each[row] if row == column else 0.0 for column in range(len(each))]
            for row in range(len(each))
        ]
        self._used = [amount / count for amount, count in zip(wanted, each, strict=True)]
        self._costs = [1.0] * len(each)

    def prices(self) -> list[float]:
        return [
            sum(cost * row[column] for cost, row in zip(self._costs, self._inverse, strict=True))
            for column in range(len(self._costs))
        ]

    def enter(self, column: Sequence[float], cost: float) -> None:
        """Use this way instead of the one that runs out first."""
        changes = [sum(a * b for a, b in zip(row, column, strict=True)) for row in self._inverse]
        out = min(
            (row for row, change in enumerate(changes) if change > _TOLERANCE),
            key=lambda row: self._used[row] / changes[row],
        )
        pivot = changes[out]
        self._inverse[out] = [value / pivot for value in self._inverse[out]]
        self._used[out] /= pivot
        for row, change in enumerate(changes):
            if row != out and change:
                self._inverse[row] = [
                    value - change * new
                    for value, new in zip(self._inverse[row], self._inverse[out], strict=True)
                ]
                self._used[row] -= change * self._used[out]
        self._costs[out] = cost
