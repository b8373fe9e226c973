"""Strategic merge patch: a merge patch that knows which lists are maps by key.

What a list is comes from the schema (`x-kubernetes-patch-strategy`, `x-kubernetes-patch-merge-key`); beside it
the patch may carry directives:

    $patch: replace | delete          on an object, or on an item of a list
    $retainKeys: [...]                drop every other field of this object
    $deleteFromPrimitiveList/KEY      values to take out of the list KEY
    $setElementOrder/KEY              the order that the items of the list KEY shall have

The result shares unchanged parts with the document; neither argument is changed.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from aliquot.emulator.patching.errors import PatchError, bad_request, unprocessable
from aliquot.emulator.schema.shapes import Form, Shape

_PATCH = "$patch"
_RETAIN = "$retainKeys"
_DELETE_FROM = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"


def apply_strategic_merge_patch(
    document: dict[str, Any], patch: dict[str, Any], shape: Shape
) -> dict[str, Any]:
    """`document` with `patch` merged by the patch strategies of `shape`.

    Raises PatchError: 400 for a malformed directive, 500 (as Kubernetes does) for an item without its merge key.
    """
    return _merge_object(document, patch, shape)


def _merge_object(original: dict[str, Any], patch: dict[str, Any], shape: Shape | None) -> dict[str, Any]:
    directive = patch.get(_PATCH)
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != _PATCH}
    if directive == "delete":
        return {}
    if directive is not None:
        raise _unknown_directive(directive, patch)
    merged = _retained(original, patch)
    ordered = {key.removeprefix(_ORDER) for key in patch if key.startswith(_ORDER)}
    for key in sorted(ordered):
        _merge_ordered_list(merged, key, patch, _field(shape, key))
    for key, value in patch.items():
        if key == _RETAIN or key.startswith(_ORDER) or key in ordered:
            continue
        if key.startswith("$"):
            if not key.startswith(_DELETE_FROM):
                raise bad_request("invalid patch format of primitive list")
            name = key.removeprefix(_DELETE_FROM)
            if isinstance(merged.get(name), list) and isinstance(value, list):
                merged[name] = [item for item in merged[name] if item not in value]
            continue
        _merge_field(merged, key, value, _field(shape, key))
    return merged


def _merge_field(merged: dict[str, Any], key: str, value: Any, shape: Shape | None) -> None:
    if value is None:
        merged.pop(key, None)
        return
    original = merged.get(key)
    if isinstance(value, dict) and isinstance(original, dict):
        replace = shape is not None and "replace" in shape.strategies
        merged[key] = value if replace else _merge_object(original, value, shape)
        return
    if isinstance(value, list) and isinstance(original, list):
        merged[key] = _merge_list(original, value, shape)
        return
    clean, keep = _without_directives(_without_nulls(value))
    if keep:
        merged[key] = clean
    else:
        merged.pop(key, None)


def _retained(original: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    if _RETAIN not in patch:
        return dict(original)
    keep = patch[_RETAIN]
    if not isinstance(keep, list):
        raise bad_request("invalid patch format of retainKeys")
    for key, value in patch.items():
        if value is not None and not key.startswith("$") and key not in keep:
            raise bad_request("invalid patch format of retainKeys")
    return {key: value for key, value in original.items() if key in keep}


def _merge_ordered_list(merged: dict[str, Any], key: str, patch: dict[str, Any], shape: Shape | None) -> None:
    order = patch[_ORDER + key]
    original = merged.get(key)
    changes = patch.get(key)
    if not isinstance(order, list) or not isinstance(changes, list | None):
        raise bad_request("invalid patch format of setElementOrder list")
    merge_key = shape.merge_key if shape is not None else ""
    _check_order(changes or [], order, merge_key)
    before = original if isinstance(original, list) else None
    if before is None and changes is None:
        return
    if changes is None:
        items = list(before or [])
    elif before is None:
        items = _without_directives(_without_nulls(changes))[0]
    else:
        items = _merge_list(before, changes, shape)
    merged[key] = _in_order(items, order, before or [], merge_key)


def _check_order(changes: Sequence[Any], order: Sequence[Any], merge_key: str) -> None:
    """The items of a patch must stand in the list that orders them, in the same sequence."""
    wanted = [_identity(item, merge_key) for item in order]
    position = 0
    for item in changes:
        if isinstance(item, dict) and _PATCH in item:
            continue
        try:
            position = wanted.index(_identity(item, merge_key), position) + 1
        except ValueError:
            raise PatchError(
                500,
                "",
                f"The order in patch list:\n{_go(changes)}\n doesn't match $setElementOrder list:\n{_go(order)}\n",
            ) from None


def _merge_list(original: list[Any], patch: list[Any], shape: Shape | None) -> list[Any]:
    if shape is None or shape.form is not Form.LIST or "merge" not in shape.strategies:
        return patch
    if not original and not patch:
        return original
    if not any(isinstance(item, dict) for item in (*original, *patch)):
        return _in_order(list(dict.fromkeys([*original, *patch])), patch, original, "")
    merge_key = shape.merge_key
    merged: list[Any] | None = list(original)
    changes: list[dict[str, Any]] = []
    for item in patch:
        if not isinstance(item, dict):
            raise bad_request("invalid JSON document")
        match item.get(_PATCH):
            case None:
                changes.append(item)
            case "delete":
                gone = _identity(item, merge_key)
                merged = [kept for kept in merged or [] if _identity(kept, merge_key) != gone]
            case "replace":
                merged = None
            case "merge":
                raise PatchError(500, "", "merging lists cannot yet be specified in the patch")
            case directive:
                raise _unknown_directive(directive, item)
    if merged is None:
        return changes
    element = shape.element
    for change in changes:
        identity = _identity(change, merge_key)
        for index, item in enumerate(merged):
            if _identity(item, merge_key) == identity:
                merged[index] = _merge_object(item, change, element)
                break
        else:
            merged.append(_without_directives(_without_nulls(change))[0])
    return _in_order(merged, changes, original, merge_key)


def _in_order(items: list[Any], order: Sequence[Any], before: Sequence[Any], merge_key: str) -> list[Any]:
    """Items named by `order` follow it; the others keep their places of `before` among them as well as they can."""
    ranks = _ranks(order, merge_key)
    before_ranks = _ranks(before, merge_key)
    named = sorted(
        (i for i in items if _identity(i, merge_key) in ranks), key=lambda i: ranks[_identity(i, merge_key)]
    )
    others = [item for item in items if _identity(item, merge_key) not in ranks]
    others.sort(key=lambda i: before_ranks.get(_identity(i, merge_key), len(before_ranks)))
    merged: list[Any] = []
    while named and others:
        left, right = (before_ranks.get(_identity(item, merge_key)) for item in (others[0], named[0]))
        goes_first = left is not None and right is not None and left < right
        merged.append((others if goes_first else named).pop(0))
    return merged + named + others


def _ranks(items: Iterable[Any], merge_key: str) -> dict[Any, int]:
    ranks: dict[Any, int] = {}
    for item in items:
        ranks.setdefault(_identity(item, merge_key), len(ranks))
    return ranks


def _identity(item: Any, merge_key: str) -> Any:
    if merge_key:
        if not isinstance(item, dict):
            raise bad_request("invalid JSON document")
        if merge_key not in item:
            raise PatchError(500, "", f"map: {_go(item)} does not contain declared merge key: {merge_key}")
        item = item[merge_key]
    if isinstance(item, dict | list):
        raise unprocessable()
    return item


def _field(shape: Shape | None, key: str) -> Shape | None:
    return shape.child(key) if shape is not None and shape.form is Form.OBJECT else None


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(child) for key, child in value.items() if child is not None}
    if isinstance(value, list):
        return [_without_nulls(child) for child in value]
    return value


def _without_directives(value: Any) -> tuple[Any, bool]:
    """(`value` as new content, whether to keep it at all): an item that says what to do is no content."""
    if isinstance(value, dict):
        if _PATCH in value:
            return None, False
        children = ((key, _without_directives(child)) for key, child in value.items())
        return {key: child for key, (child, keep) in children if keep}, True
    if isinstance(value, list):
        return [child for child, keep in map(_without_directives, value) if keep], True
    return value, True


def _unknown_directive(directive: Any, patch: dict[str, Any]) -> PatchError:
    return PatchError(500, "", f"unknown patch type: {directive} in map: {_go(patch)}")


def _go(value: Any) -> str:
    """A value as Go's %v prints it: `map[image:x name:y]`."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{_go(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(_go, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "<nil>" if value is None else str(value)
