"""What the rows of several kinds have in common: names, ages, labels, containers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aliquot.emulator.tables.durations import since
from aliquot.kube import selectors

Object = Mapping[str, Any]
Cells = Callable[[Object, float], list[Any]]

NONE = "<none>"
UNSET = "<unset>"


def name(obj: Object) -> str:
    return str(obj["metadata"].get("name", ""))


def age(obj: Object, now: float) -> str:
    return since(obj["metadata"].get("creationTimestamp"), now)


def part(obj: Object, name: str) -> Object:
    found: Object = obj.get(name) or {}
    return found


def containers(template: Object | None) -> tuple[str, str]:
    listed = part(template or {}, "spec").get("containers") or ()
    return (
        ",".join(container.get("name", "") for container in listed),
        ",".join(container.get("image", "") for container in listed),
    )


def selector(selector: Object | None) -> str:
    try:
        return str(selectors.from_object(selector or {})) or NONE
    except selectors.SelectorError:
        return "<invalid>"


def format_labels(labels: Mapping[str, str] | None) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NONE


def condition(obj: Object, kind: str) -> str | None:
    conditions: Sequence[Object] = part(obj, "status").get("conditions") or ()
    return next((one.get("status", "") for one in conditions if one.get("type") == kind), None)


def and_more(shown: Sequence[str], total: int) -> str:
    text = ",".join(shown)
    return f"{text} + {total - len(shown)} more..." if total > len(shown) else text
