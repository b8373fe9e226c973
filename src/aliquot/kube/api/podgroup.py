"""PodGroup: pods that are placed together, and how many of them it takes; Topology: what lies close to what.

A pod joins by its label `aliquot.dev/pod-group`, and one of the group's `subGroups` by `aliquot.dev/sub-group`. The fields
that KAI's PodGroup has too are named and mean what they do there.
"""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct, field

from aliquot.kube.api.gpunode import API_VERSION, list_map
from aliquot.kube.api.meta import Condition, ObjectMeta
from aliquot.kube.api.validation import duration_text, validated

HOSTNAME = "kubernetes.io/hostname"
NVLINK_LEVEL = "aliquot.dev/nvlink"
NUMA_LEVEL = "aliquot.dev/numa"
"""Levels within a node, of GPUs: every Topology has them."""

_MOST_SUB_GROUPS = 256
_Name = Annotated[str, Meta(min_length=1, max_length=253)]
_LabelKey = Annotated[str, Meta(min_length=1, max_length=317)]


class Preemptibility(StrEnum):
    PREEMPTIBLE = "Preemptible"
    """It may use what other queues leave, and gives it back when they want it."""
    NON_PREEMPTIBLE = "NonPreemptible"
    """Once placed it stays; its queue's quota has to hold it."""


class TopologyConstraint(Struct, kw_only=True, rename="camel", omit_defaults=True):
    """Levels are node labels of the Topology, or `aliquot.dev/nvlink` and `aliquot.dev/numa` within a node."""

    topology: Annotated[str, Meta(max_length=253)] = ""
    """Empty: that which has the level."""
    required_topology_level: Annotated[str, Meta(max_length=317)] = ""
    """All pods in one domain of this level, or none is placed."""
    preferred_topology_level: Annotated[str, Meta(max_length=317)] = ""
    """In one domain of this level if there is room, else in one of a coarser level."""


_SOME_LEVEL = Meta(
    extra_json_schema=validated(
        (
            "has(self.requiredTopologyLevel) || has(self.preferredTopologyLevel)",
            "topologyConstraint asks for nothing: give requiredTopologyLevel or preferredTopologyLevel",
        )
    )
)


class SubGroup(Struct, kw_only=True, rename="camel", omit_defaults=True):
    """A part of a PodGroup: pods, or other sub-groups, which name it as their parent."""

    name: Annotated[str, Meta(min_length=1, max_length=63)]
    """Of the label aliquot.dev/sub-group of its pods."""
    parent: Annotated[str, Meta(max_length=63)] = ""
    """Another of the subGroups; empty: the PodGroup itself."""
    min_member: Annotated[int, Meta(ge=0)] | None = None
    """Pods that it needs at least. 0: it has extras only."""
    min_sub_group: Annotated[int, Meta(ge=1)] | None = None
    """Sub-groups in it that have to be whole; null: all."""
    topology_constraint: Annotated[TopologyConstraint, _SOME_LEVEL] | None = None
    """How close to each other its pods are placed."""


class Ended(StrEnum):
    ENDED = "Ended"
    SUCCEEDED = "Succeeded"


class After(Struct, kw_only=True, rename="camel", omit_defaults=True):
    name: _Name
    """Of what makes a job in the same namespace: a PodGroup, a Job, a PyTorchJob, a pod."""
    condition: Ended = Ended.SUCCEEDED
    """How it has to have ended."""


class PodGroupSpec(Struct, kw_only=True, rename="camel", omit_defaults=True):
    min_member: Annotated[int, Meta(ge=1)] | None = None
    """Pods that have to be placed together; what comes beyond is extra. Instead of subGroups."""
    sub_groups: Annotated[list[SubGroup], list_map("name"), Meta(max_length=_MOST_SUB_GROUPS)] = []
    """Parts that have to be whole each. Instead of minMember."""
    min_sub_group: Annotated[int, Meta(ge=1)] | None = None
    """Of the subGroups without a parent, how many have to be whole; null: all."""
    queue: Annotated[str, Meta(max_length=253)] = ""
    """Empty: as the pods' label aliquot.dev/queue says, else the default queue."""
    priority_class_name: Annotated[str, Meta(max_length=253)] = ""
    """Empty: as the pods say."""
    preemptibility: Preemptibility = Preemptibility.PREEMPTIBLE
    """Whether it gives back what it has when others are due it."""
    topology_constraint: Annotated[TopologyConstraint, _SOME_LEVEL] | None = None
    """How close to each other all its pods are placed."""
    max_runtime: Annotated[str, duration_text("maxRuntime", above_zero=True)] | None = None
    """It is stopped after so long. A job whose end is known is the one that fills gaps."""
    min_runtime: Annotated[str, duration_text("minRuntime", above_zero=True)] | None = None
    """It is not evicted before; null: as its queue says."""
    staleness_grace_period: Annotated[str, duration_text("stalenessGracePeriod", above_zero=True)] | None = (
        None
    )
    """How long it may stay below its minimum before all of it is evicted; null: a minute."""
    after: Annotated[list[After], list_map("name"), Meta(max_length=64)] = []
    """What has to end before it is placed."""


_IN_IT = "self.subGroups.filter(c, has(c.parent) && c.parent == g.name)"

