"""Carries out a relocation: reserves the place for the pod that waits, and evicts those who are in it.

The place is reserved first, in the way that the scheduler writes it: so it is nobody else's once it is free, and whoever comes
in between finds it taken. Evictions go by the API, so PodDisruptionBudgets have their say; all of them are tried dry before
the first is meant, those too that are moved later for the ones that are moved now.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any

import structlog

from aliquot.clock import parse_rfc3339
from aliquot.kube import errors
from aliquot.kube.api.assignment import ASSIGNMENT_ANNOTATION, Assignment, encode
from aliquot.kube.api.core import Pod
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client, PatchKind
from aliquot.kube.events import Recorder, Severity
from aliquot.kube.resources import PODS, key, split_key
from aliquot.partition.controller.budget import MoveBudget
from aliquot.partition.controller.claims import claimed
from aliquot.partition.controller.moves import Relocation, devices_for
from aliquot.partition.controller.wording import moved_in_words, relocation_in_words

_log = structlog.get_logger()

_REFUSED_S = 60.0
"""After which a pod is asked again whether it may be evicted."""
_FIRST_REST_S = 60.0
_LONGEST_REST_S = 3600.0
"""How long no more room is made for a pod that did not come to its place: twice as long each time."""
_MOVED_REST_S = 300.0
"""How long what took the place of a moved pod stays, however short the minimum run is."""


class Mover:
    def __init__(
        self,
        client: Client,
        *,
        pods: Cache[Pod],
        recorder: Recorder,
        budget: MoveBudget,
        minimum_run_s: float,
    ) -> None:
        self._client = client
        self._pods = pods
        self._recorder = recorder
        self._budget = budget
        self._rest_s = max(minimum_run_s, _MOVED_REST_S)
        self._under_way = ""
        """The pod that room is being made for."""
        self._refused: dict[str, tuple[float, str]] = {}
        """Pods that may not be evicted: until when that is believed, and why."""
        self._served: dict[str, tuple[int, float]] = {}
        """Pod UID -> how often room was made for it, and until when none is made again."""
        self._moved: deque[tuple[float, str]] = deque()
        """When a pod of which owner was moved."""

    def is_under_way(self) -> bool:
        """Whether the last pod that room was made for has still to come to its place."""
        pod = self._pods.get(self._under_way)
        if pod is not None and not pod.spec.node_name and is_assigned(pod):
            return True
        self._under_way = ""
        return False

    def rests(self, pod: Pod, now: float) -> bool:
        """Whether no room is made for a pod that waits, since it did not come to what was made last."""
        return now < self._served.get(pod.metadata.uid, (0, 0.0))[1]

    def refused(self, now: float) -> Mapping[str, str]:
        """Pods that may not be evicted, and why."""
        self._refused = {name: one for name, one in self._refused.items() if now < one[0]}
        return {name: why for name, (_, why) in self._refused.items()}

    def resting(self, now: float) -> Mapping[str, str]:
        """Pods that took the place of moved ones just now."""
        while self._moved and now - self._moved[0][0] >= self._rest_s:
            self._moved.popleft()
        if not self._moved:
            return {}
        since: dict[str, float] = {}
        for at, owner in self._moved:
            since.setdefault(owner, at)
        return {
            key(pod): "it was moved just now"
            for pod in self._pods.values()
            if (owner := controller_of(pod)) in since and created_s(pod) >= int(since[owner])
        }

    async def carry_out(
        self, found: Relocation, indexes: Mapping[str, int], now: float, plan_in_words: str = ""
    ) -> None:
        """`indexes`: of GPUs, by UUID. Raises ApiError, and then nobody has been evicted."""
        pod = self._pods.get(found.pod)
        if pod is None:
            return
        for victim in (*found.victims, *found.later):
            try:
                await self._evict(victim.pod, dry_run=True)
            except errors.ApiError as error:
                self._refuse(victim.pod, error, now)
                return
        if not await self._reserve(pod, found):
            return
        self._under_way = found.pod
        times = self._served.get(pod.metadata.uid, (0, 0.0))[0]
        self._served = {uid: one for uid, one in self._served.items() if now < one[1] + _LONGEST_REST_S}
        self._served[pod.metadata.uid] = times + 1, now + min(_FIRST_REST_S * 2**times, _LONGEST_REST_S)
        self._budget.use(len(found.victims), now)
        self._tell(pod, found, indexes, now, plan_in_words)
        for victim in found.victims:
            moving = self._pods.get(victim.pod)
            try:
                await self._evict(victim.pod)
            except errors.NotFound:
                continue
            except errors.ApiError as error:
                self._refuse(victim.pod, error, now)
                await self._annotate(pod, {ASSIGNMENT_ANNOTATION: None})
                return
            if moving is not None and (owner := controller_of(moving)):
                self._moved.append((now, owner))

    def _refuse(self, pod: str, error: errors.ApiError, now: float) -> None:
        self._refused[pod] = now + _REFUSED_S, error.message
        _log.info("not moved", pod=pod, why=error.message)

    async def _reserve(self, pod: Pod, found: Relocation) -> bool:
        """False: the pod has moved on meanwhile."""
        devices = devices_for(pod, found.slices)
        if not devices:
            return False
        text = encode(Assignment(devices=devices, pod_uid=pod.metadata.uid, node=found.node))
        try:
            await self._annotate(pod, {ASSIGNMENT_ANNOTATION: text}, pod.metadata.resource_version)
        except (errors.Conflict, errors.NotFound):
            return False
        return True

    async def _annotate(self, pod: Pod, annotations: dict[str, Any], resource_version: str = "") -> None:
        metadata: dict[str, Any] = {"uid": pod.metadata.uid, "annotations": annotations}
        if resource_version:
            metadata["resourceVersion"] = resource_version
        namespace, name = split_key(key(pod))
        await self._client.patch(PODS, name, {"metadata": metadata}, namespace, kind=PatchKind.MERGE)

    async def _evict(self, pod: str, *, dry_run: bool = False) -> None:
        """That one: another of its name may have come since."""
        seen = self._pods.get(pod)
        namespace, name = split_key(pod)
        await self._client.evict(
            namespace, name, uid=seen.metadata.uid if seen is not None else "", dry_run=dry_run
        )

    def _tell(
        self, pod: Pod, found: Relocation, indexes: Mapping[str, int], now: float, plan_in_words: str
    ) -> None:
        left = f"{self._budget.left(now)} of {self._budget.per_hour} moves left in this hour"
        parts = [relocation_in_words(found, indexes), left, *([plan_in_words] if plan_in_words else [])]
        message = "; ".join(parts)
        _log.info("relocation", pod=key(pod), change=message)
        self._recorder.event(PODS, pod, Severity.NORMAL, "Relocating", message)
        for victim in found.victims:
            if (moving := self._pods.get(victim.pod)) is not None:
                words = moved_in_words(victim, found, indexes)
                self._recorder.event(PODS, moving, Severity.NORMAL, "Relocated", words)


def is_assigned(pod: Pod) -> bool:
    return bool(claimed(pod)[1])


def created_s(pod: Pod) -> float:
    stamp = pod.metadata.creation_timestamp
    return parse_rfc3339(stamp) if stamp else 0.0


def controller_of(pod: Pod) -> str:
    """Its UID; empty: nothing would start the pod again."""
    return next((one.uid for one in pod.metadata.owner_references or () if one.controller), "")
