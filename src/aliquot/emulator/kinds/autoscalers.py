"""HorizontalPodAutoscalers in the forms of their versions. Pure.

v2 lists metrics; v1 has a percentage of cpu alone. What v1 has no field for it carries in annotations.
"""

import json
from collections.abc import Mapping
from typing import Any

from aliquot.emulator.objects import Json, metadata, with_metadata

GROUP = "autoscaling"
V1, V2 = f"{GROUP}/v1", f"{GROUP}/v2"
_PREFIX = "autoscaling.alpha.kubernetes.io/"
# v2 field -> part of the object; carried in v1 as an annotation of the same name.
_CARRIED = {
    "metrics": "spec",
    "behavior": "spec",
    "conditions": "status",
    "current-metrics": "status",
}
_FIELDS = {"current-metrics": "currentMetrics"}


def converted(obj: Json, api_version: str) -> Json:
    was = obj["apiVersion"]
    if was == api_version:
        return obj
    return _to_v1(obj) if api_version == V1 else _to_v2(obj)


def _to_v1(obj: Json) -> Json:
    parts = {"spec": dict(obj.get("spec") or {}), "status": dict(obj.get("status") or {})}
    annotations = dict(metadata(obj).get("annotations") or {})
    listed = parts["spec"].get("metrics") or []
    cpu = next((metric for metric in listed if _percentage(metric) is not None), None)
    for name, part in _CARRIED.items():
        value = parts[part].pop(_FIELDS.get(name, name), None)
        if name == "metrics":
            value = [metric for metric in listed if metric is not cpu]
        if value:
            annotations[_PREFIX + name] = json.dumps(value, separators=(",", ":"))
    if cpu is not None:
        parts["spec"]["targetCPUUtilizationPercentage"] = _percentage(cpu)
    made = {**obj, "apiVersion": V1, **{name: part for name, part in parts.items() if name in obj}}
    return with_metadata(counted(made), annotations=annotations or None)


def counted(obj: Json) -> Json:
    """A v1 object with the number of replicas that v2 leaves out when it is none."""
    return {**obj, "status": {"currentReplicas": 0, **obj["status"]}} if "status" in obj else obj


def _to_v2(obj: Json) -> Json:
    parts = {"spec": dict(obj.get("spec") or {}), "status": dict(obj.get("status") or {})}
    annotations = dict(metadata(obj).get("annotations") or {})
    for name, part in _CARRIED.items():
        text = annotations.pop(_PREFIX + name, None)
        if text is not None:
            try:
                parts[part][_FIELDS.get(name, name)] = json.loads(text)
            except ValueError:
                continue
    percentage = parts["spec"].pop("targetCPUUtilizationPercentage", None)
    parts["status"].pop("currentCPUUtilizationPercentage", None)
    if parts["status"].get("currentReplicas") == 0:
        del parts["status"]["currentReplicas"]
    if percentage is not None:
        parts["spec"]["metrics"] = [_cpu(percentage), *(parts["spec"].get("metrics") or ())]
    parts["status"].setdefault("currentMetrics", None)
    made = {**obj, "apiVersion": V2, **{name: part for name, part in parts.items() if name in obj}}
    return with_metadata(made, annotations=annotations or None)


def _percentage(metric: Mapping[str, Any]) -> int | None:
    resource = metric.get("resource") or {}
    found: int | None = (resource.get("target") or {}).get("averageUtilization")
    return found if (metric.get("type"), resource.get("name")) == ("Resource", "cpu") else None


def _cpu(percentage: int) -> Json:
    target = {"type": "Utilization", "averageUtilization": percentage}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


_DEFAULT_PERCENTAGE = 80
DEFAULT_METRIC = _cpu(_DEFAULT_PERCENTAGE)


def fill_target(obj: Json) -> None:
    """Of a v1 object that asks for nothing, as `DEFAULT_METRIC` is what v2 asks for then. In place."""
    if not (metadata(obj).get("annotations") or {}).get(f"{_PREFIX}metrics"):
        obj["spec"].setdefault("targetCPUUtilizationPercentage", _DEFAULT_PERCENTAGE)


_ALL_AT_ONCE = {"type": "Percent", "value": 100, "periodSeconds": 15}
DEFAULT_RULES: Mapping[str, Json] = {
    "scaleUp": {
        "stabilizationWindowSeconds": 0,
        "selectPolicy": "Max",
        "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}, _ALL_AT_ONCE],
    },
    "scaleDown": {"selectPolicy": "Max", "policies": [_ALL_AT_ONCE]},
}
"""How fast is scaled where a behaviour leaves it open."""
