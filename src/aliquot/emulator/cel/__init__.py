"""The Common Expression Language as Kubernetes speaks it: rules of CRDs, admission policies, match conditions.

    environment = Environment({"object": DYN, "request": REQUEST}, minor=36)
    program = environment.compile("object.spec.replicas <= 5")      # CompileError: the API server's text
    outcome = program.evaluate({"object": obj, "request": request}) # Outcome(value, cost, error)

Values go in as JSON is (dict, list, str, int, float, bool, None); `values` has the kinds that JSON lacks. What a
schema says of a value (times, bytes, numbers that are doubles, escaped names of properties) `schemas.to_cel` adds.
`authorizer` is a `library.authorization.Authorizer`.

Evaluation is pure: it knows no clock and no cluster, and equal values give equal outcomes at an equal cost. Nothing
here is imported, nor the compiler behind it, until something has an expression to compile.
"""

from aliquot.emulator.cel.environment import PER_CALL_LIMIT, Environment, Outcome, Program
from aliquot.emulator.cel.errors import CompileError, CostExceeded, EvaluationError

__all__ = [
    "PER_CALL_LIMIT",
    "CompileError",
    "CostExceeded",
    "Environment",
    "EvaluationError",
    "Outcome",
    "Program",
]
