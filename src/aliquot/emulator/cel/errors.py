"""How an expression fails: when it is compiled, and when it is evaluated."""

from dataclasses import dataclass


@dataclass(slots=True)
class CompileError(Exception):
    """`message` as the API server tells it: `ERROR: <input>:1:1: undeclared reference to 'x' (in container '')`,
    then the line and a caret below the place."""

    message: str

    def __str__(self) -> str:
        return self.message


@dataclass(slots=True)
class EvaluationError(Exception):
    """`no such key: replicas`, `division by zero`, `index out of bounds: 3`."""

    message: str

    def __str__(self) -> str:
        return self.message


class CostExceeded(EvaluationError):
    """The expression did more than one call may."""

    def __init__(self) -> None:
        super().__init__("operation cancelled: actual cost limit exceeded")


def no_such_overload(function: str = "") -> EvaluationError:
    return EvaluationError(f"no such overload: {function}" if function else "no such overload")
