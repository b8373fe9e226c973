"""Integer programs with HiGHS, as the exact planners state them: whole numbers, linear rows, one aim after the other.

Aims are lexicographic: `hold` keeps what an aim has reached while the next one is pursued. Weights that fold several
aims into one lose them in the solver's tolerances as soon as the numbers are those of a large cluster.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib.util import find_spec
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import highspy

INFINITE = math.inf

Entries = Iterable[tuple[int, float]]
"""(column, coefficient)"""

_TOLERANCE = 1e-6
"""HiGHS's own, of feasibility and of whole numbers."""

_SLOW_RULES = 1 << 15 | 1 << 16
"""Presolve by probing and by enumeration: with thousands of columns they take longer than the rest, and pay no heed to the
time limit."""


class Outcome(Enum):
    OPTIMAL = "optimal"
    BEST_SO_FAR = "best so far"
    """Time was up."""
    INFEASIBLE = "infeasible"
    NOTHING = "nothing found"
    """Time was up before the first solution."""


@dataclass(frozen=True, slots=True)
class Solution:
    outcome: Outcome
    values: Sequence[int]
    """By column; empty where there is none."""
    objective: float
    bound: float
    """No solution is below it."""

    @property
    def found(self) -> bool:
        return self.outcome in (Outcome.OPTIMAL, Outcome.BEST_SO_FAR)


@dataclass(frozen=True, slots=True)
class Relaxed:
    outcome: Outcome
    values: Sequence[float]
    """By column; empty where there are none."""


class IntegerProgram:
    """Columns are whole numbers of at least 0."""

    def __init__(self) -> None:
        self._upper: list[float] = []
        self._row_lower: list[float] = []
        self._row_upper: list[float] = []
        self._starts: list[int] = [0]
        self._columns: list[int] = []
        self._coefficients: list[float] = []

    @property
    def columns(self) -> int:
        return len(self._upper)

    @property
    def rows(self) -> int:
        return len(self._row_lower)

    def column(self, upper: float = INFINITE) -> int:
        self._upper.append(upper)
        return len(self._upper) - 1

    def row(self, entries: Entries, *, at_least: float = -INFINITE, at_most: float = INFINITE) -> int:
        """A column may come up more than once."""
        merged: dict[int, float] = {}
        for column, coefficient in entries:
            merged[column] = merged.get(column, 0.0) + coefficient
        self._columns += merged.keys()
        self._coefficients += merged.values()
        self._starts.append(len(self._columns))
        self._row_lower.append(at_least)
        self._row_upper.append(at_most)
        return len(self._row_lower) - 1

    def hold(self, aim: Mapping[int, float], value: float) -> None:
        """From here on the aim stays at `value` or below."""
        self.row(aim.items(), at_most=value)

    @property
    def widest(self) -> float:
        """The largest number that a column may be."""
        return max(self._upper, default=0)

    def relaxed(self, aim: Mapping[int, float], *, within_s: float = INFINITE) -> "Relaxed":
        """The best values where fractions are allowed, which takes a fraction of the time."""
        import highspy

        if within_s <= 0:
            return Relaxed(Outcome.NOTHING, ())
        highs = _solver()()
        highs.setOptionValue("time_limit", within_s)
        model = self._model(aim)
        model.integrality_ = []
        highs.passModel(model)
        highs.run()
        status = highs.getModelStatus()
        if status == highspy.HighsModelStatus.kInfeasible:
            return Relaxed(Outcome.INFEASIBLE, ())
        if status != highspy.HighsModelStatus.kOptimal:
            return Relaxed(Outcome.NOTHING, ())
        return Relaxed(Outcome.OPTIMAL, list(highs.getSolution().col_value))

    def minimise(
        self,
        aim: Mapping[int, float],
        *,
        within_s: float,
        start: Sequence[int] | None = None,
        at_least: Mapping[int, int] | None = None,
        near: tuple[Sequence[float], int] | None = None,
    ) -> Solution:
        """`start`: a solution that is known. Where time is up and nothing better is found, it is the answer.

        `at_least`: columns below which nothing is looked for this time. `near`: values, and how far from them columns are
        looked at this time. Then the bound is that of the part that is looked at, and so is "infeasible".
        """
        if within_s <= 0:
            if start is None:
                return Solution(Outcome.NOTHING, (), INFINITE, -INFINITE)
            return Solution(Outcome.BEST_SO_FAR, start, value_of(aim, start), -INFINITE)
        import highspy

        highs = _solver()()
        for option, value in (
            ("time_limit", within_s),
            ("mip_rel_gap", 0.0),
            ("presolve_rule_off", _SLOW_RULES),
            ("mip_abs_gap", _TOLERANCE),
        ):
            highs.setOptionValue(option, value)
        model = self._model(aim, at_least or {})
        if near is not None:
            _narrow(model, *near)
        highs.passModel(model)
        if start is not None:
            known = highspy.HighsSolution()
            known.col_value = [float(value) for value in start]
            highs.setSolution(known)
        highs.run()
        status, info = highs.getModelStatus(), highs.getInfo()
        if status in (highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnboundedOrInfeasible):
            return Solution(Outcome.INFEASIBLE, (), INFINITE, INFINITE)
        if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
            if start is not None:
                return Solution(
                    Outcome.BEST_SO_FAR, start, value_of(aim, start), _bound_of(info.mip_dual_bound)
                )
            return Solution(Outcome.NOTHING, (), INFINITE, _bound_of(info.mip_dual_bound))
        values = [round(value) for value in highs.getSolution().col_value]
        optimal = status == highspy.HighsModelStatus.kOptimal
        objective = value_of(aim, values)
        return Solution(
            Outcome.OPTIMAL if optimal else Outcome.BEST_SO_FAR,
            values,
            objective,
            objective if optimal else _bound_of(info.mip_dual_bound),
        )

    def _model(
        self, aim: Mapping[int, float], at_least: Mapping[int, int] = MappingProxyType({})
    ) -> "highspy.HighsLp":
        import highspy
        import numpy as np

        cost = np.zeros(self.columns)
        for column, coefficient in aim.items():
            cost[column] = coefficient
        lower = np.zeros(self.columns)
        for column, least in at_least.items():
            lower[column] = least
        model = highspy.HighsLp()
        model.num_col_ = self.columns
        model.num_row_ = self.rows
        model.col_cost_ = cost
        model.col_lower_ = lower
        model.col_upper_ = np.array(self._upper, dtype=float)
        model.row_lower_ = np.array(self._row_lower, dtype=float)
        model.row_upper_ = np.array(self._row_upper, dtype=float)
        model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        model.a_matrix_.start_ = np.array(self._starts, dtype=np.int32)
        model.a_matrix_.index_ = np.array(self._columns, dtype=np.int32)
        model.a_matrix_.value_ = np.array(self._coefficients, dtype=float)
        model.integrality_ = [highspy.HighsVarType.kInteger] * self.columns
        return model


