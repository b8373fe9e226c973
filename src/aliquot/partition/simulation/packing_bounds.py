"""When a multiset of instances packs on n GPUs of a board: a few inequalities, found from the board's layouts.

A bound weighs the profiles so that no GPU holds more than `per_gpu`. A multiset that is above some bound cannot pack.
That all others pack is a property of the board (integer decomposition), verified by the tests for the boards of the
catalogue. An H100 has four: compute slices, memory slots, one 4g or 7g per GPU, and its three places for a 2g.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import gcd


@dataclass(frozen=True, slots=True)
class PackingBound:
    """Sum of weight x instances <= per_gpu x GPUs."""

    weights: tuple[int, ...]
    """By profile."""
    per_gpu: int

    def gpus(self, counts: Sequence[int]) -> int:
        """The fewest that it allows."""
        return -(-sum(w * n for w, n in zip(self.weights, counts, strict=True)) // self.per_gpu)

    def implied_by(self, other: "PackingBound") -> bool:
        return all(
            a * other.per_gpu <= b * self.per_gpu for a, b in zip(self.weights, other.weights, strict=True)
        )


@lru_cache(maxsize=64)
def packing_bounds(multisets: tuple[tuple[int, ...], ...]) -> tuple[PackingBound, ...]:
    """All that matter, for GPUs that can hold these multisets and what is contained in them. Found once for each board.

    Bounds are the vertices of {weights >= 0: weights x multiset <= 1 for all}, found by the double description method
    (Motzkin et al. 1953) over integers: rays (weights, per_gpu) of the cone are cut by one multiset after the other.
    """
    size = len(multisets[0]) + 1
    axes = [tuple(int(i == j) for j in range(size)) for i in range(size)]
    rays = {axis: frozenset(range(size)) - {number} for number, axis in enumerate(axes)}
    for number, multiset in enumerate(multisets, start=size):
        rays = _cut(rays, (*(-count for count in multiset), 1), number)
    found = [PackingBound(ray[:-1], ray[-1]) for ray in rays if ray[-1]]
    return tuple(
        bound
        for bound in sorted(found, key=lambda bound: (bound.per_gpu, bound.weights))
        if not any(bound is not other and bound.implied_by(other) for other in found)
    )


_Ray = tuple[int, ...]


def _cut(rays: dict[_Ray, frozenset[int]], normal: _Ray, number: int) -> dict[_Ray, frozenset[int]]:
    """The extreme rays of the cone's part where `normal` is not negative. With each: the constraints it is tight at."""
    side = {ray: sum(a * b for a, b in zip(normal, ray, strict=True)) for ray in rays}
    kept = {
        ray: tight | {number} if side[ray] == 0 else tight for ray, tight in rays.items() if side[ray] >= 0
    }
    for inside in [ray for ray in rays if side[ray] > 0]:
        for outside in [ray for ray in rays if side[ray] < 0]:
            common = rays[inside] & rays[outside]
            if any(common <= tight for ray, tight in rays.items() if ray not in (inside, outside)):
                continue  # not neighbours: no edge between them to cut
            ray = tuple(side[inside] * b - side[outside] * a for a, b in zip(inside, outside, strict=True))
            divisor = gcd(*ray)
            kept[tuple(entry // divisor for entry in ray)] = common | {number}
    return kept
