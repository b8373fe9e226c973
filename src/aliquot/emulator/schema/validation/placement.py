"""Where a pod may go: node selectors, affinity, tolerations, topology spread; and the taints of nodes."""

from collections.abc import Mapping, Sequence
from typing import Any

from aliquot.emulator.schema.errors import (
    ErrorType,
    FieldError,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from aliquot.emulator.schema.validation import names
from aliquot.emulator.schema.validation.metadata import label_selector

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def affinity(value: Mapping[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if "nodeAffinity" in value:
        errors += _node_affinity(value["nodeAffinity"], f"{path}.nodeAffinity")
    for name in ("podAffinity", "podAntiAffinity"):
        for index, term in enumerate(value.get(name, {}).get(_REQUIRED, ())):
            errors += _pod_term(term, f"{path}.{name}.{_REQUIRED}[{index}]")
        for index, weighted in enumerate(value.get(name, {}).get(_PREFERRED, ())):
            where = f"{path}.{name}.{_PREFERRED}[{index}]"
            errors += _weight(weighted, where)
            errors += _pod_term(weighted.get("podAffinityTerm", {}), f"{where}.podAffinityTerm")
    return errors


def _weight(weighted: Mapping[str, Any], path: str) -> list[FieldError]:
    weight = weighted.get("weight", 0)
    return [] if 1 <= weight <= 100 else [invalid(f"{path}.weight", weight, "must be in the range 1-100")]


def _node_affinity(value: Mapping[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if _REQUIRED in value:
        errors += node_selector(value[_REQUIRED], f"{path}.{_REQUIRED}")
    for index, weighted in enumerate(value.get(_PREFERRED, ())):
        where = f"{path}.{_PREFERRED}[{index}]"
        errors += _weight(weighted, where)
        errors += _node_term(weighted.get("preference", {}), f"{where}.preference", strict_values=False)
    return errors


def node_selector(value: Mapping[str, Any], path: str) -> list[FieldError]:
    terms, where = value.get("nodeSelectorTerms") or (), f"{path}.nodeSelectorTerms"
    errors = [] if terms else [required(where, "must have at least one node selector term")]
    for index, term in enumerate(terms):
        errors += _node_term(term, f"{where}[{index}]", strict_values=True)
    return errors


def _node_term(term: Mapping[str, Any], path: str, *, strict_values: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, requirement in enumerate(term.get("matchExpressions", ())):
        errors += _node_requirement(
            requirement, f"{path}.matchExpressions[{index}]", strict_values=strict_values
        )
    for index, requirement in enumerate(term.get("matchFields", ())):
        errors += _node_field(requirement, f"{path}.matchFields[{index}]")
    return errors


def _node_requirement(requirement: Mapping[str, Any], path: str, *, strict_values: bool) -> list[FieldError]:
    operator, values, key = (requirement.get(name, default) for name, default in _REQUIREMENT)
    errors: list[FieldError] = []
    match operator:
        case "In" | "NotIn":
            if not values:
                errors.append(
                    required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
                )
        case "Exists" | "DoesNotExist":
            if values:
                text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                errors.append(forbidden(f"{path}.values", text))
        case "Gt" | "Lt":
            if len(values) != 1:
                text = "must be specified single value when `operator` is 'Lt' or 'Gt'"
                errors.append(required(f"{path}.values", text))
        case _:
            errors.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    errors += [invalid(f"{path}.key", key, problem) for problem in names.qualified_name(key)]
    if strict_values:
        for index, value in enumerate(values):
            errors += [
                invalid(f"{path}.values[{index}]", value, problem) for problem in names.label_value(value)
            ]
    return errors


_REQUIREMENT: tuple[tuple[str, Any], ...] = (("operator", ""), ("values", ()), ("key", ""))


def _node_field(requirement: Mapping[str, Any], path: str) -> list[FieldError]:
    operator, values, key = (requirement.get(name, default) for name, default in _REQUIREMENT)
    errors: list[FieldError] = []
    if operator not in ("In", "NotIn"):
        errors.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    elif len(values) != 1:
        text = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        errors.append(required(f"{path}.values", text))
    if key != "metadata.name":
        errors.append(invalid(f"{path}.key", key, "not a valid field selector key"))
    return errors


def _pod_term(term: Mapping[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for name in ("labelSelector", "namespaceSelector"):
        if name in term:
            errors += label_selector(term[name], f"{path}.{name}")
    errors += _match_label_keys(term, path)
    for namespace in term.get("namespaces", ()):
        errors += [invalid(f"{path}.namespace", namespace, problem) for problem in names.dns_label(namespace)]
    key = term.get("topologyKey", "")
    if not key:
        errors.append(required(f"{path}.topologyKey", "can not be empty"))
    return errors + [invalid(f"{path}.topologyKey", key, problem) for problem in names.qualified_name(key)]


def tolerations(values: Sequence[Mapping[str, Any]], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, toleration in enumerate(values):
        where = f"{path}[{index}]"
        key, operator, value = (toleration.get(name, "") for name in ("key", "operator", "value"))
        effect = toleration.get("effect", "")
        if key:
            errors += [invalid(f"{where}.key", key, problem) for problem in names.qualified_name(key)]
        elif operator != "Exists":
            text = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            errors.append(invalid(f"{where}.operator", operator, text))
        if "tolerationSeconds" in toleration and effect != "NoExecute":
            text = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            errors.append(invalid(f"{where}.effect", effect, text))
        match operator:
            case "" | "Equal":
                if problems := names.label_value(value):
                    errors.append(invalid(f"{where}.operator", value, ";".join(problems)))
            case "Exists":
                if value:
                    text = "value must be empty when `operator` is 'Exists'"
                    errors.append(invalid(f"{where}.operator", value, text))
            case _:
                errors.append(not_supported(f"{where}.operator", operator, ("Equal", "Exists")))
        if effect:
            errors += _effect(effect, f"{where}.effect")
    return errors


def _effect(effect: str, path: str) -> list[FieldError]:
    if not effect:
        return [required(path)]
    return [] if effect in _EFFECTS else [not_supported(path, effect, _EFFECTS)]


def taints(values: Sequence[Mapping[str, Any]], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(values):
        where = f"{path}[{index}]"
        key, value, effect = (taint.get(name, "") for name in ("key", "value", "effect"))
        errors += [invalid(f"{where}.key", key, problem) for problem in names.qualified_name(key)]
        if problems := names.label_value(value):
            errors.append(invalid(f"{where}.value", value, ";".join(problems)))
        errors += _effect(effect, f"{where}.effect")
        if (key, effect) in seen:
            text = "taints must be unique by key and effect pair"
            errors.append(FieldError(ErrorType.DUPLICATE, where, dict(taint), text))
        seen.add((key, effect))
    return errors


def topology_spread(values: Sequence[Mapping[str, Any]], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    pairs = [(value.get("topologyKey", ""), value.get("whenUnsatisfiable", "")) for value in values]
    for index, value in enumerate(values):
        where = f"{path}[{index}]"
        key, action = pairs[index]
        if value.get("maxSkew", 0) <= 0:
            errors.append(invalid(f"{where}.maxSkew", value.get("maxSkew", 0), "must be greater than zero"))
        if not key:
            errors.append(required(f"{where}.topologyKey", "can not be empty"))
        if action not in ("DoNotSchedule", "ScheduleAnyway"):
            supported = ("DoNotSchedule", "ScheduleAnyway")
            errors.append(not_supported(f"{where}.whenUnsatisfiable", action, supported))
        if pairs[index] in pairs[index + 1 :]:
            errors.append(duplicate(f"{where}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {action}}}"))
        domains = value.get("minDomains")
        if domains is not None:
            if domains <= 0:
                errors.append(invalid(f"{where}.minDomains", domains, "must be greater than zero"))
            if action != "DoNotSchedule":
                text = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
                errors.append(invalid(f"{where}.minDomains", domains, text))
        policies = [name for name in ("nodeAffinityPolicy", "nodeTaintsPolicy") if name in value]
        unknown = (name for name in policies if value[name] not in ("Honor", "Ignore"))
        errors += [not_supported(f"{where}.{name}", value[name], ("Honor", "Ignore")) for name in unknown]
        errors += _match_label_keys(value, where)
        errors += label_selector(value.get("labelSelector", {}), f"{where}.labelSelector")
    return errors


def _match_label_keys(value: Mapping[str, Any], path: str) -> list[FieldError]:
    """Keys of the pod's own labels are added to a selector: there must be one."""
    keys = value.get("matchLabelKeys", ())
    if keys and "labelSelector" not in value:
        return [forbidden(f"{path}.matchLabelKeys", "must not be specified when labelSelector is not set")]
    return [
        invalid(f"{path}.matchLabelKeys[{index}]", key, problem)
        for index, key in enumerate(keys)
        for problem in names.qualified_name(key)
    ]
