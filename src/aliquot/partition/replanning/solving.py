"""One aim after the other, within the time there is.

First without moving anything: where that admits all, nothing is evicted and the rest is small. Otherwise its answer is
where the search that may evict begins, so that whenever time is up there is a plan, and it is never worse than moving
nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aliquot.partition.integer_program import IntegerProgram, Outcome, step_of, value_of, whole_bound
from aliquot.partition.replanning.limits import Limits, Rule
from aliquot.partition.replanning.model import Aim, Model, build, memory, without_moving_as_start
from aliquot.partition.replanning.pools import Pools

PART_OF_WHAT_IS_LEFT = 0.7
"""An aim may take so much of the time; the others need some, too."""

WIDTHS = (2, 10, 1_000_000)
"""How far from the relaxed optimum is searched."""
LARGEST_SEARCHED_WHOLE = 64
SMALL = 1500
"""GPUs of a pool, and columns of a program, up to which everything is searched at last."""


@dataclass(frozen=True, slots=True)
class Reached:
    """An aim, what was reached of it, and what nobody can surpass. Less is better for all but admission."""

    aim: str
    value: float
    bound: float | None
    """None: time was up before anything was known."""

    @property
    def proven(self) -> bool:
        return self.bound is not None and self.bound == self.value

    @property
    def gap(self) -> float | None:
        """Of the larger of the two; None where nothing is known."""
        if self.bound is None:
            return None
        largest = max(abs(self.value), abs(self.bound))
        return abs(self.value - self.bound) / largest if largest else 0.0


def admission_of(priority: int) -> str:
    """The name of the aim."""
    return f"admitted {priority}"


@dataclass(frozen=True, slots=True)
class Solved:
    model: Model
    values: Sequence[int]
    reached: tuple[Reached, ...]


class Infeasible(Exception):
    """What is required cannot be had within the limits."""


class NoTime(Exception):
    """Time was up before it was known whether what is required can be had."""


def solve(
    pools: Pools,
    budgets: Mapping[str, int],
    limits: Limits,
    *,
    within_s: float,
    monotonic: Callable[[], float],
    only_admission: bool = False,
) -> Solved:
    """Raises Infeasible, or NoTime. `only_admission`: the other aims are left alone."""
    search = _Search(pools, limits, monotonic() + within_s, monotonic, only_admission)
    bare = build(pools, budgets, limits, moving=False)
    nothing = None if any(d.required for d in pools.demands) else [0] * bare.program.columns
    still = search.run(bare, nothing)
    if still is not None and (search.all_admitted or not pools.kinds):
        return still
    if not pools.kinds:
        raise Infeasible
    full = build(pools, budgets, limits, moving=True)
    start = without_moving_as_start(full, bare, still.values) if still is not None else None
    moved = search.run(full, start)
    if moved is None:
        raise NoTime if search.timed_out else Infeasible
    return moved


class _Search:
    def __init__(
        self,
        pools: Pools,
        limits: Limits,
        deadline: float,
        monotonic: Callable[[], float],
        only_admission: bool,
    ) -> None:
        self._pools = pools
        self._heed_priorities = limits.heed(Rule.PRIORITIES)
        self._deadline = deadline
        self._monotonic = monotonic
        self._only_admission = only_admission
        self.timed_out = False
        self.all_admitted = False

    def run(self, model: Model, start: Sequence[int] | None) -> Solved | None:
        """None: there is no solution, or none was found in time."""
        self._values = start
        self._reached: list[Reached] = []
        self.timed_out = False
        moving = bool(model.evictions)
        if not self._admission(model, moving):
            return None
        wanted = sum(len(pods) for pods in self._pools.demands.values())
        assert self._values is not None
        self.all_admitted = sum(self._values[column] for column in model.admitted.values()) == wanted
        if not moving and self._pools.kinds and not self.all_admitted:
            # The search that may evict goes on from here.
            return Solved(model, self._values, tuple(self._reached))
        if not self._only_admission:
            self._pursue(model, "evictions", model.evicted())
            self._pursue(model, "operations", model.operations())
            self._pursue(model, "loss", model.loss(), last=True)
        return Solved(model, self._values, tuple(self._reached))

    def _admission(self, model: Model, moving: bool) -> bool:
        """By priority, highest first. A pod is evicted only for pods of at least its priority: what is evicted of higher
        ones than the next priority is held down before that has its turn."""
        priorities = sorted({demand.priority for demand in self._pools.demands}, reverse=True)
        if not priorities:
            priorities = [0]
        for priority, lower in zip(priorities, [*priorities[1:], None], strict=True):
            least = -self._most_admitted(model, priority)
            aim = model.admission(priority)
            if not self._pursue(model, admission_of(priority), aim, sign=-1, least=least):
                return False
            if lower is not None and moving and self._heed_priorities:
                above = model.evicted(above=lower)
                if above:
                    self._pursue(model, f"evictions above {lower}", above)
        return True

    def _most_admitted(self, model: Model, priority: int) -> float:
        """No plan admits more memory of the priority: by what waits, and, on boards of one kind, by what is free. Who is evicted
        goes on, and takes as much again."""
        pools = self._pools.pools
        waits = sum(
            len(pods)
            * max(memory(pool, demand.needs) for pool in pools if pool.allows(demand.where, demand.needs))
            for demand, pods in self._pools.demands.items()
            if demand.priority == priority and any(pool.allows(demand.where, demand.needs) for pool in pools)
        )
        slots = {pool.states.memory_slots for pool in pools}
        if len({id(pool.states) for pool in pools}) != 1 or 64 % min(slots):
            return waits
        free = sum(
            len(gpus) * (pool.states.memory_slots - alike.occupancy.bit_count())
            for pool in pools
            for alike, gpus in pool.groups.items()
        )
        before = sum(
            memory(pools[pool], demand.needs) * self._values[column]
            for (demand, pool), column in model.admitted.items()
            if self._values is not None and demand.priority > priority
        )
        return min(waits, free * 64 // min(slots) - before)

    def _pursue(
        self,
        model: Model,
        name: str,
        aim: Aim,
        *,
        sign: int = 1,
        last: bool = False,
        least: float | None = None,
    ) -> bool:
        """`least`: known beforehand that the aim is not below it."""
        left = self._deadline - self._monotonic()
        until = self._deadline if last else self._deadline - left * (1 - PART_OF_WHAT_IS_LEFT)
        if not aim and self._values is not None:
            self._reached.append(Reached(name, 0, 0))
            return True
        bound = self._search(model.program, aim, until)
        if self._values is None:
            return False
        value = value_of(aim, self._values)
        if least is None and all(coefficient >= 0 for coefficient in aim.values()):
            least = 0.0
        if least is not None:
            bound = least if bound is None else max(bound, least)
        # No minus zero.
        self._reached.append(
            Reached(name, sign * value or 0.0, None if bound is None else sign * bound or 0.0)
        )
        model.program.hold(aim, value)
        return True

    def _search(self, program: IntegerProgram, aim: Aim, until: float) -> float | None:
        """The best values that time allows; their bound, None where nothing is known of it.

        Around the relaxed optimum first, and ever further from it, until its value is reached, which is proof. What is
        far from it is never better by much, and to look at all at once takes HiGHS longer than any limit that it is given.
        """
        step = step_of(aim)
        found = program.relaxed(aim, within_s=until - self._monotonic())
        if found.outcome is Outcome.INFEASIBLE:
            return None
        relaxed = found.values
        bound = whole_bound(value_of(aim, relaxed), step) if relaxed else None
        for width in WIDTHS:
            left = until - self._monotonic()
            if left <= 0:
                self.timed_out = True
                break
            if bound is not None and self._values is not None and value_of(aim, self._values) <= bound:
                break
            near = (relaxed, width) if relaxed and width < program.widest else None
            if near is None and program.widest > LARGEST_SEARCHED_WHOLE and program.columns > SMALL:
                self.timed_out = True
                break
            start = self._values if near is None else None
            solution = program.minimise(aim, within_s=left, near=near, start=start)
            if solution.found and (self._values is None or solution.objective < value_of(aim, self._values)):
                self._values = solution.values
            if near is None:
                # All was looked at.
                self.timed_out |= solution.outcome in (Outcome.NOTHING, Outcome.BEST_SO_FAR)
                return whole_bound(solution.bound, step) if solution.bound > float("-inf") else bound
        return bound
