"""Lists as sets: sets.contains, sets.equivalent, sets.intersects."""

from typing import Any

from aliquot.emulator.cel.library.overload import free
from aliquot.emulator.cel.types import BOOL, T, list_of
from aliquot.emulator.cel.values import contains

_LISTS = (list_of(T), list_of(T))
_SINCE = 29


def _contains(whole: list[Any], part: list[Any]) -> bool:
    return all(contains(whole, item) for item in part)


OVERLOADS = (
    free("sets.contains", "list_sets_contains_list", _LISTS, BOOL, _contains, _SINCE),
    free(
        "sets.equivalent",
        "list_sets_equivalent_list",
        _LISTS,
        BOOL,
        lambda one, other: _contains(one, other) and _contains(other, one),
        _SINCE,
    ),
    free(
        "sets.intersects",
        "list_sets_intersects_list",
        _LISTS,
        BOOL,
        lambda one, other: any(contains(other, item) for item in one),
        _SINCE,
    ),
)
