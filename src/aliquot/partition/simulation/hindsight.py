"""The exact optimum, in hindsight: the most memory slots that could have been admitted, had all requests been known.

It may turn a request away for a better one that comes later, and may move everything at any time at no cost: no policy
admits more, whether it moves or not. An integer program finds it: a column for each request, taken or not; at every
time at which the fleet may be fullest, what runs then has to pack (`packing_bounds`).
"""

from collections.abc import Sequence
from itertools import pairwise

from aliquot.partition.board_states import BoardStates
from aliquot.partition.integer_program import IntegerProgram, Outcome
from aliquot.partition.simulation.engine import Churn, Usage
from aliquot.partition.simulation.free_migration import FreeMigration
from aliquot.partition.simulation.packing_bounds import packing_bounds
from aliquot.partition.simulation.workload import Trace


class NotProven(Exception):
    """One line: the optimum was not found in the time given."""


def best_choice(board: BoardStates, gpus: int, trace: Trace, *, within_s: float) -> Sequence[bool]:
    """Of each request, whether it is admitted. Raises NotProven."""
    slots = [profile.memory_slots for profile in board.profiles]
    bounds = packing_bounds(board.maximal_counts)
    program = IntegerProgram()
    requests = [program.column(1) for _ in trace.times]
    for running in _fullest(trace):
        for bound in bounds:
            weights = [(number, bound.weights[trace.profiles[number]]) for number in running]
            if sum(weight for _, weight in weights) > bound.per_gpu * gpus:
                program.row([entry for entry in weights if entry[1]], at_most=bound.per_gpu * gpus)
    solution = program.minimise(
        {number: -float(slots[trace.profiles[number]]) for number in requests}, within_s=within_s
    )
    if solution.outcome is not Outcome.OPTIMAL:
        raise NotProven(
            f"no proven optimum of {len(requests)} requests in {within_s:g} s: take fewer GPUs, or a shorter run"
        )
    return [bool(value) for value in solution.values]


def _fullest(trace: Trace) -> list[list[int]]:
    """Who would run if all were admitted, at each arrival after which somebody leaves before the next one."""
    found: list[list[int]] = []
    running: list[int] = []
    ends = [time + duration for time, duration in zip(trace.times, trace.durations, strict=True)]
    for number, (now, following) in enumerate(pairwise((*trace.times, trace.horizon))):
        running = [other for other in running if ends[other] > now]
        running.append(number)
        if any(ends[other] <= following for other in running) or number == len(trace) - 1:
            found.append(running)
    return found


class Hindsight:
    """An `Allocator` that admits whom the optimum admits. Only where who finds no room is turned away."""

    def __init__(self, board: BoardStates, gpus: int, admitted: Sequence[bool]) -> None:
        self._fleet = FreeMigration(board, gpus)
        self._admitted = admitted
        self._seen = 0
        self.release = self._fleet.release

    def observe(self, profile: int) -> None:
        self._seen += 1

    def place(self, profile: int) -> list[int] | None:
        return self._fleet.place(profile) if self._admitted[self._seen - 1] else None

    def usage(self) -> Usage:
        return self._fleet.usage()

    def churn(self) -> Churn:
        return self._fleet.churn()
