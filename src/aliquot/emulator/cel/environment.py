"""Environments: which names and functions an expression may use, and the compiler that holds it to them.

Parsing, macros and types are cel-expr-python's (Google's CEL in C++), which is imported when the first expression is
compiled. Objects are shown to it as protobuf messages, whose only purpose is to be checked against: nothing is ever
stored in one. What it has checked, `interpreter` evaluates.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from aliquot.emulator.cel import literals, syntax
from aliquot.emulator.cel.errors import CompileError, EvaluationError
from aliquot.emulator.cel.interpreter import Construct, Frame, Step, compile_tree
from aliquot.emulator.cel.library import overloads
from aliquot.emulator.cel.types import Kind, Type
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

    def __init__(self, text: str, checked: syntax.Checked, construct: Construct | None) -> None:
        self.text = text
        self.checked = checked
        self.result: Type = checked.type_of(checked.root)
        self._step: Step = compile_tree(checked, construct)

    def uses(self, name: str) -> bool:
        """Whether the expression refers to a variable."""
        return any(reference.name == name for reference in self.checked.references.values())

    def evaluate(self, values: Mapping[str, Any], limit: int = PER_CALL_LIMIT) -> Outcome:
        """With `values` for the variables. The same values always give the same outcome."""
        frame = Frame(dict(values), limit)
        try:
            return Outcome(self._step(frame), frame.cost)
        except EvaluationError as error:
            return Outcome(None, frame.cost, error)
        except RecursionError:
            return Outcome(None, frame.cost, EvaluationError("expression is too deeply nested"))


class Environment:
    """Names an expression may use, with their types; the functions of a cluster of Kubernetes 1.`minor`.

    `construct` makes values of `types`, the named types that an expression may write as literals: `Name{field: 1}`.
    """

    def __init__(
        self,
        variables: Mapping[str, Type],
        *,
        minor: int,
        mutation: bool = False,
        types: Mapping[str, Type] | None = None,
        construct: Construct | None = None,
    ) -> None:
        self._variables = dict(variables)
        self._minor = minor
        self._mutation = mutation
        self._types = dict(types or {})
        self._construct = construct
        self._compiler: Any = None

    def compile(self, text: str) -> Program:
        """Raises CompileError."""
        if self._compiler is None:
            self._compiler = self._new_compiler()
        try:
            compiled = self._compiler.compile(text)
        except RuntimeError as error:
            raise CompileError(reworded(str(error), text)) from None
        checked = syntax.read(compiled.serialize())
        if wrong := literals.problems(text, checked):
            raise CompileError(wrong)
        return Program(text, checked, self._construct)

    def _new_compiler(self) -> Any:
        from cel_expr_python import cel

        described = [*self._variables.values(), *self._types.values()]
        return cel.NewEnv(
            descriptor_pool=_descriptors(described),
            config=_configuration(self._minor, self._mutation),
            variables={name: _compiler_type(one) for name, one in self._variables.items()},
        )


# --- what the compiler is told of functions ---

_NUMBERS = ("int", "uint", "double")
_ORDERED = ("bool", *_NUMBERS, "string", "bytes", "timestamp", "duration")
_ORDERS = {"_<_": "less", "_<=_": "less_equals", "_>_": "greater", "_>=_": "greater_equals"}
_ID_NAMES = {"int": "int64", "uint": "uint64"}
_EXTENSIONS = (("optional", 28), ("two-var-comprehensions", 32), ("lists", 34))


@lru_cache(maxsize=32)
def _configuration(minor: int, mutation: bool) -> Any:
    from cel_expr_python import cel

    functions: dict[str, list[dict[str, Any]]] = {}
    for one in overloads(minor, mutation=mutation):
        parameters = [_described(parameter) for parameter in one.parameters]
        told: dict[str, Any] = {"id": one.id, "return": _described(one.result)}
        if one.member:
            told["target"] = parameters.pop(0)
        told["args"] = parameters
        functions.setdefault(one.function, []).append(told)
    # Conversions to string are the language's own, to which the libraries only add.
    own_strings = functions.pop("string", [])
    for operator, name in _ORDERS.items():
        functions[operator] = _comparisons(name)
    functions["string"] = [*_STRING_CONVERSIONS, *own_strings]
    told_all = {
        "stdlib": {"exclude_functions": [{"name": name} for name in (*_ORDERS, "string")]},
        "extensions": [{"name": name} for name, since in _EXTENSIONS if since <= minor],
        "functions": [{"name": name, "overloads": ones} for name, ones in functions.items()],
    }
    return cel.NewEnvConfigFromYaml(json.dumps(told_all))  # JSON is YAML, and quick to write


def _comparisons(name: str) -> list[dict[str, Any]]:
    """Of like with like, and of numbers with each other."""
    pairs = [(one, one) for one in _ORDERED]
    pairs += [(one, other) for one in _NUMBERS for other in _NUMBERS if one != other]
    return [
        {
            "id": "_".join([name, *(_ID_NAMES.get(one, one) for one in dict.fromkeys(pair))]),
            "args": [{"type_name": one} for one in pair],
            "return": {"type_name": "bool"},
        }
        for pair in pairs
    ]


_STRING_CONVERSIONS = [
    {
        "id": f"{_ID_NAMES.get(one, one)}_to_string" if one != "string" else "string_to_string",
        "args": [{"type_name": one}],
        "return": {"type_name": "string"},
    }
    for one in _ORDERED
]


def _described(one: Type) -> dict[str, Any]:
    if one.kind is Kind.PARAMETER:
        return {"type_name": one.name, "is_type_param": True}
    name = one.name if one.kind is Kind.OPAQUE else str(one.kind)
    return {"type_name": name, "params": [_described(parameter) for parameter in one.parameters]}


# --- what the compiler is told of types ---


def _compiler_type(one: Type) -> Any:
    from cel_expr_python import cel

    parameters = [_compiler_type(parameter) for parameter in one.parameters]
    match one.kind:
        case Kind.LIST:
            return cel.Type.List(*parameters)
        case Kind.MAP:
            return cel.Type.Map(*parameters)
        case Kind.OPAQUE:
            return cel.Type.AbstractType(one.name, parameters)
        case Kind.OBJECT:
            return cel.Type(one.name)
    return getattr(cel.Type, one.kind.upper())


_FIELD_TYPES = {
    Kind.BOOL: "TYPE_BOOL",
    Kind.INT: "TYPE_INT64",
    Kind.UINT: "TYPE_UINT64",
    Kind.DOUBLE: "TYPE_DOUBLE",
    Kind.STRING: "TYPE_STRING",
    Kind.BYTES: "TYPE_BYTES",
}
_FIELD_MESSAGES = {
    Kind.TIMESTAMP: ".google.protobuf.Timestamp",
    Kind.DURATION: ".google.protobuf.Duration",
    Kind.LIST: ".google.protobuf.ListValue",
    Kind.MAP: ".google.protobuf.Struct",
}
_ANYTHING = ".google.protobuf.Value"


def _descriptors(described: list[Type]) -> Any:
    from google.protobuf import descriptor_pb2, descriptor_pool, duration_pb2, struct_pb2, timestamp_pb2

    objects = {one.name: one for root in described for one in root.objects()}
    if not objects:
        return None
    pool = descriptor_pool.DescriptorPool()
    imported = [module.DESCRIPTOR for module in (struct_pb2, timestamp_pb2, duration_pb2)]
    for file in imported:
        pool.AddSerializedFile(file.serialized_pb)
    by_package: dict[str, list[Type]] = {}
    for one in objects.values():
        by_package.setdefault(one.name.rpartition(".")[0], []).append(one)
    # One file for all, so that any may refer to any: the package is part of a message's name there.
    if len(by_package) > 1:
        raise ValueError(f"objects of one environment are named in one package, not in {sorted(by_package)}")
    ((package, ones),) = by_package.items()
    file = descriptor_pb2.FileDescriptorProto(
        name="types.proto", package=package, syntax="proto2", dependency=[one.name for one in imported]
    )
    for one in ones:
        _describe_message(file.message_type.add(name=one.name.rpartition(".")[2]), one)
    pool.Add(file)
    return pool


def _describe_message(message: Any, one: Type) -> None:
    message.options.deprecated_legacy_json_field_conflicts = True
    for number, (name, kind) in enumerate(one.fields.items(), 1):
        field = message.field.add(name=name, number=number, json_name=f"f{number}", label="LABEL_OPTIONAL")
        if kind.kind is Kind.LIST and _fits_a_field(kind.parameters[0]):
            field.label = field.LABEL_REPEATED
            _set_type(field, kind.parameters[0])
        elif (
            kind.kind is Kind.MAP
            and kind.parameters[0].kind is Kind.STRING
            and _fits_a_field(kind.parameters[1])
        ):
            entry = message.nested_type.add(name=f"{_camel(name)}Entry")
            entry.options.map_entry = True
            _set_type(entry.field.add(name="key", number=1, label="LABEL_OPTIONAL"), kind.parameters[0])
            _set_type(entry.field.add(name="value", number=2, label="LABEL_OPTIONAL"), kind.parameters[1])
            field.label = field.LABEL_REPEATED
            field.type, field.type_name = field.TYPE_MESSAGE, f".{one.name}.{entry.name}"
        else:
            _set_type(field, kind)


def _fits_a_field(one: Type) -> bool:
    """A protobuf field holds no list of lists: those are checked when they are evaluated."""
    return one.kind in _FIELD_TYPES or one.kind in (Kind.OBJECT, Kind.TIMESTAMP, Kind.DURATION, Kind.DYN)


def _set_type(field: Any, one: Type) -> None:
    if one.kind in _FIELD_TYPES:
        field.type = getattr(field, _FIELD_TYPES[one.kind])
        return
    field.type = field.TYPE_MESSAGE
    field.type_name = f".{one.name}" if one.kind is Kind.OBJECT else _FIELD_MESSAGES.get(one.kind, _ANYTHING)


def _camel(name: str) -> str:
    """As protoc names the entry type of a map field."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))
