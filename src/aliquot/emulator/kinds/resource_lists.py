"""Lists of resources, as requests and limits are written, and what a whole pod asks for. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from aliquot.kube import quantity

Amounts = dict[str, str]
"""Resource name to quantity, in the spelling of who wrote it first."""

_POD_LEVEL = ("cpu", "memory")
_POD_LEVEL_PREFIX = "hugepages-"


def add(one: Mapping[str, str], other: Mapping[str, str]) -> Amounts:
    total = dict(one)
    for name, amount in other.items():
        total[name] = _plus(total[name], amount) if name in total else amount
    return total


def _plus(one: str, other: str) -> str:
    value = quantity.parse(one)
    like = one if value else other
    return quantity.format_like(value + quantity.parse(other), like)


def subtract(one: Mapping[str, str], other: Mapping[str, str]) -> Amounts:
    """What `one` has beyond `other`; nothing below zero."""
    left: Amounts = {}
    for name, amount in one.items():
        rest = quantity.parse(amount) - quantity.parse(other.get(name, "0"))
        left[name] = quantity.format_like(max(rest, type(rest)(0)), amount)
    return left


def largest(one: Mapping[str, str], other: Mapping[str, str]) -> Amounts:
    both = dict(one)
    for name, amount in other.items():
        if name not in both or quantity.parse(amount) > quantity.parse(both[name]):
            both[name] = amount
    return both


def requests(spec: Mapping[str, Any], *, overhead: bool = True) -> Amounts:
    """What a pod with that spec asks for, as the scheduler counts: the more of its containers together with the
    sidecars, and of each init container with the sidecars before it; what the pod asks for as a whole overrules that.
    """
    total = {**_of_containers(spec, "requests"), **_of_pod(spec, "requests")}
    return add(total, spec.get("overhead") or {}) if overhead else total


def limits(spec: Mapping[str, Any], *, overhead: bool = True) -> Amounts:
    total = {**_of_containers(spec, "limits"), **_of_pod(spec, "limits")}
    if overhead:
        for name, amount in (spec.get("overhead") or {}).items():
            if name in total and quantity.parse(total[name]):
                total[name] = _plus(total[name], amount)
    return total


def _of_pod(spec: Mapping[str, Any], kind: str) -> Amounts:
    listed: Mapping[str, str] = (spec.get("resources") or {}).get(kind) or {}
    return {
        name: amount
        for name, amount in listed.items()
        if name in _POD_LEVEL or name.startswith(_POD_LEVEL_PREFIX)
    }


def _of_containers(spec: Mapping[str, Any], kind: str) -> Amounts:
    total: Amounts = {}
    for amounts in _each(spec.get("containers"), kind):
        total = add(total, amounts)
    sidecars: Amounts = {}
    most: Amounts = {}
    for container, amounts in zip(
        spec.get("initContainers") or (), _each(spec.get("initContainers"), kind), strict=True
    ):
        needed = add(amounts, sidecars)
        if container.get("restartPolicy") == "Always":
            total = add(total, amounts)
            sidecars = needed
        most = largest(most, needed)
    return largest(total, most)


def _each(containers: Iterable[Mapping[str, Any]] | None, kind: str) -> list[Mapping[str, str]]:
    return [(container.get("resources") or {}).get(kind) or {} for container in containers or ()]
