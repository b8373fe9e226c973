"""What labels and annotations say of a job."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from aliquot.kube import duration
from aliquot.kube.quoted import quoted
from aliquot.scheduler.core.jobs import TopologyWish
from aliquot.scheduler.grouping import keys
from aliquot.scheduler.grouping.drawn import Refused, first, number

_KEYS = frozenset(
    (
        *keys.QUEUES,
        keys.USER,
        *keys.PRIORITY_CLASSES,
        *keys.PREEMPTIBILITIES,
        keys.MAX_RUNTIME,
        keys.KUEUE_MAX_RUNTIME,
        keys.MIN_RUNTIME,
        keys.AFTER,
        *keys.STALENESS,
        *(key for _, *levels in keys.TOPOLOGIES for key in levels),
    )
)
"""Without any of which nothing is wished for."""

_QUEUE_NAME = re.compile(r"[-._A-Za-z0-9]{1,253}", re.ASCII)
"""Other projects have longer ones than ours, and name those above with points."""
_LONGEST_USER = 63
"""As of a label; an annotation may be longer."""

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
    user: str = ""
    priority_class: str = ""
    preemptible: bool | None = None
    preemptible_by_priority: bool = False
    topology: TopologyWish | None = None
    max_runtime_s: float | None = None
    minimum_runtime_s: float | None = None
    stale_after_s: float | None = None
    """`NEVER_S`: never."""
    after: str = ""
    """As it is written."""


_NONE = Wishes()


def wishes(said: Mapping[str, str]) -> Wishes:
    """`said`: in labels and annotations. Raises Refused."""
    if _KEYS.isdisjoint(said):
        return _NONE
    class_key, priority_class = first(said, keys.PRIORITY_CLASSES)
    return Wishes(
        queue=_queue(*first(said, keys.QUEUES)),
        user=said.get(keys.USER, "")[:_LONGEST_USER],
        priority_class=priority_class,
        preemptible=_preemptible(*first(said, keys.PREEMPTIBILITIES)),
        preemptible_by_priority=class_key == keys.KAI_PRIORITY_CLASS,
        topology=_topology(said),
        max_runtime_s=_max_runtime_s(said),
        minimum_runtime_s=_seconds(keys.MIN_RUNTIME, said.get(keys.MIN_RUNTIME, "")),
        stale_after_s=_stale_after_s(*first(said, keys.STALENESS)),
        after=said.get(keys.AFTER, ""),
    )


def minimum(said: Mapping[str, str]) -> tuple[int | None, str]:
    """How many pods a workload needs, where somebody says so, and by which key. Raises Refused."""
    key, text = first(said, keys.MINIMA)
    return (number(text, key), key) if text else (None, "")


def preemptible(said_by: str, text: str) -> bool:
    """Raises Refused."""
    found = _PREEMPTIBLE.get(text.lower())
    if found is None:
        raise Refused(f"{said_by} is {quoted(text)}: give Preemptible or NonPreemptible")
    return found


def _queue(key: str, text: str) -> str:
    if text and not _QUEUE_NAME.fullmatch(text):
        raise Refused(f"{key} is {quoted(text)}: no queue can be called so, give the name of one")
    return text


def _preemptible(key: str, text: str) -> bool | None:
    return preemptible(key, text) if text else None


def _topology(said: Mapping[str, str]) -> TopologyWish | None:
    for name_key, required_key, preferred_key in keys.TOPOLOGIES:
        required, preferred = said.get(required_key, ""), said.get(preferred_key, "")
        if required or preferred:
            return TopologyWish(said.get(name_key, ""), required=required, preferred=preferred)
    return None


def _max_runtime_s(said: Mapping[str, str]) -> float | None:
    if text := said.get(keys.MAX_RUNTIME):
        return _seconds(keys.MAX_RUNTIME, text)
    text = said.get(keys.KUEUE_MAX_RUNTIME)
    return float(number(text, keys.KUEUE_MAX_RUNTIME)) if text else None


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
