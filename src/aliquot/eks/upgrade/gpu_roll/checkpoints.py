"""Asking a gang to save what it has done, and whether it has. Pure.

By annotations (`aliquot.kube.api.checkpoint`), and of pods that name a hook by a request. One that has neither is not waited for.
"""

from collections.abc import Iterable
from math import floor, inf

from aliquot.eks.estate.gangs import Gang
from aliquot.eks.estate.objects import Pod
from aliquot.eks.upgrade.gpu_roll.marks import CHECKPOINT_URL, Hook, hook
from aliquot.kube.api.checkpoint import LAST, ON_REQUEST, REQUESTED, read

MOST_AHEAD_S = 60.0
"""Clocks differ by so much."""


def wanted(gang: Gang) -> bool:
    """It runs, and can save."""
    runs = any(pod.status.phase == "Running" for pod in gang.pods)
    return runs and (bool(hooks(gang)) or any(one.get(ON_REQUEST) == "true" for one in _annotations(gang)))


def unasked(gang: Gang, asked_s: float) -> list[Pod]:
    return [pod for pod in gang.pods if _time(pod.metadata.annotations, REQUESTED) < floor(asked_s)]


def saved(gang: Gang, asked_s: float, now_s: float) -> bool:
    """Any pod of it says so for all. It is told in whole seconds; what is in the future is no time of a checkpoint."""
    return any(floor(asked_s) <= _time(one, LAST) <= now_s + MOST_AHEAD_S for one in _annotations(gang))


def hooks(gang: Gang) -> list[tuple[Pod, Hook]]:
    """Of pods that run."""
    found = [
        (pod, hook(pod.metadata.annotations[CHECKPOINT_URL]))
        for pod in gang.pods
        if CHECKPOINT_URL in pod.metadata.annotations and pod.status.phase == "Running"
    ]
    return [(pod, one) for pod, one in found if one is not None]


def _annotations(gang: Gang) -> Iterable[dict[str, str]]:
    for pod in gang.pods:
        yield pod.metadata.annotations
    for root in gang.roots:
        yield root.annotations


def _time(annotations: dict[str, str], name: str) -> float:
    try:
        return read(annotations.get(name, ""))
    except ValueError:
        return -inf
