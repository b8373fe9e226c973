"""matchConditions: expressions that must all hold for a webhook to be called. Each is compiled once."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from aliquot.emulator.admission.types import Admitted
from aliquot.emulator.objects import Json
from aliquot.emulator.rbac import Authorizer
from aliquot.emulator.registry import Served

if TYPE_CHECKING:
    from aliquot.emulator.cel import Program

_BUDGET = 2_500_000
"""What all conditions of one webhook may cost together."""
_COMPILED = 1000


class ConditionsFailed(Exception):
    """No condition says no, and some could not be evaluated; the text says why."""


class MatchConditions:
    def __init__(self, authorizer: Authorizer, minor: int) -> None:
        self._authorizer = authorizer
        self._compiled = lru_cache(maxsize=_COMPILED)(lambda expression: _compile(expression, minor))

    def hold(
        self,
        conditions: Sequence[tuple[str, str]],
        asked: Admitted,
        served: Served,
        obj: Json | None,
        old: Json | None,
    ) -> bool:
        """One that does not hold decides, whatever the others do. Raises ConditionsFailed."""
        # The compiler behind it is big: it is not imported before there is something to compile.
        from aliquot.emulator.admission.expressions import values

        bound = values(asked, served, obj, old, self._authorizer)
        failures = []
        left = _BUDGET
        for _, expression in conditions:
            outcome = self._evaluated(expression, bound, left)
            if isinstance(outcome, str):
                failures.append(outcome)
                continue
            value, cost = outcome
            left -= cost
            if value is False:
                return False
        if failures:
            raise ConditionsFailed(failures[0] if len(failures) == 1 else f"[{', '.join(failures)}]")
        return True

    def _evaluated(self, expression: str, bound: dict[str, Any], left: int) -> tuple[Any, int] | str:
        """(value, cost), or why there is none."""
        from aliquot.emulator.cel import PER_CALL_LIMIT

        program = self._compiled(expression)
        if isinstance(program, str):
            return f"compilation error: {program}"
        if left <= 0:
            return (
                "validation failed due to running out of cost budget, no further validation rules will be run"
            )
        outcome = program.evaluate(bound, min(left, PER_CALL_LIMIT))
        if outcome.error is not None:
            return f"expression '{expression}' resulted in error: {outcome.error}"
        return outcome.value, outcome.cost


def _compile(expression: str, minor: int) -> "Program | str":
    from aliquot.emulator.admission.expressions import environment
    from aliquot.emulator.cel import CompileError

    try:
        return environment(minor).compile(expression)
    except CompileError as error:
        return str(error)
