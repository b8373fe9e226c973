"""The fewest GPUs that hold a demand: how many of them are cut which way.

A pattern integer program (Gilmore and Gomory 1961, for cutting stock). For GPU kinds g, patterns p of a kind and
profiles i with a demand d_i:

    minimise    sum x_gp                        GPUs
    subject to  sum a_gpi x_gp >= placed_i      slices of profile i
                sum_p x_gp <= available_g       where so many are there
                placed_i <= d_i                 equal, where GPUs are not limited
                x, placed whole numbers

Patterns are the multisets of slices that no other contains (28 on an H100), so its size does not depend on how many
GPUs there are. Where they do not suffice, first the most memory is placed, then on the fewest GPUs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from aliquot.partition.board_states import BoardStates, Placing
from aliquot.partition.integer_program import IntegerProgram, Outcome, Solution, whole_bound


@dataclass(frozen=True, slots=True)
class Supply:
    """GPUs of one kind. `available` None: as many as it takes."""

    name: str
    states: BoardStates
    available: int | None = None

    def profile(self, name: str) -> int | None:
        """Its index on this board."""
        return next((n for n, known in enumerate(self.states.profiles) if known.name == name), None)


@dataclass(frozen=True, slots=True)
class Cut:
    """`gpus` GPUs of one kind that are cut alike: profile -> how many, and where each slice goes."""

    supply: Supply
    gpus: int
    counts: Mapping[str, int]
    placings: tuple[Placing, ...]


@dataclass(frozen=True, slots=True)
class Packing:
    cuts: tuple[Cut, ...]
    bound: int
    """With fewer GPUs nobody places as much."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Profile -> how many found no GPU."""
    placed_is_proven: bool = True
    """Whether nobody places more memory; in doubt only where GPUs are limited and time was up."""

    @property
    def gpus(self) -> int:
        return sum(cut.gpus for cut in self.cuts)

    @property
    def proven(self) -> bool:
        return self.placed_is_proven and self.gpus == self.bound

    @property
    def gap(self) -> float:
        """The part of the GPUs that a better packing might do without, at most."""
        return (self.gpus - self.bound) / self.gpus if self.gpus else 0.0

    def expanded(self) -> Iterator[tuple[Supply, tuple[Placing, ...]]]:
        """GPU by GPU."""
        for cut in self.cuts:
            for _ in range(cut.gpus):
                yield cut.supply, cut.placings


class PackingTimeout(Exception):
    """Time was up before any packing was found. One line."""


def pack(supplies: Sequence[Supply], demand: Mapping[str, int], *, within_s: float = 3.0) -> Packing:
    """Every profile of the demand has to be known on one of the boards. `within_s` bounds each of two searches."""
    wanted = {name: count for name, count in demand.items() if count > 0}
    program = IntegerProgram()
    patterns = [(supply, counts) for supply in supplies for counts in supply.states.maximal_counts]
    # More GPUs than slices nobody needs: the bound keeps the search small.
    most = sum(wanted.values())
    columns = [program.column(most) for _ in patterns]
    placed = {name: program.column(count) for name, count in wanted.items()}
    for name in wanted:
        gives: list[tuple[int, float]] = []
        for column, (supply, counts) in zip(columns, patterns, strict=True):
            profile = supply.profile(name)
            if profile is not None and counts[profile]:
                gives.append((column, counts[profile]))
        program.row([*gives, (placed[name], -1)], at_least=0)
    for supply in supplies:
        if supply.available is not None:
            mine = [c for c, (of, _) in zip(columns, patterns, strict=True) if of is supply]
            program.row([(column, 1) for column in mine], at_most=supply.available)

    sure = True
    if any(supply.available is not None for supply in supplies):
        weights = {placed[name]: -float(_weight(supplies, name)) for name in wanted}
        solution = program.minimise(weights, within_s=within_s)
        _require(solution)
        sure = whole_bound(solution.bound) >= solution.objective
        for column in placed.values():
            program.row([(column, 1)], at_least=solution.values[column])
    else:
        for name, column in placed.items():
            program.row([(column, 1)], at_least=wanted[name])
    fewest = _fewest(program, dict.fromkeys(columns, 1.0), within_s)
    _require(fewest)
    placed_counts = {name: fewest.values[column] for name, column in placed.items()}
    used = [
        (supply, fewest.values[column], dict(zip(_names(supply), counts, strict=True)))
        for column, (supply, counts) in zip(columns, patterns, strict=True)
        if fewest.values[column]
    ]
    return Packing(
        tuple(
            Cut(supply, gpus, counts, _placed(supply, counts))
            for supply, gpus, counts in _trimmed(used, placed_counts)
        ),
        # Time may be up before the solver has any bound.
        int(max(0.0, whole_bound(fewest.bound))),
        {name: wanted[name] - count for name, count in placed_counts.items() if count < wanted[name]},
        sure,
    )


