"""All that the doctor looks at, as it was in one moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from aliquot.kube.api.core import Lease, Node, Pod
from aliquot.kube.api.gpunode import GPUNode
from aliquot.kube.resources import Resource

Json: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Of the webhook that changes pods, where the cluster has one."""

    name: str
    bundle: bytes
    """The authorities by which the API server knows it, as PEM."""
    certificate: bytes = b""
    """That it serves with; empty: it may not be looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    now_s: float
    namespace: str
    crds: Mapping[str, Json]
    policies: Sequence[Json] = ()
    nodes: Sequence[Node] = ()
    gpu_nodes: Mapping[str, GPUNode] = field(default_factory=dict)
    pods: Sequence[Pod] = ()
    """Of the namespace, as are those of workloads."""
    deployments: Sequence[Json] = ()
    daemon_sets: Sequence[Json] = ()
    leases: Mapping[str, Lease] = field(default_factory=dict)
    runtime_classes: frozenset[str] = frozenset()
    discovery_refused: str = ""
    """What the API server has against the pods that find GPUs."""
    webhook: Webhook | None = None
    unread: Mapping[Resource, str] = field(default_factory=dict)
    """Why what is of a kind could not be looked at: that none is seen of it says nothing."""

    def may_see(self, *resources: Resource) -> bool:
        return not any(resource in self.unread for resource in resources)
