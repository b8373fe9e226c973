"""Decisions that wait until others are gone: evictions are asked for, and nobody is bound where somebody still is.

To the core a pod that is to go is gone, and its room given to another. So what is decided for a node from then on waits for
all who are leaving it, whoever they leave for. All evictions for a job are tried dry before the first is meant; when one is
refused, those that were not asked for stay, and the job is decided anew.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import structlog

from aliquot.clock import Clock, rfc3339
from aliquot.kube import errors
from aliquot.kube.client import Client
from aliquot.kube.controller import Controller
from aliquot.kube.events import Recorder, Severity
from aliquot.kube.resources import PODS, split_key
from aliquot.scheduler.core.attempts import Bind
from aliquot.scheduler.core.cycle import Decision
from aliquot.scheduler.core.landings import KEPT_S
from aliquot.scheduler.core.lost import Lost, gpu_time
from aliquot.scheduler.core.pod import PlacedPod
from aliquot.scheduler.core.stale import missing
from aliquot.scheduler.metrics import Counts
from aliquot.scheduler.mirror import Mirror
from aliquot.scheduler.nominating import nominate

_log = structlog.get_logger()

STUCK_S = KEPT_S
"""A pod that is not gone by then is not waited for any longer: nor is room kept for it elsewhere."""
REFUSED_S = 60.0
"""After which a pod whose eviction was refused is asked again."""
_WORKERS = 4


@dataclass(slots=True)
class _Leaving:
    pod: PlacedPod
    until: float
    asked: bool
    """It is on its way: its end cannot be taken back."""


@dataclass(slots=True, eq=False)
class _Held:
    decision: Decision
    waits_for: set[str] = field(default_factory=set)
    nominated: bool = False


class Departing:
    """`submit` is given what need not wait (any longer)."""

    def __init__(
        self,
        client: Client,
        *,
        clock: Clock,
        rng: random.Random,
        mirror: Mirror,
        recorder: Recorder,
        counts: Counts,
        submit: Callable[[Decision], None],
        may_write: Callable[[], bool],
    ) -> None:
        self._client = client
        self._clock = clock
        self._mirror = mirror
        self._recorder = recorder
        self._counts = counts
        self._submit = submit
        self._may_write = may_write
        self._leaving: dict[str, _Leaving] = {}
        self._held: dict[str, _Held] = {}
        """By job, numbered: one job may have several decisions that wait."""
        self._number = 0
        self._refused: dict[str, tuple[float, str]] = {}
        """Pods that are not asked again for a while: until when, and why."""
        self._controller = Controller("departing", self._carry_out, rng=rng, workers=_WORKERS)

    async def run(self) -> None:
        """Until cancelled."""
        await self._controller.run()

    def stop(self) -> None:
        """Leadership is lost: whoever leads next sees who is still there."""
        held, self._held = list(self._held.values()), {}
        leaving, self._leaving = list(self._leaving), {}
        for one in held:
            self._give_back(one.decision.binds)
        for key in leaving:
            self._mirror.stays(key)

    def is_leaving(self, key: str, uid: str) -> bool:
        """Whether its room counts as free already."""
        leaving = self._leaving.get(key)
        return leaving is not None and leaving.pod.uid == uid

    def why_kept(self, key: str) -> str:
        """Why the pod is not evicted now; empty: it may be asked."""
        until, why = self._refused.get(key, (0.0, ""))
        if why and self._clock.now() >= until:
            del self._refused[key]
            return ""
        return why

    def submit(self, decision: Decision) -> None:
        until = self._clock.now() + STUCK_S
        for pod in decision.after:
            self._leaving.setdefault(pod.key, _Leaving(pod, until, asked=pod.terminating))
        nodes = {bind.placed.node for bind in decision.binds}
        waits_for = {pod.key for pod in decision.after}
        waits_for |= {key for key, leaving in self._leaving.items() if leaving.pod.node in nodes}
        if not waits_for:
            self._submit(decision)
            return
        self._number += 1
        name = f"{decision.job.key}#{self._number}"
        self._held[name] = _Held(decision, waits_for)
        self._controller.enqueue(name)

    def gone(self, key: str) -> None:
        """The pod has come to its end, or is no more."""
        self._refused.pop(key, None)
        if self._leaving.pop(key, None) is not None:
            self._no_longer_waited_for(key)
        self.withdrawn(key)

    def withdrawn(self, key: str) -> None:
        """The pod has no use for room any more. Who was asked to go goes; the others of its job are decided anew."""
        for name, held in list(self._held.items()):
            if any(bind.pod.key == key for bind in held.decision.binds):
                self._cancel(name, held)

    def _no_longer_waited_for(self, key: str) -> None:
        for name, held in list(self._held.items()):
            held.waits_for.discard(key)
            if not held.waits_for:
                del self._held[name]
                self._submit(held.decision)

    async def _carry_out(self, name: str) -> float | None:
        held = self._held.get(name)
        if held is None or not self._may_write():
            return None
        now = self._clock.now()
        stuck = [key for key in held.waits_for if self._leaving[key].until <= now]
        if stuck:
            for key in stuck:
                self._refused[key] = now + STUCK_S, f"it has not ended within {STUCK_S:.0f} s"
            self._cancel(name, held)
            return None
        to_ask = [pod for pod in held.decision.after if self._is_to_be_asked(pod)]
        if to_ask:
            refused = await self._refusal(to_ask, dry_run=True) or await self._refusal(to_ask, dry_run=False)
            if self._held.get(name) is not held or not self._may_write():
                return None
            if refused is not None:
                pod, why = refused
                _log.warning("eviction refused", pod=pod.key, job=held.decision.job.key, reason=why)
                self._refused[pod.key] = now + REFUSED_S, why
                self._cancel(name, held)
                return None
            self._tell(held.decision)
        if not held.nominated:
            held.nominated = True
            for bind in held.decision.binds:
                # Those whom it waits for may go meanwhile: then its pods have their nodes, and are past being nominated.
                if self._held.get(name) is not held or not self._may_write():
                    return None
                await nominate(self._client, bind.pod, bind.placed.node)
        return max(0.0, min((self._leaving[key].until for key in held.waits_for), default=now) - now)

    def _is_to_be_asked(self, pod: PlacedPod) -> bool:
        leaving = self._leaving.get(pod.key)
        return leaving is not None and not leaving.asked

    async def _refusal(self, pods: Iterable[PlacedPod], *, dry_run: bool) -> tuple[PlacedPod, str] | None:
        """The first that may not go, and why. Nobody else is asked once leadership is lost."""
        for pod in pods:
            if not self._may_write():
                return None
            if not self._is_to_be_asked(pod):
                continue
            namespace, name = split_key(pod.key)
            try:
                await self._client.evict(namespace, name, uid=pod.uid, dry_run=dry_run)
            except (errors.NotFound, errors.Conflict):
                # Gone, perhaps made anew: the cache will tell.
                pass
            except errors.Unavailable:
                raise  # to be called again, after a wait that grows
            except errors.ApiError as error:
                return pod, error.message
            leaving = self._leaving.get(pod.key)
            if leaving is not None and not dry_run:
                leaving.asked = True
        return None

    def _cancel(self, name: str, held: _Held) -> None:
        """Give the decision up. Who has not been asked to go stays."""
        self._held.pop(name, None)
        needed = {key for one in self._held.values() for key in one.waits_for}
        for pod in held.decision.after:
            leaving = self._leaving.get(pod.key)
            if leaving is None or pod.key in needed:
                continue
            if not leaving.asked or pod.key in self._refused:
                del self._leaving[pod.key]
                self._mirror.stays(pod.key)
        self._give_back(held.decision.binds)

    def _give_back(self, binds: Iterable[Bind]) -> None:
        for bind in binds:
            self._mirror.give_back(bind.pod)

    def _tell(self, decision: Decision) -> None:
        for pod in decision.after:
            if pod.terminating:
                continue
            namespace, name = split_key(pod.key)
            subject = {"metadata": {"namespace": namespace, "name": name, "uid": pod.uid}}
            reason, message = _why_it_goes(pod, decision)
            self._counts.evictions[reason] += 1
            self._recorder.event(PODS, subject, Severity.WARNING, reason, message)


def _why_it_goes(pod: PlacedPod, decision: Decision) -> tuple[str, str]:
    """As an event has it."""
    job = decision.job
    if decision.fallen is not None:
        grace = f"for more than its grace period of {job.stale_after_s:g} s"
        what = f"{job.key} is below its minimum {grace}: {missing(decision.fallen)}"
        return "StaleGang", f"{what}; what is left of it goes"
    lands = next((one.node for one in decision.stand_ins if one.moved == pod.key), "")
    if lands:
        return (
            "Moved",
            f"{job.key} gets its room on node {pod.node}; there is room for this one on node {lands}",
        )
    whose = f"priority {job.priority}, queue {job.queue or 'default'}"
    message = f"{job.key} gets its room on node {pod.node} ({whose})"
    lost = decision.lost.get(pod.key)
    return "Preempted", f"{message}; {_in_words(lost)}" if lost is not None else message


def _in_words(lost: Lost) -> str:
    what = gpu_time(lost.gpu_s) if lost.gpu_s else "its work"
    since = "its last checkpoint at" if lost.checkpoint else "it started at"
    return f"its job loses {what} since {since} {rfc3339(lost.since_s)}"
