"""What labels and annotations say of a job."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aliquot.kube import duration
from aliquot.kube.api.meta import ObjectMeta
from aliquot.scheduler.core.jobs import TopologyWish
from aliquot.scheduler.grouping import keys
from aliquot.scheduler.grouping.drawn import Refused, first, number

NEVER_S = -1.0
"""For a time after which something happens: it does not happen."""

_PREEMPTIBLE: Mapping[str, bool] = {
    "preemptible": True,
    "true": True,
    "nonpreemptible": False,
    "non-preemptible": False,
    "false": False,
}


@dataclass(frozen=True, slots=True)
class Wishes:
    queue: str = ""
    priority_class: str = ""
    preemptible: bool | None = None
    preemptible_by_priority: bool = False
    topology: TopologyWish | None = None
    max_runtime_s: float | None = None
    minimum_runtime_s: float | None = None
    stale_after_s: float | None = None
    """`NEVER_S`: never."""


def wishes(objects: Sequence[ObjectMeta]) -> Wishes:
    """`objects`: those whose word counts most first. Raises Refused."""
    class_key, priority_class = first(objects, keys.PRIORITY_CLASSES)
    return Wishes(
        queue=first(objects, keys.QUEUES)[1],
        priority_class=priority_class,
        preemptible=_preemptible(*first(objects, keys.PREEMPTIBILITIES)),
        preemptible_by_priority=class_key == keys.KAI_PRIORITY_CLASS,
        topology=_topology(objects),
        max_runtime_s=_max_runtime_s(objects),
        minimum_runtime_s=_seconds(*first(objects, (keys.MIN_RUNTIME,))),
        stale_after_s=_stale_after_s(*first(objects, keys.STALENESS)),
    )


def minimum(objects: Sequence[ObjectMeta]) -> tuple[int | None, str]:
    """How many pods a workload needs, where somebody says so, and by which key. Raises Refused."""
    key, text = first(objects, keys.MINIMA)
    return (number(text, key), key) if text else (None, "")


def preemptible(said_by: str, text: str) -> bool:
    """Raises Refused."""
    found = _PREEMPTIBLE.get(text.lower())
    if found is None:
        raise Refused(f"{said_by} is {text!r}: give Preemptible or NonPreemptible")
    return found


def _preemptible(key: str, text: str) -> bool | None:
    return preemptible(key, text) if text else None


def _topology(objects: Sequence[ObjectMeta]) -> TopologyWish | None:
    for name_key, required_key, preferred_key in keys.TOPOLOGIES:
        required = first(objects, (required_key,))[1]
        preferred = first(objects, (preferred_key,))[1]
        if required or preferred:
            name = first(objects, (name_key,))[1] if name_key else ""
            return TopologyWish(name, required=required, preferred=preferred)
    return None


def _max_runtime_s(objects: Sequence[ObjectMeta]) -> float | None:
    key, text = first(objects, (keys.MAX_RUNTIME,))
    if text:
        return _seconds(key, text)
    key, text = first(objects, (keys.KUEUE_MAX_RUNTIME,))
    return float(number(text, key)) if text else None


def _stale_after_s(key: str, text: str) -> float | None:
    # KAI says `never` by a time before now.
    return NEVER_S if text.startswith("-") else _seconds(key, text)


def _seconds(key: str, text: str) -> float | None:
    if not text:
        return None
    try:
        return duration.seconds(text)
    except ValueError as error:
        raise Refused(f"{key}: {error}") from None
