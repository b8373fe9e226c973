"""What exists on every new cluster: namespaces, roles, priority classes, the service of the API itself."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from aliquot.emulator.admission.service_addresses import NETWORK
from aliquot.emulator.kinds import flow_control, storage_classes
from aliquot.emulator.rbac import bootstrap_objects

_NETWORKS_SINCE = 33
NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")

_PRIORITY_CLASSES = (
    (
        "system-cluster-critical",
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
    (
        "system-node-critical",
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
)


@cache
def objects(minor: int) -> Sequence[dict[str, Any]]:
    """In the order in which they must be created; what is there already stays as it is. Never to be changed."""
    return (
        *(_named("v1", "Namespace", name) for name in NAMESPACES),
        *bootstrap_objects(),
        *(
            {
                **_named("scheduling.k8s.io/v1", "PriorityClass", name),
                "value": value,
                "description": description,
            }
            for name, value, description in _PRIORITY_CLASSES
        ),
        *flow_control.objects(),
        _storage_class(),
        *([_service_network()] if minor >= _NETWORKS_SINCE else []),
        _api_service(),
    )


def _storage_class() -> dict[str, Any]:
    """As small clusters and managed ones have it: the default, whose volumes are made once a pod is placed."""
    standard = _named("storage.k8s.io/v1", "StorageClass", "standard")
    standard["metadata"]["annotations"] = {storage_classes.IS_DEFAULT: "true"}
    return {
        **standard,
        "provisioner": storage_classes.SIMULATED,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": True,
    }


def _service_network() -> dict[str, Any]:
    network = _named("networking.k8s.io/v1", "ServiceCIDR", "kubernetes")
    return {**network, "spec": {"cidrs": [str(NETWORK)]}}


def _named(api_version: str, kind: str, name: str) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}}


def _api_service() -> dict[str, Any]:
    labels = {"component": "apiserver", "provider": "kubernetes"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": labels},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "10.96.0.1",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}],
        },
    }
