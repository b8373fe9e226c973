"""What may be laid down for a namespace: limit ranges and resource quotas."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from aliquot.emulator.schema.errors import FieldError, duplicate, forbidden, invalid, required
from aliquot.emulator.schema.validation import names, resources
from aliquot.emulator.schema.validation.metadata import IMMUTABLE
from aliquot.kube import quantity

Obj = Mapping[str, Any]

# ---- limit ranges ------------------------------------------------------------------------------------------

_TYPES = ("Container", "PersistentVolumeClaim", "Pod")
_PARTS = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")


def limit_range(obj: Obj) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, item in enumerate(obj["spec"].get("limits") or ()):
        where, kind = f"spec.limits[{index}]", item.get("type", "")
        errors += _limit_type(kind, f"{where}.type")
        if kind in seen:
            errors.append(duplicate(f"{where}.type", kind))
        seen.add(kind)
        errors += _limits(item, kind, where)
    return errors


def _limit_type(kind: str, path: str) -> list[FieldError]:
    errors = [invalid(path, kind, problem) for problem in names.qualified_name(kind)]
    if not errors and "/" not in kind and kind not in _TYPES:
        errors.append(invalid(path, kind, "must be a standard limit type or fully qualified"))
    return errors


def _limits(item: Obj, kind: str, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    check = resources.container_resource_name if kind in ("Pod", "Container") else resources.resource_name
    parts: dict[str, Mapping[str, str]] = {name: item.get(name) or {} for name in _PARTS}
    if kind == "Pod":
        for name in ("default", "defaultRequest"):
            if parts[name]:
                errors.append(forbidden(f"{path}.{name}", "may not be specified when `type` is 'Pod'"))
            parts[name] = {}
    for part, amounts in parts.items():
        for name in amounts:
            errors += check(name, f"{path}.{part}[{name}]")
    if kind == "PersistentVolumeClaim" and not ("storage" in parts["min"] or "storage" in parts["max"]):
        text = "either minimum or maximum storage value is required, but neither was provided"
        errors.append(required(f"{path}.limits", text))
    for name in sorted({name for amounts in parts.values() for name in amounts}):
        errors += _in_order({part: amounts.get(name) for part, amounts in parts.items()}, name, path)
    return errors


_NOT_ABOVE = (
    ("min", "max", "min", "min", "min value {} is greater than max value {}"),
    (
        "min",
        "defaultRequest",
        "defaultRequest",
        "defaultRequest",
        "min value {} is greater than default request value {}",
    ),
    (
        "defaultRequest",
        "max",
        "defaultRequest",
        "defaultRequest",
        "default request value {} is greater than max value {}",
    ),
    (
        "defaultRequest",
        "default",
        "defaultRequest",
        "defaultRequest",
        "default request value {} is greater than default limit value {}",
    ),
    ("min", "default", "default", "min", "min value {} is greater than default value {}"),
    ("default", "max", "default", "max", "default value {} is greater than max value {}"),
)
"""(what must not be above, what, the field that is told of, the value that is shown, the words)"""


def _in_order(amounts: Mapping[str, str | None], name: str, path: str) -> list[FieldError]:
    """Of one resource."""
    errors: list[FieldError] = []
    for low, high, field, shown, words in _NOT_ABOVE:
        one, other = amounts[low], amounts[high]
        if one is not None and other is not None and quantity.parse(one) > quantity.parse(other):
            errors.append(invalid(f"{path}.{field}[{name}]", amounts[shown], words.format(one, other)))
    errors += _ratio(amounts, f"{path}.maxLimitRequestRatio[{name}]")
    limit, request = amounts["default"], amounts["defaultRequest"]
    if (
        limit is not None
        and request is not None
        and not resources.overcommits(name)
        and quantity.parse(limit) != quantity.parse(request)
    ):
        text = f"default value {limit} must equal to defaultRequest value {request} in {name}"
        errors.append(invalid(f"{path}.defaultRequest[{name}]", request, text))
    return errors


def _ratio(amounts: Mapping[str, str | None], path: str) -> list[FieldError]:
    ratio, low, high = amounts["maxLimitRequestRatio"], amounts["min"], amounts["max"]
    if ratio is None:
        return []
    errors: list[FieldError] = []
    exact = quantity.parse(ratio)
    if exact < 1:
        errors.append(invalid(path, ratio, f"ratio {ratio} is less than 1"))
    if low is not None and high is not None and quantity.parse(low) > 0:
        widest = quantity.parse(high) / quantity.parse(low)
        if exact > widest:
            errors.append(invalid(path, ratio, f"ratio {ratio} is greater than max/min = {float(widest):f}"))
    return errors


# ---- quotas ------------------------------------------------------------------------------------------------

_POD_COUNT = frozenset(["pods"])
_POD_COMPUTE = _POD_COUNT | {
    *("cpu", "memory"),
    *(f"{kind}.{name}" for kind in ("limits", "requests") for name in ("cpu", "memory")),
}
_SCOPES: Mapping[str, Collection[str]] = {
    "Terminating": _POD_COMPUTE,
    "NotTerminating": _POD_COMPUTE,
    "BestEffort": _POD_COUNT,
    "NotBestEffort": _POD_COMPUTE,
    "PriorityClass": _POD_COMPUTE,
    "CrossNamespacePodAffinity": _POD_COMPUTE,
    "VolumeAttributesClass": ("persistentvolumeclaims", "requests.storage"),
}
"""Which of the standard resources each scope may be laid upon."""

_WITHOUT_VALUES = (
    "BestEffort",
    "NotBestEffort",
    "Terminating",
    "NotTerminating",
    "CrossNamespacePodAffinity",
)
_CONFLICTING = (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating"))


def resource_quota(obj: Obj) -> list[FieldError]:
    spec = obj["spec"]
    errors = amounts(spec.get("hard") or {}, "spec.hard")
    scopes: Sequence[str] = spec.get("scopes") or ()
    errors += _scopes(scopes, spec, "spec.scopes")
    selector = spec.get("scopeSelector")
    if selector is not None:
        errors += _scope_selector(selector, spec, "spec.scopeSelector.matchExpressions")
    return errors


def amounts(listed: Mapping[str, str], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for name, amount in listed.items():
        where = f"{path}[{name}]"
        errors += resources.resource_name(name, where)
        if "/" not in name and not resources.is_of_quota(name):
            errors.append(invalid(where, name, "must be a standard resource for quota"))
        errors += resources.value(name, amount, where)
    return errors


def _scopes(scopes: Sequence[str], spec: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    shown = list(scopes)
    for scope in scopes:
        if scope not in _SCOPES:
            errors.append(invalid(path, shown, "unsupported scope"))
        errors += _not_in_scope(scope, spec, shown, path)
    return errors + _conflicts(scopes, shown, path)


def _not_in_scope(scope: str, spec: Obj, shown: Any, path: str) -> list[FieldError]:
    fitting = _SCOPES.get(scope)
    return [
        invalid(path, shown, "unsupported scope applied to resource")
        for name in sorted(spec.get("hard") or ())
        if fitting is not None and resources.is_of_quota(name) and name not in fitting
    ]


def _conflicts(scopes: Collection[str], shown: Any, path: str) -> list[FieldError]:
    return [invalid(path, shown, "conflicting scopes") for pair in _CONFLICTING if set(pair) <= set(scopes)]


def _scope_selector(selector: Obj, spec: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    terms: Sequence[Obj] = selector.get("matchExpressions") or ()
    for term in terms:
        scope, operator, values = (
            term.get("scopeName", ""),
            term.get("operator", ""),
            term.get("values") or (),
        )
        if scope not in _SCOPES:
            errors.append(invalid(f"{path}.scopeName", scope, "unsupported scope"))
        errors += _not_in_scope(scope, spec, dict(selector), path)
        if scope in _WITHOUT_VALUES and operator != "Exists":
            listed = (
                "ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, "
                "ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
            )
            text = f"must be 'Exists' when scope is any of {listed}"
            errors.append(invalid(f"{path}.operator", operator, text))
        if operator in ("In", "NotIn"):
            if not values:
                text = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
                errors.append(required(f"{path}.values", text))
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                text = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
                errors.append(invalid(f"{path}.values", list(values), text))
        else:
            errors.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    return errors + _conflicts([term.get("scopeName", "") for term in terms], spec.get("scopes"), path)


def resource_quota_update(obj: Obj, old: Obj) -> list[FieldError]:
    scopes, before = obj["spec"].get("scopes") or [], old["spec"].get("scopes") or []
    return [] if set(scopes) == set(before) else [invalid("spec.scopes", scopes, IMMUTABLE)]
