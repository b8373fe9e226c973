"""Integer programs with HiGHS, as the exact planners state them: whole numbers, linear rows, one aim after the other.

Aims are lexicographic: `hold` keeps what an aim has reached while the next one is pursued. Weights that fold several
aims into one lose them in the solver's tolerances as soon as the numbers are those of a large cluster.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import highspy

INFINITE = math.inf

Entries = Iterable[tuple[int, float]]
"""(column, coefficient)"""

_TOLERANCE = 1e-6
"""HiGHS's own, of feasibility and of whole numbers."""


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

    def relaxed(self, aim: Mapping[int, float]) -> Sequence[float]:
        """The best values where fractions are allowed, which takes a fraction of the time; empty where there are none."""
        import highspy

        highs = _solver()()
        model = self._model(aim)
        model.integrality_ = []
        highs.passModel(model)
        highs.run()
        if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return ()
        return list(highs.getSolution().col_value)

    def minimise(
        self,
        aim: Mapping[int, float],
        *,
        within_s: float,
        start: Sequence[int] | None = None,
        at_least: Mapping[int, int] | None = None,
    ) -> Solution:
        """`start`: a solution that is known. Where time is up and nothing better is found, it is the answer.

        `at_least`: columns below which nothing is looked for this time.
        """
        if within_s <= 0:
            if start is None:
                return Solution(Outcome.NOTHING, (), INFINITE, -INFINITE)
            return Solution(Outcome.BEST_SO_FAR, start, _value(aim, start), -INFINITE)
        import highspy

        highs = _solver()()
        for option, value in (
            ("time_limit", within_s),
            ("mip_rel_gap", 0.0),
            ("mip_abs_gap", _TOLERANCE),
        ):
            highs.setOptionValue(option, value)
        highs.passModel(self._model(aim, at_least or {}))
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
                    Outcome.BEST_SO_FAR, start, _value(aim, start), _bound_of(info.mip_dual_bound)
                )
            return Solution(Outcome.NOTHING, (), INFINITE, _bound_of(info.mip_dual_bound))
        values = [round(value) for value in highs.getSolution().col_value]
        optimal = status == highspy.HighsModelStatus.kOptimal
        objective = _value(aim, values)
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


def whole_bound(bound: float) -> float:
    """Of an aim that only takes whole numbers: the least of these that is not below the bound."""
    return math.ceil(bound - _TOLERANCE * max(1.0, abs(bound))) if math.isfinite(bound) else bound


def _value(aim: Mapping[int, float], values: Sequence[int]) -> float:
    return math.fsum(coefficient * values[column] for column, coefficient in aim.items())


def _bound_of(bound: float) -> float:
    return bound if math.isfinite(bound) else -INFINITE
