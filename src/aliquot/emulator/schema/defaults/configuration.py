"""Defaults of everything that neither runs nor routes. They change their argument, a copy made for it."""

from base64 import b64encode
from typing import Any

from aliquot.emulator.schema.defaults.pods import fill_volume_source

_FLOW_CONTROL = "flowcontrol.apiserver.k8s.io"
_RBAC = "rbac.authorization.k8s.io"
_NODE_INFO = (
    "machineID",
    "systemUUID",
    "bootID",
    "kernelVersion",
    "osImage",
    "containerRuntimeVersion",
    "kubeletVersion",
    "kubeProxyVersion",
    "operatingSystem",
    "architecture",
)


def _fill_namespace(obj: dict[str, Any]) -> None:
    name = obj["metadata"].get("name")
    if name:
        obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = name
    obj["status"]["phase"] = obj["status"].get("phase") or "Active"


def _fill_node(obj: dict[str, Any]) -> None:
    status = obj["status"]
    if status.get("capacity") and not status.get("allocatable"):
        status["allocatable"] = dict(status["capacity"])
    status.setdefault("daemonEndpoints", {}).setdefault("kubeletEndpoint", {}).setdefault("Port", 0)
    info = status.setdefault("nodeInfo", {})
    for name in _NODE_INFO:
        info.setdefault(name, "")


def _fill_secret(obj: dict[str, Any]) -> None:
    obj["type"] = obj.get("type") or "Opaque"
    # For writing alone.
    plain = obj.pop("stringData", {})
    if plain:
        obj["data"] = obj.get("data", {}) | {k: b64encode(v.encode()).decode() for k, v in plain.items()}


def _fill_event(obj: dict[str, Any]) -> None:
    for name in ("eventTime", "firstTimestamp", "lastTimestamp"):
        obj.setdefault(name, None)
    obj.setdefault("source", {})
    for name in ("reportingComponent", "reportingInstance"):
        obj.setdefault(name, "")


def _fill_new_event(obj: dict[str, Any]) -> None:
    obj.setdefault("eventTime", None)
    for name in ("deprecatedFirstTimestamp", "deprecatedLastTimestamp"):
        obj.setdefault(name, None)
    obj.setdefault("deprecatedSource", {})


def _fill_binding(obj: dict[str, Any]) -> None:
    role = obj.get("roleRef")
    if role is not None:
        role["apiGroup"] = role.get("apiGroup") or _RBAC
    for subject in obj.get("subjects", ()):
        if not subject.get("apiGroup") and subject.get("kind") in ("User", "Group"):
            subject["apiGroup"] = _RBAC


def _fill_priority_class(obj: dict[str, Any]) -> None:
    obj.setdefault("preemptionPolicy", "PreemptLowerPriority")
    obj.setdefault("value", 0)


def _fill_persistent_volume(obj: dict[str, Any]) -> None:
    obj["status"]["phase"] = obj["status"].get("phase") or "Pending"
    spec = obj["spec"]
    spec["persistentVolumeReclaimPolicy"] = spec.get("persistentVolumeReclaimPolicy") or "Retain"
    spec.setdefault("volumeMode", "Filesystem")
    fill_volume_source(spec)


def _fill_persistent_volume_claim(obj: dict[str, Any]) -> None:
    obj["status"]["phase"] = obj["status"].get("phase") or "Pending"
    obj["spec"].setdefault("volumeMode", "Filesystem")
    obj["spec"].setdefault("resources", {})


def _fill_storage_class(obj: dict[str, Any]) -> None:
    obj.setdefault("reclaimPolicy", "Delete")
    obj.setdefault("volumeBindingMode", "Immediate")


def _fill_limit_range(obj: dict[str, Any]) -> None:
    """What is said once stands for what is left out."""
    for item in obj["spec"].get("limits") or ():
        if item.get("type") != "Container":
            continue
        limits = {**item.get("max", {}), **item.get("default", {})}
        requests = {**item.get("min", {}), **limits, **item.get("defaultRequest", {})}
        for name, amounts in (("default", limits), ("defaultRequest", requests)):
            if amounts:
                item[name] = amounts


