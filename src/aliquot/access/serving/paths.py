"""Paths of a configuration begin where its file is, wherever in it they stand."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from aliquot.access.serving.configuration import Configuration

T = TypeVar("T")

_PATHS = ("kubeconfig", "templates")
"""Beside all whose names end with `_file`."""


def beside(configuration: Configuration, base: Path) -> Configuration:
    """With whole paths. What is not given stays so."""
    return _replaced(configuration, base)


def named(configuration: Configuration) -> Iterator[tuple[str, str]]:
    """All of them: the field that names it, and the path as it is written."""
    yield from _named(configuration)


PUBLIC = frozenset({"policy_file", "bindings_file", "templates", "groups_file", "authority_file", "ca_file"})
"""Fields that name no secret."""


def _is_path(name: str) -> bool:
    return name.endswith("_file") or name in _PATHS


def _replaced(value: T, base: Path) -> T:
    if isinstance(value, Struct):
        changed: dict[str, Any] = {
            name: _whole(found, base) if _is_path(name) else _replaced(found, base)
            for name in value.__struct_fields__
            if (found := getattr(value, name))
        }
        return replace(value, **changed)
    if isinstance(value, dict):
        return {key: _replaced(one, base) for key, one in value.items()}  # type: ignore[return-value]
    if isinstance(value, list | tuple):
        return type(value)(_replaced(one, base) for one in value)
    return value


def _whole(found: Any, base: Path) -> Any:
    return str(base / found) if isinstance(found, str) else tuple(str(base / one) for one in found)


def _named(value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, Struct):
        for name in value.__struct_fields__:
            found = getattr(value, name)
            if not _is_path(name):
                yield from _named(found)
            elif isinstance(found, str):
                yield from [(name, found)] if found else []
            else:
                yield from ((name, one) for one in found)
    elif isinstance(value, dict):
        for one in value.values():
            yield from _named(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _named(one)
