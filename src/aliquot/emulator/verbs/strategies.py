"""What the server itself fills in or keeps, kind by kind, on a create and on an update.

Kubernetes calls these the registry's strategies. Pure: an object in, a new object out. What needs to look at other
objects is admission.
"""

from collections.abc import Callable, Mapping
from typing import Any

from aliquot.clock import rfc3339
from aliquot.emulator.certificate_requests import strategy as requests
from aliquot.emulator.kinds import autoscalers, custom_resources
from aliquot.emulator.objects import Json, metadata, next_generation, spec_differs, with_metadata
from aliquot.emulator.registry import CRDS, Served
from aliquot.emulator.schema.defaults.workloads import TEMPLATE_GENERATION
from aliquot.kube import quantity

REQUESTS = "certificatesigningrequests.certificates.k8s.io"

Prepare = Callable[[Json, float], Json]

# Kinds without a generation: nothing observes them by it.
_WITHOUT_GENERATION = frozenset(
    [
        REQUESTS,
        "apiservices.apiregistration.k8s.io",
        "configmaps",
        "controllerrevisions.apps",
        "endpoints",
        "horizontalpodautoscalers.autoscaling",
        "events",
        "ipaddresses.networking.k8s.io",
        "leases.coordination.k8s.io",
        "limitranges",
        "namespaces",
        "nodes",
        "resourcequotas",
        "persistentvolumeclaims",
        "persistentvolumes",
        "csidrivers.storage.k8s.io",
        "csinodes.storage.k8s.io",
        "csistoragecapacities.storage.k8s.io",
        "storageclasses.storage.k8s.io",
        "volumeattachments.storage.k8s.io",
        "volumeattributesclasses.storage.k8s.io",
        "resourceclaims.resource.k8s.io",
        "resourceclaimtemplates.resource.k8s.io",
        "compositepodgroups.scheduling.k8s.io",
        "podgroups.scheduling.k8s.io",
        "workloads.scheduling.k8s.io",
        "runtimeclasses.node.k8s.io",
        "secrets",
        "serviceaccounts",
        "servicecidrs.networking.k8s.io",
        "services",
        "clusterrolebindings.rbac.authorization.k8s.io",
        "clusterroles.rbac.authorization.k8s.io",
        "rolebindings.rbac.authorization.k8s.io",
        "roles.rbac.authorization.k8s.io",
    ]
)
_CUSTOM_STATUS_RESET = tuple(
    ("metadata", key) for key in ("annotations", "finalizers", "labels", "ownerReferences")
)


def prepare_create(served: Served, obj: Json, now: float) -> Json:
    """`obj` as it begins: its status, first generation and the kind's own fields."""
    if served.has_status and served.storage != "nodes":
        obj = {key: value for key, value in obj.items() if key != "status"}
        if not served.resource.custom:
            obj["status"] = served.schema.first_status()
    if served.storage not in _WITHOUT_GENERATION:
        obj = with_metadata(obj, generation=1)
    prepare = _CREATE.get(served.storage)
    return prepare(obj, now) if prepare is not None else obj


def prepare_update(served: Served, new: Json, old: Json, now: float) -> Json:
    """`new` as an update of everything but the status."""
    if served.has_status:
        new = {key: value for key, value in new.items() if key != "status"}
        if "status" in old:
            new["status"] = old["status"]
    prepare = _UPDATE.get(served.storage)
    if prepare is not None:
        new = prepare(new, old, now)
    ignored = ("status",) if served.has_status else ()
    if served.storage in _WITHOUT_GENERATION:
        return new
    differs = spec_differs(new, old, ignore=ignored)
    if served.storage == "deployments.apps":
        # Its controller hands annotations on to ReplicaSets.
        differs = differs or metadata(new).get("annotations") != metadata(old).get("annotations")
    return next_generation(new) if differs else new


def prepare_approval(new: Json, old: Json, now: float) -> Json:
    """`new` as a judgement of a CertificateSigningRequest."""
    return requests.approval(new, old, now)


def prepare_status(served: Served, new: Json, old: Json, now: float) -> Json:
    """`new` as an update of nothing but the status (and, of a built-in kind, its metadata)."""
    if served.storage == REQUESTS:
        return requests.status(new, old, now)
    result = {**old, "status": new.get("status", {})}
    if served.resource.custom:
        return with_metadata(result, managedFields=metadata(new).get("managedFields"))
    kept = {key: metadata(old).get(key) for key in ("ownerReferences", "finalizers")}
    return with_metadata({**result, "metadata": metadata(new)}, **kept)


def prepare_ephemeral_containers(new: Json, old: Json) -> Json:
    """`new` as an update of nothing but a pod's ephemeral containers."""
    spec = {key: value for key, value in old["spec"].items() if key != "ephemeralContainers"}
    if wanted := (new.get("spec") or {}).get("ephemeralContainers"):
        spec["ephemeralContainers"] = wanted
    result = with_metadata(
        {**old, "spec": spec, "metadata": metadata(new)},
        **{key: metadata(old).get(key) for key in ("labels", "annotations", "ownerReferences", "finalizers")},
    )
    return next_generation(result) if spec != old["spec"] else result


def reset_fields(served: Served, subresource: str) -> tuple[tuple[str, ...], ...]:
    """The paths that an endpoint ignores: who writes there does not come to own them."""
    if subresource == "status":
        return (("spec",), *_CUSTOM_STATUS_RESET) if served.resource.custom else (("spec",),)
    return (("status",),) if served.has_status and not subresource else ()


