"""Writing a status only when it says something new."""

from collections.abc import Mapping
from typing import Any

import msgspec


def as_json(value: Any) -> Any:
    """What a reader of the encoded value would see: lists, not tuples."""
    return msgspec.json.decode(msgspec.json.encode(value))


def status_differs(wanted: Mapping[str, Any], current: Any) -> bool:
    """Whether the merge patch `wanted` (None for a field to take away) would change the status that a Struct shows."""
    shown = as_json(current)
    return any(_bare(shown.get(name)) != _bare(value) for name, value in as_json(wanted).items())


def _bare(value: Any) -> Any:
    """Nothing, zero and empty are all the same: not there."""
    if isinstance(value, dict):
        value = {name: found for name, found in value.items() if found is not None}
    return value or None
