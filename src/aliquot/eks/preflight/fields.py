"""Parts of manifests: anything may stand in the place of what should be there, and then there is nothing."""

from collections.abc import Mapping
from typing import Any


def mapping(value: Any, *path: str) -> Mapping[str, Any]:
    """What lies at that path below it."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def mappings(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def texts(value: Any) -> list[str]:
    """Those that say something."""
    return [one for one in value if isinstance(one, str) and one] if isinstance(value, list) else []
