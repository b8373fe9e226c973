"""LimitRanges: what containers get that ask for nothing, and how much or little may be asked for."""

from collections.abc import Iterator, Mapping
from typing import Any

from aliquot.emulator.admission.pods import is_new_pod
from aliquot.emulator.admission.types import Admitted, Operation
from aliquot.emulator.kinds import resource_lists
from aliquot.emulator.objects import Json, is_terminating, metadata, with_metadata
from aliquot.emulator.registry import CLAIMS
from aliquot.emulator.statuses import aggregate, forbidden
from aliquot.kube import quantity

_RANGES = "limitranges"
_ANNOTATION = "kubernetes.io/limit-ranger"
_CONTAINERS = (("containers", "container"), ("initContainers", "init container"))

Limits = Mapping[str, Any]
"""An entry of a LimitRange's `spec.limits`."""


# ---- defaults ----------------------------------------------------------------------------------------------


def default_resources(asked: Admitted, obj: Json) -> Json:
    """A mutation."""
    if not is_new_pod(asked):
        return obj
    for found in asked.look.all(_RANGES, asked.namespace):
        obj = _with_defaults(obj, found)
    return obj


def _with_defaults(pod: Json, found: Mapping[str, Any]) -> Json:
    limits: dict[str, str] = {}
    requests: dict[str, str] = {}
    for item in found["spec"].get("limits") or ():
        if item.get("type") == "Container":
            limits |= item.get("default") or {}
            requests |= item.get("defaultRequest") or {}
    said: list[str] = []
    spec = dict(pod.get("spec") or {})
    for field, word in _CONTAINERS:
        if spec.get(field):
            spec[field] = [_filled(one, requests, limits, word, said) for one in spec[field]]
    if not said:
        return pod
    text = f"LimitRanger plugin set: {'; '.join(said)}"
    annotations = {**(metadata(pod).get("annotations") or {}), _ANNOTATION: text}
    return with_metadata({**pod, "spec": spec}, annotations=annotations)


def _filled(
    container: Json, requests: Mapping[str, str], limits: Mapping[str, str], word: str, said: list[str]
) -> Json:
    resources = dict(container.get("resources") or {})
    for kind, singular, defaults in (("requests", "request", requests), ("limits", "limit", limits)):
        own = resources.get(kind) or {}
        missing = sorted(name for name in defaults if name not in own)
        if missing:
            resources[kind] = {**own, **{name: defaults[name] for name in missing}}
            said.append(f"{', '.join(missing)} {singular} for {word} {container.get('name', '')}")
    return {**container, "resources": resources}


# ---- limits ------------------------------------------------------------------------------------------------


def within_limits(asked: Admitted, obj: Json | None) -> None:
    """A check. Raises StatusError 403."""
    if obj is None or asked.subresource:
        return
    if is_new_pod(asked):
        judge = _of_pod
    elif asked.served.storage == CLAIMS and asked.operation in (Operation.CREATE, Operation.UPDATE):
        judge = _of_claim
        if asked.old is not None and is_terminating(asked.old):
            return
    else:
        return
    for found in asked.look.all(_RANGES, asked.namespace):
        problems = [
            problem for item in found["spec"].get("limits") or () for problem in judge(item, obj["spec"])
        ]
        if problems:
            raise forbidden(asked.served.resource, metadata(obj).get("name", ""), aggregate(problems))


def _of_pod(item: Limits, spec: Json) -> Iterator[str]:
    match item.get("type"):
        case "Container":
            for field, _ in _CONTAINERS:
                for container in spec.get(field) or ():
                    resources = container.get("resources") or {}
                    yield from _broken(item, resources.get("requests") or {}, resources.get("limits") or {})
        case "Pod":
            requests = resource_lists.requests(spec, overhead=False)
            yield from _broken(item, requests, resource_lists.limits(spec, overhead=False))


def _of_claim(item: Limits, spec: Json) -> Iterator[str]:
    """A claim has requests alone."""
    if item.get("type") != "PersistentVolumeClaim":
        return
    requests = (spec.get("resources") or {}).get("requests") or {}
    for name, least in sorted((item.get("min") or {}).items()):
        yield from _below(name, "PersistentVolumeClaim", least, requests, {})
    for name, most in sorted((item.get("max") or {}).items()):
        words = f"maximum {name} usage per PersistentVolumeClaim is {most}"
        if name not in requests:
            yield f"{words}.  No request is specified"
        elif _more(requests[name], most):
            yield f"{words}, but request is {requests[name]}"


def _broken(item: Limits, requests: Mapping[str, str], limits: Mapping[str, str]) -> Iterator[str]:
    kind = item["type"]
    for name, least in sorted((item.get("min") or {}).items()):
        yield from _below(name, kind, least, requests, limits)
    for name, most in sorted((item.get("max") or {}).items()):
        words = f"maximum {name} usage per {kind} is {most}"
        if name not in limits:
            yield f"{words}.  No limit is specified"
        elif _more(limits[name], most):
            yield f"{words}, but limit is {limits[name]}"
        elif name in requests and _more(requests[name], most):
            yield f"{words}, but request is {requests[name]}"
    for name, most in sorted((item.get("maxLimitRequestRatio") or {}).items()):
        words = f"{name} max limit to request ratio per {kind} is {most}"
        request = quantity.parse(requests.get(name, "0"))
        limit = quantity.parse(limits.get(name, "0"))
        if not request:
            yield f"{words}, but no request is specified or request is 0"
        elif not limit:
            yield f"{words}, but no limit is specified or limit is 0"
        elif limit / request > quantity.parse(most):
            yield f"{words}, but provided ratio is {float(limit / request):f}"


def _below(
    name: str, kind: str, least: str, requests: Mapping[str, str], limits: Mapping[str, str]
) -> Iterator[str]:
    words = f"minimum {name} usage per {kind} is {least}"
    if name not in requests:
        yield f"{words}.  No request is specified"
    elif _more(least, requests[name]):
        yield f"{words}, but request is {requests[name]}"
    elif name in limits and _more(least, limits[name]):
        yield f"{words}, but limit is {limits[name]}"


def _more(one: str, other: str) -> bool:
    return quantity.parse(one) > quantity.parse(other)
