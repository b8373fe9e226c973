"""What add-ons are in a cluster: DaemonSets and Deployments, with the add-on's build in their images. No packet travels here."""

from collections.abc import Iterator, Mapping
from typing import Any

from aliquot.kube.client import Client
from aliquot.kube.resources import DAEMONSETS, DEPLOYMENTS, PODDISRUPTIONBUDGETS, Resource

SELF_MANAGED = ("vpc-cni", "kube-proxy", "coredns")
"""There from the beginning, before anybody makes an add-on of them."""
_NAMESPACE = "kube-system"
_MANAGER = "eks"
_ON_NODES = {
    "vpc-cni": ("aws-node", "amazon-k8s-cni"),
    "kube-proxy": ("kube-proxy", "eks/kube-proxy"),
    "aws-ebs-csi-driver": ("ebs-csi-node", "eks/aws-ebs-csi-driver"),
    "aws-efs-csi-driver": ("efs-csi-node", "eks/aws-efs-csi-driver"),
    "eks-pod-identity-agent": ("eks-pod-identity-agent", "eks/eks-pod-identity-agent"),
    "eks-node-monitoring-agent": ("eks-node-monitoring-agent", "eks/eks-node-monitoring-agent"),
}
"""(DaemonSet, repository)"""
_BESIDE = {
    "coredns": ("coredns", "eks/coredns"),
    "aws-ebs-csi-driver": ("ebs-csi-controller", "eks/aws-ebs-csi-driver"),
    "aws-efs-csi-driver": ("efs-csi-controller", "eks/aws-efs-csi-driver"),
    "snapshot-controller": ("snapshot-controller", "eks/snapshot-controller"),
    "metrics-server": ("metrics-server", "eks/metrics-server"),
}
"""(Deployment, repository); two replicas and a budget each, as the larger of them have."""


async def apply(client: Client, builds: Mapping[str, str], region: str) -> None:
    """`builds`: version by add-on; what is in no table here has no pods. Raises ApiError."""
    for addon, version in builds.items():
        for resource, obj in _objects(addon, version, f"602401143452.dkr.ecr.{region}.amazonaws.com"):
            await client.apply(resource, obj, field_manager=_MANAGER, force=True)


def _objects(addon: str, version: str, registry: str) -> Iterator[tuple[Resource, dict[str, Any]]]:
    # As EKS tags them: v1.31.14-minimal-eksbuild.32.
    tag = version.replace("-eksbuild", "-minimal-eksbuild") if addon == "kube-proxy" else version
    if addon in _ON_NODES:
        name, repository = _ON_NODES[addon]
        pod = {
            "priorityClassName": "system-node-critical",
            "hostNetwork": True,
            "tolerations": [{"operator": "Exists"}],
        }
        labels = {"k8s-app": name}
        yield DAEMONSETS, _workload(name, labels, f"{registry}/{repository}:{tag}", pod)
    if addon in _BESIDE:
        name, repository = _BESIDE[addon]
        labels = {"k8s-app": "kube-dns" if addon == "coredns" else name}
        pod = {
            "priorityClassName": "system-cluster-critical",
            "tolerations": [{"key": "CriticalAddonsOnly", "operator": "Exists"}],
        }
        yield DEPLOYMENTS, _workload(name, labels, f"{registry}/{repository}:{tag}", pod, replicas=2)
        yield (
            PODDISRUPTIONBUDGETS,
            {
                "metadata": {"name": name, "namespace": _NAMESPACE, "labels": labels},
                "spec": {"maxUnavailable": 1, "selector": {"matchLabels": labels}},
            },
        )


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
