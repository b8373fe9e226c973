"""How a function is declared."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aliquot.emulator.cel.types import Kind, Type
from aliquot.emulator.cel.values import Duration, Record, Timestamp, Uint, type_name


@dataclass(frozen=True, slots=True)
class Overload:
    """One signature of a function. A member's first parameter is what it is called on: `text.trim()`."""

    function: str
    id: str
    parameters: tuple[Type, ...]
    result: Type
    compute: Callable[..., Any]
    member: bool
    since: int = 0
    """The minor of Kubernetes whose clusters let new expressions use it."""

    def takes(self, arguments: Sequence[Any]) -> bool:
        return all(_is(parameter, value) for parameter, value in zip(self.parameters, arguments, strict=True))


def member(
    function: str,
    overload_id: str,
    parameters: tuple[Type, ...],
    result: Type,
    compute: Callable[..., Any],
    since: int = 0,
) -> Overload:
    return Overload(function, overload_id, parameters, result, compute, True, since)


def free(
    function: str,
    overload_id: str,
    parameters: tuple[Type, ...],
    result: Type,
    compute: Callable[..., Any],
    since: int = 0,
) -> Overload:
    return Overload(function, overload_id, parameters, result, compute, False, since)


_CLASSES: dict[Kind, tuple[type, ...]] = {
    Kind.INT: (int,),
    Kind.UINT: (Uint,),
    Kind.DOUBLE: (float,),
    Kind.BOOL: (bool,),
    Kind.STRING: (str,),
    Kind.BYTES: (bytes,),
    Kind.TIMESTAMP: (Timestamp,),
    Kind.DURATION: (Duration,),
}


def _is(parameter: Type, value: Any) -> bool:
    match parameter.kind:
        case Kind.DYN | Kind.PARAMETER:
            return True
        case Kind.LIST:
            return isinstance(value, list)
        case Kind.MAP:
            return isinstance(value, dict | Record)
        case Kind.OPAQUE:
            return type_name(value) == parameter.name
    return type(value) in _CLASSES[parameter.kind]
