"""Tells users why a pod waits: the condition PodScheduled=False on the pod, and an Event, when the reason changes."""

import random
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from aliquot.clock import Clock, rfc3339
from aliquot.kube import errors
from aliquot.kube.api.core import Pod, PodCondition
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client, PatchKind
from aliquot.kube.controller import Controller
from aliquot.kube.events import Recorder, Severity
from aliquot.kube.resources import PODS, split_key

UNSCHEDULABLE = "Unschedulable"
"""Of PodScheduled: autoscalers buy nodes for whoever says so, and for nobody else."""
SCHEDULING_GATED = "SchedulingGated"
SCHEDULER_ERROR = "SchedulerError"
BIND_FAILED = "BindFailed"
"""The API server did not answer, or with an error of its own."""
NOT_TAKEN = frozenset({SCHEDULER_ERROR, BIND_FAILED})
"""There is room, and what was decided is not on the API server: it is tried again and again."""
FAILED_SCHEDULING = "FailedScheduling"

HOLD_S = 0.5
"""Before the first word on a pod: until the others of its job are made, or a node is free, there is often nothing to tell."""
_LOOK_AGAIN_S = 1.0
_CONDITION = "PodScheduled"
_WORKERS = 8


@dataclass(frozen=True, slots=True)
class Notice:
    uid: str
    reason: str
    message: str
    in_doubt: bool = False
    """It may have a node all the same, or may get it at any moment."""


class Reporter:
    """Say what is to be told with `tell`, as often as you like; writes happen in `run`, once for each change. Who is told why it
    waits is to have no node: that it was nominated for one, by a decision that did not come true, is taken back.

    A pod that is placed within `HOLD_S` was told nothing: a condition and an event for each of a burst would cost the API
    server more than to bind them. `may_write` as in Binder.
    """

    def __init__(
        self,
        client: Client,
        *,
        clock: Clock,
        rng: random.Random,
        pods: Cache[Pod],
        recorder: Recorder,
        may_write: Callable[[], bool],
    ) -> None:
        self._client = client
        self._clock = clock
        self._pods = pods
        self._recorder = recorder
        self._may_write = may_write
        self._notices: dict[str, Notice] = {}
        self._written: dict[str, Notice] = {}
        self._controller = Controller("pod-reasons", self._write, rng=rng, workers=_WORKERS)

    async def run(self) -> None:
        """Until cancelled. May be run again: what could not be said before is said then, if it still holds."""
        for key, notice in self._notices.items():
            if self._written.get(key) != notice:
                self._controller.enqueue_after(key, HOLD_S)
        await self._controller.run()

    def tell(self, key: str, notice: Notice) -> None:
        if self._notices.get(key) != notice:
            self._notices[key] = notice
            self._controller.enqueue_after(key, 0.0 if key in self._written else HOLD_S)

    def forget(self, key: str) -> None:
        """The pod waits no longer: it has a node, or is to have one."""
        self._notices.pop(key, None)
        self._written.pop(key, None)

    def asks_for_nodes(self, key: str) -> bool:
        """Whether the pod says that an autoscaler should buy a node for it."""
        pod = self._pods.get(key)
        said = scheduled_condition(pod) if pod is not None else None
        return said is not None and said.reason == UNSCHEDULABLE

    async def _write(self, key: str) -> float | None:
        notice = self._notices.get(key)
        pod = self._pods.get(key)
        if notice is None or pod is None or pod.spec.node_name or not self._may_write():
            return None
        current = scheduled_condition(pod)
        last = self._written.get(key)
        # What was written here is known better than what the cache shows, which may lag.
        if notice != last and not (last is None and _says(pod, current, notice)):
            namespace, name = split_key(key)
            patch = self._patch(notice, pod, current)
            try:
                await self._client.patch(
                    PODS, name, patch, namespace, kind=PatchKind.STRATEGIC, subresource="status"
                )
            except (errors.NotFound, errors.Conflict):
                # Deleted, perhaps made anew, or another by now: the cache will tell.
                return _LOOK_AGAIN_S if notice.in_doubt else None
            if notice.reason != SCHEDULING_GATED:
                self._recorder.event(PODS, pod, Severity.WARNING, FAILED_SCHEDULING, notice.message)
        if key in self._notices:
            self._written[key] = notice
        return None

    def _patch(self, notice: Notice, pod: Pod, current: PodCondition | None) -> dict[str, object]:
        since = current.last_transition_time if current is not None and current.status == "False" else None
        condition = PodCondition(
            type=_CONDITION,
            status="False",
            reason=notice.reason,
            message=notice.message,
            last_transition_time=since or rfc3339(self._clock.now()),
        )
        status: dict[str, object] = {"conditions": [msgspec.to_builtins(condition)]}
        # With the uid, the write cannot land on another pod of the same name.
        metadata = {"uid": notice.uid}
        if notice.in_doubt:
            # Nor with the version on one that has its node: there is nobody who would take the word back.
            metadata["resourceVersion"] = pod.metadata.resource_version
        elif pod.status.nominated_node_name:
            # Autoscalers take it that the pod will go there, and buy nothing for it.
            status["nominatedNodeName"] = None
        return {"metadata": metadata, "status": status}


def scheduled_condition(pod: Pod) -> PodCondition | None:
    return next((one for one in pod.status.conditions or () if one.type == _CONDITION), None)


def _says(pod: Pod, condition: PodCondition | None, notice: Notice) -> bool:
    return (
        (notice.in_doubt or not pod.status.nominated_node_name)
        and condition is not None
        and condition.status == "False"
        and condition.reason == notice.reason
        and condition.message == notice.message
    )
