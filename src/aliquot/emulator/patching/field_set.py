"""Sets of fields, kept in the very form that metadata.managedFields shows them: FieldsV1.

    {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": {"f:replicas": {}}}

is the set of `metadata.labels` itself, `metadata.labels.app` and `spec.replicas`. A key names a field (`f:name`),
a list item by its keys (`k:{"name":"x"}`), a value of a set (`v:"x"`) or an index (`i:0`). An entry with no
content is a member of the set; one with content is a member only if the content holds `.`; that `.` is the sole
difference between owning a container and owning things inside it.

Sets are never changed once made; results share their parts.
"""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from aliquot.emulator.schema.shapes import Form, Shape

FieldSet: TypeAlias = dict[str, Any]  # {path element: FieldSet}; recursive, which mypy cannot say for dict
Path: TypeAlias = tuple[str, ...]

SELF = "."
_LEAF: FieldSet = {}
NONE: FieldSet = {}
_ORDER = {"f": 0, "k": 1, "v": 2, "i": 3}


def is_member(entry: FieldSet) -> bool:
    """Is the field that leads to `entry` itself in the set, rather than only something inside it?"""
    return not entry or SELF in entry


def has_children(entry: FieldSet) -> bool:
    return len(entry) > (SELF in entry)


def _entry(member: bool, children: FieldSet) -> FieldSet | None:
    if not children:
        return _LEAF if member else None
    return {SELF: _LEAF, **children} if member else children


def _children(entry: FieldSet) -> FieldSet:
    return {key: child for key, child in entry.items() if key != SELF} if SELF in entry else entry


def make(*paths: Path) -> FieldSet:
    """The set of fields by plain names: `make(("metadata", "name"))`."""
    result: FieldSet = {}
    for path in paths:
        single: FieldSet = _LEAF
        for name in reversed(path):
            single = {f"f:{name}": single}
        result = union(result, single)
    return result


def checked(value: Any) -> FieldSet:
    """`value` as a set that a client sent. Raises ValueError; elements of a kind yet unknown are left out."""
    if not isinstance(value, dict):
        raise ValueError("fieldsV1 must be an object")
    result: FieldSet = {}
    for key, child in value.items():
        kind, colon, rest = key.partition(":")
        if key != SELF and (not colon or kind not in _ORDER):
            continue
        if kind in ("k", "v", "i") and colon:
            parsed = json.loads(rest)
            if kind == "k" and not isinstance(parsed, dict):
                raise ValueError(f"{rest} is no object of keys")
        result[key] = checked(child)
    return result


def union(left: FieldSet, right: FieldSet) -> FieldSet:
    if not left or not right:
        return left or right
    result = dict(left)
    for key, theirs in right.items():
        ours = result.get(key)
        if ours is None:
            result[key] = theirs
        elif key != SELF and ours is not theirs:
            member = is_member(ours) or is_member(theirs)
            children = union(_children(ours), _children(theirs))
            entry = _entry(member, children)
            assert entry is not None
            result[key] = entry
    return result


def intersection(left: FieldSet, right: FieldSet) -> FieldSet:
    result: FieldSet = {}
    for key, ours in left.items():
        theirs = right.get(key)
        if theirs is None or key == SELF:
            continue
        member = is_member(ours) and is_member(theirs)
        entry = _entry(member, intersection(_children(ours), _children(theirs)))
        if entry is not None:
            result[key] = entry
    return result


def difference(left: FieldSet, right: FieldSet) -> FieldSet:
    """Members of `left` that are not members of `right`; what lies inside a removed member stays.

    Returns `left` itself when nothing has to go.
    """
    return _less(left, right, inside_too=False)


def without(left: FieldSet, right: FieldSet) -> FieldSet:
    """`left` less the members of `right` and everything inside them."""
    return _less(left, right, inside_too=True)


def _less(left: FieldSet, right: FieldSet, *, inside_too: bool) -> FieldSet:
    if not right or left.keys().isdisjoint(right):
        return left
    result: FieldSet = {}
    changed = False
    for key, ours in left.items():
        theirs = right.get(key)
        if theirs is None or key == SELF:
            result[key] = ours
            continue
        wanted = is_member(theirs)
        if wanted and inside_too:
            changed = True
            continue
        before = _children(ours)
        after = _less(before, _children(theirs), inside_too=inside_too)
        if after is before and not (wanted and is_member(ours)):
            result[key] = ours
            continue
        changed = True
        entry = _entry(is_member(ours) and not wanted, after)
        if entry is not None:
            result[key] = entry
    return result if changed else left


def insert(fields: FieldSet, path: Path) -> FieldSet:
    """`fields` with one more member, given by path elements (`f:spec`, ...)."""
    single: FieldSet = _LEAF
    for element in reversed(path):
        single = {element: single}
    return union(fields, single)


