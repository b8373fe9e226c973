"""NoExecute taints: pods that do not bear them leave the node, at once or when their patience ends."""

import random
from collections.abc import Mapping, Sequence

from aliquot.clock import Clock, rfc3339
from aliquot.emulator.controllers import pods
from aliquot.kube import errors
from aliquot.kube.api.core import Node, Pod, Taint, Toleration
from aliquot.kube.cache import Cache
from aliquot.kube.client import Client, PatchKind
from aliquot.kube.controller import Controller
from aliquot.kube.events import Recorder, Severity
from aliquot.kube.resources import PODS, key


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    if toleration.operator == "Exists":
        return True
    return bool(toleration.key) and toleration.value == taint.value


def leaves_in_s(pod: Pod, taints: Mapping[Taint, float], now: float) -> float | None:
    """Seconds until the pod is to be deleted (0 or less: now), None when it may stay.

    `taints` are the node's NoExecute taints, each with the Unix time since which it is known.
    """
    waits = []
    for taint, since in taints.items():
        bearing = [found for found in pod.spec.tolerations or () if tolerates(found, taint)]
        if not bearing:
            return 0.0
        limits = [found.toleration_seconds for found in bearing if found.toleration_seconds is not None]
        if limits:
            waits.append(since + max(0, min(limits)) - now)
    return min(waits, default=None)


class Evictions:
    """`pod_cache` has `pods.INDEXES`."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        rng: random.Random,
        recorder: Recorder,
        nodes: Cache[Node],
        pod_cache: Cache[Pod],
    ) -> None:
        self._client = client
        self._clock = clock
        self._recorder = recorder
        self._nodes = nodes
        self._pods = pod_cache
        # When each taint was first seen here, by node. Not the time that it carries: after a time without anybody to
        # clear it, pods get their whole patience again.
        self._seen: dict[str, dict[Taint, float]] = {}
        self.controller = Controller("evictions", self.reconcile, rng=rng, workers=4)
        nodes.subscribe(self._node_changed)
        pod_cache.subscribe(self._pod_changed)

    async def run(self) -> None:
        await self.controller.run()

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        if new is None:
            if old is not None:
                self._seen.pop(key(old), None)
            return
        before = _no_execute(old) if old is not None else ()
        taints = _no_execute(new)
        if old is not None and taints == before:
            return
        known = self._seen.get(key(new), {})
        self._seen[key(new)] = {taint: known.get(taint, self._clock.now()) for taint in taints}
        for pod in self._pods.indexed(pods.NODE_INDEX, key(new)):
            self.controller.enqueue(key(pod))

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        if new is not None and self._seen.get(new.spec.node_name):
            self.controller.enqueue(key(new))

    async def reconcile(self, name: str) -> float | None:
        pod = self._pods.get(name)
        node = self._nodes.get(pod.spec.node_name) if pod is not None else None
        if pod is None or node is None or not pods.is_active(pod):
            return None
        seen = self._seen.get(key(node), {})
        now = self._clock.now()
        taints = {taint: seen.get(taint, now) for taint in _no_execute(node)}
        left_s = leaves_in_s(pod, taints, now)
        if left_s is None or left_s > 0:
            return left_s
        await self._evict(pod, now)
        return None

    async def _evict(self, pod: Pod, now: float) -> None:
        change = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint",
            "lastTransitionTime": rfc3339(now),
        }
        metadata = pod.metadata
        try:
            await self._client.patch(
                PODS,
                metadata.name,
                {"metadata": {"uid": metadata.uid}, "status": {"conditions": [change]}},
                metadata.namespace,
                kind=PatchKind.STRATEGIC,
                subresource="status",
            )
            await self._client.delete(PODS, metadata.name, metadata.namespace, uid=metadata.uid)
        except (errors.NotFound, errors.Conflict):
            return
        message = f"Marking for deletion Pod {metadata.namespace}/{metadata.name}"
        self._recorder.event(PODS, pod, Severity.NORMAL, "TaintManagerEviction", message)


def _no_execute(node: Node) -> Sequence[Taint]:
    return tuple(taint for taint in node.spec.taints or () if taint.effect == "NoExecute")
