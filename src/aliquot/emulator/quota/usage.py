"""What one object counts for, and which of a quota's resources and scopes are about it. Pure.

Objects are told apart by the name under which they are stored: `pods`, `deployments.apps`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aliquot.emulator.kinds import resource_lists, storage_classes
from aliquot.emulator.kinds.resource_lists import Amounts
from aliquot.emulator.registry import CLAIMS, PODS, SERVICES
from aliquot.emulator.verbs import strategies
from aliquot.kube.selectors import from_object

Obj = Mapping[str, Any]
Quota = Mapping[str, Any]

DEVICE_CLAIMS = "resourceclaims.resource.k8s.io"
UNCOUNTED = frozenset(["events", "bindings", "componentstatuses"])
COUNT = "count/"

_ALIASES = frozenset(["configmaps", "resourcequotas", "replicationcontrollers", "secrets"])
"""Whose number may be limited under their bare name too."""

_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_DEMANDED = frozenset(
    [*(f"{kind}{name}" for kind in ("", "requests.", "limits.") for name in ("cpu", "memory"))]
)
"""What every container has to say once a quota limits it."""
_OF_PODS = frozenset(
    ["pods", *(f"{kind}{name}" for kind in ("", "requests.", "limits.") for name in _COMPUTE)]
)
_HUGE_PAGES = ("hugepages-", "requests.hugepages-")
_OF_SERVICES = frozenset(["services", "services.nodeports", "services.loadbalancers"])
_OF_CLAIMS = ("persistentvolumeclaims", "requests.storage")
_BY_STORAGE_CLASS = ".storageclass.storage.k8s.io/"
_BY_DEVICE_CLASS = ".deviceclass.resource.k8s.io/devices"
_MOST_DEVICES = 32
"""As many does a request for all devices count for."""

_COUNTED_ON_UPDATE = frozenset([SERVICES, CLAIMS, DEVICE_CLAIMS])
_TERMINAL = ("Succeeded", "Failed")


def counts_on_update(storage: str) -> bool:
    """Whether an object may come to count for more by a change."""
    return storage in _COUNTED_ON_UPDATE


# ---- names -------------------------------------------------------------------------------------------------


def named(storage: str, hard: Iterable[str]) -> set[str]:
    """Those of a quota's resources that objects stored there count for."""
    return {name for name in hard if storage in tracked([name])}


def tracked(hard: Iterable[str]) -> set[str]:
    """Where the objects are stored that count for any of a quota's resources."""
    return {storage for name in hard for storage in _tracked(name)}


def _tracked(name: str) -> Iterable[str]:
    if name.startswith(COUNT):
        counted = name.removeprefix(COUNT)
        return () if counted in UNCOUNTED else (counted,)
    if name in _ALIASES:
        return (name,)
    if name in _OF_SERVICES:
        return (SERVICES,)
    if name in _OF_CLAIMS or name.endswith(tuple(_BY_STORAGE_CLASS + one for one in _OF_CLAIMS)):
        return (CLAIMS,)
    if name.endswith(_BY_DEVICE_CLASS):
        return (DEVICE_CLAIMS,)
    if name in _OF_PODS or name.startswith(_HUGE_PAGES) or _is_extended(name):
        return (PODS,)
    return ()


def _is_extended(name: str) -> bool:
    return name.startswith("requests.") and "/" in name and "kubernetes.io/" not in name


# ---- scopes ------------------------------------------------------------------------------------------------


def covers(quota: Quota, storage: str, obj: Obj) -> bool:
    """Whether an object is within the quota's scopes; without any, all are."""
    return all(_in_scope(term, storage, obj) for term in _terms(quota))


def _terms(quota: Quota) -> Sequence[Obj]:
    spec = quota.get("spec") or {}
    selected = (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    return [*({"scopeName": one, "operator": "Exists"} for one in spec.get("scopes") or ()), *selected]


def _in_scope(term: Obj, storage: str, obj: Obj) -> bool:
    spec = obj.get("spec") or {}
    scope = term.get("scopeName", "")
    if storage == CLAIMS and scope == "VolumeAttributesClass":
        return _selects(term, _attributes_classes(obj))
    if storage != PODS:
        return False
    match scope:
        case "Terminating":
            return _is_limited_in_time(spec)
        case "NotTerminating":
            return not _is_limited_in_time(spec)
        case "BestEffort":
            return _quality(obj) == "BestEffort"
        case "NotBestEffort":
            return _quality(obj) != "BestEffort"
        case "PriorityClass":
            return _selects(term, [spec["priorityClassName"]] if spec.get("priorityClassName") else [])
        case "CrossNamespacePodAffinity":
            return _looks_beyond_its_namespace(spec.get("affinity") or {})
    return False


def _selects(term: Obj, classes: Sequence[str]) -> bool:
    if term.get("operator") == "Exists":
        return bool(classes)
    expression = {
        "key": "class",
        "operator": term.get("operator", ""),
        "values": list(term.get("values") or ()),
    }
    selector = from_object({"matchExpressions": [expression]})
    return any(selector.matches({"class": one}) for one in classes) if classes else selector.matches({})


def _is_limited_in_time(spec: Obj) -> bool:
    deadline_s = spec.get("activeDeadlineSeconds")
    return deadline_s is not None and deadline_s >= 0


def _quality(pod: Obj) -> str:
    known = (pod.get("status") or {}).get("qosClass")
    return str(known) if known else strategies.qos_class(pod.get("spec") or {})


def _looks_beyond_its_namespace(affinity: Obj) -> bool:
    for kind in ("podAffinity", "podAntiAffinity"):
        found = affinity.get(kind) or {}
        preferred = found.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms = [
            *(found.get("requiredDuringSchedulingIgnoredDuringExecution") or ()),
            *(one.get("podAffinityTerm") or {} for one in preferred),
        ]
        if any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in terms):
            return True
    return False


