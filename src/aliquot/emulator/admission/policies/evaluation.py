"""One evaluation of one policy: what its expressions speak of, and what they may cost together."""

from collections.abc import Callable, Mapping
from typing import Any

from aliquot.emulator.admission.expressions import values
from aliquot.emulator.admission.policies.definitions import Policy
from aliquot.emulator.admission.policies.parameters import Param
from aliquot.emulator.admission.policies.programs import Compiled, Failed, Programs
from aliquot.emulator.admission.types import Admitted
from aliquot.emulator.cel import EvaluationError
from aliquot.emulator.cel.values import Lazy
from aliquot.emulator.objects import Json, metadata
from aliquot.emulator.rbac import Authorizer
from aliquot.emulator.registry import NAMESPACES, Served

BUDGET = 10_000_000
_CONDITIONS_BUDGET = 2_500_000
_EXHAUSTED = "validation failed due to running out of cost budget, no further validation rules will be run"
_OMITTED = ("managedFields", "ownerReferences", "selfLink")


class OutOfBudget(Exception):
    """Nothing more is evaluated; the text says so."""

    def __init__(self) -> None:
        super().__init__(_EXHAUSTED)


class NotEvaluated(Exception):
    """An expression has no value; the text says why."""


class Evaluation:
    def __init__(self, programs: Programs, bound: Mapping[str, Any]) -> None:
        self._programs = programs
        self._values = {**bound, "variables": _Variables(programs.variables, self._variable)}
        self._spent = 0

    def _variable(self, name: str) -> Any:
        program = self._programs.variables[name]
        if isinstance(program, Failed):
            raise EvaluationError(f'composited variable "{name}" fails to compile: {program.problem}')
        outcome = program.evaluate(self._values)
        self._spent += outcome.cost
        if outcome.error is not None:
            raise EvaluationError(f'composited variable "{name}" fails to evaluate: {outcome.error}')
        return outcome.value

    def value(self, program: Compiled, expression: str, budget: int) -> tuple[Any, int]:
        """(value, what is left of the budget). Raises NotEvaluated, OutOfBudget."""
        if isinstance(program, Failed):
            raise NotEvaluated(f"compilation error: {program.problem}")
        self._spent = 0
        outcome = program.evaluate(self._values)
        left = budget - self._spent - outcome.cost
        if left < 0:
            raise OutOfBudget
        if outcome.error is not None:
            raise NotEvaluated(f"expression '{expression}' resulted in error: {outcome.error}")
        return outcome.value, left

    def concerns(self, policy: Policy) -> bool:
        """Whether the match conditions hold; one that does not decides, whatever the others do.

        Raises NotEvaluated; OutOfBudget.
        """
        failures: list[str] = []
        budget = _CONDITIONS_BUDGET
        for condition, program in zip(policy.conditions, self._programs.conditions, strict=True):
            try:
                held, budget = self.value(program, condition.expression, budget)
            except NotEvaluated as failure:
                failures.append(str(failure))
                continue
            if held is False:
                return False
        if failures:
            raise NotEvaluated(failures[0] if len(failures) == 1 else f"[{', '.join(failures)}]")
        return True


class _Variables(Lazy):
    """Each is evaluated when it is first asked for, once, and fails for good."""

    __slots__ = ()

    def __init__(self, programs: Mapping[str, Compiled], evaluate: Callable[[str], Any]) -> None:
        def maker(name: str) -> Callable[[], Any]:
            return lambda: _outcome(evaluate, name)

        super().__init__("kubernetes.variables", {name: maker(name) for name in programs})

    def get(self, name: str) -> Any:
        value = super().get(name)
        if isinstance(value, EvaluationError):
            raise value
        return value


def _outcome(evaluate: Callable[[str], Any], name: str) -> Any:
    try:
        return evaluate(name)
    except EvaluationError as error:
        return error


def bound_values(
    asked: Admitted, served: Served, obj: Json | None, old: Json | None, param: Param, authorizer: Authorizer
) -> dict[str, Any]:
    """Of all names but `variables`. `obj` and `old` are in `served`'s version."""
    return {
        **values(asked, served, obj, old, authorizer),
        "params": param,
        "namespaceObject": _namespace(asked),
    }


def _namespace(asked: Admitted) -> Json | None:
    """Without what is nobody's business; None for what is in no namespace, which a Namespace is not either."""
    if asked.served.storage == NAMESPACES or not asked.namespace:
        return None
    found = asked.look.get(NAMESPACES, "", asked.namespace)
    if found is None:
        return None
    kept = {name: value for name, value in metadata(found).items() if name not in _OMITTED}
    return {"metadata": kept, "spec": found.get("spec") or {}, "status": found.get("status") or {}}
