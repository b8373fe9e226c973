"""Partial types of the built-in kinds: the fields that Aliquot reads, and no other.

Never PUT what was decoded into these: the fields left out here would be lost. Write by server-side apply, a merge
patch or a subresource.
"""

from typing import Any, TypeAlias

from msgspec import field

from aliquot.kube.api.meta import Condition, ObjectMeta, Wire

Quantities: TypeAlias = dict[str, str | int | float]
"""Resource name to quantity text; read with `aliquot.kube.quantity`."""


class EnvVar(Wire, kw_only=True, frozen=True):
    name: str
    value: str = ""
    value_from: dict[str, Any] | None = None


class ResourceRequirements(Wire, kw_only=True, frozen=True):
    requests: Quantities | None = None
    limits: Quantities | None = None
    claims: tuple[dict[str, Any], ...] | None = None


class ContainerPort(Wire, kw_only=True, frozen=True):
    container_port: int
    name: str = ""
    host_port: int = 0
    host_ip: str = field(name="hostIP", default="")
    protocol: str = "TCP"


class Container(Wire, kw_only=True, frozen=True):
    name: str
    image: str = ""
    command: tuple[str, ...] | None = None
    args: tuple[str, ...] | None = None
    working_dir: str = ""
    env: tuple[EnvVar, ...] | None = None
    resources: ResourceRequirements = ResourceRequirements()
    ports: tuple[ContainerPort, ...] | None = None
    restart_policy: str = ""
    """`Always` on an init container makes it a sidecar."""


class Toleration(Wire, kw_only=True, frozen=True):
    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""
    toleration_seconds: int | None = None


class SchedulingGate(Wire, kw_only=True, frozen=True):
    name: str


class ClaimSource(Wire, kw_only=True, frozen=True):
    claim_name: str = ""


class EmptyDir(Wire, kw_only=True, frozen=True):
    medium: str = ""


class PodVolume(Wire, kw_only=True, frozen=True):
    """As far as claims are concerned, and what is lost with the pod."""

    name: str = ""
    persistent_volume_claim: ClaimSource | None = None
    ephemeral: dict[str, Any] | None = None
    empty_dir: EmptyDir | None = None

    def claim_name(self, pod_name: str) -> str:
        """Of the claim that it mounts; empty when it mounts none."""
        if self.persistent_volume_claim is not None:
            return self.persistent_volume_claim.claim_name
        return f"{pod_name}-{self.name}" if self.ephemeral is not None else ""


class SchedulingGroup(Wire, kw_only=True, frozen=True):
    pod_group_name: str = ""
    """Of a PodGroup of scheduling.k8s.io."""


class PodSpec(Wire, kw_only=True, frozen=True):
    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] | None = None
    ephemeral_containers: tuple[Container, ...] | None = None
    node_name: str = ""
    scheduler_name: str = ""
    scheduling_gates: tuple[SchedulingGate, ...] | None = None
    scheduling_group: SchedulingGroup | None = None
    node_selector: dict[str, str] | None = None
    affinity: dict[str, Any] | None = None
    tolerations: tuple[Toleration, ...] | None = None
    topology_spread_constraints: tuple[dict[str, Any], ...] | None = None
    priority: int = 0
    priority_class_name: str = ""
    preemption_policy: str = ""
    resource_claims: tuple[dict[str, Any], ...] | None = None
    volumes: tuple[PodVolume, ...] | None = None
    resources: ResourceRequirements | None = None
    """Of the pod as a whole."""
    overhead: Quantities | None = None
    host_network: bool = False
    hostname: str = ""
    subdomain: str = ""
    restart_policy: str = "Always"
    termination_grace_period_seconds: int | None = None
    active_deadline_seconds: int | None = None
    service_account_name: str = ""
    runtime_class_name: str = ""


class PodCondition(Wire, kw_only=True, frozen=True):
    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None
    observed_generation: int = 0


class ContainerStateWaiting(Wire, kw_only=True, frozen=True):
    reason: str = ""
    message: str = ""


class ContainerStateRunning(Wire, kw_only=True, frozen=True):
    started_at: str | None = None