def _attributes_classes(claim: Obj) -> list[str]:
    spec, status = claim.get("spec") or {}, claim.get("status") or {}
    found = (
        spec.get("volumeAttributesClassName"),
        status.get("currentVolumeAttributesClassName"),
        (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName"),
    )
    return [name for name in found if name]


# ---- usage -------------------------------------------------------------------------------------------------


def usage(storage: str, obj: Obj) -> Amounts:
    """All that an object counts for, whatever a quota makes of it."""
    counted: Amounts = {COUNT + storage: "1"}
    match storage:
        case "pods":
            return counted | _pod(obj)
        case "services":
            return counted | _service(obj.get("spec") or {})
        case "persistentvolumeclaims":
            return counted | _claim(obj)
        case "resourceclaims.resource.k8s.io":
            return counted | _device_claim(obj.get("spec") or {})
    return {**counted, storage: "1"} if storage in _ALIASES else counted


def _pod(pod: Obj) -> Amounts:
    """Pods that have ended use nothing more."""
    if (pod.get("status") or {}).get("phase") in _TERMINAL:
        return {}
    spec = pod.get("spec") or {}
    return compute(resource_lists.requests(spec), resource_lists.limits(spec))


def compute(requests: Mapping[str, str], limits: Mapping[str, str]) -> Amounts:
    used: Amounts = {"pods": "1"}
    for name, amount in requests.items():
        if name in _COMPUTE or name.startswith("hugepages-"):
            used |= {name: amount, f"requests.{name}": amount}
        elif "/" in name and "kubernetes.io/" not in name:
            used[f"requests.{name}"] = amount
    return used | {f"limits.{name}": amount for name, amount in limits.items() if name in _COMPUTE}


def _service(spec: Obj) -> Amounts:
    ports = spec.get("ports") or ()
    balanced = spec.get("type") == "LoadBalancer"
    opened = 0
    if balanced and spec.get("allocateLoadBalancerNodePorts") is False:
        opened = sum(bool(port.get("nodePort")) for port in ports)
    elif balanced or spec.get("type") == "NodePort":
        opened = len(ports)
    return {
        "services": "1",
        "services.nodeports": str(opened),
        "services.loadbalancers": "1" if balanced else "0",
    }


def _claim(claim: Obj) -> Amounts:
    spec = claim.get("spec") or {}
    used: Amounts = {"persistentvolumeclaims": "1"}
    asked = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if asked is not None:
        held = ((claim.get("status") or {}).get("allocatedResources") or {}).get("storage", asked)
        used["requests.storage"] = resource_lists.largest({"": asked}, {"": held})[""]
    if name := storage_classes.asked(claim):
        used |= {f"{name}{_BY_STORAGE_CLASS}{what}": amount for what, amount in used.items()}
    return used


def _device_claim(spec: Obj) -> Amounts:
    used: Amounts = {}
    for request in (spec.get("devices") or {}).get("requests") or ():
        most: Amounts = {}
        # One of the alternatives is taken: each class counts as if it were the one.
        for one in request.get("firstAvailable") or (request.get("exactly") or request,):
            if one.get("deviceClassName"):
                devices = {"ExactCount": one.get("count", 1), "All": _MOST_DEVICES}
                amount = str(devices.get(one.get("allocationMode", "ExactCount"), 0))
                most = resource_lists.largest(most, {one["deviceClassName"] + _BY_DEVICE_CLASS: amount})
        used = resource_lists.add(used, most)
    return used


def unsaid(names: Iterable[str], pod: Obj) -> str:
    """What the containers of a pod must say for a quota of `names`; empty when they say it."""
    spec = pod.get("spec") or {}
    demanded = _DEMANDED.intersection(names)
    missing: dict[str, set[str]] = {}
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        resources = container.get("resources") or {}
        said = compute(resources.get("requests") or {}, resources.get("limits") or {})
        for name in demanded.difference(said):
            missing.setdefault(name, set()).add(container.get("name", ""))
    if not missing:
        return ""
    told = (f"{name} for: {','.join(sorted(who))}" for name, who in sorted(missing.items()))
    return f"must specify {'; '.join(told)}"
