"""Moves pods to make room for others, on nodes whose partitioning is `budgeted`: one relocation at a time, within its budget.

The pod that waits gets the place as a reservation first, in the way that the scheduler writes it, and those who are in it
are evicted then: so it is nobody else's once it is free, and whoever comes in between finds it taken. Evictions go by the
API, so PodDisruptionBudgets have their say; all of them are tried dry before the first is meant.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import structlog

from aliquot.clock import Clock, parse_rfc3339
from aliquot.kube import errors
from aliquot.kube.api.assignment import ASSIGNMENT_ANNOTATION, AssignedDevice, Assignment, encode
from aliquot.kube.api.core import Node, Pod
from aliquot.kube.api.gpuclass import GPUClass
from aliquot.kube.api.gpunode import GPUNode, Partitioning
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client, PatchKind
from aliquot.kube.events import Recorder, Severity
from aliquot.kube.resources import PODS, key, split_key
from aliquot.partition.class_specs import ClassSpecs
from aliquot.partition.controller.budget import MoveBudget
from aliquot.partition.controller.claims import Claims, claimed, open_claims
from aliquot.partition.controller.needs import Need, Place, needs_of, place_of
from aliquot.partition.controller.relocation import Relocation, relocation
from aliquot.partition.gpus import partitioning_of
from aliquot.partition.reading import DO_NOT_DISRUPT
from aliquot.partition.value import BY_RULE, Valuation

_log = structlog.get_logger()

PATIENCE_S = 5.0
"""A pod waits so long before another is moved for it: something may come free, or be made."""
_LOOK_S = 2.0
_REFUSED_S = 60.0
"""After which a pod is asked again whether it may be evicted."""
_MOST_ASKED = 32
"""Pods for which a place is looked for in one look, the most urgent first."""


class Relocating:
    """`names`: the schedulers whose pods room is made for. `minimum_run_s`: a pod that has run for less stays."""

    def __init__(
        self,
        client: Client,
        *,
        clock: Clock,
        pods: Cache[Pod],
        nodes: Cache[Node],
        gpu_nodes: Cache[GPUNode],
        gpu_classes: Cache[GPUClass],
        claims: Claims,
        names: Collection[str],
        recorder: Recorder,
        budget: MoveBudget,
        minimum_run_s: float,
        may_write: Callable[[], bool],
        valuation: Valuation = BY_RULE,
    ) -> None:
        self._client = client
        self._clock = clock
        self._pods = pods
        self._nodes = nodes
        self._gpu_nodes = gpu_nodes
        self._classes = ClassSpecs(gpu_classes)
        self._claims = claims
        self._names = frozenset(names)
        self._recorder = recorder
        self._budget = budget
        self._minimum_run_s = minimum_run_s
        self._may_write = may_write
        self._valuation = valuation
        self._under_way = ""
        """The pod that room is being made for."""
        self._refused: dict[str, tuple[float, str]] = {}
        """Pods that may not be evicted: until when that is believed, and why."""

    async def run(self) -> None:
        """Until cancelled."""
        stop = self._classes.follow()
        try:
            while True:
                await asyncio.sleep(_LOOK_S)
                if not self._may_write():
                    continue
                try:
                    await self._look()
                except errors.ApiError as error:
                    _log.warning("relocation failed", error=error.message)
        finally:
            stop()

    async def _look(self) -> None:
        now = self._clock.now()
        if self._budget.left(now) < 1 or self._is_under_way():
            return
        # Most clusters move nobody, and most of the time nobody waits: the rest is looked at only then.
        nodes = self._budgeted()
        waiting = self._waiting(now) if nodes else ()
        if not waiting:
            return
        self._refused = {name: one for name, one in self._refused.items() if now < one[0]}
        places, holders, classes = self._places(nodes), self._holders(nodes), self._classes.now
        for pod, need in waiting[:_MOST_ASKED]:
            stays = partial(self._why_it_stays, pod, now)
            found = relocation(need, places, classes, holders, stays, self._valuation)
            if found is not None and len(found.victims) <= self._budget.left(now):
                await self._carry_out(pod, found, now)
                return

    def _is_under_way(self) -> bool:
        pod = self._pods.get(self._under_way)
        if pod is not None and not pod.spec.node_name and _assigned(pod):
            return True
        self._under_way = ""
        return False

    def _waiting(self, now: float) -> Sequence[tuple[Pod, Need]]:
        found = []
        for pod in self._pods.values():
            if pod.spec.node_name or pod.spec.scheduler_name not in self._names or _assigned(pod):
                continue
            if now - _created_s(pod) < PATIENCE_S:
                continue
            needs = needs_of(pod)
            if len(needs) == 1:
                found.append((pod, needs[0]))
        return sorted(found, key=lambda one: (-one[0].spec.priority, one[1].created_s, one[1].pod))

    def _budgeted(self) -> Sequence[tuple[Node, GPUNode]]:
        found = []
        for gpu_node in self._gpu_nodes.values():
            node = self._nodes.get(gpu_node.metadata.name)
            if gpu_node.spec.partitioning is not Partitioning.BUDGETED or node is None:
                continue
            if partitioning_of(gpu_node, node.metadata.labels or {}) is Partitioning.BUDGETED:
                found.append((node, gpu_node))
        return sorted(found, key=lambda one: one[0].metadata.name)

    def _places(self, nodes: Sequence[tuple[Node, GPUNode]]) -> list[Place]:
        found = []
        for node, gpu_node in nodes:
            claims = open_claims(self._claims.on(node.metadata.name), gpu_node.status)
            place = place_of(node, gpu_node, claims)
            if place is not None:
                found.append(place)
        return found

    @staticmethod
    def _holders(nodes: Sequence[tuple[Node, GPUNode]]) -> Mapping[tuple[str, int], str]:
        return {
            (gpu.uuid, instance.start): instance.pods[0]
            for _, gpu_node in nodes
            for gpu in gpu_node.status.gpus
            for instance in gpu.instances
            if len(instance.pods) == 1 and instance.shares is None
        }

    def _why_it_stays(self, by: Pod, now: float, name: str) -> str:
        pod = self._pods.get(name)
        if pod is None or pod.metadata.deletion_timestamp is not None or pod.status.phase != "Running":
            return "it does not run, or is going"
        if not any(owner.controller for owner in pod.metadata.owner_references or ()):
            return "nothing would start it again"
        annotations = pod.metadata.annotations or {}
        if any(annotations.get(one) == "true" for one in DO_NOT_DISRUPT):
            return "it is marked do-not-disrupt"
        if pod.spec.priority > by.spec.priority:
            return "its priority is higher"
        if now - _created_s(pod) < self._minimum_run_s:
            return "it has not run for long enough"
        return self._refused.get(name, (0.0, ""))[1]

    async def _carry_out(self, pod: Pod, found: Relocation, now: float) -> None:
        for victim in found.victims:
            try:
                await self._evict(victim.pod, dry_run=True)
            except errors.ApiError as error:
                self._refused[victim.pod] = now + _REFUSED_S, error.message
                _log.info("not moved", pod=victim.pod, why=error.message)
                return
        self._under_way = key(pod)
        if not await self._reserve(pod, found):
            return
        self._budget.use(len(found.victims), now)
        self._tell(pod, found, now)
        for victim in found.victims:
            try:
                await self._evict(victim.pod)
            except errors.NotFound:
                continue
            except errors.ApiError as error:
                self._refused[victim.pod] = now + _REFUSED_S, error.message
                _log.warning("not moved after all", pod=victim.pod, why=error.message)
                await self._annotate(pod, {ASSIGNMENT_ANNOTATION: None})
                return

    async def _reserve(self, pod: Pod, found: Relocation) -> bool:
        """False: the pod has moved on meanwhile."""
        container = next(
            one.name for one in pod.spec.containers if found.need.resource in (one.resources.limits or {})
        )
        device = AssignedDevice(
            container=container,
            resource=found.need.resource,
            gpu=found.gpu,
            profile=found.profile,
            start=found.start,
        )
        text = encode(Assignment(devices=(device,), pod_uid=pod.metadata.uid, node=found.node))
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

    def _tell(self, pod: Pod, found: Relocation, now: float) -> None:
        indexes = {gpu.uuid: gpu.index for node in self._gpu_nodes.values() for gpu in node.status.gpus}
        moved = ", ".join(
            f"{one.pod} ({one.profile} at slot {one.start}; GPU {indexes.get(one.to_gpu)} of {one.to_node} has room)"
            for one in found.victims
        )
        left = f"{self._budget.left(now)} of {self._budget.per_hour} moves left in this hour"
        where = f"{found.profile} at slot {found.start} of GPU {indexes.get(found.gpu)} of {found.node}"
        message = f"{where}: moves {moved}; {left}"
        _log.info("relocation", pod=key(pod), change=message)
        self._recorder.event(PODS, pod, Severity.NORMAL, "Relocating", message)
        for victim in found.victims:
            if (moving := self._pods.get(victim.pod)) is not None:
                self._recorder.event(
                    PODS, moving, Severity.NORMAL, "Relocated", f"evicted, to make room for {key(pod)}"
                )


def _assigned(pod: Pod) -> bool:
    return bool(claimed(pod)[1])


def _created_s(pod: Pod) -> float:
    stamp = pod.metadata.creation_timestamp
    return parse_rfc3339(stamp) if stamp else 0.0
