"""JSON that strangers send, decoded within bounds that everything behind it can rely on.

Whoever walks a value walks it by recursion: what is deeper than every walk can bear is refused here, once.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

MAX_DEPTH = 200
"""Levels of objects and lists in each other. The deepest that Kubernetes has, a CustomResourceDefinition's schema, stays
under 100."""

_TOO_DEEP = f"nested more than {MAX_DEPTH} levels deep"


class BodyError(ValueError):
    """One line: why this is no JSON that is taken."""


def decode(body: bytes) -> Any:
    """Raises BodyError."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BodyError(str(error)) from None
    except RecursionError:
        raise BodyError(_TOO_DEEP) from None
    # Most bodies have fewer brackets than levels are allowed: those are done.
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and is_deeper(value, MAX_DEPTH):
        raise BodyError(_TOO_DEEP)
    return value


def is_deeper(value: Any, levels: int) -> bool:
    """Whether objects and lists are in each other more than `levels` deep. Itself not recursive."""
    row = [value]
    for _ in range(levels):
        row = [part for parts in row for part in _parts(parts) if isinstance(part, dict | list)]
        if not row:
            return False
    return True


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