# ---- kinds -------------------------------------------------------------------------------------------------


def _pod(obj: Json, now: float) -> Json:
    spec = obj.get("spec") or {}
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        # Taken as a second since it was always treated as one.
        obj = {**obj, "spec": {**spec, "terminationGracePeriodSeconds": 1}}
    status: Json = {"phase": "Pending", "qosClass": qos_class(spec)}
    if spec.get("schedulingGates"):
        status["conditions"] = [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
                "lastProbeTime": None,
                "lastTransitionTime": rfc3339(now),
            }
        ]
    return {**obj, "status": status}


def qos_class(spec: Mapping[str, Any]) -> str:
    """Guaranteed, Burstable or BestEffort, from the cpu and memory of all containers."""
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    resources = [container.get("resources") or {} for container in containers]
    if pod_level := spec.get("resources"):
        resources = [pod_level]
    requested = [_compute(one.get("requests")) for one in resources]
    limited = [_compute(one.get("limits")) for one in resources]
    if not any(requested) and not any(limited):
        return "BestEffort"
    guaranteed = all(
        limits.keys() == {"cpu", "memory"} and (not requests or requests == limits)
        for requests, limits in zip(requested, limited, strict=True)
    )
    return "Guaranteed" if guaranteed else "Burstable"


def _compute(amounts: Mapping[str, Any] | None) -> dict[str, Any]:
    parsed = {
        key: quantity.parse(value) for key, value in (amounts or {}).items() if key in ("cpu", "memory")
    }
    return {key: value for key, value in parsed.items() if value > 0}


def _namespace(obj: Json, now: float) -> Json:
    labels = {**(metadata(obj).get("labels") or {}), "kubernetes.io/metadata.name": metadata(obj)["name"]}
    spec = {**(obj.get("spec") or {}), "finalizers": ["kubernetes"]}
    return with_metadata({**obj, "spec": spec, "status": {"phase": "Active"}}, labels=labels)


def _namespace_update(new: Json, old: Json, now: float) -> Json:
    labels = {**(metadata(new).get("labels") or {}), "kubernetes.io/metadata.name": metadata(new)["name"]}
    return with_metadata({**new, "spec": old.get("spec") or {}}, labels=labels)


def _volume(obj: Json, now: float) -> Json:
    return {**obj, "status": {"phase": "Pending", "lastPhaseTransitionTime": rfc3339(now)}}


def _claim(obj: Json, now: float) -> Json:
    """What it is filled from is said in an old way and a new one: either gives the other."""
    spec = obj.get("spec") or {}
    old, new = spec.get("dataSource"), spec.get("dataSourceRef")
    if old is not None and new is None:
        spec = {**spec, "dataSourceRef": dict(old)}
    elif new is not None and old is None and not new.get("namespace"):
        spec = {**spec, "dataSource": dict(new)}
    return {**obj, "spec": spec, "status": {"phase": "Pending"}}


def _autoscaler(obj: Json, now: float) -> Json:
    return autoscalers.counted(obj) if obj["apiVersion"] == autoscalers.V1 else obj


def _job(obj: Json, now: float) -> Json:
    """A job finds its pods by a label with its own uid, unless it brings a selector of its own."""
    spec = obj.get("spec") or {}
    if spec.get("manualSelector"):
        return obj
    uid, name = metadata(obj)["uid"], metadata(obj)["name"]
    template = spec.get("template") or {}
    # A job without labels of its own has its template's, then and later.
    own = metadata(obj).get("labels")
    shared = own == metadata(template).get("labels")
    labels = {
        **(metadata(template).get("labels") or {}),
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    selector = {
        **(spec.get("selector") or {}),
        "matchLabels": {
            **((spec.get("selector") or {}).get("matchLabels") or {}),
            "batch.kubernetes.io/controller-uid": uid,
        },
    }
    obj = {**obj, "spec": {**spec, "selector": selector, "template": with_metadata(template, labels=labels)}}
    return with_metadata(obj, labels=labels) if shared else obj


def _daemon_set(obj: Json, now: float) -> Json:
    return _with_template_generation(obj, 1)


def _daemon_set_update(new: Json, old: Json, now: float) -> Json:
    """Counts the templates, in a field that apps/v1 shows as an annotation."""
    counted = (metadata(old).get("annotations") or {}).get(TEMPLATE_GENERATION, "")
    generation = int(counted) if counted.isdigit() else 0
    changed = new["spec"].get("template") != old["spec"].get("template")
    return _with_template_generation(new, generation + changed)


def _with_template_generation(obj: Json, generation: int) -> Json:
    annotations = {**(metadata(obj).get("annotations") or {}), TEMPLATE_GENERATION: str(generation)}
    return with_metadata(obj, annotations=annotations)


_CREATE: Mapping[str, Prepare] = {
    "pods": _pod,
    "namespaces": _namespace,
    "jobs.batch": _job,
    "persistentvolumes": _volume,
    "persistentvolumeclaims": _claim,
    "daemonsets.apps": _daemon_set,
    "horizontalpodautoscalers.autoscaling": _autoscaler,
    CRDS: custom_resources.begin,
}
_UPDATE: Mapping[str, Callable[[Json, Json, float], Json]] = {
    CRDS: custom_resources.go_on,
    REQUESTS: requests.update,
    "namespaces": _namespace_update,
    "daemonsets.apps": _daemon_set_update,
}
