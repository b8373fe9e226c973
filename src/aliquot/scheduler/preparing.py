"""Pods whose devices have to be made first: the assignment is written on the pod, and the bind follows when they are ready.

The annotation is what the partitioner acts on, and what a restarted scheduler goes on from. Ready means that the node's
agent lists the devices as kubelet's to give, whatever node.status says by then. What is not ready in time is given back,
with the node's own reason; what was to be on a node that is gone, at once.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from aliquot.clock import Clock
from aliquot.kube import errors
from aliquot.kube.api.assignment import ASSIGNMENT_ANNOTATION
from aliquot.kube.api.core import Node
from aliquot.kube.api.gpunode import GPUNode
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client, PatchKind
from aliquot.kube.controller import Controller
from aliquot.kube.events import Recorder, Severity
from aliquot.kube.resources import PODS, split_key
from aliquot.kube.retry import RetryPolicy
from aliquot.scheduler.core.attempts import Bind
from aliquot.scheduler.core.facts import device_id
from aliquot.scheduler.core.node import NodeState
from aliquot.scheduler.core.pod import DeviceChoice, PlacedPod, PodRequest
from aliquot.scheduler.core.reservations import ready
from aliquot.scheduler.core.snapshot import Snapshot
from aliquot.scheduler.mirror import Mirror
from aliquot.scheduler.nominating import nominate
from aliquot.scheduler.pods import annotations
from aliquot.scheduler.reporter import BIND_FAILED, SCHEDULER_ERROR, Notice, Reporter

_log = structlog.get_logger()

NOT_MADE = "DevicesNotMade"
"""As a pod's condition has it: there was room, and another node would not help."""
DEADLINE_S = 60.0
"""A slice takes a fraction of a second, a change of mode some seconds."""
_NOT_WRITTEN = "the devices that it is to get could not be written on the pod"
_WORKERS = 16
_RETRY = RetryPolicy(first_delay_s=1.0, max_delay_s=60.0)


@dataclass(slots=True)
class _Waiting:
    pod: PodRequest
    placed: PlacedPod
    until: float
    written: bool = False
    """Whether the assignment is on the pod."""
    cancelled: str = ""
    """Why it is to be given up at once."""


