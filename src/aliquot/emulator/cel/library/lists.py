"""isSorted, sum, min, max, indexOf, includes; and slice, flatten, sort and others of the compiler's own extension."""

from collections.abc import Callable
from functools import cmp_to_key
from itertools import pairwise
from typing import Any

from aliquot.emulator.cel.errors import EvaluationError
from aliquot.emulator.cel.library.overload import Overload, free, member
from aliquot.emulator.cel.operators import add, compare
from aliquot.emulator.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    UINT,
    T,
    Type,
    list_of,
)
from aliquot.emulator.cel.values import Duration, Uint, contains, equal, type_name

_COMPARABLE = (INT, UINT, DOUBLE, BOOL, DURATION, TIMESTAMP, STRING, BYTES)
_ZEROS: dict[Type, Any] = {INT: 0, UINT: Uint(0), DOUBLE: 0.0, DURATION: Duration(0)}


def _is_sorted(items: list[Any]) -> bool:
    return all(compare(one, other) <= 0 for one, other in pairwise(items))


def _sum(zero: Any) -> Callable[[list[Any]], Any]:
    def compute(items: list[Any]) -> Any:
        # At run time the overload is chosen by the container alone; its items say which zero is meant.
        start = items[0] if items else zero
        for item in items[1:]:
            start = add(start, item)
        return start

    return compute


def _best(name: str, better: int) -> Callable[[list[Any]], Any]:
    def compute(items: list[Any]) -> Any:
        if not items:
            raise EvaluationError(f"{name} called on empty list")
        best = items[0]
        for item in items[1:]:
            if compare(item, best) == better:
                best = item
        return best

    return compute


def _index_of(items: list[Any], wanted: Any) -> int:
    return next((index for index, item in enumerate(items) if equal(item, wanted)), -1)


def _last_index_of(items: list[Any], wanted: Any) -> int:
    return next((index for index in reversed(range(len(items))) if equal(items[index], wanted)), -1)


def _includes(target: Any, wanted: Any) -> bool:
    return contains(target, wanted) if isinstance(target, list) else equal(target, wanted)


def _slice(items: list[Any], start: int, end: int) -> list[Any]:
    if start < 0 or end < 0:
        raise EvaluationError(f"cannot slice({start}, {end}), negative indexes not supported")
    if start > end:
        raise EvaluationError(
            f"cannot slice({start}, {end}), start index must be less than or equal to end index"
        )
    if len(items) < end:
        raise EvaluationError(f"cannot slice({start}, {end}), list is length {len(items)}")
    return list(items[start:end])


def _flatten(items: list[Any], depth: int = 1) -> list[Any]:
    if depth < 0:
        raise EvaluationError("level must be non-negative")
    flat: list[Any] = []
    for item in items:
        if isinstance(item, list) and depth:
            flat += _flatten(item, depth - 1)
        else:
            flat.append(item)
    return flat


def _sorted_by(items: list[Any], keys: list[Any]) -> list[Any]:
    if len(items) != len(keys):
        raise EvaluationError(
            "@sortByAssociatedKeys() expected a list of the same size as the associated keys list, but got "
            f"{len(items)} and {len(keys)} elements respectively"
        )
    if len({type_name(key) for key in keys}) > 1:
        raise EvaluationError("list elements must have the same type")
    pairs = list(zip(keys, items, strict=True))
    pairs.sort(key=cmp_to_key(_by_key))
    return [item for _, item in pairs]


def _by_key(one: tuple[Any, Any], other: tuple[Any, Any]) -> int:
    return compare(one[0], other[0])


def _distinct(items: list[Any]) -> list[Any]:
    found: list[Any] = []
    for item in items:
        if not contains(found, item):
            found.append(item)
    return found


def _per_type() -> list[Overload]:
    made: list[Overload] = []
    for one in _COMPARABLE:
        items = (list_of(one),)
        made.append(member("isSorted", f"list_{one}_is_sorted_bool", items, BOOL, _is_sorted))
        made.append(member("min", f"list_{one}_min_{one}", items, one, _best("min", -1)))
        made.append(member("max", f"list_{one}_max_{one}", items, one, _best("max", 1)))
        if one in _ZEROS:
            made.append(member("sum", f"list_{one}_sum_{one}", items, one, _sum(_ZEROS[one])))
    return made


_LIST = list_of(T)
OVERLOADS = (
    *_per_type(),
    member("indexOf", "list_a_index_of_int", (_LIST, T), INT, _index_of),
    member("lastIndexOf", "list_a_last_index_of_int", (_LIST, T), INT, _last_index_of),
    member("includes", "list_includes_dyn_dyn", (DYN, DYN), BOOL, _includes, since=37),
)

EXTENSION = (
    member("slice", "list_slice", (_LIST, INT, INT), _LIST, _slice),
    member("flatten", "list_flatten", (_LIST,), _LIST, _flatten),
    member("flatten", "list_flatten_int", (_LIST, INT), _LIST, _flatten),
    member("sort", "list_sort", (_LIST,), _LIST, lambda items: _sorted_by(items, items)),
    member("@sortByAssociatedKeys", "list_sortByAssociatedKeys", (_LIST, _LIST), _LIST, _sorted_by),
    free("lists.range", "lists_range", (INT,), list_of(INT), lambda count: list(range(count))),
    member("reverse", "list_reverse", (_LIST,), _LIST, lambda items: items[::-1]),
    member("distinct", "list_distinct", (_LIST,), _LIST, _distinct),
)
