"""GPUNode: the GPUs of one node, as wanted (spec) and as they are (status).

One object per GPU node, cluster-scoped, named and owned like its Node. `spec` belongs to the partitioner or a
user, `status` to the node agent; GPUs are keyed by UUID and instances by start slot, so that several field
managers can each own their part through server-side apply.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct, field

from aliquot.kube.api.meta import Condition, ObjectMeta

GROUP = "aliquot.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"


def list_map(*keys: str) -> Meta:
    return Meta(extra_json_schema={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)})


class MigMode(StrEnum):
    """The driver's MIG mode. PENDING_* wait for the GPU reset that Ampere boards need."""

    UNSUPPORTED = "Unsupported"
    DISABLED = "Disabled"
    ENABLED = "Enabled"
    PENDING_ENABLE = "PendingEnable"
    PENDING_DISABLE = "PendingDisable"


class Health(StrEnum):
    HEALTHY = "Healthy"
    UNHEALTHY = "Unhealthy"


class Cure(StrEnum):
    """What brings an unhealthy device back."""

    ANSWER = "Answer"
    """Answering for a while."""
    REPLACEMENT = "Replacement"
    """A reset, and where that does not help another GPU."""
    RESET = "Reset"
    """A reset of the GPU, or a reboot."""
    DRAIN = "Drain"
    """An end of what the driver asks to be ended."""
    QUIET = "Quiet"
    """A while without another error."""


class Sharing(StrEnum):
    NONE = "none"
    TIME_SLICING = "timeSlicing"
    MPS = "mps"


SHARING_RISKS: Mapping[Sharing, str] = {
    Sharing.TIME_SLICING: "time slices isolate neither memory nor faults: one container may take all of the memory, "
    "and its fault ends the others",
    Sharing.MPS: "MPS does not isolate faults: a fatal fault of one container ends all on the GPU; its limits are for "
    "each process, and a container may lift them",
}
"""What each way leaves open, for whoever chooses it."""


class AllocationPolicy(StrEnum):
    """Where the next share or slice comes from."""

    DISTRIBUTED = "distributed"
    """The GPU that is used least."""
    PACKED = "packed"
    """The GPU that is used most and has room."""


class WantedInstance(Struct, kw_only=True, rename="camel", omit_defaults=True):
    """One MIG slice: a shape, by its profile name on this board, at an explicit start (memory slot)."""

    start: Annotated[int, Meta(ge=0, le=11)]
    """The memory slot at which it begins."""
    profile: str
    """As the board prints it: `1g.10gb`."""
    compute: list[Annotated[int, Meta(ge=1, le=7)]] = []
    """Slices of each of its compute instances; empty: one that fills it."""


MOST_SHARES = 1000
"""Of one device. Kubelet is told of each."""


class WantedSharing(Struct, kw_only=True, rename="camel", omit_defaults=True):
    strategy: Sharing = Sharing.NONE
    """How containers share it: one after the other, or at the same time under MPS."""
    replicas: Annotated[int, Meta(ge=1, le=MOST_SHARES)] = 1
    """Into how many shares; 1 is none."""


class SliceClass(Struct, kw_only=True, rename="camel", omit_defaults=True):
    """The slice at `start` is offered as one of a GPUClass, and under no other name."""

    start: Annotated[int, Meta(ge=0, le=11)]
    """The memory slot at which the slice begins."""
    class_name: str
    """Of the GPUClass."""


class WantedGPU(Struct, kw_only=True, rename="camel", omit_defaults=True):
    """`mig` absent: leave the mode as it is. `instances` absent (null): leave instances as they are."""

    uuid: str
    """As the driver has it: `GPU-...`."""
    mig: bool | None = None
    """MIG mode; absent: as it is."""
    instances: Annotated[list[WantedInstance], list_map("start")] | None = None
    """Its MIG slices, all of them; absent: as they are."""
    sharing: WantedSharing | None = None
    """By several containers at the same time; absent: as the node's configuration says."""
    class_name: str = ""
    """The GPU, or each of its shares, is offered as one of this GPUClass, and under no other name."""
    slice_classes: Annotated[list[SliceClass], list_map("start")] = []
    """Slices that are offered as one of a GPUClass."""


