"""Queues of the API as the core knows them, and the core's amounts back into their status."""

from collections.abc import Callable

from aliquot.clock import parse_rfc3339
from aliquot.kube import duration, quantity
from aliquot.kube.api.queue import (
    DEFAULT_PRIORITY,
    UNLIMITED,
    Queue,
    QueueAmounts,
    QueueGPUModel,
    QueueResource,
)
from aliquot.kube.quantity import QuantityError
from aliquot.scheduler.core.pod import CPU, MEMORY, Amounts
from aliquot.scheduler.core.queues import terms
from aliquot.scheduler.core.queues.terms import GPU, QueueSpec, Terms, model_of, of_model

_UNITS: dict[str, Callable[[str | int | float], int]] = {
    GPU: quantity.milli,
    CPU: quantity.milli,
    MEMORY: quantity.whole,
}


class Unreadable(ValueError):
    """The object has a value that the API server would not have let through. One line, with the field."""


def spec_of(queue: Queue) -> QueueSpec:
    """Raises Unreadable."""
    spec = queue.spec
    found: dict[str, Terms] = {}
    if spec.resources is not None:
        stated = {GPU: spec.resources.gpu, CPU: spec.resources.cpu, MEMORY: spec.resources.memory}
        for resource, block in stated.items():
            if block is not None:
                found[resource] = _terms(resource, f"resources.{resource}", block)
    for model in spec.gpu_models:
        found[of_model(model.product)] = _terms(GPU, f"gpuModels[{model.product}]", model)
    stamp = queue.metadata.creation_timestamp
    return QueueSpec(
        name=queue.metadata.name,
        parent=spec.parent,
        priority=DEFAULT_PRIORITY if spec.priority is None else spec.priority,
        terms=found,
        created_s=parse_rfc3339(stamp) if stamp else 0.0,
        preempt_min_runtime_s=_seconds("preemptMinRuntime", spec.preempt_min_runtime),
        reclaim_min_runtime_s=_seconds("reclaimMinRuntime", spec.reclaim_min_runtime),
    )


def _terms(resource: str, where: str, block: QueueResource | QueueGPUModel) -> Terms:
    weight = block.over_quota_weight if isinstance(block, QueueResource) else None
    limit = _amount(resource, f"{where}.limit", block.limit)
    return Terms(
        quota=_amount(resource, f"{where}.quota", block.quota),
        limit=terms.UNLIMITED if limit is None else limit,
        weight_milli=1000 if weight is None else round(1000 * weight),
    )


def _amount(resource: str, field: str, text: int | str | None) -> int | None:
    if text is None:
        return None
    try:
        if quantity.parse(text) == UNLIMITED:
            return terms.UNLIMITED
        amount = _UNITS[resource](text)
    except QuantityError as error:
        raise Unreadable(f"spec.{field}: {error}") from None
    if amount < 0:
        raise Unreadable(f"spec.{field}: {text} is below zero; -1 is unlimited")
    return min(amount, terms.UNLIMITED)


def _seconds(field: str, text: str | None) -> float | None:
    try:
        return None if text is None else duration.seconds(text)
    except ValueError as error:
        raise Unreadable(f"spec.{field}: {error}") from None


def as_quantity(resource: str, amount: int) -> str:
    """As in a manifest; `-1` where it is without end."""
    if amount >= terms.UNLIMITED:
        return str(UNLIMITED)
    return quantity.format_like(amount, "1Ki") if resource == MEMORY else _milli(amount)


def status_amounts(amounts: Amounts) -> QueueAmounts:
    """As quantities; what there is nothing of is `0`, of models it is left out."""
    return QueueAmounts(
        gpu=as_quantity(GPU, amounts.get(GPU, 0)),
        cpu=as_quantity(CPU, amounts.get(CPU, 0)),
        memory=as_quantity(MEMORY, amounts.get(MEMORY, 0)),
        gpu_models={
            model: _milli(amount)
            for resource, amount in sorted(amounts.items())
            if (model := model_of(resource)) and amount
        },
    )


def amounts_of(status: QueueAmounts) -> Amounts:
    """What `status_amounts` made of them. Raises Unreadable."""
    stated = {GPU: status.gpu, CPU: status.cpu, MEMORY: status.memory}
    found = {
        of_model(model): _amount(GPU, f"gpuModels[{model}]", text)
        for model, text in status.gpu_models.items()
    }
    found |= {one: _amount(one, one, text or None) for one, text in stated.items()}
    return {resource: amount for resource, amount in found.items() if amount}


def _milli(amount: int) -> str:
    return quantity.canonical(f"{amount}m")
