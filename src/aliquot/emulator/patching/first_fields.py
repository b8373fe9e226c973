"""The fields of new objects, worked out once for all that are made alike.

What a create owns depends on which fields there are, and on the values that list items are known by; not on what the
other fields say. Controllers make objects alike by the hundred: pods of one template, config maps of one chart.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import msgspec

from aliquot.emulator.patching import field_set, structured
from aliquot.emulator.patching.field_set import FieldSet
from aliquot.emulator.schema.shapes import Shape

_LONGEST_BYTES = 1 << 13
_REMEMBERED = 128
"""Of each kind."""

_TEXT = re.compile(rb'":"[^"\\]*+"')
"""The end of a field's name, and a text that is its value; none of an array's: those may be the values of a set."""
_UNCLEAR = (b'\\":', b'[":"', b'{":"', b',":"')
"""Where what looks like the end of a field's name may be part of a text."""
_OWNER_KEY = "uid"

Likeness: TypeAlias = tuple[object, ...]
_known: "WeakKeyDictionary[Shape, dict[Likeness, FieldSet]]" = WeakKeyDictionary()


def fields_of_new(obj: Mapping[str, Any], shape: Shape, not_owned: FieldSet, ignored: FieldSet) -> FieldSet:
    """What a create of `obj` owns, in the order of managedFields. `ignored` goes with all that is inside it."""
    likeness = _likeness(obj, shape)
    if likeness is None:
        return _worked_out(obj, shape, not_owned, ignored)
    known = _known.setdefault(shape, {})
    key = (*likeness, *ignored)
    found = known.get(key)
    if found is None:
        if len(known) >= _REMEMBERED:
            known.clear()
        found = known[key] = _worked_out(obj, shape, not_owned, ignored)
    return found


def _worked_out(obj: Mapping[str, Any], shape: Shape, not_owned: FieldSet, ignored: FieldSet) -> FieldSet:
    changed = structured.compare(shape.zero, obj, shape).without(ignored).changed
    return field_set.ordered(field_set.difference(changed, not_owned))


def _likeness(obj: Mapping[str, Any], shape: Shape) -> Likeness | None:
    """What two objects have in common whose fields are the same; None for one too large or too odd to be compared."""
    metadata = {key: value for key, value in obj["metadata"].items() if key != "name"}
    content = msgspec.json.encode({**obj, "metadata": None})
    about = msgspec.json.encode(metadata)
    if len(content) + len(about) > _LONGEST_BYTES:
        return None
    # Of pods of one template the content is the same to the byte.
    wanted, owned = _fields(content, _list_keys(shape)), _fields(about, (_OWNER_KEY,))
    return None if wanted is None or owned is None else (*wanted, *owned)


@lru_cache(maxsize=2 * _REMEMBERED)
def _fields(encoded: bytes, names: tuple[str, ...]) -> Likeness | None:
    """JSON without the texts that are fields' values, and the values of `names`; None for what is too odd."""
    if any(odd in encoded for odd in _UNCLEAR):
        return None
    return _TEXT.sub(b'":', encoded), *_values_of(names).findall(encoded)


@lru_cache(maxsize=512)
def _values_of(names: tuple[str, ...]) -> re.Pattern[bytes]:
    listed = "|".join(map(re.escape, names)).encode()
    return re.compile(rb'"(?:%b)":("(?:[^"\\]|\\.)*+"|[^,}\]]*+)' % listed) if names else re.compile(rb"(?!)")


_list_keys_of: "WeakKeyDictionary[Shape, tuple[str, ...]]" = WeakKeyDictionary()


def _list_keys(shape: Shape) -> tuple[str, ...]:
    """The names of fields that list items are known by, anywhere in a kind."""
    found = _list_keys_of.get(shape)
    if found is None:
        found = _list_keys_of[shape] = tuple(sorted({key for one in _within(shape) for key in one.list_keys}))
    return found


def _within(shape: Shape) -> Iterator[Shape]:
    """All shapes inside, each once; definitions may refer to each other in circles."""
    seen: set[object] = set()
    waiting = [shape]
    while waiting:
        one = waiting.pop()
        mark = one.name or id(one)
        if mark in seen:
            continue
        seen.add(mark)
        yield one
        waiting += one.fields.values()
        if one.element is not None:
            waiting.append(one.element)