@cache
def is_installed() -> bool:
    """Whether there is a solver: the extra `partition` brings it."""
    return all(find_spec(name) is not None for name in ("highspy", "numpy"))


@cache
def _solver() -> "type[highspy.Highs]":
    import highspy

    class Silent(highspy.Highs):
        """Callbacks are of no use here, and to enable them, as the constructor does, prints a line.

        One thread: these programs are small, and all solvers of a process have to agree on how many there are.
        """

        def enableCallbacks(self) -> None:  # noqa: N802
            self.setOptionValue("output_flag", False)
            self.setOptionValue("threads", 1)

    return Silent


def _narrow(model: "highspy.HighsLp", values: Sequence[float], width: int) -> None:
    import numpy as np

    middle = np.array(values)
    model.col_lower_ = np.maximum(np.asarray(model.col_lower_), np.floor(middle) - width)
    model.col_upper_ = np.minimum(np.asarray(model.col_upper_), np.ceil(middle) + width)


def whole_bound(bound: float, step: int = 1) -> float:
    """Of an aim that only takes whole numbers, multiples of `step`: the least of these that is not below the bound."""
    if not math.isfinite(bound):
        return bound
    return math.ceil((bound - _TOLERANCE * max(1.0, abs(bound))) / step) * step


def step_of(aim: Mapping[int, float]) -> int:
    """Values of the aim are multiples of it."""
    return math.gcd(*(int(coefficient) for coefficient in aim.values())) or 1


def value_of(aim: Mapping[int, float], values: Sequence[float]) -> float:
    return math.fsum(coefficient * values[column] for column, coefficient in aim.items())


def _bound_of(bound: float) -> float:
    return bound if math.isfinite(bound) else -INFINITE
