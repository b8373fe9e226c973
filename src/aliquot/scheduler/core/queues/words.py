"""A queue's refusal in one line, with its numbers."""

from aliquot.scheduler.core.explain import bare
from aliquot.scheduler.core.queues.terms import GPU, model_of
from aliquot.scheduler.core.reasons import Kind, QueueBound, Reason


def told(reason: Reason) -> str:
    bound = reason.bound
    if bound is None:
        return reason.detail
    asked, most = amount(bound.resource, bound.asked), value(bound.resource, bound.most)
    match reason.kind:
        case Kind.LARGER_THAN_LIMIT:
            return f"{asked} {_are(bound)} asked for, and queue {bound.queue} may have {most} at most: ask for less, or raise its limit"
        case Kind.LARGER_THAN_QUOTA:
            return (
                f"{asked} {_are(bound)} asked for by a job that cannot be preempted, and queue {bound.queue} has a quota of {most}: "
                "make the job preemptible, ask for less, or raise the quota"
            )
    has = value(bound.resource, bound.allocated)
    if reason.kind is Kind.NON_PREEMPTIBLE_OVER_QUOTA:
        return (
            f"{asked} {_are(bound)} asked for by a job that cannot be preempted, and in queue {bound.queue} such jobs have {has} "
            f"of the quota of {most}"
        )
    return f"{asked} {_are(bound)} asked for, and queue {bound.queue} has {has} of {most} at most"


def _are(bound: QueueBound) -> str:
    return "are" if bound.resource.startswith(GPU) and bound.asked > 1000 else "is"


def value(resource: str, number: int) -> str:
    """The number alone: GPUs and CPU cores with a decimal point, memory as in a manifest."""
    if resource.startswith(GPU):
        return f"{number / 1000:.3f}".rstrip("0").rstrip(".")
    return bare(resource, number)


def amount(resource: str, number: int) -> str:
    """`2 GPUs`, `0.5 GPU`, `8 GPUs (NVIDIA-H100-80GB-HBM3)`, `500m cpu`, `64Gi memory`."""
    if not resource.startswith(GPU):
        return f"{bare(resource, number)} {resource}"
    model = model_of(resource)
    return f"{value(resource, number)} GPU{'s' if number > 1000 else ''}{f' ({model})' if model else ''}"
