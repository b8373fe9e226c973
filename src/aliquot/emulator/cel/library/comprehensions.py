"""What the macros transformMap and transformMapEntry come to."""

from typing import Any

from aliquot.emulator.cel.errors import EvaluationError
from aliquot.emulator.cel.library.overload import free
from aliquot.emulator.cel.types import T, map_of
from aliquot.emulator.cel.values import shown

_MAP = map_of(T, T)


def _inserted(entries: dict[Any, Any], key: Any, value: Any) -> dict[Any, Any]:
    if key in entries:
        raise EvaluationError(f"insert failed: key {shown(key)} already exists")
    return {**entries, key: value}


def _merged(entries: dict[Any, Any], more: dict[Any, Any]) -> dict[Any, Any]:
    for key, value in more.items():
        entries = _inserted(entries, key, value)
    return entries


OVERLOADS = (
    free("cel.@mapInsert", "@mapInsert_map_key_value", (_MAP, T, T), _MAP, _inserted),
    free("cel.@mapInsert", "@mapInsert_map_map", (_MAP, _MAP), _MAP, _merged),
)
