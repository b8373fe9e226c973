"""JSON patch, RFC 6902.

Kubernetes tells the user nothing of what went wrong inside a patch (one text for every failed operation); so
does this. Deviations of its library from the RFC are kept where clients could see them: a negative array index
counts from the end, and `test` of a missing field against null succeeds.
"""

import copy
import re
from typing import Any

import msgspec

from aliquot.emulator.http.json_body import MAX_DEPTH, is_deeper
from aliquot.emulator.patching.errors import PatchError, bad_request, unprocessable

MAX_OPERATIONS = 10_000
MAX_COPIED_BYTES = 3 << 20
"""What all copies of a patch may add: a few of them, each of the whole document, would fill any memory."""

_INDEX = re.compile(r"[-+]?[0-9]{1,18}")


class _Failed(Exception):
    """An operation cannot be done on this document."""


def apply_json_patch(document: Any, patch: Any) -> Any:
    """`document` with the operations of `patch` done in order, all or none.

    Raises PatchError: 400 when `patch` is no list of operations or nests objects too deeply, 413 when there are too
    many of them, 422 when an operation cannot be done.
    """
    if not isinstance(patch, list) or not all(isinstance(operation, dict) for operation in patch):
        raise bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    if len(patch) > MAX_OPERATIONS:
        raise PatchError(
            413,
            "RequestEntityTooLarge",
            f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(patch)}",
        )
    root = [copy.deepcopy(document)]  # a list around it, so that the whole document can be replaced too
    copied_bytes = 0
    try:
        for operation in patch:
            copied_bytes += _operate(root, operation, MAX_COPIED_BYTES - copied_bytes)
    except _Failed:
        raise unprocessable() from None
    except RecursionError:
        raise _too_deep() from None
    if is_deeper(root[0], MAX_DEPTH):
        raise _too_deep()
    return root[0]


def _too_deep() -> PatchError:
    return bad_request(f"error in patch: it would nest objects more than {MAX_DEPTH} levels deep")


def _operate(root: list[Any], operation: dict[str, Any], may_copy_bytes: int) -> int:
    """Does it; gives the bytes that it copied."""
    match operation.get("op"):
        case "add":
            _add(root, _path(operation, "path"), copy.deepcopy(_value(operation)))
        case "replace":
            container, key = _locate(root, _path(operation, "path"))
            _read(container, key)
            _write(container, key, copy.deepcopy(_value(operation)))
        case "remove":
            _take(root, _path(operation, "path"))
        case "move":
            value = _take(root, _path(operation, "from"))
            _add(root, _path(operation, "path"), value)
        case "copy":
            container, key = _locate(root, _path(operation, "from"))
            encoded = msgspec.json.encode(_read(container, key))
            if len(encoded) > may_copy_bytes:
                raise _Failed
            _add(root, _path(operation, "path"), msgspec.json.decode(encoded))
            return len(encoded)
        case "test":
            container, key = _locate(root, _path(operation, "path"))
            found = _read(container, key, missing=None)
            if not same_json(found, operation.get("value")):
                raise _Failed
        case _:
            raise _Failed
    return 0


def _value(operation: dict[str, Any]) -> Any:
    if "value" not in operation:
        raise _Failed
    return operation["value"]


def _path(operation: dict[str, Any], name: str) -> list[str]:
    path = operation.get(name)
    if not isinstance(path, str) or (path and not path.startswith("/")):
        raise _Failed
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def _locate(root: list[Any], path: list[str]) -> tuple[dict[str, Any] | list[Any], str]:
    """The container that holds the last part of `path`, and that part."""
    container: Any = root
    key = "0"
    for part in path:
        container = _read(container, key)
        if not isinstance(container, dict | list):
            raise _Failed
        key = part
    return container, key


def _index(container: list[Any], key: str, limit: int) -> int:
    if not _INDEX.fullmatch(key):
        raise _Failed
    index = int(key)
    if index < 0:
        index += limit
    if not 0 <= index < limit:
        raise _Failed
    return index


_REQUIRED = object()


def _read(container: dict[str, Any] | list[Any], key: str, *, missing: Any = _REQUIRED) -> Any:
    if isinstance(container, list):
        return container[_index(container, key, len(container))]
    if key in container:
        return container[key]
    if missing is _REQUIRED:
        raise _Failed
    return missing


def _write(container: dict[str, Any] | list[Any], key: str, value: Any) -> None:
    if isinstance(container, list):
        container[_index(container, key, len(container))] = value
    else:
        container[key] = value


def _add(root: list[Any], path: list[str], value: Any) -> None:
    container, key = _locate(root, path)
    if container is root or isinstance(container, dict):
        _write(container, key, value)
    elif key == "-":
        container.append(value)
    else:
        container.insert(_index(container, key, len(container) + 1), value)


def _take(root: list[Any], path: list[str]) -> Any:
    """Removes what is at `path`, and gives it."""
    if not path:
        raise _Failed  # there is no document without a document
    container, key = _locate(root, path)
    value = _read(container, key)
    if isinstance(container, list):
        del container[_index(container, key, len(container))]
    else:
        del container[key]
    return value


def same_json(left: Any, right: Any) -> bool:
    """Equality of JSON values; unlike Python's, true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(
            same_json(value, right[key]) for key, value in left.items()
        )
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same_json, left, right))
    return bool(left == right)
