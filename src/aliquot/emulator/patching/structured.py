"""Values seen through their schema: what fields they have, how two differ, how one is laid over another.

This is the arithmetic under server-side apply and managedFields, after the published behaviour of Kubernetes'
structured-merge-diff: an object is a tree of maps, lists and leaves; atomic maps and lists are leaves whatever
they hold; items of associative lists go by their keys (`map`) or by their value (`set`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final

from aliquot.emulator.patching import field_set
from aliquot.emulator.patching.field_set import FieldSet
from aliquot.emulator.schema.shapes import ZERO, Form, ListType, Shape, Structure


class _Missing(Enum):
    MISSING = auto()


MISSING: Final = _Missing.MISSING
"""No value at all, which is not null."""
_LEAF: FieldSet = {}


class StructureError(ValueError):
    """A value that does not fit its schema, in structured-merge-diff's words; `problems` are its lines."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        text = (
            problems[0] if len(problems) == 1 else "\n".join(["errors:", *(f"  {line}" for line in problems)])
        )
        super().__init__(text)


def _structure(shape: Shape, *values: Any) -> Structure:
    """How to walk `values`; free fields are walked as what they hold."""
    structure = shape.structure
    if structure is not Structure.FREE:
        return structure
    present = [value for value in values if value is not MISSING and value is not None]
    free = bool(present) and all(isinstance(value, dict) for value in present)
    return Structure.MAP if free else Structure.LEAF


def _item_key(shape: Shape, item: Any) -> str:
    """The path element of an item of an associative list. Raises ValueError."""
    if shape.list_type is ListType.SET:
        if isinstance(item, dict):
            raise ValueError("associative list without keys has an element that's a map type")
        if isinstance(item, list):
            raise ValueError("not supported: associative list with lists as elements")
        if item is None:
            raise ValueError("associative list without keys has an element that's an explicit null")
        return field_set.value_element(item)
    if item is None:
        raise ValueError("associative list with keys may not have a null element")
    if not isinstance(item, dict):
        raise ValueError("associative list with keys may not have non-map elements")
    keys: dict[str, Any] = {}
    for name in shape.list_keys:
        if name in item:
            keys[name] = item[name]
        elif (default := _default(shape, name)) is not None:
            keys[name] = default
    if not keys:
        names = "[" + " ".join(f'"{name}"' for name in shape.list_keys) + "]"
        raise ValueError(
            f"associative list with keys has an element that omits all key fields {names} "
            "(and doesn't have default values for any key fields)"
        )
    return field_set.key_element(keys)


def _default(shape: Shape, name: str) -> Any:
    element = shape.element
    key = element.fields.get(name) if element is not None else None
    if element is None or key is None or key.default is not None:
        return key.default if key is not None else None
    # What Go always writes has a value even where it was not given.
    return ZERO.get(key.form) if element.name and name in element.required else None


# --- does it fit ---


def check(value: Any, shape: Shape, path: str = "") -> None:
    """Raises StructureError when `value` has undeclared fields, wrong types, or two items of one key."""
    problems = list(_problems(value, shape, path))
    if problems:
        raise StructureError(problems)


def _problems(value: Any, shape: Shape, path: str) -> Iterable[str]:
    if value is None:
        return
    match shape.form:
        case Form.OBJECT:
            if not isinstance(value, dict):
                yield f"{path}: expected map, got &{{{value}}}"
                return
            for key, child in value.items():
                inner = shape.child(key)
                if inner is None:
                    yield f"{path}.{key}: field not declared in schema"
                else:
                    yield from _problems(child, inner, f"{path}.{key}")
        case Form.LIST:
            if not isinstance(value, list):
                yield f"{path}: expected list, got &{{{value}}}"
                return
            yield from _item_problems(value, shape, path)
        case Form.INTEGER | Form.NUMBER:
            if isinstance(value, bool) or not isinstance(value, int | float):
                yield f"{path}: expected numeric (int or float), got {_go_type(value)}"
        case Form.STRING | Form.TIME | Form.BYTES:
            if not isinstance(value, str):
                yield f"{path}: expected string, got &value.valueUnstructured{{Value:{value}}}"
        case Form.BOOLEAN:
            if not isinstance(value, bool):
                yield f"{path}: expected boolean, got &{{{value}}}"
        case Form.QUANTITY | Form.INT_OR_STRING:
            if isinstance(value, dict | list):
                yield f"{path}: expected any scalar, got &{{{value}}}"


def _item_problems(items: list[Any], shape: Shape, path: str) -> Iterable[str]:
    element = shape.element
    seen: set[str] = set()
    for index, item in enumerate(items):
        if shape.list_type is ListType.ATOMIC:
            name = f"i:{index}"
        else:
            try:
                name = _item_key(shape, item)
            except ValueError as error:
                yield f"{path}: element {index}: {error}"
                return
            if name in seen:
                yield f"{path}: duplicate entries for key {field_set.path_text((name,))}"
            seen.add(name)
        if element is not None:
            yield from _problems(item, element, path + field_set.path_text((name,)))


