"""What is counted of each queue, and what a queue is entitled to.

Three resources are counted: GPUs in thousandths, CPU in thousandths, memory in bytes. GPUs of one model are also counted
by themselves, as `gpu/PRODUCT`, for queues with terms of their own on that model.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aliquot.scheduler.core.pod import CPU, MEMORY, Amounts

GPU = "gpu"
RESOURCES = (GPU, CPU, MEMORY)
"""The scarcest first."""
_MODEL = GPU + "/"

UNLIMITED = 1 << 62
"""As a quota or a limit. More than there is of anything."""

NOTHING: Amounts = {}


def of_model(product: str) -> str:
    """The resource that counts GPUs of one model, by the name that the node label `nvidia.com/gpu.product` has for it."""
    return _MODEL + product


def model_of(resource: str) -> str:
    """Of which model the resource counts GPUs; empty: it is one of `RESOURCES`."""
    return resource.removeprefix(_MODEL) if resource.startswith(_MODEL) else ""


def primary(amounts: Amounts) -> str:
    """The resource that a job is judged by first: GPUs if it wants any, else CPU, else memory."""
    return next((resource for resource in RESOURCES if amounts.get(resource)), GPU)


def together(one: Amounts, other: Amounts) -> Amounts:
    total = dict(one)
    for resource, amount in other.items():
        total[resource] = total.get(resource, 0) + amount
    return total


@dataclass(frozen=True, slots=True)
class Terms:
    """On one resource."""

    quota: int | None = None
    """Guaranteed: lent to others while it is not needed, and given back when it is. None: nothing is stated. Then nothing is
    guaranteed, and jobs that cannot be preempted are not held to it."""
    limit: int = UNLIMITED
    """Never more, borrowed or not."""
    weight_milli: int = 1000
    """For the part of what is over when all quotas are served; 0: no claim to any. Not of models."""


@dataclass(frozen=True, slots=True)
class QueueSpec:
    name: str
    parent: str = ""
    """Empty: it is at the top."""
    priority: int = 100
    """Among its siblings: who is served first with what is over when all quotas are served."""
    terms: Mapping[str, Terms] = field(default_factory=dict)
    """By resource, models included; one that is absent has `Terms()`."""
    created_s: float = 0.0
    preempt_min_runtime_s: float | None = None
    """So long a job runs before one of its own queue may preempt it; None: as its parent has it."""
    reclaim_min_runtime_s: float | None = None
    """So long a job runs before one of another queue may reclaim its room; None: as its parent has it."""
