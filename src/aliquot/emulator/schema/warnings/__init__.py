"""What a client is warned of when it writes an object that is valid, and yet hardly what was meant.

Only what a client wrote is looked at: what it left as it was, it was warned of before.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aliquot.emulator.schema.warnings import definitions, others, workloads

Obj = Mapping[str, Any]
Warn = Callable[[Obj, Obj | None], Iterable[str]]

_APPS, _BATCH, _STORAGE = "apps", "batch", "storage.k8s.io"

_KINDS: Mapping[tuple[str, str], Warn] = {
    ("apiextensions.k8s.io", "CustomResourceDefinition"): definitions.crd,
    ("", "Pod"): workloads.pod,
    ("", "PodTemplate"): workloads.pod_template,
    ("", "ReplicationController"): workloads.replicated,
    (_APPS, "Deployment"): workloads.replicated,
    (_APPS, "ReplicaSet"): workloads.replicated,
    (_APPS, "DaemonSet"): workloads.daemon_set,
    (_APPS, "StatefulSet"): workloads.stateful_set,
    (_BATCH, "Job"): workloads.job,
    (_BATCH, "CronJob"): workloads.cron_job,
    ("", "Service"): others.service,
    ("", "Secret"): others.secret,
    ("", "ServiceAccount"): others.service_account,
    ("", "Endpoints"): others.endpoints,
    ("discovery.k8s.io", "EndpointSlice"): others.endpoint_slice,
    ("", "PersistentVolume"): others.persistent_volume,
    ("", "PersistentVolumeClaim"): others.claim,
    (_STORAGE, "StorageClass"): others.storage_class,
    ("networking.k8s.io", "Ingress"): others.ingress,
    ("node.k8s.io", "RuntimeClass"): others.runtime_class,
}


def built_in(group: str, kind: str, obj: Obj, old: Obj | None) -> list[str]:
    """`old` is None on a create."""
    warn = _KINDS.get((group, kind))
    return [] if warn is None else list(warn(obj, old))


def custom(obj: Obj, old: Obj | None) -> list[str]:
    return list(others.finalizers(obj, old))
