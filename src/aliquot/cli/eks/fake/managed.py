"""What EKS puts into a cluster before anybody comes: who tends its nodes, and the pods that make a network of them."""

from collections.abc import Iterator
from typing import Any

import msgspec

from aliquot.cli import identities
from aliquot.cli.identities import Identity
from aliquot.cli.parts import Parts
from aliquot.eks.fake.fleet import Machine
from aliquot.kube import roles
from aliquot.kube.api.core import Node
from aliquot.kube.resources import DAEMONSETS, DEPLOYMENTS, PODDISRUPTIONBUDGETS, Resource

NODE_MANAGER = Identity("eks:node-manager", ("system:authenticated",))
INSTALLER = identities.INSTALLER
_NAMESPACE = "kube-system"
_MANAGER = "eks"
_ANY = [{"operator": "Exists"}]


async def install(parts: Parts, region: str) -> None:
    """Raises ApiError."""
    client = parts.client("installer", INSTALLER)
    await roles.install(client, _node_manager())
    for resource, obj in _workloads(region):
        await client.apply(resource, obj, field_manager=_MANAGER, force=True)


def relabelled(before: Machine, after: Machine, node: Node) -> dict[str, Any]:
    """A patch: labels and taints of its group are others now; what else the node has stays."""
    labels = {**dict.fromkeys(before.labels), **after.labels}
    kept = [
        taint
        for taint in node.spec.taints or ()
        if (taint.key, taint.value, taint.effect) not in (*before.taints, *after.taints)
    ]
    given = [{"key": key, "value": value, "effect": effect} for key, value, effect in after.taints]
    return {"metadata": {"labels": labels}, "spec": {"taints": [*msgspec.to_builtins(kept), *given]}}


def _node_manager() -> list[dict[str, Any]]:
    subject = {"kind": "User", "name": NODE_MANAGER.user, "apiGroup": "rbac.authorization.k8s.io"}
    return [
        roles.role(
            NODE_MANAGER.user,
            roles.rule("get list watch delete", "", "pods"),
            roles.rule("create", "", "pods/eviction pods/binding"),
            roles.rule("get list watch patch delete", "", "nodes"),
        ),
        roles.binding(NODE_MANAGER.user, subject),
    ]


def _workloads(region: str) -> Iterator[tuple[Resource, dict[str, Any]]]:
    """aws-node, kube-proxy and CoreDNS: there as objects; no packet travels here."""
    images = f"602401143452.dkr.ecr.{region}.amazonaws.com"
    yield DAEMONSETS, _on_all_nodes("aws-node", f"{images}/amazon-k8s-cni:fake")
    yield DAEMONSETS, _on_all_nodes("kube-proxy", f"{images}/eks/kube-proxy:fake")
    labels = {"k8s-app": "kube-dns"}
    yield (
        DEPLOYMENTS,
        _workload(
            "coredns",
            labels,
            f"{images}/eks/coredns:fake",
            {
                "priorityClassName": "system-cluster-critical",
                "tolerations": [{"key": "CriticalAddonsOnly", "operator": "Exists"}],
            },
            replicas=2,
        ),
    )
    yield (
        PODDISRUPTIONBUDGETS,
        {
            "metadata": {"name": "coredns", "namespace": _NAMESPACE, "labels": labels},
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": labels}},
        },
    )


def _on_all_nodes(name: str, image: str) -> dict[str, Any]:
    pod = {"priorityClassName": "system-node-critical", "hostNetwork": True, "tolerations": _ANY}
    return _workload(name, {"k8s-app": name}, image, pod)


def _workload(
    name: str, labels: dict[str, str], image: str, pod: dict[str, Any], **spec: Any
) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": _NAMESPACE, "labels": labels},
        "spec": {
            **spec,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {**pod, "containers": [{"name": name, "image": image}]},
            },
        },
    }
