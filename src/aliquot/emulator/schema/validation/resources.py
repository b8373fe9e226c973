"""What may be asked of a node: names and quantities of resources."""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
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
from aliquot.kube import quantity

_HUGE_PAGES = "hugepages-"
_ANY_HUGE_PAGES = (_HUGE_PAGES, f"requests.{_HUGE_PAGES}")
_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_COUNTED = (
    "pods",
    "services",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
)
_STANDARD = frozenset(
    (
        *_COMPUTE,
        *_COUNTED,
        *(f"requests.{name}" for name in (*_COMPUTE, "storage")),
        *(f"limits.{name}" for name in _COMPUTE),
        "storage",
    )
)
_POD_LEVEL = ("cpu", "memory")
NEGATIVE = "must be greater than or equal to 0"


def is_native(name: str) -> bool:
    return "/" not in name or "kubernetes.io/" in name


@lru_cache(maxsize=1024)
def is_extended(name: str) -> bool:
    """A resource of devices, such as nvidia.com/gpu: whole units, request and limit alike."""
    if is_native(name) or name.startswith("requests."):
        return False
    return not names.qualified_name(f"requests.{name}")


def overcommits(name: str) -> bool:
    return is_native(name) and not name.startswith(_HUGE_PAGES)


def is_of_quota(name: str) -> bool:
    """A name without a prefix that quotas know."""
    return (name in _STANDARD and name != "storage") or name.startswith(_ANY_HUGE_PAGES)


def value(name: str, amount: str, path: str) -> list[FieldError]:
    """Problems of one quantity of the resource `name`."""
    return [invalid(path, amount, problem) for problem in _amount(name, amount)]


@lru_cache(maxsize=4096)
def _amount(name: str, amount: str) -> tuple[str, ...]:
    negative = (NEGATIVE,) if quantity.parse(amount) < 0 else ()
    if (name in _COUNTED or is_extended(name)) and quantity.milli(amount) % 1000:
        return (*negative, "must be an integer")
    return negative


def resource_name(name: str, path: str) -> list[FieldError]:
    errors = [invalid(path, name, problem) for problem in names.qualified_name(name)]
    if not errors and "/" not in name and name not in _STANDARD and not name.startswith(_ANY_HUGE_PAGES):
        errors.append(invalid(path, name, "must be a standard resource type or fully qualified"))
    return errors


def container_resource_name(name: str, path: str) -> list[FieldError]:
    errors = resource_name(name, path)
    if "/" not in name:
        if name not in _COMPUTE and not name.startswith(_HUGE_PAGES):
            errors.append(invalid(path, name, "must be a standard resource for containers"))
    elif not is_native(name) and not is_extended(name):
        errors.append(invalid(path, name, "doesn't follow extended resource name standard"))
    return errors


def _pod_name(name: str, path: str) -> list[FieldError]:
    errors = resource_name(name, path)
    if not errors and name not in _POD_LEVEL and not name.startswith(_HUGE_PAGES):
        errors.append(not_supported(path, name, _POD_LEVEL))
    return errors


def requirements(
    value_: Mapping[str, Any], claims: Collection[str], path: str, *, pod_level: bool = False
) -> list[FieldError]:
    """Problems of a container's (or a pod's) ResourceRequirements; `claims` are the pod's resource claims."""
    check_name = _pod_name if pod_level else container_resource_name
    limits: Mapping[str, str] = value_.get("limits", {})
    requests: Mapping[str, str] = value_.get("requests", {})
    errors: list[FieldError] = []
    for name, amount in limits.items():
        where = f"{path}.limits[{name}]"
        errors += check_name(name, where) + value(name, amount, where) + _huge_pages(name, amount, where)
    for name, amount in requests.items():
        where = f"{path}.requests[{name}]"
        errors += check_name(name, where) + value(name, amount, where)
        limit = limits.get(name)
        if limit is None:
            if not overcommits(name):
                errors.append(
                    required(f"{path}.limits", "Limit must be set for non overcommitable resources")
                )
        elif amount != limit:
            asked, allowed = quantity.parse(amount), quantity.parse(limit)
            if asked != allowed and not overcommits(name):
                errors.append(
                    invalid(f"{path}.requests", amount, f"must be equal to {name} limit of {limit}")
                )
            elif asked > allowed:
                text = f"must be less than or equal to {name} limit of {limit}"
                errors.append(invalid(f"{path}.requests", amount, text))
        errors += _huge_pages(name, amount, where)
    asked_for = {*limits, *requests}
    if any(name.startswith(_HUGE_PAGES) for name in asked_for) and not asked_for & {"cpu", "memory"}:
        errors.append(forbidden(path, "HugePages require cpu or memory"))
    return errors + _claims(value_.get("claims", ()), claims, f"{path}.claims")


def _huge_pages(name: str, amount: str, path: str) -> list[FieldError]:
    if not name.startswith(_HUGE_PAGES):
        return []
    try:
        page = quantity.parse(name.removeprefix(_HUGE_PAGES))
    except quantity.QuantityError:
        page = quantity.parse(0)
    exact = quantity.parse(amount)
    if page > 0 and exact >= 0 and exact % page == 0:
        return []
    return [invalid(path, amount, f"{amount} is not positive integer multiple of {name}")]


def _claims(claims: Sequence[Mapping[str, Any]], known: Collection[str], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, claim in enumerate(claims):
        where = f"{path}[{index}]"
        name, request = claim.get("name", ""), claim.get("request", "")
        if not name:
            errors.append(required(where))
            continue
        key = f"{name}/{request}" if request else name
        if name in seen:
            errors.append(duplicate(where, name))
        else:
            errors += [invalid(f"{where}.request", request, p) for p in names.dns_label(request) if request]
            if key in seen:
                errors.append(duplicate(where, key))
            elif not request and any(other.startswith(f"{name}/") for other in sorted(seen)):
                errors.append(duplicate(where, name))
            seen.add(key)
        if name not in known:
            listed = f": {', '.join(sorted(known))}" if known else " which is empty"
            text = f"must be one of the names in pod.spec.resourceClaims{listed}"
            errors.append(FieldError(ErrorType.NOT_FOUND, where, name, text))
    return errors
