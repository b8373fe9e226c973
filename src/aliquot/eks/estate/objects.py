"""Objects of a cluster, with only the fields that a check reads. Ten thousand of them fit into a few dozen MiB."""

from typing import Any

from msgspec import Struct


class Owner(Struct, frozen=True, rename="camel", kw_only=True):
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False
    api_version: str = ""


class Manager(Struct, frozen=True, rename="camel", kw_only=True):
    """Of fields: only who, and in which version."""

    manager: str = ""
    api_version: str = ""


class Meta(Struct, frozen=True, rename="camel", kw_only=True):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: list[Owner] = []
    managed_fields: list[Manager] = []
    deletion_timestamp: str = ""


class Said(Struct, frozen=True):
    """That a part is there, whatever is in it."""


class Container(Struct, frozen=True, rename="camel", kw_only=True):
    name: str = ""
    image: str = ""
    env: list[dict[str, Any]] = []
    resources: dict[str, Any] = {}
    security_context: dict[str, Any] = {}
    readiness_probe: Said | None = None


class Affinity(Struct, frozen=True, rename="camel", kw_only=True):
    node_affinity: dict[str, Any] = {}
    pod_anti_affinity: Said | None = None


class PodSpec(Struct, frozen=True, rename="camel", kw_only=True):
    node_name: str = ""
    containers: list[Container] = []
    init_containers: list[Container] = []
    volumes: list[dict[str, Any]] = []
    security_context: dict[str, Any] = {}
    termination_grace_period_seconds: int | None = None
    host_network: bool = False
    node_selector: dict[str, str] = {}
    affinity: Affinity | None = None
    topology_spread_constraints: list[Said] = []
    resource_claims: list[dict[str, Any]] = []
    scheduling_group: dict[str, Any] = {}


class PodStatus(Struct, frozen=True, rename="camel", kw_only=True):
    phase: str = ""
    conditions: list[dict[str, Any]] = []

    @property
    def ready(self) -> bool:
        return any(one.get("type") == "Ready" and one.get("status") == "True" for one in self.conditions)


class Pod(Struct, frozen=True, kw_only=True):
    metadata: Meta = Meta()
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class NodeInfo(Struct, frozen=True, rename="camel", kw_only=True):
    kubelet_version: str = ""
    container_runtime_version: str = ""
    os_image: str = ""


class NodeStatus(Struct, frozen=True, rename="camel", kw_only=True):
    node_info: NodeInfo = NodeInfo()
    capacity: dict[str, Any] = {}
    allocatable: dict[str, Any] = {}
    conditions: list[dict[str, Any]] = []


class NodeSpec(Struct, frozen=True, rename="camel", kw_only=True):
    unschedulable: bool = False
    taints: list[dict[str, Any]] = []


class Node(Struct, frozen=True, kw_only=True):
    metadata: Meta = Meta()
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()


class Template(Struct, frozen=True, kw_only=True):
    metadata: Meta = Meta()
    spec: PodSpec = PodSpec()


class WorkloadSpec(Struct, frozen=True, rename="camel", kw_only=True):
    replicas: int | None = None
    min_ready_seconds: int = 0
    suspend: bool | None = None
    """Of a Job."""
    template: Template = Template()


class Workload(Struct, frozen=True, kw_only=True):
    """A Deployment, StatefulSet, DaemonSet, ReplicaSet or Job."""

    metadata: Meta = Meta()
    spec: WorkloadSpec = WorkloadSpec()


class CrdNames(Struct, frozen=True, kw_only=True):
    kind: str = ""
    plural: str = ""


class CrdVersion(Struct, frozen=True, kw_only=True):
    """Without its schema, which is most of it."""

    name: str
    served: bool = True
    storage: bool = False


class CrdSpec(Struct, frozen=True, kw_only=True):
    group: str = ""
    scope: str = "Namespaced"
    names: CrdNames = CrdNames()
    versions: tuple[CrdVersion, ...] = ()
    conversion: dict[str, Any] = {}


class CrdStatus(Struct, frozen=True, rename="camel", kw_only=True):
    stored_versions: tuple[str, ...] = ()


class Crd(Struct, frozen=True, kw_only=True):
    metadata: Meta = Meta()
    spec: CrdSpec = CrdSpec()
    status: CrdStatus = CrdStatus()


class Objects(Struct, frozen=True, kw_only=True):
    """By kind. A kind that could not be listed is in the estate's `unchecked`, and empty here."""

    nodes: tuple[Node, ...] = ()
    pods: tuple[Pod, ...] = ()
    workloads: dict[str, tuple[Workload, ...]] = {}
    """By kind: Deployment, StatefulSet, DaemonSet."""
    jobs: tuple[Workload, ...] = ()
    things: dict[str, tuple[dict[str, Any], ...]] = {}
    """By kind, as the API server gives them: PodDisruptionBudget, StorageClass and so on. Kinds of whoever brings his own API are
    `KIND.GROUP`: several have a PodGroup."""
    crds: tuple[Crd, ...] = ()
    counters: dict[str, float] = {}
    """Of the API server's metrics, over all labels: only those that a check reads."""
    missing: tuple[str, ...] = ()
    """Kinds that this cluster does not serve at all."""
    unread: tuple[str, ...] = ()
    """Kinds that could not be listed: nothing follows from their being empty here."""

    def of(self, kind: str) -> tuple[dict[str, Any], ...]:
        return self.things.get(kind, ())
