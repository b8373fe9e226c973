"""Members that one object of a body has more than once: the last counts, and who wants to know is told.

Decoders keep the last and forget the rest, and most bodies repeat nothing. That is seen by counting; only a body that
counts more members than its value has is read again, member by member.
"""

import json
from collections.abc import Iterator
from typing import Any

import msgspec

_MOST = 100
"""As kube-apiserver has it: what repeats more often than this is not told in full."""
_MOST_CHARACTERS = 1 << 16


def in_json(body: bytes, value: Any) -> tuple[str, ...]:
    """The paths of what is there again (`spec.containers[0].image`). `value` is what `body` was decoded to."""
    if not _counts_more(body, value):
        return ()
    members = json.loads(body, object_pairs_hook=_Members, parse_int=str, parse_float=str)
    found: dict[str, None] = {}
    characters = 0
    for steps in _repeated(members, ()):
        path = _path(steps)
        characters += len(path)
        if len(found) == _MOST or characters > _MOST_CHARACTERS:
            break
        found[path] = None
    return tuple(found)


def _counts_more(body: bytes, value: Any) -> bool:
    """Whether there may be members in `body` that `value` does not show.

    A member has one colon; those in texts are there either way, unless they are escaped.
    """
    if body.count(b":") != msgspec.json.encode(value).count(b":"):
        return True
    return b"\\u003a" in body or b"\\u003A" in body


class _Members(list[tuple[str, Any]]):
    """An object as it was written."""


_Steps = tuple[Any, ...]
"""(the steps before, a key or an index): the way to a member is put into words only where it repeats."""


def _repeated(value: Any, steps: _Steps) -> Iterator[_Steps]:
    """In the order of the body. Recursive: bodies have a bounded depth."""
    if isinstance(value, _Members):
        seen = set()
        for key, child in value:
            inner = (steps, key)
            if key in seen:
                yield inner
            seen.add(key)
            if isinstance(child, list):
                yield from _repeated(child, inner)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            if isinstance(child, list):
                yield from _repeated(child, (steps, index))


def _path(steps: _Steps) -> str:
    parts = []
    while steps:
        steps, step = steps
        parts.append(f"[{step}]" if isinstance(step, int) else f".{step}")
    return "".join(reversed(parts)).removeprefix(".")