class Preparing:
    """`ready` is given what is there, `refused` the keys of pods that do not get what they were to have. `may_write` as in
    Binder."""

    def __init__(
        self,
        client: Client,
        *,
        clock: Clock,
        rng: random.Random,
        snapshot: Snapshot,
        nodes: Cache[Node],
        gpu_nodes: Cache[GPUNode],
        mirror: Mirror,
        reporter: Reporter,
        recorder: Recorder,
        ready: Callable[[Bind], None],
        refused: Callable[[str], None],
        may_write: Callable[[], bool],
    ) -> None:
        self._client = client
        self._clock = clock
        self._rng = rng
        self._snapshot = snapshot
        self._nodes = nodes
        self._gpu_nodes = gpu_nodes
        self._mirror = mirror
        self._reporter = reporter
        self._recorder = recorder
        self._ready = ready
        self._refused = refused
        self._may_write = may_write
        self._waiting: dict[str, _Waiting] = {}
        self._failures: dict[str, int] = {}
        self._controller = Controller("preparing", self._carry_out, rng=rng, workers=_WORKERS)

    async def run(self) -> None:
        """Until cancelled. May be run again: what no pod says of itself by then is decided anew, since another may lead in
        between who cannot know of it."""
        stops = (
            self._nodes.subscribe(self._node_changed),
            self._controller.watch(self._gpu_nodes, self._waiting_for),
        )
        try:
            for key in self._waiting:
                self._controller.enqueue(key)
            await self._controller.run()
        finally:
            for stop in stops:
                stop()
            for waiting in [one for one in self._waiting.values() if not one.written]:
                self.drop(waiting.pod.key)
                self._mirror.give_back(waiting.pod)

    def submit(self, pod: PodRequest, placed: PlacedPod, *, written: bool = False) -> None:
        """`written`: the assignment is on the pod already; somebody began it before."""
        self._waiting[pod.key] = _Waiting(pod, placed, self._clock.now() + DEADLINE_S, written)
        self._controller.enqueue(pod.key)

    def cancel(self, key: str, why: str) -> None:
        """Give up what is being made for the pod, and say why."""
        waiting = self._waiting.get(key)
        if waiting is not None:
            waiting.cancelled = why
            self._controller.enqueue(key)

    def drop(self, key: str) -> None:
        """Nothing is made for the pod any more."""
        if self._waiting.pop(key, None) is not None:
            self._refused(key)

    def forget(self, key: str) -> None:
        """The pod is on its node, or gone."""
        self.drop(key)
        self._failures.pop(key, None)

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        # Most changes of a Node are its heartbeat.
        if old is not None and new is None:
            for key in self._waiting_for(old):
                self._controller.enqueue(key)

    def _waiting_for(self, node: Node | GPUNode) -> list[str]:
        name = node.metadata.name
        return [key for key, waiting in self._waiting.items() if waiting.placed.node == name]

    async def _carry_out(self, key: str) -> float | None:
        waiting = self._waiting.get(key)
        if waiting is None:
            self._mirror.reconsider(key)
            return None
        if not self._may_write():
            return None
        if waiting.cancelled:
            return await self._give_up(waiting, f"is not made: {waiting.cancelled}")
        if not waiting.written:
            try:
                if not await self._write(waiting, annotations(waiting.placed)):
                    return None
            except (errors.Unavailable, errors.TooManyRequests) as error:
                message = f"{_NOT_WRITTEN}, which is tried again: {error.message}"
                self._reporter.tell(key, Notice(waiting.pod.uid, BIND_FAILED, message, in_doubt=True))
                raise  # to be called again, after a wait that grows
            except errors.ApiError as error:
                return self._held_back(waiting, SCHEDULER_ERROR, f"{_NOT_WRITTEN}: {error.message}")
            waiting.written = True
            self._reporter.forget(key)
            there = self._snapshot.nodes.get(waiting.placed.node)
            if there is None or not _ready(waiting.placed, there):
                self._tell_begun(waiting)
            if self._reporter.asks_for_nodes(key):
                await nominate(self._client, waiting.pod, waiting.placed.node)
            if self._waiting.get(key) is not waiting:
                return None
        name = waiting.placed.node
        node, gpu_node = self._snapshot.nodes.get(name), self._gpu_nodes.get(name)
        if node is None or gpu_node is None:
            gone = "the node" if node is None else "the node's GPUNode"
            return await self._give_up(waiting, f"will not come: {gone} is gone")
        if _ready(waiting.placed, node):
            del self._waiting[key]
            self._failures.pop(key, None)
            self._ready(Bind(waiting.pod, waiting.placed))
            return None
        left_s = waiting.until - self._clock.now()
        if left_s > 0:
            return left_s
        why = _why(waiting.placed, node, gpu_node)
        return await self._give_up(waiting, f"was not ready within {DEADLINE_S:.0f} s: {why}")

    async def _write(self, waiting: _Waiting, annotation: dict[str, Any]) -> bool:
        """False: the pod is gone, or somebody else's by now."""
        pod = waiting.pod
        namespace, name = split_key(pod.key)
        body = {"metadata": {"uid": pod.uid, "annotations": annotation}}
        try:
            await self._client.patch(PODS, name, body, namespace, kind=PatchKind.MERGE)
        except (errors.NotFound, errors.Conflict):
            self.drop(pod.key)
            self._mirror.release(pod)
            return False
        return True

    async def _give_up(self, waiting: _Waiting, why: str) -> float | None:
        # First, since the pod may be seen without its annotation before the answer is here.
        self._mirror.keep_out(waiting.pod)
        message = f"{self._described(waiting.placed)} {why}"
        if not await self._write(waiting, {ASSIGNMENT_ANNOTATION: None}):
            self._mirror.reconsider(waiting.pod.key)
            return None
        return self._held_back(waiting, NOT_MADE, message)

    def _held_back(self, waiting: _Waiting, reason: str, message: str) -> float | None:
        """Tell why nothing is made for the pod. Returns after how many seconds it is decided on anew."""
        pod = waiting.pod
        self.drop(pod.key)
        failures = self._failures[pod.key] = self._failures.get(pod.key, 0) + 1
        _log.warning("not made", pod=pod.key, node=waiting.placed.node, reason=message)
        self._reporter.tell(pod.key, Notice(pod.uid, reason, message))
        self._mirror.hold_back(pod)
        return _RETRY.delay_s(failures, self._rng)

    def _tell_begun(self, waiting: _Waiting) -> None:
        pod = waiting.pod
        namespace, name = split_key(pod.key)
        subject = {"metadata": {"namespace": namespace, "name": name, "uid": pod.uid}}
        message = f"{self._described(waiting.placed)} is being made for the pod"
        self._recorder.event(PODS, subject, Severity.NORMAL, "MakingDevice", message)

    def _described(self, placed: PlacedPod) -> str:
        node = self._gpu_nodes.get(placed.node)
        indexes = {gpu.uuid: gpu.index for gpu in node.status.gpus} if node is not None else {}
        parts = dict.fromkeys(_spelled(choice, indexes.get(choice.gpu)) for choice in placed.devices)
        return f"{' and '.join(parts)} on node {placed.node}"