class ContainerStateTerminated(Wire, kw_only=True, frozen=True):
    exit_code: int = 0
    signal: int = 0
    reason: str = ""
    message: str = ""
    started_at: str | None = None
    finished_at: str | None = None
    container_id: str = field(name="containerID", default="")


class ContainerState(Wire, kw_only=True, frozen=True):
    """At most one of the three."""

    waiting: ContainerStateWaiting | None = None
    running: ContainerStateRunning | None = None
    terminated: ContainerStateTerminated | None = None


class ContainerStatus(Wire, kw_only=True, frozen=True):
    name: str
    ready: bool = False
    started: bool | None = None
    restart_count: int = 0
    image: str = ""
    image_id: str = field(name="imageID", default="")
    container_id: str = field(name="containerID", default="")
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()


class PodStatus(Wire, kw_only=True, frozen=True):
    phase: str = ""
    reason: str = ""
    message: str = ""
    conditions: tuple[PodCondition, ...] | None = None
    container_statuses: tuple[ContainerStatus, ...] | None = None
    init_container_statuses: tuple[ContainerStatus, ...] | None = None
    ephemeral_container_statuses: tuple[ContainerStatus, ...] | None = None
    nominated_node_name: str = ""
    pod_ip: str = field(name="podIP", default="")
    host_ip: str = field(name="hostIP", default="")
    start_time: str | None = None
    qos_class: str = ""

    @property
    def has_ended(self) -> bool:
        """For good: no container of it runs any more, nor will."""
        return self.phase in ("Succeeded", "Failed")


class Pod(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class Taint(Wire, kw_only=True, frozen=True):
    key: str
    effect: str
    value: str = ""
    time_added: str | None = None


class NodeSpec(Wire, kw_only=True, frozen=True):
    unschedulable: bool = False
    taints: tuple[Taint, ...] | None = None
    provider_id: str = field(name="providerID", default="")
    pod_cidr: str = field(name="podCIDR", default="")


class NodeCondition(Wire, kw_only=True, frozen=True):
    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_heartbeat_time: str | None = None
    last_transition_time: str | None = None


class NodeAddress(Wire, kw_only=True, frozen=True):
    type: str
    address: str


class NodeInfo(Wire, kw_only=True, frozen=True):
    kubelet_version: str = ""
    container_runtime_version: str = ""
    os_image: str = ""
    kernel_version: str = ""
    architecture: str = ""
    machine_id: str = field(name="machineID", default="")
    boot_id: str = field(name="bootID", default="")


class NodeStatus(Wire, kw_only=True, frozen=True):
    capacity: Quantities | None = None
    allocatable: Quantities | None = None
    conditions: tuple[NodeCondition, ...] | None = None
    addresses: tuple[NodeAddress, ...] | None = None
    node_info: NodeInfo = NodeInfo()


class Node(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()


class Namespace(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta


class ConfigMap(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    data: dict[str, str] | None = None


class PriorityClass(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    value: int = 0
    global_default: bool = False
    preemption_policy: str = ""


class LeaseSpec(Wire, kw_only=True, frozen=True):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class Lease(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    spec: LeaseSpec = LeaseSpec()


class ObjectReference(Wire, kw_only=True, frozen=True):
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    api_version: str = ""
    resource_version: str = ""
    field_path: str = ""


class EventSource(Wire, kw_only=True, frozen=True):
    component: str = ""
    host: str = ""


class Event(Wire, kw_only=True, frozen=True):
    """A core/v1 Event, as `kubectl describe` shows it."""

    metadata: ObjectMeta
    involved_object: ObjectReference = ObjectReference()
    type: str = "Normal"
    reason: str = ""
    message: str = ""
    source: EventSource = EventSource()
    count: int | None = None
    first_timestamp: str | None = None
    last_timestamp: str | None = None
    reporting_component: str = ""
    reporting_instance: str = ""


class CustomResourceDefinitionStatus(Wire, kw_only=True, frozen=True):
    conditions: tuple[Condition, ...] | None = None


class CustomResourceDefinition(Wire, kw_only=True, frozen=True):
    metadata: ObjectMeta
    status: CustomResourceDefinitionStatus = CustomResourceDefinitionStatus()
