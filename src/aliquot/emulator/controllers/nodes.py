"""Node lifecycle: a node that is no longer heard of is Unknown, and its taints say so to the scheduler.

A heartbeat is a renewed Lease or a posted status; what counts is when it was *heard* here, not the time that it
carries. So a controller that was away for an hour gives every node its full grace when it is back.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from aliquot.clock import Clock, rfc3339
from aliquot.emulator.controllers import pods
from aliquot.kube import errors
from aliquot.kube.api.core import Lease, Node, NodeCondition, Pod, Taint
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client, PatchKind
from aliquot.kube.controller import Controller
from aliquot.kube.events import Recorder, Severity
from aliquot.kube.resources import NODES, PODS, key

LEASE_NAMESPACE = "kube-node-lease"
GRACE_S = 40.0
STARTUP_GRACE_S = 60.0

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"

_PRESSURES = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
    "NetworkUnavailable": "node.kubernetes.io/network-unavailable",
}
_SILENCED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
_OURS = frozenset([NOT_READY, UNREACHABLE, UNSCHEDULABLE, *_PRESSURES.values()])


@dataclass(frozen=True, slots=True)
class Verdict:
    """`conditions` to merge into the node's, by type; `taints` the whole new list, None when it is right."""

    conditions: tuple[dict[str, Any], ...] = ()
    taints: tuple[Taint, ...] | None = None
    again_s: float | None = None


def judge(node: Node, silent_s: float, now: float) -> Verdict:
    """`silent_s`: seconds since the last heartbeat was heard."""
    ready = condition(node, "Ready")
    grace_s = GRACE_S if ready is not None else STARTUP_GRACE_S
    changes: tuple[dict[str, Any], ...] = ()
    if silent_s >= grace_s:
        changes = _unknown(node, now)
    # Taints follow what the conditions are, not what they are about to be: that change is an event of its own.
    taints = _taints(node, now)
    return Verdict(
        changes,
        taints if taints != tuple(node.spec.taints or ()) else None,
        grace_s - silent_s if silent_s < grace_s else None,
    )


def condition(node: Node, kind: str) -> NodeCondition | None:
    return next((found for found in node.status.conditions or () if found.type == kind), None)


def _unknown(node: Node, now: float) -> tuple[dict[str, Any], ...]:
    changes = []
    for kind in _SILENCED:
        known = condition(node, kind)
        if known is not None and known.status == "Unknown":
            continue
        reason, message = "NodeStatusUnknown", "Kubelet stopped posting node status."
        if known is None:
            reason, message = "NodeStatusNeverUpdated", "Kubelet never posted node status."
        change = {
            "type": kind,
            "status": "Unknown",
            "reason": reason,
            "message": message,
            "lastTransitionTime": rfc3339(now),
        }
        if known is None:
            change["lastHeartbeatTime"] = node.metadata.creation_timestamp or rfc3339(now)
        changes.append(change)
    return tuple(changes)


def _taints(node: Node, now: float) -> tuple[Taint, ...]:
    wanted: list[tuple[str, str]] = []
    ready = condition(node, "Ready")
    if ready is not None and ready.status != "True":
        taint = UNREACHABLE if ready.status == "Unknown" else NOT_READY
        wanted += [(taint, "NoSchedule"), (taint, "NoExecute")]
    for kind, taint in _PRESSURES.items():
        found = condition(node, kind)
        if found is not None and found.status == "True":
            wanted.append((taint, "NoSchedule"))
    if node.spec.unschedulable:
        wanted.append((UNSCHEDULABLE, "NoSchedule"))
    kept = [
        taint
        for taint in node.spec.taints or ()
        if taint.key not in _OURS or (taint.key, taint.effect) in wanted
    ]
    there = {(taint.key, taint.effect) for taint in kept}
    added = [
        Taint(key=name, effect=effect, time_added=rfc3339(now))
        for name, effect in wanted
        if (name, effect) not in there
    ]
    return (*kept, *added)


def lost_pods(node: Node, on_it: Sequence[Pod]) -> list[Pod]:
    """Pods that still say they are ready though nobody has heard of their node."""
    ready = condition(node, "Ready")
    if ready is None or ready.status != "Unknown":
        return []
    return [pod for pod in on_it if pods.is_active(pod) and pods.is_ready(pod)]


class Nodes:
    """`leases` are those of kube-node-lease; `pod_cache` has `pods.INDEXES`."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        rng: random.Random,
        recorder: Recorder,
        nodes: Cache[Node],
        leases: Cache[Lease],
        pod_cache: Cache[Pod],
    ) -> None:
        self._client = client
        self._clock = clock
        self._recorder = recorder
        self._nodes = nodes
        self._pods = pod_cache
        # Node name -> (what the heartbeat said, when it was heard).
        self._heard: dict[str, tuple[Mapping[str, str | None], float]] = {}
        self.controller = Controller("nodes", self.reconcile, rng=rng, workers=4)
        nodes.subscribe(self._node_changed)
        leases.subscribe(self._lease_changed)

    async def run(self) -> None:
        await self.controller.run()

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        if new is None:
            if old is not None:
                self._heard.pop(key(old), None)
            return
        ready = condition(new, "Ready")
        self._hear(key(new), "status", ready.last_heartbeat_time if ready is not None else None)
        self.controller.enqueue(key(new))

    def _lease_changed(self, old: Lease | None, new: Lease | None) -> None:
        if new is None:
            return
        name = new.metadata.name
        self._hear(name, "lease", new.spec.renew_time)
        node = self._nodes.get(name)
        ready = condition(node, "Ready") if node is not None else None
        if ready is not None and ready.status == "Unknown":
            self.controller.enqueue(name)

    def _hear(self, name: str, source: str, said: str | None) -> None:
        known, _ = self._heard.get(name, ({}, 0.0))
        if source not in known or known[source] != said:
            self._heard[name] = ({**known, source: said}, self._clock.now())

    async def reconcile(self, name: str) -> float | None:
        node = self._nodes.get(name)
        if node is None:
            return None
        now = self._clock.now()
        _, heard_at = self._heard.get(name, ({}, now))
        verdict = judge(node, now - heard_at, now)
        if verdict.conditions:
            await self._client.patch(
                NODES,
                name,
                {"status": {"conditions": list(verdict.conditions)}},
                kind=PatchKind.STRATEGIC,
                subresource="status",
            )
            self._recorder.event(
                NODES, node, Severity.NORMAL, "NodeNotReady", f"Node {name} status is now: NodeNotReady"
            )
        elif verdict.taints is not None:
            patch = {
                "metadata": {"resourceVersion": node.metadata.resource_version},
                "spec": {"taints": msgspec.to_builtins(list(verdict.taints)) or None},
            }
            await self._client.patch(NODES, name, patch)
        for pod in lost_pods(node, self._pods.indexed(pods.NODE_INDEX, name)):
            await self._mark_not_ready(pod, now)
        return verdict.again_s

    async def _mark_not_ready(self, pod: Pod, now: float) -> None:
        change = {"type": "Ready", "status": "False", "lastTransitionTime": rfc3339(now)}
        try:
            await self._client.patch(
                PODS,
                pod.metadata.name,
                {"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [change]}},
                pod.metadata.namespace,
                kind=PatchKind.STRATEGIC,
                subresource="status",
            )
        except (errors.NotFound, errors.Conflict):
            return
        self._recorder.event(PODS, pod, Severity.WARNING, "NodeNotReady", "Node is not ready")
