"""Environments: which names and functions an expression may use, and the compiler that holds it to them.

Parsing, macros and types are cel-expr-python's (Google's CEL in C++), which is imported when the first expression is
compiled. What it has checked, `interpreter` evaluates.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from aliquot.emulator.cel import literals, syntax
from aliquot.emulator.cel.declarations import configuration
from aliquot.emulator.cel.errors import CompileError, EvaluationError
from aliquot.emulator.cel.interpreter import Construct, Frame, Step, compile_tree
from aliquot.emulator.cel.messages import Messages, names_in_literals
from aliquot.emulator.cel.types import Type
from aliquot.emulator.cel.wording import reworded

PER_CALL_LIMIT = 1_000_000
"""What one evaluation of one expression may cost."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an evaluation came to: a value, or why there is none; and what it cost, either way."""

    value: Any
    cost: int
    error: EvaluationError | None = None


class Program:
    """An expression, checked."""

    __slots__ = ("_step", "checked", "result", "text")

    def __init__(
        self, text: str, checked: syntax.Checked, variables: Collection[str], construct: Construct | None
    ) -> None:
        self.text = text
        self.checked = checked
        self.result: Type = checked.type_of(checked.root)
        self._step: Step = compile_tree(checked, variables, construct)

    def uses(self, name: str) -> bool:
        """Whether the expression refers to a variable."""
        return any(reference.name == name for reference in self.checked.references.values())

    def evaluate(self, values: Mapping[str, Any], limit: int = PER_CALL_LIMIT) -> Outcome:
        """With `values` for all variables that the expression uses. The same values always give the same outcome."""
        frame = Frame(dict(values), limit)
        try:
            return Outcome(self._step(frame), frame.cost)
        except EvaluationError as error:
            return Outcome(None, frame.cost, error)
        except RecursionError:
            return Outcome(None, frame.cost, EvaluationError("expression is too deeply nested"))


class Constructor(Protocol):
    """Makes values of the named types that an expression may write as literals: `JSONPatch{op: 'add'}`."""

    def fields(self, type_name: str, written: Collection[str]) -> Mapping[str, Type] | None:
        """The fields of a type; None where there is no such type.

        `written` are all names that the expression gives to fields or keys: a type may take whatever it is given.
        """
        ...

    def construct(self, type_name: str, fields: dict[str, Any]) -> Any:
        """Raises EvaluationError."""
        ...


class Environment:
    """Names an expression may use, with their types; the functions of a cluster of Kubernetes 1.`minor`."""

    def __init__(
        self,
        variables: Mapping[str, Type],
        *,
        minor: int,
        mutation: bool = False,
        constructor: Constructor | None = None,
    ) -> None:
        self._variables = dict(variables)
        self._minor = minor
        self._mutation = mutation
        self._constructor = constructor
        self._compilers: dict[tuple[tuple[str, ...], ...], tuple[Any, Messages]] = {}

    def compile(self, text: str) -> Program:
        """Raises CompileError."""
        compiler, messages = self._compiler(text)
        try:
            compiled = compiler.compile(messages.flattened(text))
        except RuntimeError as error:
            raise CompileError(messages.unflattened(reworded(str(error), messages.flattened(text)))) from None
        checked = messages.restored(syntax.read(compiled.serialize()))
        if wrong := literals.problems(text, checked):
            raise CompileError(wrong)
        return Program(text, checked, self._variables, self._construct(messages))

    def _literal_types(self, text: str) -> dict[str, Mapping[str, Type]]:
        if self._constructor is None:
            return {}
        names, written = names_in_literals(text)
        found = {name: self._constructor.fields(name, written) for name in names}
        return {name: fields for name, fields in found.items() if fields is not None}

    def _construct(self, messages: Messages) -> Construct | None:
        constructor = self._constructor
        if constructor is None:
            return None
        return lambda name, fields: constructor.construct(messages.original(name), fields)

    def _compiler(self, text: str) -> tuple[Any, Messages]:
        """One for all expressions, but for those with type literals: these are declared as they are met."""
        literal_types = self._literal_types(text)
        key = tuple((name, *fields) for name, fields in literal_types.items())
        found = self._compilers.get(key)
        if found is None:
            from cel_expr_python import cel

            messages = Messages(self._variables.values(), literal_types)
            environment = cel.NewEnv(
                descriptor_pool=messages.pool(),
                config=configuration(self._minor, self._mutation),
                variables={name: messages.compiler_type(one) for name, one in self._variables.items()},
            )
            found = self._compilers[key] = (environment, messages)
        return found
