"""Why not: one node's reason, and the pod's one dominant reason made from all of them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from msgspec import Struct


class Kind(StrEnum):
    """In the order in which filters ask: a node that fails late came close."""

    NODE_NAME = "NodeName"
    NODE_SELECTOR = "NodeSelector"
    NODE_AFFINITY = "NodeAffinity"
    VOLUME_AFFINITY = "VolumeNodeAffinity"
    VOLUME_BINDING = "VolumeBinding"
    """A volume that is not bound yet can be had elsewhere only."""
    CORDONED = "Cordoned"
    TAINT = "Taint"
    DEVICES = "Devices"
    """GPUs and slices that GPUNode lists one by one."""
    GPU_TOPOLOGY = "GPUTopology"
    """It has devices enough, and not in one domain of the level that the pod requires."""
    EXTENDED = "ExtendedResource"
    """Counted resources with a domain in their name."""
    RESOURCES = "Resources"
    """CPU, memory, storage, number of pods."""
    HOST_PORTS = "HostPorts"
    SPREAD_LABEL = "TopologySpreadLabel"
    """The node has no such topology key."""
    SPREAD = "TopologySpread"
    POD_AFFINITY = "PodAffinity"
    POD_ANTI_AFFINITY = "PodAntiAffinity"
    KEPT_OUT = "ExistingPodAntiAffinity"
    """By the anti-affinity of a pod that is there."""
    # Of a whole pod only:
    RESOURCE_CLAIMS = "ResourceClaims"
    VOLUME_CLAIMS = "VolumeClaims"
    """A claim is missing, or waits itself."""
    SURROUNDINGS = "Surroundings"
    """What the pod refers to is still being read."""
    UNSUPPORTED = "Unsupported"
    NO_NODES = "NoNodes"
    NOT_OFFERED = "NotOffered"
    TOO_LARGE = "TooLarge"
    FULL = "Full"
    # Of a job:
    POD_GROUP = "PodGroup"
    """What is said of the pods that belong together contradicts itself, or is missing."""
    MEMBERS = "MembersMissing"
    DEPENDENCY = "Dependency"
    """It begins after another has ended."""
    DEPENDENCY_FAILED = "DependencyFailed"
    DEPENDENCY_CYCLE = "DependencyCycle"
    TOPOLOGY = "Topology"
    TOPOLOGY_UNKNOWN = "TopologyDoesNotExist"
    RESERVED = "Reserved"
    """There is room, and somebody else was promised it."""
    # Of a job, by its queue:
    QUEUE_UNKNOWN = "QueueDoesNotExist"
    QUEUE_NOT_LEAF = "QueueNotLeaf"
    QUEUE_CLOSED = "QueueClosed"
    LARGER_THAN_LIMIT = "LargerThanLimit"
    """Of its queue or of one above, even empty."""
    OVER_LIMIT = "OverLimit"
    LARGER_THAN_QUOTA = "LargerThanQuota"
    """Cannot be preempted, and would not fit into the quota of an empty queue."""
    NON_PREEMPTIBLE_OVER_QUOTA = "NonPreemptibleOverQuota"
    # Of a queue:
    QUEUE_PARENT_UNKNOWN = "ParentDoesNotExist"
    QUEUE_CYCLE = "QueueCycle"
    QUEUE_DUPLICATE = "QueueDuplicate"
    QUEUE_UNREADABLE = "SpecUnreadable"


MISMATCH = frozenset(
    {Kind.NODE_NAME, Kind.NODE_SELECTOR, Kind.NODE_AFFINITY, Kind.VOLUME_AFFINITY, Kind.VOLUME_BINDING}
)
"""The pod itself asked for other nodes, or its volumes are elsewhere."""
CAPACITY = frozenset({Kind.DEVICES, Kind.GPU_TOPOLOGY, Kind.EXTENDED, Kind.RESOURCES, Kind.HOST_PORTS})
"""The node would do, were it empty or larger."""


NEIGHBOURS = frozenset(
    {Kind.SPREAD_LABEL, Kind.SPREAD, Kind.POD_AFFINITY, Kind.POD_ANTI_AFFINITY, Kind.KEPT_OUT}
)
"""The node has room, but not beside those that run already."""
IN_VAIN = MISMATCH | {Kind.CORDONED, Kind.TAINT, Kind.NO_NODES, Kind.NOT_OFFERED, Kind.TOO_LARGE}
"""Nobody who ends makes room: as long as nodes stay as they are, it waits for ever."""

A_NODE_WOULD_HELP = (
    MISMATCH
    | CAPACITY
    | NEIGHBOURS
    | {
        Kind.CORDONED,
        Kind.TAINT,
        Kind.NO_NODES,
        Kind.NOT_OFFERED,
        Kind.TOO_LARGE,
        Kind.FULL,
        Kind.TOPOLOGY,
    }
)
"""With the right new node the pod would be placed: which that is, and whether it can be had, an autoscaler finds out. Not for
lack of room that is promised to somebody: there is room, and it is bought for whom it was promised."""


class Shortage(Struct, frozen=True, gc=False):
    resource: str
    needed: int
    free: int
    total: int
    of_one: bool = False
    """All of one device, on which `free` are left."""


@dataclass(frozen=True, slots=True)
class QueueBound:
    """What a queue may have at most, and how far that is used: the limit, or for jobs that cannot be preempted the quota."""

    queue: str
    resource: str
    asked: int
    allocated: int
    most: int


class Reason(Struct, frozen=True, gc=False):
    """Why one node will not do (or, as a pod's `refusal`, why none will). `detail` names the taint, label, port or rule. Made anew
    for every node that fills up, so that it is a Struct."""

    kind: Kind
    detail: str = ""
    shortages: tuple[Shortage, ...] = ()
    bound: QueueBound | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a pod waits: `message` is the dominant reason, `detail` how many nodes failed with what."""

    kind: Kind
    message: str
    detail: str = ""
    bound: QueueBound | None = None
    """What of its queue holds it back."""

    def __str__(self) -> str:
        return f"{self.message} ({self.detail})" if self.detail else self.message


def upstream_counts(reasons: Iterable[Reason]) -> str:
    """`0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable.`, in kube-scheduler's words."""
    nodes = 0
    counts: Counter[str] = Counter()
    for reason in reasons:
        nodes += 1
        counts.update(_upstream_phrases(reason))
    listed = ", ".join(sorted(f"{count} {phrase}" for phrase, count in counts.items()))
    return f"0/{nodes} nodes are available: {listed}." if listed else f"0/{nodes} nodes are available."


def _upstream_phrases(reason: Reason) -> list[str]:
    match reason.kind:
        case Kind.NODE_NAME:
            return ["node(s) didn't match the requested node name"]
        case Kind.NODE_SELECTOR | Kind.NODE_AFFINITY:
            return ["node(s) didn't match Pod's node affinity/selector"]
        case Kind.VOLUME_AFFINITY:
            return ["node(s) had volume node affinity conflict"]
        case Kind.VOLUME_BINDING:
            return ["node(s) didn't find available persistent volumes to bind"]
        case Kind.CORDONED:
            return ["node(s) were unschedulable"]
        case Kind.TAINT:
            return [f"node(s) had untolerated taint {{{reason.detail}}}"]
        case Kind.GPU_TOPOLOGY:
            return ["node(s) didn't have enough free GPUs in one topology domain"]
        case Kind.HOST_PORTS:
            return ["node(s) didn't have free ports for the requested pod ports"]
        case Kind.SPREAD_LABEL:
            return ["node(s) didn't match pod topology spread constraints (missing required label)"]
        case Kind.SPREAD:
            return ["node(s) didn't match pod topology spread constraints"]
        case Kind.POD_AFFINITY:
            return ["node(s) didn't match pod affinity rules"]
        case Kind.POD_ANTI_AFFINITY:
            return ["node(s) didn't match pod anti-affinity rules"]
        case Kind.KEPT_OUT:
            return ["node(s) didn't satisfy existing pods anti-affinity rules"]
        case _:
            return [
                "Too many pods" if shortage.resource == "pods" else f"Insufficient {shortage.resource}"
                for shortage in reason.shortages
            ]
