"""Workloads of add-ons in the cluster. EKS may call an add-on ACTIVE whose pods do not come."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from aliquot.eks.upgrade.doing import Doors
from aliquot.kube.resources import DAEMONSETS, DEPLOYMENTS, Resource

NAMESPACE = "kube-system"
_OF: Mapping[str, tuple[tuple[Resource, str], ...]] = {
    "aws-ebs-csi-driver": ((DEPLOYMENTS, "ebs-csi-controller"), (DAEMONSETS, "ebs-csi-node")),
    "aws-efs-csi-driver": ((DEPLOYMENTS, "efs-csi-controller"), (DAEMONSETS, "efs-csi-node")),
    "coredns": ((DEPLOYMENTS, "coredns"),),
    "eks-pod-identity-agent": ((DAEMONSETS, "eks-pod-identity-agent"),),
    "kube-proxy": ((DAEMONSETS, "kube-proxy"),),
    "metrics-server": ((DEPLOYMENTS, "metrics-server"),),
    "snapshot-controller": ((DEPLOYMENTS, "snapshot-controller"),),
    "vpc-cni": ((DAEMONSETS, "aws-node"),),
}
"""Of others EKS' word counts alone."""


class Rollout(Struct, frozen=True, kw_only=True):
    name: str
    """`DaemonSet kube-system/aws-node`."""
    wanted: int
    updated: int
    """Of the newest template."""
    available: int
    seen: bool = True
    """Its controller has seen the newest template."""

    @property
    def missing(self) -> int:
        return self.wanted - min(self.wanted, self.updated, self.available) if self.seen else self.wanted

    def __str__(self) -> str:
        return f"{self.name}: of {self.wanted} pods {self.updated} are new, {self.available} available"


async def look(addon: str, doors: Doors) -> tuple[Rollout, ...]:
    """Those that are there; none without an API server. Raises ApiError."""
    found: list[Rollout] = []
    if doors.client is None:
        return ()
    for resource, name in _OF.get(addon, ()):
        listed = await doors.client.list(resource, NAMESPACE)
        found += [_rollout(resource, one) for one in listed.items if one["metadata"]["name"] == name]
    return tuple(found)


def _rollout(resource: Resource, told: Mapping[str, Any]) -> Rollout:
    metadata, spec, status = told["metadata"], told.get("spec", {}), told.get("status", {})
    if resource is DAEMONSETS:
        wanted, updated, available = (
            status.get(key, 0)
            for key in ("desiredNumberScheduled", "updatedNumberScheduled", "numberAvailable")
        )
    else:
        wanted = spec.get("replicas", 1)
        updated, available = (status.get(key, 0) for key in ("updatedReplicas", "availableReplicas"))
    # Somebody replaces its pods by hand: whenever that is, nobody waits for it.
    by_hand = spec.get("updateStrategy", {}).get("type") == "OnDelete"
    return Rollout(
        name=f"{resource.kind} {metadata.get('namespace', NAMESPACE)}/{metadata['name']}",
        wanted=wanted,
        updated=wanted if by_hand else updated,
        available=available,
        seen=status.get("observedGeneration", 0) >= metadata.get("generation", 0),
    )
