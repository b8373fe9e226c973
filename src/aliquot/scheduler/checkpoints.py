"""When a job last wrote its work down, as one of its pods says; and a word on what it says that cannot be."""

from collections.abc import Callable
from math import inf

from aliquot.clock import Clock, rfc3339
from aliquot.kube.api.checkpoint import LAST, read
from aliquot.kube.api.core import Pod
from aliquot.kube.cache import Cache
from aliquot.kube.events import Recorder, Severity
from aliquot.kube.quoted import quoted
from aliquot.kube.resources import PODS
from aliquot.scheduler.core.lost import MOST_AHEAD_S


def checkpoint_s(pod: Pod) -> float:
    """-inf: it says of none, or what it says cannot be read."""
    try:
        return read(_said(pod))
    except ValueError:
        return -inf


class Checkpoints:
    """Tells of annotations that count as none."""

    def __init__(self, *, clock: Clock, pods: Cache[Pod], recorder: Recorder) -> None:
        self._clock = clock
        self._pods = pods
        self._recorder = recorder

    def follow(self) -> Callable[[], None]:
        """Of those that are there, and those that come, until the function is called that it returns."""
        return self._pods.subscribe(self._pod_changed)

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        if new is None or new.status.has_ended or not (text := _said(new)):
            return
        if old is not None and old.metadata.uid == new.metadata.uid and _said(old) == text:
            return
        if why := problem(text, self._clock.now()):
            message = f"the annotation {LAST} counts as none: {why}"
            self._recorder.event(PODS, new, Severity.WARNING, "CheckpointIgnored", message)


def problem(text: str, now_s: float) -> str:
    """One line; empty: there is none."""
    try:
        at_s = read(text)
    except ValueError:
        return f"{quoted(text)} is no time: write one like {rfc3339(now_s)}"
    if at_s > now_s + MOST_AHEAD_S:
        return f"{text} is in the future, as it is {rfc3339(now_s)}: set it once the work is written down"
    return ""


def _said(pod: Pod) -> str:
    return (pod.metadata.annotations or {}).get(LAST, "")
