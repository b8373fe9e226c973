"""The rules of a Job's podFailurePolicy, successPolicy and limits for each index."""

from collections.abc import Mapping
from typing import Any

from aliquot.emulator.schema.errors import FieldError, invalid, not_supported, required, too_long
from aliquot.emulator.schema.validation.resources import NEGATIVE

Obj = Mapping[str, Any]

_MOST_RULES = 20
_MOST_CODES = 255
_MOST_INDEXES = 100_000
_LONGEST_MANAGER = 63


def of_job(spec: Obj, path: str) -> list[FieldError]:
    errors = _index_limits(spec, path)
    if spec.get("podFailurePolicy") is not None:
        errors += _failure_policy(spec, f"{path}.podFailurePolicy")
    if spec.get("successPolicy") is not None:
        errors += _success_policy(spec, f"{path}.successPolicy")
    manager = spec.get("managedBy")
    if manager is not None:
        where = f"{path}.managedBy"
        prefix, _, name = manager.partition("/")
        if not prefix or not name:
            text = 'must be a domain-prefixed path (such as "acme.io/foo")'
            errors.append(invalid(where, manager, text))
        if len(manager) > _LONGEST_MANAGER:
            errors.append(too_long(where, _LONGEST_MANAGER))
    return errors


def _index_limits(spec: Obj, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    limit, most = spec.get("backoffLimitPerIndex"), spec.get("maxFailedIndexes")
    completions = spec.get("completions")
    if spec.get("completionMode") == "Indexed":
        if spec.get("parallelism", 1) > _MOST_INDEXES:
            text = f"must be less than or equal to {_MOST_INDEXES} when parallelism is indexed"
            errors.append(invalid(f"{path}.parallelism", spec["parallelism"], text))
        if most is not None and completions is not None and most > completions:
            text = "must be less than or equal to completions"
            errors.append(invalid(f"{path}.maxFailedIndexes", most, text))
    if most is not None and limit is None:
        errors.append(required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    return errors


def _failure_policy(spec: Obj, path: str) -> list[FieldError]:
    rules = spec["podFailurePolicy"].get("rules") or ()
    if len(rules) > _MOST_RULES:
        return [invalid(f"{path}.rules", len(rules), f"must have at most {_MOST_RULES} items")]
    pod = (spec.get("template") or {}).get("spec") or {}
    names = {
        container.get("name")
        for part in ("containers", "initContainers")
        for container in pod.get(part) or ()
    }
    errors: list[FieldError] = []
    for place, rule in enumerate(rules):
        where = f"{path}.rules[{place}]"
        errors += _action(rule, spec, f"{where}.action")
        exits, conditions = rule.get("onExitCodes"), rule.get("onPodConditions")
        if exits is not None and conditions:
            text = "specifying both OnExitCodes and OnPodConditions is not supported"
            errors.append(invalid(where, _brief(rule), text))
        elif exits is None and not conditions:
            text = "specifying one of OnExitCodes and OnPodConditions is required"
            errors.append(invalid(where, _brief(rule), text))
        if exits is not None:
            errors += _exit_codes(exits, names, f"{where}.onExitCodes")
        for number, pattern in enumerate(conditions or ()):
            errors += _condition(pattern, f"{where}.onPodConditions[{number}]")
    return errors


def _brief(rule: Obj) -> dict[str, Any]:
    return {"action": rule.get("action", "")}


def _action(rule: Obj, spec: Obj, path: str) -> list[FieldError]:
    action = rule.get("action", "")
    known = ("Count", "FailIndex", "FailJob", "Ignore")
    if not action:
        return [required(path, f"valid values: {', '.join(known)}")]
    if action not in known:
        return [not_supported(path, action, known)]
    if action == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
        return [invalid(path, action, "requires the backoffLimitPerIndex to be set")]
    return []


def _exit_codes(exits: Obj, names: set[str | None], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    operator, values = exits.get("operator", ""), list(exits.get("values") or ())
    if operator not in ("In", "NotIn"):
        errors.append(not_supported(f"{path}.operator", operator, ("In", "NotIn")))
    name = exits.get("containerName")
    if name is not None and name not in names:
        text = "must be one of the container or initContainer names in the pod template"
        errors.append(invalid(f"{path}.containerName", name, text))
    where = f"{path}.values"
    if not values:
        errors.append(invalid(where, values, "at least one value is required"))
    elif len(values) > _MOST_CODES:
        errors.append(invalid(where, len(values), f"must have at most {_MOST_CODES} items"))
    elif values != sorted(set(values)):
        text = "must be unique" if len(set(values)) < len(values) else "must be ordered"
        errors.append(invalid(where, values, text))
    elif operator == "In" and 0 in values:
        errors.append(invalid(f"{where}[{values.index(0)}]", 0, "must not be 0 for the In operator"))
    return errors


def _condition(pattern: Obj, path: str) -> list[FieldError]:
    errors = [] if pattern.get("type") else [required(f"{path}.type")]
    status = pattern.get("status", "True")
    if status not in ("False", "True", "Unknown"):
        errors.append(not_supported(f"{path}.status", status, ("False", "True", "Unknown")))
    return errors


def _success_policy(spec: Obj, path: str) -> list[FieldError]:
    policy = spec["successPolicy"]
    if spec.get("completionMode") != "Indexed":
        return [invalid(path, dict(policy), "requires indexed completion mode")]
    rules = policy.get("rules") or ()
    if not rules:
        text = "at least one rules must be specified when the successPolicy is specified"
        return [required(f"{path}.rules", text)]
    if len(rules) > _MOST_RULES:
        return [invalid(f"{path}.rules", len(rules), f"must have at most {_MOST_RULES} items")]
    errors: list[FieldError] = []
    for place, rule in enumerate(rules):
        errors += _success_rule(rule, spec.get("completions") or 0, f"{path}.rules[{place}]")
    return errors


def _success_rule(rule: Obj, completions: int, path: str) -> list[FieldError]:
    wanted, count = rule.get("succeededIndexes"), rule.get("succeededCount")
    if wanted is None and count is None:
        return [required(path, "at least one of succeededCount or succeededIndexes must be specified")]
    errors: list[FieldError] = []
    listed: int | None = None
    if wanted is not None:
        try:
            listed = _length(wanted, completions)
        except ValueError as error:
            text = f"error parsing succeededIndexes: {error}"
            errors.append(invalid(f"{path}.succeededIndexes", wanted, text))
    if count is not None:
        where = f"{path}.succeededCount"
        if count < 0:
            errors.append(invalid(where, count, NEGATIVE))
        if count > completions:
            text = f"must be less than or equal to {completions} (the number of specified completions)"
            errors.append(invalid(where, count, text))
        if listed is not None and count > listed:
            text = f"must be less than or equal to {listed} (the number of indexes in the specified succeededIndexes field)"
            errors.append(invalid(where, count, text))
    return errors


def _length(text: str, completions: int) -> int:
    """How many indexes `0,2-4` names. Raises ValueError for those out of order, out of range or no numbers."""
    last, length = -1, 0
    for part in filter(None, text.split(",")):
        first_text, joint, end_text = part.partition("-")
        try:
            first, end = int(first_text), int(end_text if joint else first_text)
        except ValueError:
            raise ValueError(f'cannot convert string to integer for index: "{part}"') from None
        if first <= last or (joint and end <= first):
            raise ValueError(
                f"non-increasing order, previous: {last}, current: {first if first <= last else end}"
            )
        if end >= completions:
            raise ValueError(f"too large index: {end}")
        last, length = end, length + end - first + 1
    return length
