"""Where the slices of a wanted set go on one GPU: an explicit start for each, so that as much as can stay, stays.

Configurations say how many slices of each profile, seldom where. A driver that is left to choose starts can wall off
space that the next slice needs, and trying orders on the hardware destroys what runs. So all arrangements of the set
are looked at on paper, once for each kind of board, and the one is taken that keeps most of what is there.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from weakref import WeakKeyDictionary

from aliquot.gpu.driver import InstanceProfile
from aliquot.gpu.layout import (
    Compute,
    Geometry,
    Held,
    Refusal,
    RefusalReason,
    Slice,
    Wanted,
    bad_compute,
    compute_changes,
    geometry_of,
    spell,
)


@dataclass(frozen=True, slots=True)
class Demand:
    """A GPU instance wanted somewhere, or at `start`."""

    profile_id: int
    compute: Compute = ()
    start: int | None = None


def arrange(
    profiles: Sequence[InstanceProfile],
    current: Sequence[Held],
    demands: Sequence[Demand],
    released: Collection[int] = (),
) -> tuple[Wanted, ...] | Refusal:
    """The demands with their starts, in the order of these, so that the fewest instances go, and none in use.

    `released`: GI ids of instances in use that may go all the same. Among equals the arrangement is taken that leaves
    the most placements free, then that of the lowest starts.
    """
    board = _Board(geometry_of(profiles))
    if refusal := _impossible(board, demands):
        return refusal
    counts = Counter(demand.profile_id for demand in demands)
    fixed = {Slice(demand.profile_id, demand.start) for demand in demands if demand.start is not None}
    found = [candidate for candidate in board.arrangements(counts) if fixed <= candidate.slices]
    if not found:
        return _around_fixed(board, fixed, counts) if fixed else _too_many(board, counts)
    here = {held.slice: held for held in current}
    pinned = {slice_ for slice_, held in here.items() if held.used_by and held.instance.gi_id not in released}

    best = _keeping_most(found, here, pinned, counts)
    if lost := sorted(pinned - best.slices, key=lambda slice_: slice_.start):
        return _in_the_way(board.geometry, [here[slice_] for slice_ in lost], counts)
    return _divided(board.geometry, best.ordered, here, demands)


def _keeping_most(
    found: Sequence["_Candidate"],
    here: Mapping[Slice, Held],
    pinned: Collection[Slice],
    counts: Mapping[int, int],
) -> "_Candidate":
    """The first of those that lose the fewest in use, then keep the most."""
    there = Counter(slice_.profile_id for slice_ in here)
    most = sum(min(count, there[profile_id]) for profile_id, count in counts.items())
    best, best_cost = found[0], (len(pinned) + 1, 0)
    for candidate in found:
        kept = candidate.slices & here.keys()
        cost = len(pinned) - sum(1 for slice_ in pinned if slice_ in kept), -len(kept)
        if cost < best_cost:
            best, best_cost = candidate, cost
            if cost == (0, -most):
                break
    return best


# --- all arrangements of a set ---


@dataclass(frozen=True, slots=True)
class _Candidate:
    slices: frozenset[Slice]
    ordered: tuple[Slice, ...]
    """By start."""


_FOUND: WeakKeyDictionary[Geometry, dict[frozenset[tuple[int, int]], tuple[_Candidate, ...]]] = (
    WeakKeyDictionary()
)


class _Board:
    """All arrangements of the sets that were asked for, on boards with the same profiles."""

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry
        self._found = _FOUND.setdefault(geometry, {})

    def arrangements(self, counts: Mapping[int, int]) -> tuple[_Candidate, ...]:
        """The best for a GPU where nothing is yet first: most placements left free, then lowest starts."""
        key = frozenset(counts.items())
        if key not in self._found:
            ordered = [
                tuple(sorted(slices, key=lambda slice_: (slice_.start, slice_.profile_id)))
                for slices in self._placed(counts)
            ]
            ordered.sort(key=lambda slices: (-self._freedom(slices), [slice_.start for slice_ in slices]))
            self._found[key] = tuple(_Candidate(frozenset(slices), slices) for slices in ordered)
        return self._found[key]

    def _freedom(self, slices: Sequence[Slice]) -> int:
        return sum(1 for placement in self.geometry.placements if self.geometry.fits(placement, slices))

    def _placed(self, counts: Mapping[int, int]) -> Iterator[tuple[Slice, ...]]:
        """Larger slices first: they have the fewest places."""
        profiles = self.geometry.profiles
        by_size = sorted(counts, key=lambda profile_id: (-profiles[profile_id].memory_slots, profile_id))
        return self._extended((), [profile_id for profile_id in by_size for _ in range(counts[profile_id])])

    def _extended(self, placed: tuple[Slice, ...], queue: Sequence[int]) -> Iterator[tuple[Slice, ...]]:
        if not queue:
            yield placed
            return
        profile_id = queue[0]
        # Slices of one profile are alike: only in the order of their starts.
        after = placed[-1].start if placed and placed[-1].profile_id == profile_id else -1
        for placement in self.geometry.free_placements(profile_id, placed):
            if placement.start > after:
                yield from self._extended((*placed, Slice(profile_id, placement.start)), queue[1:])


# --- which of equal slices is divided how ---


def _divided(
    geometry: Geometry, slices: Sequence[Slice], here: Mapping[Slice, Held], demands: Sequence[Demand]
) -> tuple[Wanted, ...]:
    compute: dict[Slice, Compute] = {}
    for profile_id in {slice_.profile_id for slice_ in slices}:
        of_profile = [demand for demand in demands if demand.profile_id == profile_id]
        for demand in of_profile:
            if demand.start is not None:
                compute[Slice(profile_id, demand.start)] = demand.compute
        free = [slice_ for slice_ in slices if slice_.profile_id == profile_id and slice_ not in compute]
        left = sorted((demand.compute for demand in of_profile if demand.start is None), key=_by_parts)
        compute |= zip(free, _shared_out(geometry, free, left, here), strict=True)
    return tuple(Wanted(slice_, compute[slice_]) for slice_ in slices)


def _shared_out(
    geometry: Geometry, slices: Sequence[Slice], left: Sequence[Compute], here: Mapping[Slice, Held]
) -> Sequence[Compute]:
    """So that the fewest compute instances go, those in use last of all. There are seven slices at most."""
    if len(set(left)) <= 1:
        return left

    def cost(order: Sequence[Compute]) -> tuple[int, int, list[tuple[bool, tuple[int, ...]]]]:
        used = gone = 0
        for slice_, compute in zip(slices, order, strict=True):
            if (held := here.get(slice_)) is not None:
                surplus, _ = compute_changes(held, geometry.profiles[slice_.profile_id], compute)
                gone += len(surplus)
                used += sum(1 for one in surplus if held.uses(one.ci_id))
        return used, gone, [_by_parts(compute) for compute in order]

    return min(set(permutations(left)), key=cost)


def _by_parts(compute: Compute) -> tuple[bool, tuple[int, ...]]:
    return compute is None, compute or ()


# --- why not ---


def _impossible(board: _Board, demands: Sequence[Demand]) -> Refusal | None:
    """What is wrong with one of them alone."""
    for demand in demands:
        profile = board.geometry.profiles.get(demand.profile_id)
        if profile is None:
            return Refusal(
                RefusalReason.UNKNOWN_PROFILE, f"the board has no profile with id {demand.profile_id}"
            )
        if refusal := bad_compute(profile, demand.compute):
            return refusal
        if demand.start is None:
            continue
        starts = sorted(placement.start for placement in profile.placements)
        if demand.start not in starts:
            listed = ", ".join(map(str, starts))
            message = f"{profile.name} cannot start at slot {demand.start}, only at {listed}"
            return Refusal(RefusalReason.BAD_START, message)
    return None


def _around_fixed(board: _Board, fixed: Collection[Slice], counts: Mapping[int, int]) -> Refusal:
    if not board.arrangements(counts):
        return _too_many(board, counts)
    given = " and ".join(
        spell(board.geometry, slice_) for slice_ in sorted(fixed, key=lambda slice_: slice_.start)
    )
    return Refusal(
        RefusalReason.OVERLAP,
        f"{_listed(board.geometry, counts)} fit on one GPU, but not with {given}: leave out a start",
    )


def _too_many(board: _Board, counts: Mapping[int, int]) -> Refusal:
    """Says of one profile how many fit beside all the others, or alone where not even that says it."""
    geometry = board.geometry
    text = f"{_listed(geometry, counts)} do not fit on one GPU"
    for profile_id, count in counts.items():
        others = {other: number for other, number in counts.items() if other != profile_id}
        for fewer in range(count - 1, -1, -1):
            if board.arrangements(others | ({profile_id: fewer} if fewer else {})):
                beside = f" beside {_listed(geometry, others)}" if others else ""
                name = geometry.profiles[profile_id].name
                most = f"at most {fewer} {name}" if fewer else f"no {name}"
                return Refusal(
                    RefusalReason.TOO_MANY, f"{text}: {most} {'fit' if fewer > 1 else 'fits'}{beside}"
                )
    return Refusal(RefusalReason.TOO_MANY, text)


def _in_the_way(geometry: Geometry, lost: Sequence[Held], counts: Mapping[int, int]) -> Refusal:
    parts = " and ".join(f"{spell(geometry, held.slice)}, in use by {held.used_by}," for held in lost)
    text = f"{parts} would have to go"
    return Refusal(
        RefusalReason.IN_USE,
        f"for {_listed(geometry, counts)}, {text}" if counts else text,
        tuple(held.instance.gi_id for held in lost),
    )


def _listed(geometry: Geometry, counts: Mapping[int, int]) -> str:
    """`2 x 3g.40gb and 1 x 1g.10gb`, larger profiles first."""
    by_size = sorted(counts, key=lambda profile_id: (-geometry.profiles[profile_id].memory_slots, profile_id))
    parts = [f"{counts[profile_id]} x {geometry.profiles[profile_id].name}" for profile_id in by_size]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