class Disruption(StrEnum):
    """What becomes of a wish that needs what pods hold."""

    WAIT = "Wait"
    """Until they end by themselves."""
    REFUSE = "Refuse"
    """It has failed, until they end by themselves."""
    EVICT = "Evict"
    """They are evicted, and nobody gets what they held: pods of the GPUs that change, and no others."""


class Partitioning(StrEnum):
    """Who decides how the GPUs of a node are cut and shared."""

    STATIC = "static"
    """Whoever writes `gpus`; only names of what is there change by themselves."""
    ON_DEMAND = "onDemand"
    """The partitioner, as pods need it, out of what nobody has."""
    BUDGETED = "budgeted"
    """The partitioner, and it may also move pods within its budget."""


class GPUNodeSpec(Struct, kw_only=True, rename="camel", omit_defaults=True):
    partitioning: Partitioning | None = None
    """Absent: what the partitioner does by default. A node with the label `nvidia.com/mig.config` is static."""
    gpus: Annotated[list[WantedGPU], list_map("uuid")] = []
    """How they are to be cut and shared; what is not named stays as it is."""
    disruption: Disruption = Disruption.WAIT
    eviction_deadline_seconds: Annotated[int, Meta(ge=1)] = 600
    """How long evictions may take, with what PodDisruptionBudgets and grace periods need, before they are given up."""


class HeldShares(Struct, kw_only=True, rename="camel"):
    pod: str
    """`namespace/name`"""
    shares: int
    """How many of them."""


class GPUShares(Struct, kw_only=True, rename="camel"):
    """A device that several containers use at the same time."""

    strategy: Sharing
    """How its containers share it."""
    replicas: int
    """How many shares there are."""
    one_per_container: bool = False
    """A container that asks for several is refused."""
    held: Annotated[list[HeldShares], list_map("pod")] = []
    """Those in use."""


class GPUInstance(Struct, kw_only=True, rename="camel"):
    """A MIG device that exists. `start` and `size` count memory slots; `memory_mib` null where unknown."""

    uuid: str
    """As the driver has it: `MIG-...`."""
    profile: str
    """Its shape, as the board prints it: `1g.10gb`."""
    start: int
    """The memory slot at which it begins."""
    size: int
    """Memory slots that it takes."""
    gi_id: int
    """Of its GPU instance, as nvidia-smi numbers it."""
    ci_id: int
    """Of its compute instance."""
    memory_mib: int | None = None
    """In MiB; null: the driver does not say."""
    resource: str = ""
    """The extended resource that advertises it, e.g. `nvidia.com/mig-1g.10gb`; empty: not advertised."""
    ready: bool = False
    """Listed by pod-resources GetAllocatableResources: kubelet would allocate it now."""
    pods: list[str] = []
    """`namespace/name` of the pods that hold it."""
    shares: GPUShares | None = None
    """Absent: it is one container's at a time."""


class GPULink(Struct, kw_only=True, rename="camel"):
    """How this GPU reaches another: NVLink with `lanes` links, or the PCIe level they meet at."""

    peer: str
    """UUID of the other GPU."""
    kind: str
    """`NVLink`, `SameBoard`, `SingleSwitch`, `MultiSwitch`, `HostBridge`, `SameCPU`, `CrossCPU`."""
    lanes: int = 0
    """Of NVLink; 0: none."""


class GPUAilment(Struct, kw_only=True, rename="camel"):
    """Why a GPU or one of its slices is not handed out."""

    device: str
    """UUID of the GPU or the MIG device."""
    reason: str
    """`XID48`, `GPULost`, `RowRemapPending`; CamelCase."""
    message: str
    """What it means, in a line."""
    cure: Cure
    since: str
    """RFC 3339"""
    measured: bool = False
    """The GPU tells it whenever it is asked."""


PUBLISHED_BY_DRA = "PublishedByDRA"
HELD_BY_CLAIM = "HeldByClaim"
OTHER_DEVICE_PLUGIN = "OtherDevicePlugin"
HELD_OTHERWISE = "HeldOtherwise"
SOMEBODY_ELSES = frozenset({PUBLISHED_BY_DRA, HELD_BY_CLAIM, OTHER_DEVICE_PLUGIN, HELD_OTHERWISE})
"""Reasons of a GPU that the agent leaves alone."""