def _go_type(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case str():
            return "string"
        case dict():
            return "map[string]interface {}"
        case list():
            return "[]interface {}"
        case _:
            return "int64"


# --- the fields of a value ---


def fields_of(value: Any, shape: Shape) -> FieldSet:
    """Every leaf and every item of `value`; declared fields that only lead to others are no members."""
    found: FieldSet = {}
    if not isinstance(value, dict):
        return found
    for key, child in value.items():
        inner = shape.child(key)
        if inner is None:
            continue
        _note(found, f"f:{key}", child, inner, always=key not in shape.fields)
    return found


def _note(found: FieldSet, element: str, value: Any, shape: Shape, *, always: bool) -> None:
    structure = _structure(shape, value)
    if structure is Structure.LEAF:
        found[element] = {}
        return
    children = fields_of(value, shape) if structure is Structure.MAP else _fields_of_items(value, shape)
    empty_map = structure is Structure.MAP and isinstance(value, dict) and not value
    member = always or value is None or empty_map
    if children:
        found[element] = {field_set.SELF: {}, **children} if member else children
    elif member:
        found[element] = {}


def _fields_of_items(items: Any, shape: Shape) -> FieldSet:
    found: FieldSet = {}
    duplicates: set[str] = set()
    for key, item in _keyed(items, shape):
        if key in found:
            duplicates.add(key)
        elif shape.element is not None:
            _note(found, key, item, shape.element, always=True)
    for key in sorted(duplicates):
        found[key] = {}
    return found


def _keyed(items: Any, shape: Shape) -> Iterable[tuple[str, Any]]:
    """Items with their path elements; those without a usable key are left out, as upstream does on reading."""
    if not isinstance(items, list):
        return
    for item in items:
        try:
            yield _item_key(shape, item), item
        except ValueError:
            continue


# --- how two values differ ---


@dataclass(slots=True)
class Difference:
    """What the right-hand value removed, changed and added."""

    removed: FieldSet = field(default_factory=dict)
    modified: FieldSet = field(default_factory=dict)
    added: FieldSet = field(default_factory=dict)

    def without(self, ignored: FieldSet) -> "Difference":
        if not ignored:
            return self
        return Difference(
            field_set.without(self.removed, ignored),
            field_set.without(self.modified, ignored),
            field_set.without(self.added, ignored),
        )

    @property
    def changed(self) -> FieldSet:
        """Modified or added."""
        return field_set.union(self.modified, self.added)


def compare(left: Any, right: Any, shape: Shape) -> Difference:
    """How `right` differs from `left`; both are whole objects."""
    found = Difference()
    _compare_maps(left, right, shape, found)
    return found


def _compare(left: Any, right: Any, shape: Shape, element: str, found: Difference) -> None:
    if left is MISSING:
        found.added[element] = _entire(right, shape)
        return
    if right is MISSING:
        found.removed[element] = _entire(left, shape)
        return
    if left is right or left == right:
        return
    structure = _structure(shape, left, right)
    if structure is Structure.LEAF or (_empty(left) and _empty(right)):
        found.modified[element] = {}
        return
    inside = Difference()
    if structure is Structure.MAP:
        _compare_maps(left, right, shape, inside)
    else:
        _compare_lists(left, right, shape, inside)
    if inside.added:
        found.added[element] = inside.added
    if inside.removed:
        found.removed[element] = inside.removed
    if inside.modified:
        found.modified[element] = inside.modified


def _entire(value: Any, shape: Shape) -> FieldSet:
    """The entry of a value that came or went as a whole: itself, and everything in it.

    Every create comes through here with all of its object, so leaves, which most fields are, are not called for.
    """
    structure = shape.structure
    if structure is Structure.FREE:
        structure = _structure(shape, value)
    if structure is Structure.LEAF or not value:
        return _LEAF
    entry: FieldSet = {field_set.SELF: _LEAF}
    if structure is Structure.MAP:
        fields, others = shape.fields, shape.element
        for key in sorted(value) if isinstance(value, dict) else ():
            inner = fields.get(key) or others
            if inner is None:
                continue
            child = value[key]
            entry["f:" + key] = (
                _entire(child, inner) if child and inner.structure is not Structure.LEAF else _LEAF
            )
    elif shape.element is not None:
        for key, item in _keyed(value, shape):
            entry[key] = _LEAF if key in entry else _entire(item, shape.element)
    return entry if len(entry) > 1 else _LEAF


def _empty(value: Any) -> bool:
    return value is MISSING or value is None or (isinstance(value, dict | list) and not value)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _compare_maps(left: Any, right: Any, shape: Shape, found: Difference) -> None:
    ours, theirs = _mapping(left), _mapping(right)
    for key, value in ours.items():
        inner = shape.child(key)
        if inner is not None:
            _compare(value, theirs.get(key, MISSING), inner, f"f:{key}", found)
    for key, value in theirs.items():
        if key not in ours and (inner := shape.child(key)) is not None:
            _compare(MISSING, value, inner, f"f:{key}", found)


def _grouped(items: Any, shape: Shape) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    for key, item in _keyed(items, shape):
        groups.setdefault(key, []).append(item)
    return groups


def _compare_lists(left: Any, right: Any, shape: Shape, found: Difference) -> None:
    ours, theirs = _grouped(left, shape), _grouped(right, shape)
    element = shape.element
    if element is None:
        return
    for key in ours | theirs:
        before, after = ours.get(key, []), theirs.get(key, [])
        if len(before) <= 1 and len(after) <= 1:
            _compare(before[0] if before else MISSING, after[0] if after else MISSING, element, key, found)
        elif len(before) >= 2 and len(after) >= 2:
            if before != after:
                found.modified[key] = {}
        elif len(before) >= 2:
            if after:
                _compare(MISSING, after[0], element, key, found)
            found.removed[key] = {}
        else:
            if before:
                _compare(before[0], MISSING, element, key, found)
            found.added[key] = {}


# --- laying one over another ---


def merge(left: Any, right: Any, shape: Shape) -> Any:
    """`left` with every field that `right` has; lists take `right`'s order where it says one."""
    if right is MISSING:
        return left
    if left is MISSING:
        return right
    structure = _structure(shape, left, right)
    if structure is Structure.LEAF or (_empty(left) and _empty(right)):
        return right
    if structure is Structure.LIST:
        return _merge_lists(left or [], right or [], shape)
    merged = dict(_mapping(left))
    for key, value in _mapping(right).items():
        inner = shape.child(key)
        merged[key] = value if inner is None else merge(merged.get(key, MISSING), value, inner)
    return merged


def _merge_lists(left: list[Any], right: list[Any], shape: Shape) -> list[Any]:
    """Shared items follow the order of `right`; items of `left` alone keep their places among them."""
    element = shape.element
    assert element is not None
    ours = list(_keyed(left, shape))
    theirs = dict(_keyed(right, shape))
    counts: dict[str, int] = {}
    for key, _ in ours:
        counts[key] = counts.get(key, 0) + 1
    existing = {key: item if counts[key] == 1 else MISSING for key, item in ours}
    shared = [key for key in theirs if key in existing]
    waiting = list(theirs)
    merged: list[Any] = []

    def take_theirs() -> None:
        key = waiting.pop(0)
        merged.append(merge(existing.get(key, MISSING), theirs[key], element))
        if shared and shared[0] == key:
            shared.pop(0)

    done: set[str] = set()
    position = 0
    while position < len(ours) or waiting:
        if position < len(ours):
            key, item = ours[position]
            if waiting and key == waiting[0]:
                done.add(key)
                take_theirs()
                position += 1
                continue
            if waiting and key in theirs and shared and shared[0] != key:
                position += 1  # shared, but its turn in `right`'s order has not come or has passed
                continue
            if key not in theirs:
                merged.append(item)
                position += 1
                continue
            if key in done:
                position += 1
        if waiting:
            done.add(waiting[0])
            take_theirs()
    return merged


# --- taking fields away ---


def remove(value: Any, unwanted: FieldSet, shape: Shape) -> Any:
    """`value` without the members of `unwanted`. What is left empty becomes None."""
    if not unwanted:
        return value
    structure = _structure(shape, value)
    if structure is Structure.LEAF or _empty(value):
        return None if _is_container(shape, value) else value
    kept: Any
    if structure is Structure.MAP:
        if not isinstance(value, dict):
            return None
        kept = {}
        for key, child in value.items():
            entry = unwanted.get(f"f:{key}")
            if entry is None:
                kept[key] = child
            elif not field_set.is_member(entry):
                inner = shape.child(key)
                kept[key] = child if inner is None else remove(child, entry, inner)
        return kept or None
    if not isinstance(value, list):
        return None
    kept = []
    for key, item in _keyed(value, shape):
        entry = unwanted.get(key)
        if entry is None:
            kept.append(item)
        elif not field_set.is_member(entry):
            assert shape.element is not None
            kept.append(remove(item, entry, shape.element))
    return kept or None


def _is_container(shape: Shape, value: Any) -> bool:
    return shape.form in (Form.OBJECT, Form.LIST) or isinstance(value, dict | list)


def same(left: Any, right: Any) -> bool:
    """Equality in which a null or an absent field are one and the same."""
    if isinstance(left, dict) and isinstance(right, dict):
        keys = left.keys() | right.keys()
        return left == right or all(same(left.get(key), right.get(key)) for key in keys)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)
