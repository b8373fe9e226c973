"""Writing a status only when it says something new."""

from collections.abc import Mapping
from typing import Any

import msgspec


def status_differs(wanted: Mapping[str, Any], current: Any) -> bool:
    """Whether writing `wanted` (None for a field to take away) would change the status that a Struct shows."""
    shown = msgspec.to_builtins(current)
    return any((shown.get(name) or None) != (value or None) for name, value in wanted.items())
