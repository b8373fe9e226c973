"""Gangs below their minimum, told beforehand: who is missing, since when, and when what is left of them is evicted.

That a gang was at its minimum is known from having seen it so, or from the conditions of its PodGroup, if it has one of ours.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import TypeGuard

from aliquot.clock import Clock, rfc3339
from aliquot.kube.api.core import ObjectReference, Pod
from aliquot.kube.api.gpunode import API_VERSION
from aliquot.kube.api.podgroup import PodGroup
from aliquot.kube.cache import Cache
from aliquot.kube.events import Recorder, Severity
from aliquot.kube.resources import PODGROUPS, Resource
from aliquot.scheduler.core.pending import Pending
from aliquot.scheduler.core.stale import Fallen, Staleness, missing
from aliquot.scheduler.group_status import BELOW_MINIMUM, SCHEDULED, STALE
from aliquot.scheduler.groups import Groups

TELL_AFTER_S = 5.0
"""Whoever owns a gang replaces a member within moments, or takes all of it away."""
_LOOK_AGAIN_S = 10.0
"""At one that is due and is kept."""


@dataclass(frozen=True, slots=True)
class _Told:
    since_s: float
    """By the wall clock, as it was when this was first told."""
    fallen: Fallen
    message: str
    source: ObjectReference | None
    """What makes the gang."""


class StaleGangs:
    def __init__(
        self,
        *,
        clock: Clock,
        pods: Cache[Pod],
        groups: Groups,
        pending: Pending,
        recorder: Recorder,
    ) -> None:
        self._clock = clock
        self._pods = pods
        self._groups = groups
        self._pending = pending
        self._recorder = recorder
        self._listeners: list[Callable[[str], None]] = []
        self._told: dict[str, _Told] = {}
        """By job."""
        self.staleness = Staleness(self._was_whole)

    def subscribe(self, listener: Callable[[str], None]) -> None:
        """Called with the key of a PodGroup of ours of which there is another word."""
        self._listeners.append(listener)

    def tell(self, fallen: Sequence[Fallen], steady_s: float) -> float:
        """Of all that there are. Returns when to look again; inf: when something happens."""
        before, self._told = self._told, {}
        for one in fallen:
            name = one.job.key
            known = before.pop(name, None)
            if known is None and steady_s < one.since_s + TELL_AFTER_S and not one.goes:
                continue
            since_s = self._clock.now() - (steady_s - one.since_s) if known is None else known.since_s
            message = self._message(one, since_s, steady_s)
            told = self._told[name] = _Told(since_s, one, message, self._groups.source_of(name))
            if known is None or known.message != message:
                self._say(told)
            if known is None or known.fallen.kept != one.kept:
                self._event(told)
        for gone in before.values():
            self._say(gone)
        return min((_look_again_s(one, one.job.key in self._told, steady_s) for one in fallen), default=inf)

    @property
    def any_told(self) -> bool:
        """Whether there is a word to be taken back."""
        return bool(self._told)

    def message(self, job: str) -> str:
        """What there is to say of it; empty: it did not fall."""
        told = self._told.get(job)
        if told is not None:
            return told.message
        if job not in self._pending.below:
            return ""
        below, now_s = self._pending.jobs[job], self._clock.now()
        if any(by_s > now_s for by_s in below.leaving.values()):
            return ""
        # At once, for it is how the next to lead knows that it had been whole.
        return "below its minimum" if below.was_whole or self._was_whole(job) else ""

    def _say(self, told: _Told) -> None:
        if _is_ours(told.source):
            for listener in self._listeners:
                listener(f"{told.source.namespace}/{told.source.name}")

    def _message(self, one: Fallen, since_s: float, steady_s: float) -> str:
        if one.kept:
            then = f"it is time to evict what is left of it, but {one.kept}"
        elif one.goes:
            then = f"what is left of it is evicted{self._made_anew(one)}"
        elif one.due_s == inf:
            then = "its grace period is without end, so what is left of it stays"
        else:
            at = rfc3339(self._clock.now() + one.due_s - steady_s)
            then = f"what is left of it is evicted at {at}, unless it is whole by then{self._made_anew(one)}"
        return f"below its minimum since {rfc3339(since_s)}: {missing(one)}; {then}"

    def _made_anew(self, one: Fallen) -> str:
        for placed in one.left:
            pod = self._pods.get(placed.key)
            if pod is not None and not any(owner.controller for owner in pod.metadata.owner_references or ()):
                return f". Pod {placed.key} has no controller: nobody makes it anew"
        return ""

    def _event(self, told: _Told) -> None:
        if (source := told.source) is not None:
            kind = _kind_of(source)
            subject = {"namespace": source.namespace, "name": source.name, "uid": source.uid}
            self._recorder.event(kind, {"metadata": subject}, Severity.WARNING, BELOW_MINIMUM, told.message)

    def _was_whole(self, job: str) -> bool:
        source = self._groups.source_of(job)
        if not _is_ours(source):
            return False
        group = self._groups.pod_groups.get(f"{source.namespace}/{source.name}")
        return group is not None and said_to_be_whole_once(group)


def _is_ours(source: ObjectReference | None) -> TypeGuard[ObjectReference]:
    return source is not None and (source.api_version, source.kind) == (API_VERSION, PODGROUPS.kind)


def said_to_be_whole_once(group: PodGroup) -> bool:
    """Of the group as it is now: another minimum may never have been reached."""
    return any(
        one.type in (SCHEDULED, STALE)
        and one.status == "True"
        and one.observed_generation == group.metadata.generation
        for one in group.status.conditions
    )


def _look_again_s(one: Fallen, is_told: bool, steady_s: float) -> float:
    if one.kept:
        return steady_s + _LOOK_AGAIN_S
    if one.goes or one.is_hoped_for:
        return inf
    return one.due_s if is_told else min(one.due_s, one.since_s + TELL_AFTER_S)


def _kind_of(source: ObjectReference) -> Resource:
    group, _, version = source.api_version.rpartition("/")
    return Resource(group, version, "", source.kind)
