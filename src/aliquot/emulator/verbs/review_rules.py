"""What a question about permissions has to say, as kube-apiserver judges it before anybody is asked. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from aliquot.emulator.schema.errors import FieldError, forbidden, invalid, required
from aliquot.emulator.schema.validation.names import label_value, qualified_name

_ATTRIBUTES = "spec.resourceAttributes"
_OTHERS = "spec.nonResourceAttributes"


def problems(kind: str, review: Mapping[str, Any], namespace: str) -> list[FieldError]:
    """`namespace` is that of the request's path."""
    spec = review.get("spec") or {}
    found = [*_asked(spec)]
    if kind != "SelfSubjectAccessReview" and not spec.get("user") and not spec.get("groups"):
        found.append(invalid("spec.user", "", "at least one of user or group must be specified"))
    local = kind == "LocalSubjectAccessReview"
    said = {
        key: value
        for key, value in (review.get("metadata") or {}).items()
        if value and key not in ("managedFields", "namespace")
    }
    if said:
        found.append(invalid("metadata", said, f"must be empty{' except for namespace' if local else ''}"))
    if local:
        found += _local(spec, namespace)
    return found


def _asked(spec: Mapping[str, Any]) -> Iterator[FieldError]:
    resource, other = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and other is not None:
        yield invalid(_OTHERS, _shown(other), "cannot be specified in combination with resourceAttributes")
    if resource is None and other is None:
        text = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        yield invalid(_ATTRIBUTES, None, text)
    for name in ("fieldSelector", "labelSelector"):
        selector = (resource or {}).get(name)
        if selector is not None:
            yield from _selector(selector, f"{_ATTRIBUTES}.{name}", keys_are_labels=name == "labelSelector")


def _shown(other: Mapping[str, Any]) -> Mapping[str, Any]:
    """As Go prints it: by the names of its own fields."""
    return {key.capitalize(): other.get(key, "") for key in ("path", "verb")}


def _selector(selector: Mapping[str, Any], field: str, *, keys_are_labels: bool) -> Iterator[FieldError]:
    raw, requirements = selector.get("rawSelector"), selector.get("requirements") or ()
    if raw and requirements:
        yield invalid(f"{field}.rawSelector", raw, "may not specified at the same time as requirements")
    if not raw and not requirements:
        text = f"when {field} is specified, requirements or rawSelector is required"
        yield required(f"{field}.requirements", text)
    for number, one in enumerate(requirements):
        where = f"{field}.requirements[{number}]"
        operator, values, key = one.get("operator", ""), one.get("values") or (), one.get("key", "")
        if operator in ("In", "NotIn") and not values:
            yield required(f"{where}.values", "must be specified when `operator` is 'In' or 'NotIn'")
        if operator in ("Exists", "DoesNotExist") and values:
            text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            yield forbidden(f"{where}.values", text)
        if keys_are_labels:
            yield from (invalid(f"{where}.key", key, problem) for problem in qualified_name(key))
            for at, value in enumerate(values):
                yield from (
                    invalid(f"{where}.values[{at}]", value, problem) for problem in label_value(value)
                )
        elif not key:
            yield required(f"{where}.key", "must be specified")


def _local(spec: Mapping[str, Any], namespace: str) -> Iterator[FieldError]:
    resource, other = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and resource.get("namespace", "") != namespace:
        named = resource.get("namespace", "")
        yield invalid(f"{_ATTRIBUTES}.namespace", named, "must match metadata.namespace")
    if other is not None:
        yield invalid(_OTHERS, _shown(other), "disallowed on this kind of request")
