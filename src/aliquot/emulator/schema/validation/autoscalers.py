"""HorizontalPodAutoscalers: what they scale, by which metrics, how fast."""

from collections.abc import Mapping
from typing import Any

from aliquot.emulator.schema.errors import FieldError, forbidden, invalid, not_supported, required
from aliquot.emulator.schema.validation import names, resources
from aliquot.kube.quantity import parse

Obj = Mapping[str, Any]

_SOURCES = {
    "Object": "object",
    "External": "external",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}
"""The field of each type of metric, in the order in which Kubernetes looks at them."""
_LONGEST_PERIOD_S = 1800
_LONGEST_WINDOW_S = 3600


def autoscaler(obj: Obj) -> list[FieldError]:
    spec = obj.get("spec", {})
    errors: list[FieldError] = []
    least, most = spec.get("minReplicas", 1), spec.get("maxReplicas", 0)
    if least < 1:
        errors.append(invalid("spec.minReplicas", least, "must be greater than or equal to 1"))
    if most == 0:
        errors.append(required("spec.maxReplicas", "must be set and greater than 0"))
    elif most < 0:
        errors.append(invalid("spec.maxReplicas", most, "must be greater than or equal to 1"))
    if "minReplicas" in spec and most < least:
        errors.append(invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`"))
    errors += _reference(spec.get("scaleTargetRef") or {}, "spec.scaleTargetRef")
    for index, metric in enumerate(spec.get("metrics") or ()):
        errors += _metric(metric, f"spec.metrics[{index}]")
    if least == 0 and not {"Object", "External"} & {one.get("type") for one in spec.get("metrics") or ()}:
        why = "must specify at least one Object or External metric to support scaling to zero replicas"
        errors.append(forbidden("spec.metrics", why))
    for direction in ("scaleUp", "scaleDown"):
        if (rules := (spec.get("behavior") or {}).get(direction)) is not None:
            errors += _rules(rules, f"spec.behavior.{direction}")
    return errors


def new_target(obj: Obj) -> list[FieldError]:
    """Problems with the API group of what is scaled: a ReplicationController alone has none."""
    target = (obj.get("spec") or {}).get("scaleTargetRef") or {}
    version = target.get("apiVersion", "")
    path = "spec.scaleTargetRef.apiVersion"
    if version.count("/") > 1:
        return [invalid(path, version, f"unexpected GroupVersion string: {version}")]
    if "/" in version or target.get("kind") == "ReplicationController":
        return []
    return [invalid(path, version, "apiVersion must specify API group")]


def target_update(obj: Obj, old: Obj) -> list[FieldError]:
    """One that stays may be as it is."""
    new, was = ((one.get("spec") or {}).get("scaleTargetRef") or {} for one in (obj, old))
    stays = all(new.get(name) == was.get(name) for name in ("apiVersion", "kind"))
    return [] if stays else new_target(obj)


def _reference(ref: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for name in ("kind", "name"):
        if not (value := ref.get(name, "")):
            errors.append(required(f"{path}.{name}"))
        errors += [invalid(f"{path}.{name}", value, problem) for problem in names.path_segment(value)]
    return errors


# --- metrics ---


def _metric(metric: Obj, path: str) -> list[FieldError]:
    kind = metric.get("type", "")
    errors: list[FieldError] = []
    if not kind:
        errors.append(required(f"{path}.type", "must specify a metric source type"))
    unknown = not_supported(f"{path}.type", kind, sorted(_SOURCES))
    if kind not in _SOURCES:
        errors.append(unknown)
    present = [name for name in _SOURCES.values() if metric.get(name) is not None]
    if present:
        errors += _source(metric[present[0]], present[0], f"{path}.{present[0]}")
    wanted = _SOURCES.get(kind, "")
    if not wanted:
        errors.append(unknown)
    elif wanted not in present:
        errors.append(required(f"{path}.{wanted}", "must populate information for the given metric source"))
    if len(present) != 1:
        errors += [
            forbidden(f"{path}.{name}", "must populate the given metric source only")
            for name in present
            if name != wanted
        ]
    return errors


def _source(source: Obj, kind: str, path: str) -> list[FieldError]:
    target = source.get("target") or {}
    errors: list[FieldError] = []
    if kind == "object":
        errors += _reference(source.get("describedObject") or {}, f"{path}.describedObject")
    if kind in ("object", "external", "pods"):
        errors += _identifier(source.get("metric") or {}, f"{path}.metric")
    if kind in ("resource", "containerResource"):
        if not (name := source.get("name", "")):
            errors.append(required(f"{path}.name", "must specify a resource name"))
        elif kind == "containerResource":
            errors += resources.container_resource_name(name, f"{path}.name")
    if kind == "containerResource":
        if not (container := source.get("container", "")):
            errors.append(required(f"{path}.container", "must specify a container"))
        else:
            problems = names.dns_label(container)
            errors += [invalid(f"{path}.container", container, problem) for problem in problems]
    return errors + _target(target, f"{path}.target") + _amount(target, kind, f"{path}.target")


def _identifier(metric: Obj, path: str) -> list[FieldError]:
    if not (name := metric.get("name", "")):
        return [required(f"{path}.name", "must specify a metric name")]
    return [invalid(f"{path}.name", name, problem) for problem in names.path_segment(name)]


def _target(target: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    kind = target.get("type", "")
    if not kind:
        errors.append(required(f"{path}.type", "must specify a metric target type"))
    if kind not in ("Utilization", "Value", "AverageValue"):
        errors.append(invalid(f"{path}.type", kind, "must be either Utilization, Value, or AverageValue"))
    errors += [
        invalid(f"{path}.{name}", amount, "must be positive")
        for name in ("value", "averageValue")
        if (amount := target.get(name)) is not None and parse(str(amount)) <= 0
    ]
    if (percent := target.get("averageUtilization")) is not None and percent < 1:
        errors.append(invalid(f"{path}.averageUtilization", percent, "must be greater than 0"))
    return errors


def _amount(target: Obj, kind: str, path: str) -> list[FieldError]:
    """Which of the amounts each kind of source takes."""
    value, average, percent = (
        target.get(name) is not None for name in ("value", "averageValue", "averageUtilization")
    )
    match kind:
        case "object" if not value and not average:
            return [required(f"{path}.averageValue", "must set either a target value or averageValue")]
        case "external" if not value and not average:
            why = "must set either a target value for metric or a per-pod target"
            return [required(f"{path}.averageValue", why)]
        case "external" if value and average:
            why = "may not set both a target value for metric and a per-pod target"
            return [forbidden(f"{path}.value", why)]
        case "pods" if not average:
            return [required(f"{path}.averageValue", "must specify a positive target averageValue")]
        case "resource" | "containerResource" if not percent and not average:
            why = "must set either a target raw value or a target utilization"
            return [required(f"{path}.averageUtilization", why)]
        case "resource" | "containerResource" if percent and average:
            why = "may not set both a target raw value and a target utilization"
            return [forbidden(f"{path}.averageValue", why)]
    return []


# --- behaviour ---


def _rules(rules: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    window_s = rules.get("stabilizationWindowSeconds")
    if window_s is not None and window_s < 0:
        errors.append(
            invalid(f"{path}.stabilizationWindowSeconds", window_s, "must be greater than or equal to zero")
        )
    if window_s is not None and window_s > _LONGEST_WINDOW_S:
        text = f"must be less than or equal to {_LONGEST_WINDOW_S}"
        errors.append(invalid(f"{path}.stabilizationWindowSeconds", window_s, text))
    select = rules.get("selectPolicy")
    if select is not None and select not in ("Disabled", "Max", "Min"):
        errors.append(not_supported(f"{path}.selectPolicy", select, ("Disabled", "Max", "Min")))
    if not rules.get("policies"):
        errors.append(required(f"{path}.policies", "must specify at least one Policy"))
    for index, policy in enumerate(rules.get("policies") or ()):
        errors += _policy(policy, f"{path}.policies[{index}]")
    if (tolerance := rules.get("tolerance")) is not None and parse(str(tolerance)) < 0:
        errors.append(invalid(f"{path}.tolerance", tolerance, resources.NEGATIVE))
    return errors


def _policy(policy: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    kind, value, period_s = (policy.get(name, 0) for name in ("type", "value", "periodSeconds"))
    if kind not in ("Percent", "Pods"):
        errors.append(not_supported(f"{path}.type", kind or "", ("Percent", "Pods")))
    if value <= 0:
        errors.append(invalid(f"{path}.value", value, "must be greater than zero"))
    if period_s <= 0:
        errors.append(invalid(f"{path}.periodSeconds", period_s, "must be greater than zero"))
    if period_s > _LONGEST_PERIOD_S:
        text = f"must be less than or equal to {_LONGEST_PERIOD_S}"
        errors.append(invalid(f"{path}.periodSeconds", period_s, text))
    return errors