class GPUStatus(Struct, kw_only=True, rename="camel"):
    uuid: str
    """As the driver has it: `GPU-...`."""
    index: int
    """As nvidia-smi numbers it on the node."""
    product: str
    """As the driver calls it: `NVIDIA H100 80GB HBM3`."""
    board: str
    """Key of the board in the catalogue (`h100-80gb`); empty when the catalogue does not know it."""
    memory_mib: int | None
    """In MiB; null: the driver does not say."""
    mig_mode: MigMode
    """Whether it is, or can be, cut into slices."""
    health: Health = Health.HEALTHY
    """Whether it is handed out."""
    reason: str = ""
    """Why it is unhealthy or holds back a wanted change; CamelCase, empty when all is well."""
    message: str = ""
    """The reason in a line."""
    ailments: Annotated[list[GPUAilment], list_map("device", "reason")] = []
    """All that is wrong with the GPU and its slices; a restarted agent goes on from here."""
    pci_bus_id: str = ""
    """Where it is on the node's PCI bus."""
    numa_node: int | None = None
    """Of the CPUs and the memory that are nearest; null: not known."""
    resource: str = ""
    """The extended resource that advertises the whole GPU; empty when it is not advertised as a whole."""
    ready: bool = False
    """Kubelet would allocate it now."""
    pods: list[str] = []
    """`namespace/name` of those that hold it, or a share of it."""
    shares: GPUShares | None = None
    """Of the whole GPU; absent: it is one container's at a time."""
    links: Annotated[list[GPULink], list_map("peer")] = []
    """Ways to the node's other GPUs."""
    instances: Annotated[list[GPUInstance], list_map("uuid")] = []
    """Its MIG slices."""


class MigProfile(Struct, kw_only=True, rename="camel", omit_defaults=True):
    """What slices a GPU of this product can be cut into, as its driver says. Sizes in memory slots."""

    product: str
    """Of the GPUs that can be cut so."""
    name: str
    """As the board prints it: `1g.10gb`."""
    id: int
    """Of the GPU instance profile, as the driver numbers it."""
    compute_slices: int
    """How many it takes."""
    memory_slots: int
    """How many it takes."""
    starts: list[int]
    """Memory slots at which it may begin."""
    max_instances: int
    """How many fit on an empty GPU."""
    memory_mib: int | None = None
    """In MiB; null: the driver does not say."""
    multiprocessors: int | None = None
    """Null: the driver does not say."""


class GPUNodeStatus(Struct, kw_only=True, rename="camel", omit_defaults=True):
    observed_generation: int = 0
    """Of the spec that this is about."""
    driver_version: str = ""
    """Of the driver that is loaded; empty: none answers."""
    cuda_version: str = ""
    """The highest that the driver knows."""
    mig_strategy: str = ""
    """How slices are named as resources: `none`, `single` or `mixed`."""
    allocation_policy: AllocationPolicy | None = None
    """Null: shares are distributed, and slices packed, so that other GPUs stay whole."""
    mps: bool | None = None
    """Whether GPUs can be shared under MPS: the agent has an `mpsRoot`. Null: the agent has not said."""
    boot_id: str = field(name="bootID", default="")
    """Of the machine, as the Node has it: a reboot resets the GPUs."""
    gpus: Annotated[list[GPUStatus], list_map("uuid")] = []
    """As the driver shows them."""
    mig_profiles: Annotated[list[MigProfile], list_map("product", "name")] = []
    """What slices its GPUs can be cut into."""
    conditions: Annotated[list[Condition], list_map("type")] = []
    """The agent's, of the GPUs; and the operator's and the validator's, of the node's software."""


class GPUNode(Struct, kw_only=True, rename="camel", omit_defaults=True):
    metadata: ObjectMeta
    spec: GPUNodeSpec = field(default_factory=GPUNodeSpec)
    """How the GPUs are to be: a user's, or the partitioner's."""
    status: GPUNodeStatus = field(default_factory=GPUNodeStatus)
    """How they are: the node agent's."""
    api_version: str = API_VERSION
    kind: str = "GPUNode"