def has(fields: FieldSet, path: Path) -> bool:
    for element in path[:-1]:
        fields = fields.get(element, {})
    return bool(path) and path[-1] in fields and is_member(fields[path[-1]])


def members(fields: FieldSet, prefix: Path = ()) -> Iterator[Path]:
    """Every member in Kubernetes' order: those of one level first, then what is inside them."""
    keys = sorted((key for key in fields if key != SELF), key=_sort_key)
    for key in keys:
        if is_member(fields[key]):
            yield (*prefix, key)
    for key in keys:
        yield from members(_children(fields[key]), (*prefix, key))


def with_named_fields(fields: FieldSet, shape: Shape | None) -> FieldSet:
    """`fields` and every declared field that leads to one of them: who owns `spec.a.b` owns `spec.a` too."""
    result: FieldSet = {}
    for key, entry in fields.items():
        if key == SELF:
            continue
        child = shape_at(shape, key)
        children = with_named_fields(_children(entry), child)
        named = key.startswith("f:") and shape is not None and key[2:] in shape.fields and bool(children)
        expanded = _entry(is_member(entry) or named, children)
        if expanded is not None:
            result[key] = expanded
    return result


def shape_at(shape: Shape | None, element: str) -> Shape | None:
    """The shape of what a path element selects; None when the schema does not say."""
    if shape is None:
        return None
    if element.startswith("f:"):
        return shape.child(element[2:]) if shape.form in (Form.OBJECT, Form.ANY) else None
    return shape.element if shape.form is Form.LIST else None


def ordered(fields: FieldSet) -> FieldSet:
    """The same set with its keys in the order in which Kubernetes writes them."""
    # Names stand in the order of their letters, and before all other elements: maps need no key to be sorted by.
    keys = sorted(fields)
    if keys and keys[-1][0] != "f":
        keys.sort(key=_sort_key)
    return {key: ordered(child) if (child := fields[key]) else child for key in keys}


def reconcile(fields: FieldSet, shape: Shape) -> FieldSet:
    """`fields` for a schema in which containers may since have become atomic: their parts become the whole.

    Returns `fields` itself when nothing has to change.
    """
    changed: FieldSet = {}
    for key, entry in fields.items():
        if not entry or (child := shape_at(shape, key)) is None or not has_children(entry):
            continue
        new = _LEAF if is_atomic(child) else reconcile(entry, child)
        if new is not entry:
            changed[key] = new
    return {**fields, **changed} if changed else fields


def is_atomic(shape: Shape) -> bool:
    """Is the whole of it one field, owned and replaced as one?"""
    if shape.form is Form.LIST:
        return shape.list_type.value == "atomic"
    return shape.form is Form.OBJECT and shape.atomic


def key_element(keys: Mapping[str, Any]) -> str:
    """The path element of a list item: `k:{"containerPort":80,"protocol":"TCP"}`."""
    if len(keys) == 1:
        for name, value in keys.items():
            if isinstance(value, str):
                return f'k:{{"{name}":{_text(value)}}}'
    return "k:" + _compact({name: keys[name] for name in sorted(keys)})


def value_element(value: Any) -> str:
    return "v:" + (f'"{value}"' if isinstance(value, str) and value.isalnum() else _compact(value))


# Names of containers, variables and conditions: the same few again and again.
_text = lru_cache(maxsize=4096)(json.JSONEncoder(ensure_ascii=False).encode)


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def path_text(path: Path) -> str:
    """A path as conflicts are reported: `.spec.containers[name="x"].image`."""
    return "".join(map(_element_text, path))


def _element_text(element: str) -> str:
    kind, _, rest = element.partition(":")
    match kind:
        case "f":
            return f".{rest}"
        case "k":
            return (
                "[" + ",".join(f"{name}={_compact(value)}" for name, value in json.loads(rest).items()) + "]"
            )
        case "v":
            return f"[={rest}]"
        case _:
            return f"[{rest}]"


@lru_cache(maxsize=4096)
def _sort_key(element: str) -> tuple[Any, ...]:
    kind, _, rest = element.partition(":")
    rank = _ORDER.get(kind, -1)
    if kind in ("k", "v", "i"):
        try:
            return rank, _comparable(json.loads(rest))
        except ValueError:
            return rank, (9, rest)
    return rank, (0, rest)


def _comparable(value: Any) -> tuple[Any, ...]:
    """Numbers, then text, then booleans, then lists, then objects, as structured-merge-diff orders values."""
    match value:
        case bool():
            return 2, value
        case int() | float():
            return 0, value
        case str():
            return 1, value
        case list():
            return 3, tuple(map(_comparable, value))
        case dict():
            return 4, tuple((name, _comparable(child)) for name, child in value.items())
        case _:
            return (5,)
