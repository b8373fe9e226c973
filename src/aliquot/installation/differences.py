"""What an apply changes of an object, in a line."""

from collections.abc import Iterator, Mapping
from typing import Any

_SERVERS = frozenset(
    {"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"}
)
"""In metadata: nobody asked for them to change."""
MOST_TOLD = 4


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """`spec.replicas: 1 -> 2`. What stands in the status is nobody's wish."""
    return list(_between("", _wished(before), _wished(after)))


def told(found: list[str]) -> str:
    more = len(found) - MOST_TOLD
    return "; ".join(found[:MOST_TOLD]) + (f"; and {more} more" if more > 0 else "")


def _wished(obj: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {name: value for name, value in obj.get("metadata", {}).items() if name not in _SERVERS}
    rest = {
        name: value for name, value in obj.items() if name not in ("metadata", "status", "kind", "apiVersion")
    }
    return {"metadata": metadata, **rest}


def _between(path: str, before: Any, after: Any) -> Iterator[str]:
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in sorted({*before, *after}):
            step = f".{name}" if "/" not in name and "." not in name else f"[{name}]"
            yield from _between(f"{path}{step}".removeprefix("."), before.get(name), after.get(name))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _between(f"{path}[{index}]", old, new)
    else:
        yield f"{path}: {_short(before)} -> {_short(after)}"


def _short(value: Any) -> str:
    if isinstance(value, Mapping | list):
        return "{...}" if isinstance(value, Mapping) else "[...]"
    return "none" if value is None else str(value)