def _ready(placed: PlacedPod, node: NodeState) -> bool:
    """Whether all of it is there, and nobody else's. It may be where somebody who leads no more, or who wrote a pod's
    assignment by hand, has promised what was not free."""
    return ready(placed.devices, node.reported.devices) and all(
        _is_its_own(placed, choice, node) for choice in placed.devices
    )


def _why(placed: PlacedPod, node: NodeState, gpu_node: GPUNode) -> str:
    """It is not ready: in the words of the node's agent, where it has any."""
    uuids = {choice.gpu for choice in placed.devices}
    for gpu in gpu_node.status.gpus:
        if gpu.uuid in uuids and gpu.reason:
            return f"GPU {gpu.index}: {gpu.message or gpu.reason}"
    if ready(placed.devices, node.reported.devices):
        return "other pods have it"
    if otherwise := _made_otherwise(placed, node):
        return otherwise
    if not any(gpu.may_cut for gpu in node.facts.gpus if gpu.uuid in uuids):
        return (
            "the node is not cut as pods need it any more: its GPUNode has spec.partitioning static, "
            "or the Node a label nvidia.com/mig.config"
        )
    if gpu_node.status.observed_generation != gpu_node.metadata.generation:
        return "its agent has not taken up the change"
    return "nothing was changed; is the partitioner running (aliquot partition controller)?"


def _made_otherwise(placed: PlacedPod, node: NodeState) -> str:
    """The slice is there, and the agent's configuration makes something else of it; empty where that is not so."""
    for choice in placed.devices:
        found = node.reported.devices.by_id.get(device_id(choice.gpu, choice.start))
        if found is not None and found.offered and found.profile == choice.profile and found.profile:
            form = f"{found.resource} in {found.shares} shares" if found.shares else found.resource
            wanted = f"{choice.resource} in {choice.replicas} shares" if choice.replicas else choice.resource
            if form != wanted:
                return f"it is there as {form}: see what the device plugin's configuration shares and renames"
    return ""


def _is_its_own(placed: PlacedPod, choice: DeviceChoice, node: NodeState) -> bool:
    id_ = device_id(choice.gpu, choice.start)
    holders = node.held.get(id_, ())
    if placed.key in holders and len(holders) <= node.facts.devices.by_id[id_].capacity:
        return True
    # Kubelet gave it to another, whose device this pod gets: equal ones may be exchanged, if there are enough.
    return node.available(choice.resource) >= 0


def _spelled(choice: DeviceChoice, index: int | None) -> str:
    where = f"GPU {index}" if index is not None else choice.gpu
    name = f" as {choice.resource}"
    if choice.start is not None:
        return f"{choice.profile} at slot {choice.start} of {where}{name}"
    if choice.replicas:
        return f"{where} in {choice.replicas} shares ({choice.sharing}){name}"
    return f"{where}{name}"