_LEFT_TO_CHOOSE = 3
"""GPUs of each pattern."""


def _fewest(program: IntegerProgram, aim: Mapping[int, float], within_s: float) -> Solution:
    """Most of a large packing is that of the relaxed program, rounded down: only what is left has to be searched.

    Where that comes to the relaxed optimum rounded up, as it nearly always does, it is proven; else all is searched.
    """
    relaxed = program.relaxed(aim, within_s=within_s).values
    if relaxed:
        bound = whole_bound(sum(relaxed[column] for column in aim))
        most = {c: whole - _LEFT_TO_CHOOSE for c in aim if (whole := int(relaxed[c])) > _LEFT_TO_CHOOSE}
        near = program.minimise(aim, within_s=within_s, at_least=most)
        if near.found and near.objective <= bound:
            return Solution(Outcome.OPTIMAL, near.values, near.objective, near.objective)
        if near.found:
            return program.minimise(aim, within_s=within_s, start=near.values)
    return program.minimise(aim, within_s=within_s)


def _require(solution: Solution) -> None:
    if not solution.found:
        raise PackingTimeout("no packing was found in time: give it more")


def _weight(supplies: Sequence[Supply], name: str) -> int:
    """The memory of a slice in 64ths of its GPU: boards have 4, 8 or 12 slots, and aims are whole numbers."""
    for supply in supplies:
        if (profile := supply.profile(name)) is not None:
            part = Fraction(supply.states.profiles[profile].memory_slots, supply.states.memory_slots)
            return max(1, round(part * 64))
    raise ValueError(f"no board has '{name}'")


def _names(supply: Supply) -> tuple[str, ...]:
    return tuple(profile.name for profile in supply.states.profiles)


_Used = tuple[Supply, int, dict[str, int]]


def _trimmed(used: Sequence[_Used], placed: Mapping[str, int]) -> list[_Used]:
    """Without the slices that patterns give beyond the demand."""
    groups = list(used)
    for name in {name for _, _, counts in used for name in counts}:
        surplus = sum(gpus * counts[name] for _, gpus, counts in groups if name in counts) - placed.get(
            name, 0
        )
        kept: list[_Used] = []
        for supply, gpus, counts in groups:
            each = counts.get(name, 0)
            bare = min(gpus, surplus // each) if each else 0
            if bare:
                kept.append((supply, bare, {**counts, name: 0}))
                surplus -= bare * each
            if each and surplus and gpus > bare:
                kept.append((supply, 1, {**counts, name: each - surplus}))
                bare, surplus = bare + 1, 0
            if gpus > bare:
                kept.append((supply, gpus - bare, counts))
        groups = kept
    merged: dict[tuple[str, tuple[tuple[str, int], ...]], _Used] = {}
    for supply, gpus, counts in groups:
        cut = {name: count for name, count in counts.items() if count}
        key = supply.name, tuple(sorted(cut.items()))
        before = merged[key][1] if key in merged else 0
        merged[key] = supply, before + gpus, cut
    return sorted(merged.values(), key=lambda one: (one[0].name, -one[1], sorted(one[2].items())))


def _placed(supply: Supply, counts: Mapping[str, int]) -> tuple[Placing, ...]:
    """An arrangement of the multiset, by start."""
    wanted = tuple(counts.get(profile.name, 0) for profile in supply.states.profiles)
    number = supply.states.counts.index(wanted)
    return tuple(sorted(supply.states.states[number], key=lambda placing: placing.start))