def _fill_csi_driver(obj: dict[str, Any]) -> None:
    spec = obj["spec"]
    spec.setdefault("attachRequired", True)
    spec.setdefault("fsGroupPolicy", "ReadWriteOnceWithFSType")
    spec["volumeLifecycleModes"] = spec.get("volumeLifecycleModes") or ["Persistent"]
    for name in ("podInfoOnMount", "requiresRepublish", "seLinuxMount", "storageCapacity"):
        spec.setdefault(name, False)


def _fill_flow_schema(obj: dict[str, Any]) -> None:
    obj["spec"]["matchingPrecedence"] = obj["spec"].get("matchingPrecedence") or 1000


def _fill_priority_level(obj: dict[str, Any]) -> None:
    spec = obj["spec"]
    for name, shares in (("limited", 30), ("exempt", 0)):
        if name in spec:
            spec[name].setdefault("nominalConcurrencyShares", shares)
            spec[name].setdefault("lendablePercent", 0)
    queuing = spec.get("limited", {}).get("limitResponse", {}).get("queuing")
    if queuing is not None:
        for name, number in (("queues", 64), ("handSize", 8), ("queueLengthLimit", 50)):
            queuing[name] = queuing.get(name) or number


def _fill_crd(obj: dict[str, Any]) -> None:
    spec = obj["spec"]
    names = spec.setdefault("names", {})
    if names.get("kind"):
        names["singular"] = names.get("singular") or names["kind"].lower()
        names["listKind"] = names.get("listKind") or names["kind"] + "List"
    spec.setdefault("conversion", {"strategy": "None"})


def _fill_resource_claim(obj: dict[str, Any]) -> None:
    spec = obj["spec"].get("spec", obj["spec"])  # a template holds a claim's spec in its own
    for request in spec.get("devices", {}).get("requests", ()):
        # In v1beta1 the request itself says what later versions have under `exactly`.
        own = request.get("exactly") or (request if "deviceClassName" in request else None)
        for exact in (own, *request.get("firstAvailable", ())):
            if exact is not None:
                exact["allocationMode"] = exact.get("allocationMode") or "ExactCount"
                if exact["allocationMode"] == "ExactCount" and not exact.get("count"):
                    exact["count"] = 1


def _fill_resource_slice(obj: dict[str, Any]) -> None:
    if "pool" in obj["spec"]:
        obj["spec"]["pool"].setdefault("generation", 0)


FILLERS = {
    ("", "Namespace"): _fill_namespace,
    ("", "Node"): _fill_node,
    ("", "Secret"): _fill_secret,
    ("", "Event"): _fill_event,
    ("events.k8s.io", "Event"): _fill_new_event,
    ("", "LimitRange"): _fill_limit_range,
    ("", "PersistentVolume"): _fill_persistent_volume,
    ("", "PersistentVolumeClaim"): _fill_persistent_volume_claim,
    (_RBAC, "RoleBinding"): _fill_binding,
    (_RBAC, "ClusterRoleBinding"): _fill_binding,
    ("scheduling.k8s.io", "PriorityClass"): _fill_priority_class,
    ("storage.k8s.io", "StorageClass"): _fill_storage_class,
    ("storage.k8s.io", "CSIDriver"): _fill_csi_driver,
    (_FLOW_CONTROL, "FlowSchema"): _fill_flow_schema,
    (_FLOW_CONTROL, "PriorityLevelConfiguration"): _fill_priority_level,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _fill_crd,
    ("resource.k8s.io", "ResourceClaim"): _fill_resource_claim,
    ("resource.k8s.io", "ResourceClaimTemplate"): _fill_resource_claim,
    ("resource.k8s.io", "ResourceSlice"): _fill_resource_slice,
}
