"""What the compiler is told of functions: those of Kubernetes, and what is another's in the language itself."""

import json
from functools import lru_cache
from typing import Any

from aliquot.emulator.cel.library import overloads
from aliquot.emulator.cel.types import Kind, Type

_NUMBERS = ("int", "uint", "double")
_ORDERED = ("bool", *_NUMBERS, "string", "bytes", "timestamp", "duration")
_ORDERS = {"_<_": "less", "_<=_": "less_equals", "_>_": "greater", "_>=_": "greater_equals"}
_ID_NAMES = {"int": "int64", "uint": "uint64"}
_EXTENSIONS = (("optional", 28), ("two-var-comprehensions", 32), ("lists", 34))


@lru_cache(maxsize=32)
def configuration(minor: int, mutation: bool) -> Any:
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
