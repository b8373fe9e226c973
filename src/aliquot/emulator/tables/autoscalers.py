"""A HorizontalPodAutoscaler's row: its target, its limits, and the metrics that nobody measures."""

from collections.abc import Mapping
from typing import Any

from aliquot.emulator.kinds.autoscalers import V1, V2, converted
from aliquot.emulator.tables.durations import since

Object = Mapping[str, Any]

_SHOWN = 2


def cells(obj: Object, now: float) -> list[Any]:
    metadata, spec = obj["metadata"], obj.get("spec") or {}
    target = spec.get("scaleTargetRef") or {}
    return [
        metadata.get("name", ""),
        f"{target.get('kind', '')}/{target.get('name', '')}",
        _targets(spec),
        str(spec.get("minReplicas", "<unset>")),
        spec.get("maxReplicas", 0),
        (obj.get("status") or {}).get("currentReplicas", 0),
        since(metadata.get("creationTimestamp"), now),
    ]


def cells_of_v1(obj: Object, now: float) -> list[Any]:
    return cells(converted({**obj, "apiVersion": V1}, V2), now)


def _targets(spec: Object) -> str:
    texts = [target_text(metric) for metric in spec.get("metrics") or ()]
    more = f" + {len(texts) - _SHOWN} more..." if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more or "<none>"


def target_text(metric: Mapping[str, Any]) -> str:
    """As `kubectl get` shows one metric that nobody measures."""
    match metric.get("type"):
        case "Resource" | "ContainerResource" as kind:
            source = metric.get(kind[0].lower() + kind[1:]) or {}
            target = source.get("target") or {}
            wanted = target.get("averageValue")
            if wanted is None:
                wanted = f"{target.get('averageUtilization', '<auto>')}%"
            return f"{source.get('name', '')}: <unknown>/{wanted}"
        case "Pods":
            target = (metric.get("pods") or {}).get("target") or {}
            return f"<unknown>/{target.get('averageValue', '')}"
        case "Object" | "External" as kind:
            target = (metric.get(kind.lower()) or {}).get("target") or {}
            if target.get("averageValue") is not None:
                return f"<unknown>/{target['averageValue']} (avg)"
            return f"<unknown>/{target.get('value', '')}"
    return "<unknown type>"
