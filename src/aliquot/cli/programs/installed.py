"""What is in a cluster before the first GPUPolicy: where operands run, as whom, and who finds the nodes with GPUs."""

from collections.abc import Iterator
from typing import Any

from aliquot.kube.resources import DAEMONSETS, RUNTIMECLASSES, SERVICEACCOUNTS, Resource
from aliquot.kube.roles import NAMESPACE
from aliquot.operator.core.operands import Image

OURS = Image("", "aliquot", "emulated")
"""Our image on the emulator, where nobody pulls it."""
ACCOUNTS = (
    "aliquot-operator",
    "aliquot-driver",
    "aliquot-toolkit",
    "aliquot-node-agent",
    "aliquot-exporter",
    "aliquot-validator",
    "aliquot-discovery",
)
_DISCOVERY = "aliquot-discovery"


def objects() -> Iterator[tuple[Resource, dict[str, Any]]]:
    """To be applied in this order, after the roles, which bring the namespace."""
    for name in ACCOUNTS:
        yield (
            SERVICEACCOUNTS,
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": name, "namespace": NAMESPACE},
            },
        )
    yield (
        RUNTIMECLASSES,
        {
            "apiVersion": "node.k8s.io/v1",
            "kind": "RuntimeClass",
            "metadata": {"name": "nvidia"},
            "handler": "nvidia",
        },
    )
    yield DAEMONSETS, _discovery()


def _discovery() -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": "aliquot", "app.kubernetes.io/component": "discovery"}
    container = {
        "name": "discovery",
        "image": str(OURS),
        "command": ["aliquot"],
        "args": ["node", "discover"],
        "env": [{"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
    }
    pod = {
        "serviceAccountName": _DISCOVERY,
        "tolerations": [{"operator": "Exists"}],
        "containers": [container],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": _DISCOVERY, "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
