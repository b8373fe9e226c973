"""Queue: who may have how much of the cluster, and of what is lent to others.

Queues are a tree of any depth; jobs go to its leaves, by the label `aliquot.dev/queue`. The fields that KAI's Queue has too
mean what they do there; amounts are Kubernetes quantities, and -1 is unlimited. GPUs are counted in one currency: a MIG slice
or a share as the part of a GPU that it takes.
"""

from typing import Annotated

from msgspec import Meta, Struct, field

from aliquot.kube.api.gpunode import API_VERSION, list_map
from aliquot.kube.api.meta import Condition, ObjectMeta
from aliquot.kube.api.validation import duration_text

QUEUE_LABEL = "aliquot.dev/queue"
"""On a pod: the name of its queue."""
UNLIMITED = -1
DEFAULT_PRIORITY = 100
MOST_PRIORITY = 1_000_000
"""And the least, below zero."""
LONGEST_NAME = 63
"""It is a label's value."""

_MOST_MODELS = 32
_MOST_USERS = 50


# A pattern, not a rule: how long the text of an integer or string may be does not count when the API server estimates
# what a rule costs.
_AMOUNT = Meta(
    extra_json_schema={
        "minimum": -1,
        "maxLength": 32,
        "pattern": r"^(-1|([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,2})?)$",
    }
)


class QueueResource(Struct, kw_only=True, rename="camel", omit_defaults=True):
    """Of one resource. GPUs: `8`, or `500m` for half of one; cores: `64`; memory: `512Gi`."""

    quota: Annotated[int | str | None, _AMOUNT] = None
    """Guaranteed: what others borrow of it is given back when it is wanted. null: nothing is guaranteed, and jobs that are not
    preemptible are not held to it."""
    limit: Annotated[int | str | None, _AMOUNT] = None
    """Never more, borrowed or not; null: unlimited. A quota above it is worth no more."""
    over_quota_weight: Annotated[float, Meta(ge=0, le=1_000_000)] | None = None
    """How large a part of what is left when all quotas are served, beside the weights of the siblings; null: 1, 0: none."""


class QueueResources(Struct, kw_only=True, rename="camel", omit_defaults=True):
    gpu: QueueResource | None = None
    """GPUs, of all models together; slices and shares count as parts."""
    cpu: QueueResource | None = None
    """Cores."""
    memory: QueueResource | None = None
    """Bytes."""


class QueueGPUModel(Struct, kw_only=True, rename="camel", omit_defaults=True):
    """Of GPUs of one model, beside what holds for all GPUs."""

    product: Annotated[str, Meta(min_length=1, max_length=63)]
    """As the node label nvidia.com/gpu.product has it, of a node that does not share its GPUs: NVIDIA-H100-80GB-HBM3."""
    quota: Annotated[int | str | None, _AMOUNT] = None
    """Guaranteed of this model; null: nothing is."""
    limit: Annotated[int | str | None, _AMOUNT] = None
    """Never more of this model; null: unlimited."""


class QueueSpec(Struct, kw_only=True, rename="camel", omit_defaults=True):
    parent: Annotated[str, Meta(max_length=253)] = ""
    """Empty: it is at the top."""
    priority: Annotated[int, Meta(ge=-MOST_PRIORITY, le=MOST_PRIORITY)] | None = None
    """Among its siblings; the higher one is served first of what is left when all quotas are served. null: 100."""
    resources: QueueResources | None = None
    """What it is guaranteed, and what it never has more of."""
    gpu_models: Annotated[
        list[QueueGPUModel],
        list_map("product"),
        Meta(max_length=_MOST_MODELS),
    ] = []
    """The same of single models of GPUs."""
    preempt_min_runtime: Annotated[str, duration_text("preemptMinRuntime")] | None = None
    """So long a job runs before one of the same queue may take its place; null: as the parent has it, else 0."""
    reclaim_min_runtime: Annotated[str, duration_text("reclaimMinRuntime")] | None = None
    """So long a job runs before another queue may take its place; null: as the parent has it, else 0."""


class QueueAmounts(Struct, kw_only=True, rename="camel", omit_defaults=True):
    """Quantities."""

    gpu: str = ""
    """GPUs; slices and shares count as parts."""
    cpu: str = ""
    """Cores."""
    memory: str = ""
    """Bytes."""
    gpu_models: dict[str, str] = {}
    """GPUs by model."""


class QueueUserUsage(Struct, kw_only=True, rename="camel", omit_defaults=True):
    name: str
    """As the label aliquot.dev/user of its pods has it."""
    average: QueueAmounts | None = None
    """What the user's jobs held of late."""


class QueueUsage(Struct, kw_only=True, rename="camel", omit_defaults=True):
    """What its jobs and those of the queues below it held of late, as it counts in turns. A scheduler that starts goes on with it."""

    at: str = ""
    """When it was so."""
    half_life: str = ""
    """After so long a moment counts half as much."""
    average: QueueAmounts | None = None
    """Of all jobs."""
    users: Annotated[list[QueueUserUsage], list_map("name"), Meta(max_length=_MOST_USERS)] = []
    """Those that had most; of a queue that takes jobs."""


class QueueStatus(Struct, kw_only=True, rename="camel", omit_defaults=True):
    observed_generation: int = 0
    """Of the spec that this is about."""
    allocated: QueueAmounts | None = None
    """By its jobs and those of the queues below it."""
    allocated_non_preemptible: QueueAmounts | None = None
    """Of what is allocated, that which is not taken back."""
    requested: QueueAmounts | None = None
    """Allocated, and what jobs that wait ask for."""
    fair_share: QueueAmounts | None = None
    """Of what is requested, what it is due as things are."""
    pending_jobs: int | None = None
    """Jobs that wait."""
    usage: QueueUsage | None = None
    """Only where the scheduler is told to remember."""
    conditions: Annotated[list[Condition], list_map("type")] = []
    """Whether it is used as it is written."""


class Queue(Struct, kw_only=True, rename="camel", omit_defaults=True):
    metadata: ObjectMeta
    spec: QueueSpec = field(default_factory=QueueSpec)
    """Where it is in the tree, and what it may have."""
    status: QueueStatus = field(default_factory=QueueStatus)
    """What it has, as the scheduler counts it."""
    api_version: str = API_VERSION
    kind: str = "Queue"
