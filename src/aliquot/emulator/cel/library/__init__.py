"""The functions that Kubernetes adds to the language, by the minor version that first let new expressions use them."""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from aliquot.emulator.cel.errors import EvaluationError
from aliquot.emulator.cel.library import (
    addresses,
    authorization,
    comprehensions,
    formats,
    json_patches,
    lists,
    optionals,
    quantities,
    regexes,
    semver,
    sets,
    strings,
    urls,
)
from aliquot.emulator.cel.library.overload import Overload
from aliquot.emulator.cel.values import type_name

_ALL: tuple[Overload, ...] = (
    *strings.OVERLOADS,
    *lists.OVERLOADS,
    *sets.OVERLOADS,
    *regexes.OVERLOADS,
    *urls.OVERLOADS,
    *quantities.OVERLOADS,
    *addresses.OVERLOADS,
    *formats.OVERLOADS,
    *semver.OVERLOADS,
    *authorization.OVERLOADS,
    *json_patches.OVERLOADS,
)
_BUILT_IN: tuple[Overload, ...] = (*optionals.OVERLOADS, *comprehensions.OVERLOADS, *lists.EXTENSION)
"""Declared by the compiler's own extensions, computed here."""

MUTATION = frozenset(json_patches.FUNCTIONS)
"""Functions of mutating policies alone."""


def overloads(minor: int, *, mutation: bool = False) -> list[Overload]:
    """What an expression may call that is new to a cluster of Kubernetes 1.`minor`."""
    return [one for one in _ALL if one.since <= minor and (mutation or one.function not in MUTATION)]


@lru_cache(maxsize=1)
def functions() -> Mapping[str, Callable[..., Any]]:
    """Every function by name; which overload is meant shows in its arguments."""
    grouped: dict[str, list[Overload]] = {}
    for overload in (*_ALL, *_BUILT_IN):
        grouped.setdefault(overload.function, []).append(overload)
    return MappingProxyType({name: _dispatch(name, ones) for name, ones in grouped.items()})


def _dispatch(name: str, candidates: Iterable[Overload]) -> Callable[..., Any]:
    by_count: dict[int, list[Overload]] = {}
    for overload in candidates:
        by_count.setdefault(len(overload.parameters), []).append(overload)

    def call(*arguments: Any) -> Any:
        for overload in by_count.get(len(arguments), ()):
            if overload.takes(arguments):
                return overload.compute(*arguments)
        raise EvaluationError(f"no such overload: {name}({', '.join(map(type_name, arguments))})")

    return call