_CONSISTENT = Meta(
    extra_json_schema=validated(
        (
            "has(self.minMember) != (has(self.subGroups) && self.subGroups.size() > 0)",
            "give either minMember or subGroups",
        ),
        (
            "!has(self.minSubGroup) || (has(self.subGroups) && "
            "self.minSubGroup <= self.subGroups.filter(g, !has(g.parent)).size())",
            "minSubGroup is above the number of subGroups without a parent",
        ),
        (
            "!has(self.subGroups) || self.subGroups.all(g, !has(g.parent) || "
            "self.subGroups.exists(p, p.name == g.parent && p.name != g.name))",
            "the parent of one of the subGroups is not another of them",
        ),
        (
            f"!has(self.subGroups) || self.subGroups.all(g, {_IN_IT}.size() > 0 ? !has(g.minMember) : "
            "has(g.minMember) && !has(g.minSubGroup))",
            "of subGroups, one that is another's parent takes minSubGroup, and each other one needs minMember",
        ),
        (
            "!has(self.subGroups) || self.subGroups.all(g, !has(g.minSubGroup) || "
            f"g.minSubGroup <= {_IN_IT}.size())",
            "minSubGroup of one of the subGroups is above the number of those in it",
        ),
    )
)


class PodGroupPhase(StrEnum):
    PENDING = "Pending"
    """Below its minimum, and waiting."""
    RUNNING = "Running"
    """At its minimum or above."""
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class PodCounts(Struct, kw_only=True, rename="camel", omit_defaults=True):
    pending: int = 0
    """They have no node."""
    scheduled: int = 0
    """They have a node; those that run are among them."""
    running: int = 0
    """They run."""
    succeeded: int = 0
    """They have ended well."""
    failed: int = 0
    """They have ended otherwise."""


class QueueResource(Struct, kw_only=True, rename="camel", omit_defaults=True):
    """Quantities, as text."""

    resource: str
    """Its name: `nvidia.com/gpu`, `cpu`, `memory`."""
    requested: str = ""
    """By this PodGroup."""
    allocated: str = ""
    """By the queue now."""
    fair_share: str = ""
    """What the queue is due as things are."""
    quota: str = ""
    """What the queue is guaranteed."""
    limit: str = ""
    """What the queue never has more of."""


class QueueDetails(Struct, kw_only=True, rename="camel", omit_defaults=True):
    """The queue that holds it back, which may be one above its own."""

    queue: str
    """Its name."""
    resources: Annotated[list[QueueResource], list_map("resource")] = []
    """Those that are short."""


class WaitingReason(Struct, kw_only=True, rename="camel", omit_defaults=True):
    reason: str
    """CamelCase."""
    message: str
    """In a line."""
    queue_details: QueueDetails | None = None
    """Where it is the queue that has no room."""


class PodGroupStatus(Struct, kw_only=True, rename="camel", omit_defaults=True):
    observed_generation: int = 0
    """Of the spec that this is about."""
    phase: PodGroupPhase | None = None
    """How far it is."""
    waiting: WaitingReason | None = None
    """The one dominant reason why it waits; null: it does not."""
    predicted_start: str | None = None
    """RFC 3339. As of now: it moves with what others do."""
    pods: PodCounts | None = None
    """Of the group, by how far they are."""
    conditions: Annotated[list[Condition], list_map("type")] = []
    """As the scheduler sees it."""


class PodGroup(Struct, kw_only=True, rename="camel", omit_defaults=True):
    metadata: ObjectMeta
    spec: Annotated[PodGroupSpec, _CONSISTENT]
    """How many pods it takes, where they go, and for how long."""
    status: PodGroupStatus = field(default_factory=PodGroupStatus)
    """How far it is: the scheduler's."""
    api_version: str = API_VERSION
    kind: str = "PodGroup"


class TopologyLevel(Struct, kw_only=True, rename="camel", omit_defaults=True):
    node_label: _LabelKey
    """Nodes with the same value of it, and of those above it, are in one domain."""


_LEVELS = Meta(
    min_length=1,
    max_length=16,
    extra_json_schema=validated(
        (
            "self.all(l, self.exists_one(m, m.nodeLabel == l.nodeLabel))",
            "a nodeLabel is there twice in levels",
        ),
        (
            f"!self.exists(l, l.nodeLabel == '{HOSTNAME}') || self[self.size() - 1].nodeLabel == '{HOSTNAME}'",
            f"levels go from coarse to fine: {HOSTNAME} can only be the last",
        ),
        (
            f"!self.exists(l, l.nodeLabel in ['{NVLINK_LEVEL}', '{NUMA_LEVEL}'])",
            f"{NVLINK_LEVEL} and {NUMA_LEVEL} are levels within a node and of every Topology: leave them out",
        ),
    ),
)


class TopologySpec(Struct, kw_only=True, rename="camel", omit_defaults=True):
    levels: Annotated[list[TopologyLevel], _LEVELS]
    """Coarse to fine: block, rack, node."""


class Topology(Struct, kw_only=True, rename="camel", omit_defaults=True):
    metadata: ObjectMeta
    spec: TopologySpec
    """What lies close to what."""
    api_version: str = API_VERSION
    kind: str = "Topology"
